"""`backtestkit optimizer show` and `apply`: what a search found or a model drafted, as a strategy of its own."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from backtestkit_cli.cli import complete
from backtestkit_cli.cli.generate import show_draft
from backtestkit_cli.cli.options import ConfigOption, JsonOption, SetOption, VerboseOption
from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.project import logs_folder, open_kit, short

SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A study: its id, its strategy, or last; or OPTIMIZER/DRAFT.",
        autocompletion=complete.studies,
    ),
]


def show(
    source: SourceArgument = "last",
    top: Annotated[int, typer.Option("--top", min=1, metavar="N", help="Trials to print.")] = 10,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Show what a search found, or a draft of a model."""
    from backtestkit_cli.report.as_json import document
    from backtestkit_cli.report.study import study_report
    from backtestkit_cli.report.study_files import find_study, read_study
    from backtestkit_cli.report.terminal import terminal

    output = Output(as_json=as_json, verbose=verbose)
    if "/" in source:
        return show_draft(output, logs_folder(config).parent, source)
    path = find_study(logs_folder(config), source)
    report = study_report(read_study(path), None if as_json else top)
    place = short(path.parent.with_name(f"{path.parent.name}.md"))
    output.result(
        document(report) if as_json else None, "" if as_json else terminal(report, output.console(), place=place)
    )
    return 0


def apply(
    source: SourceArgument = "last",
    as_: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="Name of the new strategy. Default: one of the study, or the draft."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="A new file. Default: one beside the config.")
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Write the chosen params, or a draft, as a strategy of its own, which `backtest` runs with the same trades."""
    output = Output(as_json=as_json, verbose=verbose)
    kit = open_kit(output, config, set_)
    apply_source = kit.apply_draft if "/" in source else kit.apply_study
    applied = apply_source(source, name=as_, to=to)
    same = "".join(f" --set {quote(one)}" for one in set_ or ())
    commands = [f"{one}{same}" for one in applied.commands]
    output.result({"strategy": applied.name, "file": str(applied.path), "commands": commands}, "\n".join(commands))
    output.tell(f"wrote {short(applied.path)}")
    return 0
