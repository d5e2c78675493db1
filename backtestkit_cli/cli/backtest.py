"""`backtestkit backtest`: run, keep the bundle, tell the result."""

import sys
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from backtestkit_cli.cli.options import (
    ConfigOption,
    ExchangeOption,
    FrameOption,
    JobsOption,
    JsonOption,
    RangeOption,
    SetOption,
    StrategiesArgument,
    SymbolOption,
    VerboseOption,
)
from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.project import check_writable, open_kit, short
from backtestkit_cli.cli.stop import STOP, stoppable
from backtestkit_cli.errors import GateFailedError, Problem, StrategyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backtestkit_cli.engine.result import RunResult
    from backtestkit_cli.measure.fills import FillComparison
    from backtestkit_cli.measure.require import Requirement
    from backtestkit_cli.report.dump import DumpedFiles
    from backtestkit_cli.report.report import Report
    from backtestkit_cli.run.backtest import Backtest

RequireOption = Annotated[
    str | None,
    typer.Option(
        metavar="EXPR", help='What every stream must meet, else exit code 5: "trades>=30 and max_drawdown_percent<20".'
    ),
]
CompareFillsOption = Annotated[
    bool,
    typer.Option(
        "--compare-fills", help="Run once more under each other fill policy, and tell what the difference is worth."
    ),
]
RecordOption = Annotated[
    bool,
    typer.Option("--record", help="Ask the models of strategies with `use: llm` what they have not answered yet."),
]
STRATEGY_ERROR = 4


def backtest(
    strategies: StrategiesArgument = None,
    symbol: SymbolOption = None,
    frame: FrameOption = None,
    range_: RangeOption = None,
    exchange: ExchangeOption = None,
    jobs: JobsOption = 1,
    require: RequireOption = None,
    compare_fills: CompareFillsOption = False,
    record: RecordOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Test strategies on stored candles and report what came of them."""
    from backtestkit_cli.report.kinds import KINDS

    output = Output(as_json=as_json, verbose=verbose)
    requirement = _requirement(require)
    kit = open_kit(output, config, set_)
    job = kit.backtest(
        *(strategies or ()),
        symbols=symbol or (),
        frame=frame,
        range=range_,
        exchange=exchange,
        jobs=jobs,
        record=record,
    )
    _note_unknown_symbols(job, output)
    for folder in ("runs", *KINDS):
        check_writable(kit.logs / folder)
    job.on_abandon = lambda message: _abandoned(job, message, output)
    try:
        with _progress(job, output, _minutes(job)):
            run = job.run()
        with STOP.held():
            report = job.report(run)
            files = job.dump(run, report)
    except KeyboardInterrupt:
        _interrupted(job, output)
        raise
    except StrategyError as error:
        if error.code == "worker-ended":
            _interrupted(job, output)
        raise
    comparison = _compared(job, run, files, output) if compare_fills else None
    with STOP.held():
        code = _tell(run, report, files, comparison, output, requirement)
    failures = sum(stream.failures for stream in run.streams)
    if failures:
        times = "once" if failures == 1 else f"{failures} times"
        output.tell(f"error: the config's own code failed {times}; the report says where, under How far to trust it")
    return STRATEGY_ERROR if failures else code


def _note_unknown_symbols(job: "Backtest", output: Output) -> None:
    """Say which symbols may be misspelt: a made-up market has candles of any name."""
    from backtestkit_cli.config.market_schema import SampleExchange

    known = job.config.settings.defaults.symbols or ()
    if known and isinstance(job.config.exchanges[job.plan.exchange], SampleExchange):
        for symbol in job.plan.symbols:
            if symbol not in known:
                told = f"{symbol} is not among settings.defaults.symbols ({', '.join(known)})"
                output.tell(f"note: {told}, and {job.plan.exchange} makes candles up for any name")


@contextmanager
def _progress(job: "Backtest", output: Output, minutes: int) -> "Iterator[None]":
    """Show how far a job is, and what user code prints and logs."""
    from backtestkit_cli.run.log import shown

    with (
        output.progress(minutes) as on_progress,
        redirect_stdout(sys.stderr),
        shown(output.tell, output.verbose),
    ):
        job.on_progress = stoppable(on_progress)
        yield


def _minutes(job: "Backtest") -> int:
    """The simulated minutes of all streams."""
    return job.plan.range.minutes * len(job.plan.keys)


def _compared(job: "Backtest", run: "RunResult", files: "DumpedFiles", output: Output) -> "FillComparison":
    """Compare a run that is kept already."""
    from backtestkit_cli.run.compare import compare_fills, other_policies

    kept = f"the run itself is complete; kept in {short(files.bundle)}"
    job.on_abandon = lambda message: _ended(f"{message}; {kept}", output)
    try:
        STOP.check()
        with _progress(job, output, _minutes(job) * len(other_policies(job.plan.policy))):
            return compare_fills(job, run)
    except KeyboardInterrupt:
        output.tell(f"interrupted while fills were compared; {kept}")
        raise


def _requirement(text: str | None) -> "Requirement | None":
    if text is None:
        return None
    from backtestkit_cli.measure.require import parse_requirement

    return parse_requirement(text)


def _tell(
    run: "RunResult",
    report: "Report",
    files: "DumpedFiles",
    comparison: "FillComparison | None",
    output: Output,
    requirement: "Requirement | None",
) -> int:
    """Tell a finished run, what other fills would have made of it, and whether it meets what was required."""
    from backtestkit_cli.measure.require import unmet
    from backtestkit_cli.report.as_json import document
    from backtestkit_cli.report.fills import fills_document, fills_text
    from backtestkit_cli.report.terminal import terminal

    problems = unmet(requirement, run) if requirement else ()
    code = GateFailedError.exit_code if problems else 0
    if output.as_json:
        told: dict[str, object] = {**document(report), "bundle": str(files.bundle)}
        if requirement is not None:
            told["require"] = {
                "condition": requirement.text,
                "is_met": not problems,
                "problems": [asdict(problem) for problem in problems],
            }
        if comparison is not None:
            told["compare_fills"] = fills_document(comparison)
        output.result(told, "")
        return code
    text = terminal(report, output.console(), place=short(files.bundle / "report.md"))
    more = "" if comparison is None else fills_text(comparison, output.console())
    output.result(None, text + more)
    output.tell("\n".join(f"wrote {short(path)}" for path in (files.bundle, *files.reports)))
    return output.error(GateFailedError(*problems)) if problems else code


def _interrupted(job: "Backtest", output: Output) -> None:
    run = job.result("interrupted")
    bundle = short(job.dump(run).bundle)
    total = len(job.plan.strategies) * len(job.plan.symbols)
    output.tell(f"interrupted: {len(run.streams)} of {total} streams were finished; kept in {bundle}")


def _abandoned(job: "Backtest", message: str, output: Output) -> None:
    _interrupted(job, output)
    _ended(message, output)


def _ended(message: str, output: Output) -> None:
    output.error(StrategyError(Problem("call-timed-out", message)))
