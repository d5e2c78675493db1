"""Shell completion of names. It never fails: without a readable config there is nothing to offer."""

from collections.abc import Iterable
from pathlib import Path

import typer

from backtestkit_cli.errors import BacktestkitError

KINDS = ("exchanges", "frames", "strategies", "sizings", "risks", "walkers", "optimizers")


def _names(context: typer.Context, incomplete: str, kind: str) -> list[str]:
    from backtestkit_cli.config.merge import load

    try:
        config = load([Path(path) for path in context.params.get("config") or ("configs",)])
    except (BacktestkitError, OSError):
        return []
    if kind == "symbols":
        names: Iterable[str] = config.settings.defaults.symbols or ()
    else:
        names = getattr(config, kind)
    return [name for name in names if name.startswith(incomplete)]


def strategies(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of strategies."""
    return _names(ctx, incomplete, "strategies")


def walkers(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of walkers."""
    return _names(ctx, incomplete, "walkers")


def optimizers(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of optimizers."""
    return _names(ctx, incomplete, "optimizers")


def symbols(ctx: typer.Context, incomplete: str) -> list[str]:
    """The symbols of `settings.defaults`."""
    return _names(ctx, incomplete, "symbols")


def exchanges(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of exchanges."""
    return _names(ctx, incomplete, "exchanges")


def frames(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of frames."""
    return _names(ctx, incomplete, "frames")


def runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Run ids of the project, and `last`."""
    return _folders(ctx, incomplete, "runs")


def sessions(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of live sessions, and `last`."""
    return _folders(ctx, incomplete, "live")


def subjects(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of runs and of live sessions, and `last`."""
    return list(dict.fromkeys([*runs(ctx, incomplete), *sessions(ctx, incomplete)]))


def _folders(context: typer.Context, incomplete: str, name: str) -> list[str]:
    from backtestkit_cli.cli.project import logs_folder

    try:
        folder = logs_folder(context.params.get("config")) / name
        found = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    except (BacktestkitError, OSError):
        return []
    return [name for name in [*found, "last"] if name.startswith(incomplete)]


def studies(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of studies, and `last`."""
    from backtestkit_cli.cli.project import logs_folder

    try:
        found = sorted(path.stem for path in (logs_folder(ctx.params.get("config")) / "optimizer").glob("*/*.json"))
    except (BacktestkitError, OSError):
        return []
    return [name for name in [*found, "last"] if name.startswith(incomplete)]


def kinds(incomplete: str) -> list[str]:
    """The kinds of schemas."""
    return [kind for kind in KINDS if kind.startswith(incomplete)]


def reports(incomplete: str) -> list[str]:
    """The kinds of reports."""
    from backtestkit_cli.report.kinds import KINDS as REPORTS
    from backtestkit_cli.report.written import LIVE, OPTIMIZER, WALKER

    return [kind for kind in (*REPORTS, LIVE, WALKER, OPTIMIZER) if kind.startswith(incomplete)]
