"""`backtestkit optimizer generate`: let a language model draft strategies, and write the project that compares them."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtestkit_cli.cli import complete
from backtestkit_cli.cli.messages import printable
from backtestkit_cli.cli.options import ConfigOption, JsonOption, SetOption, VerboseOption
from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.project import check_writable, open_kit, short

if TYPE_CHECKING:
    from backtestkit_cli.model.event import OptimizerProgress
    from backtestkit_cli.run.drafting.optimizer import DraftEntry, Optimizer

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="An optimizer of the config.", autocompletion=complete.optimizers)
]
NoBlindOption = Annotated[
    bool,
    typer.Option("--no-blind", help="Tell the model the market, dates and prices; what it drafts may be memory then."),
]
PythonOption = Annotated[
    bool, typer.Option("--python", help="Ask for Python instead of rules; it runs only after `backtestkit trust`.")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Folder of the new project. Default: drafts/NAME.")
]


def generate(
    name: NameArgument,
    python: PythonOption = False,
    no_blind: NoBlindOption = False,
    out: OutOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Let a language model draft strategies, and write a project that compares them on days it was not shown."""
    from backtestkit_cli.model.event import OptimizerProgress
    from backtestkit_cli.run.drafting.python_draft import file_of

    output = Output(as_json=as_json, verbose=verbose)
    kit = open_kit(output, config, set_)
    optimizer = kit.optimizer(name, blind=not no_blind, python=python)
    check_writable(kit.logs / "drafts")
    check_writable(out or kit.config.project / "drafts")
    if sys.stderr.isatty() and not as_json:
        kit.on(OptimizerProgress, lambda event: output.tell(_step(event)))
    with redirect_stdout(sys.stderr):
        project = optimizer.dump(out)
    for one in optimizer.get_data():
        if one.source and one.twin is None:
            output.tell(f"--- {short(project / file_of(one.name))}\n{one.source}")
    output.result(_document(optimizer, project), _text(optimizer, project))
    return 0


def show_draft(output: Output, project: Path, source: str) -> int:
    """Show a draft, `OPTIMIZER/DRAFT`."""
    from backtestkit_cli.config.read import write_text
    from backtestkit_cli.run.drafting.apply import find_draft

    found = find_draft(project, source)
    told = {"strategy": found.strategy, "readme": str(found.readme)}
    output.result(told, write_text({"strategies": [found.strategy]}))
    output.tell(f"how it came about: {short(found.readme)}")
    return 0


def _step(event: "OptimizerProgress") -> str:
    if event.done_drafts or event.done_sources == event.total_sources:
        return f"{event.done_drafts} of {event.total_drafts} drafts are done"
    return f"{event.done_sources} of {event.total_sources} sources are read"


def _fate(entry: "DraftEntry") -> str:
    if entry.strategy is None:
        return "lost"
    return "taken" if entry.twin is None else "left out"


def _text(optimizer: "Optimizer", project: Path) -> str:
    entries = optimizer.get_data()
    lines = []
    for one in entries:
        why = {"lost": f": {printable(one.problem or '')[:120]}", "left out": f": trades like {one.twin}"}.get(
            _fate(one), ""
        )
        tries = "" if one.tries == 1 else f" after {one.tries} tries"
        lines.append(f"{one.name}  {_fate(one)}{tries}{why}")
    shown = "no name of the market, no dates, no prices" if optimizer.is_blind else "the market, dates and prices"
    rows = sum(one.rows for one in optimizer.seen)
    place = short(project)
    drafted = [one.strategy["use"].partition(":")[0] for one in entries if one.source and one.strategy and not one.twin]
    return "\n".join(
        [
            *lines,
            f"The model saw {rows} rows: {shown}.",
            "",
            *(f"Read, then: backtestkit trust {place}/{file} --config {place}/configs" for file in drafted),
            f"Next: backtestkit walker {optimizer.name} --config {place}/configs",
        ]
    )


def _document(optimizer: "Optimizer", project: Path) -> dict[str, Any]:
    return {
        "optimizer": optimizer.name,
        "project": str(project),
        "is_blind": optimizer.is_blind,
        "seen": [
            {"start_ms": one.range.start_ms, "end_ms": one.range.end_ms, "source": one.source, "rows": one.rows}
            for one in optimizer.seen
        ],
        "drafts": [
            {
                "name": one.name,
                "start_ms": one.range.start_ms,
                "end_ms": one.range.end_ms,
                "outcome": _fate(one).replace(" ", "_"),
                "twin": one.twin,
                "problem": one.problem,
                "tries": one.tries,
                "strategy": one.strategy,
                "conversation": str(one.folder),
            }
            for one in optimizer.get_data()
        ],
    }
