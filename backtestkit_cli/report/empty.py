"""A run in which nothing happened: what reports look like, before there is one."""

from dataclasses import replace
from typing import Any

from backtestkit_cli.engine.result import CandleUse, RunResult, StreamResult, StreamRun, ToldEvents
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.trades import trades_of
from backtestkit_cli.measure.contest import Contest
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import Costs, FillPolicy
from backtestkit_cli.model.time import DAY_MS, Interval, TimeRange
from backtestkit_cli.report.kinds import MAIN_TABLES, Kind, report_of
from backtestkit_cli.report.report import Column, Report, Table
from backtestkit_cli.report.stored import record_of
from backtestkit_cli.report.walker import MAIN_TABLE, walker_report


def known_columns(kind: Kind) -> tuple[Column, ...]:
    """The columns of the main table of a kind of report, as readers get them without a choice."""
    return _columns_of(report_of(kind, record_of(empty_run())), MAIN_TABLES[kind])


def known_walker_columns() -> tuple[Column, ...]:
    """The columns of the ranking of a walker: all that it has, with money and without."""
    several = [_columns_of(walker_report(empty_contest(balance)), MAIN_TABLE) for balance in (None, 1.0)]
    return tuple({column.key: column for columns in several for column in columns}.values())


def _columns_of(report: Report, key: str) -> tuple[Column, ...]:
    for chapter in report.chapters:
        for section in chapter.sections:
            match section.block:
                case Table(columns=columns) if section.key == key:
                    return columns
                case _:
                    continue
    raise LookupError(f"the report {report.kind} has no table {key}")


def empty_contest(balance: float | None = None) -> Contest:
    """Make the comparison of nobody; its metric stands in no column of its own."""
    run = replace(empty_run(), streams=(), balance=balance)
    nobody: dict[str, Any] = {"contestants": (), "outcomes": (), "failed": ()}
    return Contest(walker="", metric="sortino_ratio", symbols=(), run=run, fingerprint="", **nobody)


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
