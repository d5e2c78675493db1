"""`backtestkit robust`: test what a stored run withstands, tell a line for each test, keep the report."""

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated

import typer

from backtestkit_cli.cli.again import abandoned
from backtestkit_cli.cli.options import ConfigOption, JsonOption, RunArgument, VerboseOption
from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.project import check_writable, logs_folder, short
from backtestkit_cli.cli.stop import STOP

if TYPE_CHECKING:
    from collections.abc import Callable

    from backtestkit_cli.engine.result import RunStatus
    from backtestkit_cli.run.robust import Robust, RobustStep

WorldsOption = Annotated[
    int, typer.Option("--worlds", min=0, max=1000, metavar="N", help="Other markets to test in; 0 leaves them out.")
]


def robust(
    run: RunArgument = "last",
    worlds: WorldsOption = 50,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Test what a run withstands: luck, costs, delays, other markets."""
    from backtestkit_cli.plugins.registry import ROOT
    from backtestkit_cli.report.dump import find_bundle
    from backtestkit_cli.run.log import shown
    from backtestkit_cli.run.robust import Robust

    output = Output(as_json=as_json, verbose=verbose)
    logs = logs_folder(config)
    bundle = find_bundle(logs, run)
    check_writable(logs / "robust")
    job = Robust(bundle=bundle, project=logs.parent, registry=ROOT.child(), logs=logs, worlds=worlds)
    job.on_abandon = lambda message: abandoned(output, message)
    try:
        with output.robust_progress() as on_step, redirect_stdout(sys.stderr), shown(output.tell, output.verbose):
            job.on_step = _stoppable(on_step)
            job.run()
    except KeyboardInterrupt:
        with STOP.held():
            _interrupted(job, output)
        raise
    with STOP.held():
        _tell(job, output, "complete")
    return 0


def _stoppable(on_step: "Callable[[RobustStep], None]") -> "Callable[[RobustStep], None]":
    """Progress at which a stop that a strategy swallowed takes effect."""

    def told(step: "RobustStep") -> None:
        STOP.check()
        on_step(step)

    return told


def _tell(job: "Robust", output: Output, status: "RunStatus") -> None:
    """Keep the tests as far as they came, and tell them."""
    from backtestkit_cli.report.as_json import document
    from backtestkit_cli.report.terminal import terminal

    result = job.result(status)
    files = result.dump()
    if output.as_json and status == "complete":
        output.result({**document(result.summary()), "files": [str(path) for path in files]}, "")
    elif not output.as_json:
        place = next(short(path) for path in files if path.suffix == ".md")
        output.result(None, terminal(result.summary(), output.console(), place=place))
        output.tell(f"wrote {place}, and the same as .json, .html and tables (.csv) beside it")


def _interrupted(job: "Robust", output: Output) -> None:
    """Tell the tests that were done."""
    if not job.is_begun:
        output.tell("interrupted: nothing was tested, and nothing is written")
        return
    _tell(job, output, "interrupted")
