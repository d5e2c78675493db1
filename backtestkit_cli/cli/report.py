"""`backtestkit run` and `backtestkit report`: what earlier runs found out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from backtestkit_cli.cli.options import ConfigOption, JsonOption, RunArgument, VerboseOption
from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.project import logs_folder, short
from backtestkit_cli.cli.tables import columns, pairs
from backtestkit_cli.errors import Problem, Source, UsageError

if TYPE_CHECKING:
    from backtestkit_cli.report.dump import Format

app = typer.Typer(help="Read and write the reports of runs.", no_args_is_help=True, rich_markup_mode=None)
runs = typer.Typer(help="List and show runs.", no_args_is_help=True, rich_markup_mode=None)

FormatOption = Annotated[str, typer.Option("--format", metavar="md,json", help="Formats, separated by commas.")]
_FACTS = (
    "run_id",
    "kind",
    "status",
    "started_at",
    "finished_at",
    "exchange",
    "frame",
    "range",
    "strategies",
    "symbols",
)


@runs.command("list")
def list_runs(config: ConfigOption = None, as_json: JsonOption = False, verbose: VerboseOption = 0) -> int:
    """List the stored runs, the newest last."""
    from backtestkit_cli.report.dump import bundles

    output = Output(as_json=as_json, verbose=verbose)
    rows = [
        {
            "run": bundle.run_id,
            "finished_at": bundle.manifest.get("finished_at"),
            "status": bundle.manifest.get("status", "damaged"),
            "strategies": _names(bundle.manifest.get("strategies")),
            "symbols": _names(bundle.manifest.get("symbols")),
            "frame": bundle.manifest.get("frame"),
        }
        for bundle in bundles(logs_folder(config))
    ]
    output.result(rows, columns(rows) if rows else "No run is stored yet; start one with `backtestkit backtest`.")
    return 0


@runs.command("show")
def show_run(
    run: RunArgument = "last", config: ConfigOption = None, as_json: JsonOption = False, verbose: VerboseOption = 0
) -> int:
    """Show what a run was: options, versions, fingerprints, files."""
    from backtestkit_cli.report.dump import find_bundle

    output = Output(as_json=as_json, verbose=verbose)
    bundle = find_bundle(logs_folder(config), run)
    manifest = _manifest(bundle)
    facts = {name: _names(manifest.get(name)) for name in _FACTS}
    files = [{"file": name, "sha256": str(value)[:12]} for name, value in manifest.get("files", {}).items()]
    text = "\n\n".join([pairs({**facts, "folder": short(bundle)}), *([columns(files)] if files else [])])
    output.result(manifest, text)
    return 0


@app.command("show")
def show_report(
    run: RunArgument = "last", config: ConfigOption = None, as_json: JsonOption = False, verbose: VerboseOption = 0
) -> int:
    """Print the report of a run, all trades included."""
    from backtestkit_cli.report.dump import find_bundle, read_report

    output = Output(as_json=as_json, verbose=verbose)
    bundle = find_bundle(logs_folder(config), run)
    if as_json:
        output.result(json.loads(read_report(bundle, "json")), "")
    else:
        output.result(None, read_report(bundle, "md"))
    return 0


@app.command("dump")
def dump_report(
    run: RunArgument = "last",
    formats: FormatOption = "md,json",
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Folder. Default: the one of the kind.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Write the report of a run to files."""
    from backtestkit_cli.disk import DISK, write_atomic
    from backtestkit_cli.report.dump import find_bundle, read_report

    output = Output(as_json=as_json, verbose=verbose)
    chosen = _formats(formats)
    logs = logs_folder(config)
    bundle = find_bundle(logs, run)
    folder = to or logs / str(_manifest(bundle).get("kind", "backtest"))
    if folder.exists() and not folder.is_dir():
        raise UsageError(Problem("no-folder", "this is no folder", Source(file=str(folder))))
    DISK.make_folder(folder)
    written = []
    for one in chosen:
        path = folder / f"{bundle.name}.{one}"
        write_atomic(path, read_report(bundle, one).encode("utf-8"), mode=0o644)
        written.append(path)
    output.result({"files": [str(path) for path in written]}, "\n".join(f"wrote {short(path)}" for path in written))
    return 0


def _formats(text: str) -> "list[Format]":
    known: dict[str, Literal["md", "json"]] = {"md": "md", "json": "json"}
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(Problem("unknown-format", f"there is no format {unknown[0]!r}", expected=", ".join(known)))
    return [known[name] for name in names]


def _names(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _manifest(bundle: Path) -> dict[str, Any]:
    from backtestkit_cli.report.dump import bundles

    return next((dict(one.manifest) for one in bundles(bundle.parent.parent) if one.run_id == bundle.name), {})
