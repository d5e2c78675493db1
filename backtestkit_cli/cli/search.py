"""`backtestkit optimizer search`: try params of a strategy, and say how much of the best one is luck."""

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
    ExchangeOption,
    FrameOption,
    JobsOption,
    JsonOption,
    RangeOption,
    SetOption,
    SymbolOption,
    VerboseOption,
)
from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.project import check_writable, open_kit
from backtestkit_cli.cli.stop import STOP, stoppable_steps
from backtestkit_cli.errors import Problem, StrategyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backtestkit_cli.run.search.search import Search

StrategyArgument = Annotated[
    str, typer.Argument(metavar="STRATEGY", help="A strategy of the config.", autocompletion=complete.strategies)
]
MetricOption = Annotated[
    str | None,
    typer.Option(
        "--metric", metavar="M", help="Choose by this metric. Default: sharpe_ratio, on short ranges pnl_percent."
    ),
]
SamplerOption = Annotated[str, typer.Option("--sampler", metavar="NAME", help="grid, random or tpe.")]
TrialsOption = Annotated[
    int, typer.Option("--trials", min=1, metavar="N", help="Most trials of each search; a grid tries everything.")
]
FoldsOption = Annotated[int, typer.Option("--folds", min=1, metavar="K", help="Repetitions of the search in time.")]
HoldOutOption = Annotated[
    str, typer.Option("--hold-out", metavar="P%", help="Share at the end of the range that is kept away.")
]
EmbargoOption = Annotated[
    str, typer.Option("--embargo", metavar="T", help="Time between windows, beside the longest trade.")
]
VaryOption = Annotated[
    list[str] | None,
    typer.Option(
        "--vary", metavar="NAME=VALUES", help="Values such as fast=8,12,16 or fast=8..16:4; only what is named varies."
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Seed of the sampler.")]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on with an interrupted search: take over the results that still hold.")
]
TopOption = Annotated[int, typer.Option("--top", min=1, metavar="N", help="Trials to print; the files have all.")]


def search(
    strategy: StrategyArgument,
    symbol: SymbolOption = None,
    exchange: ExchangeOption = None,
    frame: FrameOption = None,
    range_: RangeOption = None,
    metric: MetricOption = None,
    sampler: SamplerOption = "random",
    trials: TrialsOption = 100,
    folds: FoldsOption = 4,
    hold_out: HoldOutOption = "20%",
    embargo: EmbargoOption = "1d",
    vary: VaryOption = None,
    seed: SeedOption = 0,
    jobs: JobsOption = 1,
    cluster: ClusterOption = None,
    resume: ResumeOption = False,
    top: TopOption = 10,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Try params of a strategy, and judge them on candles that they were not chosen on."""
    from backtestkit_cli.run.search.space import read_vary

    output = Output(as_json=as_json, verbose=verbose)
    kit = open_kit(output, config, set_)
    job = kit.search(
        strategy,
        symbols=symbol or (),
        exchange=exchange,
        frame=frame,
        range=range_,
        metric=metric,
        sampler=sampler,
        trials=trials,
        folds=folds,
        hold_out=_share(hold_out),
        embargo=embargo,
        vary=read_vary(vary or ()),
        seed=seed,
        jobs=jobs,
        cluster=cluster,
        resume=resume,
    )
    check_writable(kit.logs / "optimizer")
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
        _tell_taken(job, output)
        tell_finished(job.result(), top, output)
    if job.failed:
        output.tell("error: code of trials failed; the report says which, under How far to trust it")
    return STRATEGY_ERROR if job.failed else 0


def _share(text: str) -> float:
    """Read `20%` as 0.2."""
    try:
        return float(text.removesuffix("%")) / 100
    except ValueError:
        raise UsageError(Problem("bad-value", f"--hold-out {text} is no share", expected="20%")) from None


@contextmanager
def _progress(job: "Search", output: Output) -> "Iterator[None]":
    """Show how far a search is, what failed, and what user code prints and logs."""
    from backtestkit_cli.run.log import shown

    with (
        output.search_progress() as on_progress,
        redirect_stdout(sys.stderr),
        shown(output.tell, output.verbose),
    ):
        job.on_progress = stoppable_steps(on_progress)
        job.on_failure = lambda failed: output.tell(f"{failed.contestant.name} failed: {failed.what}")
        yield


def _tell_taken(job: "Search", output: Output) -> None:
    """Say what an interrupted search spared this one."""
    if job.taken_over:
        output.tell(f"took over {job.taken_over} results")


def _interrupted(job: "Search", top: int, output: Output) -> None:
    """Tell what was finished; with `--json` the one document is that of the interruption."""
    told = f"interrupted: {job.done} of at most {job.plan.most_trials} trials were finished"
    if not job.folds:
        output.tell(f"{told}, and no fold; reports are as they were; --resume goes on")
        return
    _tell_taken(job, output)
    tell_finished(job.result("interrupted"), top, output)
    output.tell(f"{told}; --resume goes on")


def _abandoned(job: "Search", top: int, message: str, output: Output) -> None:
    _interrupted(job, top, output)
    output.error(StrategyError(Problem("call-timed-out", message)))
