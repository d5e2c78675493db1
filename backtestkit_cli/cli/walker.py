"""`backtestkit walker`: compare strategies and their variants on the same candles, keep reports, tell who is best."""

import sys
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Annotated

import typer

from backtestkit_cli.cli import complete
from backtestkit_cli.cli.backtest import STRATEGY_ERROR
from backtestkit_cli.cli.finished import tell_finished
from backtestkit_cli.cli.options import (
    ClusterOption,
    ConfigOption,
    FrameOption,
    JobsOption,
    JsonOption,
    SetOption,
    SymbolOption,
    VerboseOption,
)
from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.project import check_writable, open_kit
from backtestkit_cli.cli.stop import STOP, stoppable_steps
from backtestkit_cli.errors import Problem, StrategyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backtestkit_cli.run.kept_results import TakenOver
    from backtestkit_cli.run.walker import Walker

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A walker of the config.", autocompletion=complete.walkers)
]
MetricOption = Annotated[
    str | None,
    typer.Option("--metric", metavar="M", help="Rank by this metric. Default: the one of the walker."),
]
TopOption = Annotated[int, typer.Option("--top", min=1, metavar="N", help="Rows to print; the files have all.")]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on with an interrupted run: take over the results that still hold.")
]


def walker(
    name: NameArgument,
    symbol: SymbolOption = None,
    frame: FrameOption = None,
    metric: MetricOption = None,
    top: TopOption = 10,
    jobs: JobsOption = 1,
    cluster: ClusterOption = None,
    resume: ResumeOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Compare strategies, and variants of their params, on the same candles."""
    output = Output(as_json=as_json, verbose=verbose)
    kit = open_kit(output, config, set_)
    job = kit.walker(name, symbols=symbol or (), frame=frame, metric=metric, jobs=jobs, cluster=cluster, resume=resume)
    check_writable(kit.logs / "walker")
    job.on_abandon = lambda message: _abandoned(job, top, message, output)
    try:
        with _progress(job, output):
            job.run()
    except KeyboardInterrupt:
        with STOP.held():
            _interrupted(job, top, output)
        raise
    except StrategyError as error:
        if error.code == "worker-ended":
            _interrupted(job, top, output)
        raise
    with STOP.held():
        tell_finished(job.result(), top, output)
    failures = len(job.failed) + sum(one.failures > 0 for one in job.outcomes)
    if failures:
        times = "one contestant" if failures == 1 else f"{failures} contestants"
        output.tell(f"error: code of {times} failed; the report says which, under How far to trust it")
    return STRATEGY_ERROR if failures else 0


@contextmanager
def _progress(job: "Walker", output: Output) -> "Iterator[None]":
    """Show how far a walker is, who failed, and what user code prints and logs."""
    from backtestkit_cli.run.log import shown

    with (
        output.walker_progress() as on_progress,
        redirect_stdout(sys.stderr),
        shown(output.tell, output.verbose),
    ):
        job.on_progress = stoppable_steps(on_progress)
        job.on_resume = lambda taken: output.tell(_taken_over(taken, len(job.plan.contestants)))
        job.on_failure = lambda failed: output.tell(f"{failed.contestant.name} failed: {failed.what}")
        yield


def _taken_over(found: "TakenOver", contestants: int) -> str:
    """Say what an earlier run spares this one."""
    stale = f"; {found.stale} did not hold any more" if found.stale else ""
    return f"took over {found.taken} of {contestants} results{stale}"


def _interrupted(job: "Walker", top: int, output: Output) -> None:
    """Tell what was finished; with `--json` the one document is that of the interruption."""
    told = f"interrupted: {job.done} of {len(job.plan.contestants)} contestants were finished"
    if not job.outcomes:
        output.tell(f"{told}, none with a result; reports are as they were")
        return
    tell_finished(job.result("interrupted"), top, output)
    output.tell(f"{told}; --resume goes on")


def _abandoned(job: "Walker", top: int, message: str, output: Output) -> None:
    _interrupted(job, top, output)
    output.error(StrategyError(Problem("call-timed-out", message)))
