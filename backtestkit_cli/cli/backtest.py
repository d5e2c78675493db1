"""`backtestkit backtest`: run, keep the bundle, tell the result."""

import sys
from contextlib import redirect_stdout
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
    from backtestkit_cli.engine.result import RunResult
    from backtestkit_cli.measure.require import Requirement
    from backtestkit_cli.run.backtest import Backtest

RequireOption = Annotated[
    str | None,
    typer.Option(
        metavar="EXPR", help='What every stream must meet, else exit code 5: "trades>=30 and max_drawdown_percent<20".'
    ),
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
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Test strategies on stored candles and report what came of them."""
    from backtestkit_cli.report.kinds import KINDS
    from backtestkit_cli.run.log import shown

    output = Output(as_json=as_json, verbose=verbose)
    requirement = _requirement(require)
    kit = open_kit(output, config, set_)
    job = kit.backtest(
        *(strategies or ()), symbols=symbol or (), frame=frame, range=range_, exchange=exchange, jobs=jobs
    )
    for folder in ("runs", *KINDS):
        check_writable(kit.logs / folder)
    total_minutes = job.plan.range.minutes * len(job.plan.strategies) * len(job.plan.symbols)
    job.on_abandon = lambda message: _abandoned(job, message, output)
    try:
        with output.progress(total_minutes) as on_progress, redirect_stdout(sys.stderr), shown(output.tell, verbose):
            job.on_progress = stoppable(on_progress)
            run = job.run()
        with STOP.held():
            code = _tell(job, run, output, requirement)
    except KeyboardInterrupt:
        _interrupted(job, output)
        raise
    except StrategyError as error:
        if error.code == "worker-ended":
            _interrupted(job, output)
        raise
    return STRATEGY_ERROR if any(stream.result.funnel.errors for stream in run.streams) else code


def _requirement(text: str | None) -> "Requirement | None":
    if text is None:
        return None
    from backtestkit_cli.measure.require import parse_requirement

    return parse_requirement(text)


def _tell(job: "Backtest", run: "RunResult", output: Output, requirement: "Requirement | None") -> int:
    """Keep and tell a finished run, and whether it meets what was required; the exit code."""
    from backtestkit_cli.measure.require import unmet
    from backtestkit_cli.report.as_json import document
    from backtestkit_cli.report.terminal import terminal

    report = job.report(run)
    files = job.dump(run, report)
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
        output.result(told, "")
        return code
    output.result(None, terminal(report, output.console(), place=short(files.bundle / "report.md")))
    output.tell("\n".join(f"wrote {short(path)}" for path in (files.bundle, *files.reports)))
    return output.error(GateFailedError(*problems)) if problems else code


def _interrupted(job: "Backtest", output: Output) -> None:
    run = job.result("interrupted")
    bundle = short(job.dump(run).bundle)
    total = len(job.plan.strategies) * len(job.plan.symbols)
    output.tell(f"interrupted: {len(run.streams)} of {total} streams were finished; kept in {bundle}")


def _abandoned(job: "Backtest", message: str, output: Output) -> None:
    _interrupted(job, output)
    output.error(StrategyError(Problem("call-timed-out", message)))
