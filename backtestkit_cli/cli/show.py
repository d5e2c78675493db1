"""Commands that only look: `list`, `config show`, `config schema`, `doctor`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtestkit_cli.cli import complete
from backtestkit_cli.cli.complete import KINDS
from backtestkit_cli.cli.options import ConfigOption, JsonOption, SetOption, VerboseOption
from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.project import check_writable, open_kit
from backtestkit_cli.cli.tables import columns
from backtestkit_cli.errors import BacktestkitError

if TYPE_CHECKING:
    from backtestkit_cli.config.fields import NamedSchema

configs = typer.Typer(help="Show what the config amounts to.", no_args_is_help=True, rich_markup_mode=None)

KindArgument = Annotated[
    str,
    typer.Argument(
        metavar="KIND",
        help="One of " + ", ".join(KINDS) + ".",
        autocompletion=complete.kinds,
    ),
]


def list_kind(
    kind: KindArgument,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """List the schemas of one kind."""
    from backtestkit_cli.config.edit import kind_named

    output = Output(as_json=as_json, verbose=verbose)
    found = kind_named(kind)
    schemas: dict[str, NamedSchema] = getattr(open_kit(output, config, set_).config, found)
    rows = [{"name": name, **_brief(schema)} for name, schema in schemas.items()]
    output.result(rows, columns(rows, output.width) if rows else f"The config has no {found}.")
    return 0


def _brief(schema: "NamedSchema") -> dict[str, Any]:
    """What tells one schema of a kind from another, on one line."""
    shown = schema.model_dump(mode="json", exclude_none=True, exclude={"name", "note", "callbacks"})
    words = {
        "use": "{}",
        "interval": "every {}",
        "rules": "YAML rules",
        "signals": "signals {}",
        "method": "{}",
        "metric": "by {}",
        "max_positions": "{} positions",
    }
    parts = [text.format(shown[key]) for key, text in words.items() if key in shown]
    if "start" in shown:
        parts.insert(0, f"{_date(shown['start'])} .. {_date(shown['end'])}")
    return {"what": ", ".join(parts), "note": schema.note or ""}


def _date(value: Any) -> str:
    from backtestkit_cli.model.time import iso, parse_time

    return iso(parse_time(value))


@configs.command("show")
def show_config(
    config: ConfigOption = None, set_: SetOption = None, as_json: JsonOption = False, verbose: VerboseOption = 0
) -> int:
    """Show every value with its origin; secrets are masked."""
    output = Output(as_json=as_json, verbose=verbose)
    kit = open_kit(output, config, set_)
    from backtestkit_cli.config.show import effective
    from backtestkit_cli.run.columns import default_columns

    usual = default_columns()
    rows = [
        {"path": row.path, "value": usual.get(row.path) if row.value is None else row.value, "origin": row.origin}
        for row in effective(kit.config)
    ]
    shown = [{**row, "value": json.dumps(row["value"], ensure_ascii=False)} for row in rows]
    output.result(rows, columns(shown, output.width))
    return 0


@configs.command("schema")
def show_schema(as_json: JsonOption = False, verbose: VerboseOption = 0) -> int:
    """Write the JSON Schema of config files, for editors."""
    from backtestkit_cli.config.show import json_schema

    output = Output(as_json=as_json, verbose=verbose)
    document = json_schema()
    output.result(document, json.dumps(document, indent=2, ensure_ascii=False))
    return 0


def doctor(
    config: ConfigOption = None, set_: SetOption = None, as_json: JsonOption = False, verbose: VerboseOption = 0
) -> int:
    """Check the machine and the project: versions, config, folders, candles."""
    import platform

    from backtestkit_cli import __version__

    output = Output(as_json=as_json, verbose=verbose)
    rows = [_row("backtestkit", __version__), _row("python", platform.python_version())]
    rows += [
        _package(name, needed=True) for name in ("polars", "numpy", "pydantic", "PyYAML", "typer", "rich", "filelock")
    ]
    rows += [_package("ccxt", needed=False), _package("plotly", needed=False)]
    code = 0
    try:
        kit = open_kit(output, config, set_)
        settings = kit.config
        rows.append(_row("config", f"{len(settings.strategies)} strategies, {len(settings.exchanges)} exchanges"))
        rows.append(_writable(settings.project / "logs"))
        rows.append(_candles(settings.project))
    except BacktestkitError as error:
        code = error.exit_code
        rows.append(_row("config", str(error), ok=False))
    if not all(row["ok"] for row in rows):
        code = code or 1
    output.result(
        {"checks": rows, "ok": code == 0},
        columns([{**row, "ok": "ok" if row["ok"] else "NOT OK"} for row in rows], output.width),
    )
    return code


def _row(what: str, found: str, *, ok: bool = True) -> dict[str, Any]:
    return {"check": what, "ok": ok, "found": found}


def _package(name: str, *, needed: bool) -> dict[str, Any]:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return _row(name, version(name))
    except PackageNotFoundError:
        return _row(name, "missing" if needed else "not installed (optional)", ok=not needed)


def _writable(folder: Path) -> dict[str, Any]:
    try:
        check_writable(folder)
    except OSError as error:
        return _row("logs folder", f"{error.filename}: {error.strerror}", ok=False)
    return _row("logs folder", str(folder))


def _candles(project: Path) -> dict[str, Any]:
    from backtestkit_cli.run.sources import store_of

    found = store_of(project).coverage()
    return _row("candle store", f"{len(found)} markets, {sum(one.rows for one in found):,} candles")
