"""`backtestkit run` and `backtestkit report`: what earlier runs found out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtestkit_cli.cli import complete
from backtestkit_cli.cli.options import ConfigOption, JsonOption, RunArgument, VerboseOption
from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.project import logs_folder, short
from backtestkit_cli.cli.tables import columns, pairs
from backtestkit_cli.errors import Problem, Source, UsageError

if TYPE_CHECKING:
    from backtestkit_cli.run.told import Told

app = typer.Typer(help="Read and write the reports of runs.", no_args_is_help=True, rich_markup_mode=None)
runs = typer.Typer(help="List and show runs.", no_args_is_help=True, rich_markup_mode=None)

SubjectArgument = Annotated[
    str,
    typer.Argument(metavar="RUN", help="Run or session: id, unique prefix, or last.", autocompletion=complete.subjects),
]
KindOption = Annotated[
    str | None,
    typer.Option(
        "--kind",
        metavar="K",
        help="backtest, heat, schedule, partial, risk or performance; live for sessions; walker: RUN is its name; "
        "optimizer: a study.",
        autocompletion=complete.reports,
    ),
]
FormatsOption = Annotated[
    str | None,
    typer.Option("--format", metavar="md,json,csv,html", help="Formats, separated by commas. Default: all but html."),
]
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
    rows: list[dict[str, Any]] = [
        {
            "run": bundle.run_id,
            "finished_at": bundle.manifest.get("finished_at"),
            "status": bundle.manifest.get("status", "damaged"),
            "strategies": _names(bundle.manifest.get("strategies")),
            "symbols": _names(bundle.manifest.get("symbols")),
            "frame": bundle.manifest.get("frame"),
            "set": bundle.manifest.get("overrides") or {},
        }
        for bundle in bundles(logs_folder(config))
    ]
    shown = [{**row, "finished_at": _short_time(row["finished_at"]), "set": _overrides(row["set"])} for row in rows]
    empty = "No run is stored yet; start one with `backtestkit backtest`."
    output.result(rows, columns(shown, output.width) if rows else empty)
    return 0


def _short_time(text: Any) -> str | None:
    """A time to the minute."""
    return text[:16].replace("T", " ") if isinstance(text, str) else None


def _overrides(given: Any) -> str:
    """What `--set` changed, each by the last part of its path; the whole paths are in the JSON."""
    if not isinstance(given, dict):
        return ""
    return ", ".join(
        f"{path.rpartition('.')[2]}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for path, value in given.items()
    )


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
    run: SubjectArgument = "last",
    kind: KindOption = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="F", help="md, json, html, or csv: its main table. Default: md, on a terminal its text."
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Print a report of a run, all trades included, or of a live session."""
    from backtestkit_cli.report.terminal import whole_terminal
    from backtestkit_cli.report.written import formats_named

    output = Output(as_json=as_json, verbose=verbose)
    formats = formats_named(format_ or ("json" if as_json else "md"))
    if len(formats) > 1 or (as_json and formats != ["json"]):
        what = "one text cannot be in several formats" if len(formats) > 1 else f"--json prints no {formats[0]}"
        raise UsageError(Problem("conflict", what, hint="choose one format"))
    told = _told(logs_folder(config), run, kind)
    if as_json:
        output.result(json.loads(told.text("json")), "")
    elif format_ is None and output.width is not None:
        output.result(None, whole_terminal(told.report(), output.console()))
    else:
        output.result(None, told.text(formats[0]))
    return 0


@app.command("dump")
def dump_report(
    run: SubjectArgument = "last",
    kind: KindOption = None,
    formats: FormatsOption = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="Folder. Default: the one of the kind, of a walker one of its own."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Write a report of a run, or of a live session, to files."""
    from backtestkit_cli.disk import DISK, write_atomic
    from backtestkit_cli.report.written import DEFAULT_FORMATS, formats_named

    output = Output(as_json=as_json, verbose=verbose)
    chosen = formats_named(DEFAULT_FORMATS if formats is None else formats)
    logs = logs_folder(config)
    told = _told(logs, run, kind)
    files = told.files(chosen)
    folder = to or logs / told.folder_name
    if folder.exists() and not folder.is_dir():
        raise UsageError(Problem("no-folder", "this is no folder", Source(file=str(folder))))
    DISK.make_folder(folder)
    for name, text in files.items():
        write_atomic(folder / name, text.encode("utf-8"), mode=0o644)
    written = [folder / name for name in files]
    output.result({"files": [str(path) for path in written]}, "\n".join(f"wrote {short(path)}" for path in written))
    return 0


@app.command("diff")
def diff_reports(
    run_a: RunArgument,
    run_b: RunArgument,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Compare two stored runs: what they rested on, their figures, and their trades."""
    from backtestkit_cli.report.as_json import sections_document
    from backtestkit_cli.report.diff import diff
    from backtestkit_cli.report.dump import find_bundle
    from backtestkit_cli.report.stored import read_stored
    from backtestkit_cli.report.terminal import sections_text

    output = Output(as_json=as_json, verbose=verbose)
    logs = logs_folder(config)
    sections = diff(*(read_stored(find_bundle(logs, run)) for run in (run_a, run_b)))
    output.result(sections_document(sections), sections_text(sections, output.console()))
    return 0


def _told(logs: Path, text: str, kind: str | None) -> "Told":
    from backtestkit_cli.run.told import told

    return told(logs, text, kind)


def _names(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _manifest(bundle: Path) -> dict[str, Any]:
    from backtestkit_cli.report.dump import bundles

    return next((dict(one.manifest) for one in bundles(bundle.parent.parent) if one.run_id == bundle.name), {})
