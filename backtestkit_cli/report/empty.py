"""A run in which nothing happened: what reports look like, before there is one."""

from backtestkit_cli.engine.result import CandleUse, RunResult, StreamResult, StreamRun, ToldEvents
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.trades import trades_of
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import Costs, FillPolicy
from backtestkit_cli.model.time import DAY_MS, Interval, TimeRange
from backtestkit_cli.report.kinds import MAIN_TABLES, Kind, report_of
from backtestkit_cli.report.report import Column, Table
from backtestkit_cli.report.stored import record_of


def known_columns(kind: Kind) -> tuple[Column, ...]:
    """The columns of the main table of a kind of report, as readers get them without a choice."""
    for chapter in report_of(kind, record_of(empty_run())).chapters:
        for section in chapter.sections:
            match section.block:
                case Table(columns=columns) if section.key == MAIN_TABLES[kind]:
                    return columns
                case _:
                    continue
    raise LookupError(f"the report {kind} has no table {MAIN_TABLES[kind]}")


def empty_run() -> RunResult:
    """Make the run: one sized stream of one day."""
    policy, costs = FillPolicy(), Costs(fee_percent=0.0, slippage_percent=0.0)
    terms = Terms(strategy="", symbol="", policy=policy, costs=costs, limits=Limits())
    nothing = StreamResult(
        terms=terms, trades=trades_of(()), funnel=Funnel(), bridged_decisions=0, events=ToldEvents(())
    )
    used = CandleUse(
        fingerprint="",
        history_start_ms=0,
        data_end_ms=DAY_MS,
        candles=0,
        missing_minutes=0,
        bridged_minutes=0,
        price_first=None,
        price_last=None,
        daily_prices=(None,),
    )
    stream = StreamRun(
        strategy="", symbol="", interval=Interval.M1, form="rules", result=nothing, candles=used, sizing="any"
    )
    return RunResult(
        run_id="",
        kind="backtest",
        exchange="",
        frame="",
        range=TimeRange(0, DAY_MS),
        tick=Interval.M1,
        policy=policy,
        costs=costs,
        gap="skip",
        streams=(stream,),
    )
