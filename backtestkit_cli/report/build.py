"""What a backtest report tells, and in which order: from a run's results to sections of plain values.

* The lead comes first: net PnL against buy and hold at the same costs, one stake per stream.
* One stream is one chapter. Several make a table side by side, a chapter of them all, and one chapter each.
* Nothing depends on the wall clock, on the order of work or on a writer.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from backtestkit_cli.engine.result import RunResult, StreamRun
from backtestkit_cli.engine.trades import Trades
from backtestkit_cli.measure.equity import DailyEquity, run_equity, stream_equity
from backtestkit_cli.measure.metrics import merged, total
from backtestkit_cli.measure.statistics import all_metrics, run_metrics, stream_metrics
from backtestkit_cli.measure.trust import Finding, trust
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.time import DAY_MS
from backtestkit_cli.report.columns import with_choices
from backtestkit_cli.report.original import original_sections
from backtestkit_cli.report.report import (
    Chapter,
    Column,
    Depth,
    Fact,
    Facts,
    Findings,
    Form,
    Lead,
    Measures,
    Report,
    Section,
    Table,
)
from backtestkit_cli.report.sections import (
    FINGERPRINT_DIGITS,
    buy_and_hold_percent,
    candle_facts,
    curve,
    exits,
    funnel_facts,
    months,
    shown_if,
    sum_of,
    trades_table,
)
from backtestkit_cli.report.warnings import shared_warnings

if TYPE_CHECKING:
    import polars as pl

OPTIMISTIC = " (optimistic)"
"""Stands behind the name of a fill policy that books better than could be traded."""

OverviewColumn: TypeAlias = tuple[str, str, Form, str]
"""A metric that stands side by side: key, head, form, unit."""

OVERVIEW: tuple[OverviewColumn, ...] = (
    ("trades", "Trades", "count", ""),
    ("win_rate_percent", "Wins", "number", "%"),
    ("pnl_percent", "PnL", "signed", "%"),
    ("profit_factor", "PF", "number", ""),
    ("max_drawdown_percent", "Max DD", "number", "%"),
    ("sharpe_ratio", "Sharpe", "number", ""),
    ("exposure_percent", "Exposure", "number", "%"),
)
OF_MONEY: tuple[OverviewColumn, ...] = (
    ("return_percent", "Return", "signed", "%"),
    ("balance_drawdown_percent", "Max DD", "number", "%"),
)
"""What stands in the place of PnL, profit factor and drawdown where streams share a balance."""


def build(run: RunResult, events: "pl.DataFrame | None" = None) -> Report:
    """Make the report of a backtest; `events` are those of the run, where they are a table already."""
    findings = [trust(stream, run) for stream in run.streams]
    several = len(run.streams) != 1
    told = findings_of(run, findings)
    if several:
        chapters = [
            _whole_chapter(run, told),
            *(_stream_chapter(*one, run, events, depth="full") for one in zip(run.streams, findings, strict=True)),
        ]
    else:
        chapters = [_stream_chapter(run.streams[0], told, run, events)]
    report = Report(
        run_id=run.run_id,
        kind=run.kind,
        strategies=_distinct(stream.strategy for stream in run.streams),
        symbols=_distinct(stream.symbol for stream in run.streams),
        lead=_lead(run, told),
        head=head_of(run),
        overview=_overview(run) if several and run.streams else None,
        chapters=tuple(chapters),
    )
    return with_choices(report, "trades", run.columns.get("backtest", ()))


def findings_of(run: RunResult, findings: Sequence[tuple[Finding, ...]] | None = None) -> tuple[Finding, ...]:
    """What bears on the trust in a whole run; `findings` are those of its streams, where they are known."""
    by_stream = [trust(stream, run) for stream in run.streams] if findings is None else findings
    notes = tuple(Finding("warning", "from-the-run", text) for text in run.warnings)
    return notes + (by_stream[0] if len(by_stream) == 1 else shared_warnings(run, by_stream))


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def held_percent(run: RunResult) -> float | None:
    """Buy and hold with one stake per stream, of a balance the same share each; None while one has no price."""
    held = [buy_and_hold_percent(stream, run) for stream in run.streams if run.balance is None or stream.sizing]
    known = [percent for percent in held if percent is not None]
    if not known or len(known) < len(held):
        return None
    whole = total(np.array(known, dtype=np.float64))
    return whole if run.balance is None else whole / len(known)


def _lead(run: RunResult, findings: Sequence[Finding]) -> Lead:
    streams = [stream for stream in run.streams if run.balance is None or stream.sizing]
    trades = merged([stream.result.trades for stream in streams]) if streams else None
    money = {metric.key: metric.value for metric in run_metrics(run)} if run.balance is not None else {}
    return Lead(
        pnl_percent=total(trades.pnl_percent) if trades else 0.0,
        hold_percent=held_percent(run),
        trades=len(trades) if trades else 0,
        streams=len(streams),
        warnings=sum(finding.level == "warning" for finding in findings),
        is_interrupted=run.status == "interrupted",
        is_optimistic=run.policy.is_optimistic,
        balance=run.balance,
        pnl_quote=money.get("pnl_quote"),
        return_percent=money.get("return_percent"),
    )


def _together(run: RunResult) -> Trades | None:
    return merged([stream.result.trades for stream in run.streams]) if run.streams else None


def head_of(run: RunResult) -> Facts:
    """What a run was."""
    return Facts(
        (
            Fact(key="run_id", label="Run", value=run.run_id),
            Fact(key="kind", label="Kind", value=run.kind, depth="record"),
            Fact(key="status", label="Status", value=run.status),
            Fact(key="strategies", label="Strategies", value=_distinct(stream.strategy for stream in run.streams)),
            Fact(key="symbols", label="Symbols", value=_distinct(stream.symbol for stream in run.streams)),
            *terms_of(run),
            Fact(key="data_fingerprint", label="Data", value=_fingerprint(run)),
        )
    )


def terms_of(run: RunResult) -> tuple[Fact, ...]:
    """What a run was about, whatever ran: market, time, fills, costs, money."""
    days = (run.range.end_ms - run.range.start_ms) / DAY_MS
    length = f"{days:g} days" if days >= 1 else f"{run.range.minutes} min"
    optimistic = OPTIMISTIC if run.policy.is_optimistic else ""
    costs = run.costs
    per_side = f"fee {costs.fee_percent:g} %, slippage {costs.slippage_percent:g} %, per side"
    policy = [
        Fact(key=f"fill.{field.name}", label="", value=getattr(run.policy, field.name), depth="record")
        for field in fields(run.policy)
    ]
    return (
        Fact(key="exchange", label="Exchange", value=run.exchange),
        Fact(key="frame", label="Frame", value=run.frame),
        Fact(key="range", label="Range", value=f"{run.range} ({length})"),
        Fact(key="start", label="Start", value=run.range.start_ms, form="time", depth="record"),
        Fact(key="end", label="End", value=run.range.end_ms, form="time", depth="record"),
        Fact(key="tick", label="Tick", value=run.tick.value),
        Fact(key="fill_policy", label="Fill policy", value=run.policy.name + optimistic),
        *policy,
        Fact(key="costs", label="Costs", value=per_side),
        Fact(key="fee_percent", label="", value=costs.fee_percent, form="number", depth="record"),
        Fact(key="slippage_percent", label="", value=costs.slippage_percent, form="number", depth="record"),
        Fact(key="balance", label="Balance", value=run.balance, form="number", depth=shown_if(run.balance)),
        Fact(key="gap", label="Gap policy", value=run.gap),
    )


def _fingerprint(run: RunResult) -> str:
    """The candles' own fingerprint where all streams share it, else one of all of them."""
    known = sorted({f"{stream.symbol} {stream.candles.fingerprint}" for stream in run.streams})
    if len(known) == 1:
        return run.streams[0].candles.fingerprint[:FINGERPRINT_DIGITS]
    return hashlib.sha256("\n".join(known).encode(errors="surrogatepass")).hexdigest()[:FINGERPRINT_DIGITS]


def overview_columns(*, is_money: bool) -> tuple[OverviewColumn, ...]:
    """The metrics that stand side by side."""
    return (*OVERVIEW[:2], *OF_MONEY, *OVERVIEW[5:]) if is_money else OVERVIEW


def _overview(run: RunResult) -> Table:
    measured = [*(stream_metrics(stream, run.range, run.balance) for stream in run.streams), run_metrics(run)]
    values = [{metric.key: metric.value for metric in one} for one in measured]
    held = [*(buy_and_hold_percent(stream, run) for stream in run.streams), held_percent(run)]
    columns: list[Column] = [
        Column(key="strategy", label="Strategy", values=[*(stream.strategy for stream in run.streams), "all"]),
        Column(key="symbol", label="Symbol", values=[*(stream.symbol for stream in run.streams), ""]),
    ]
    columns += [
        Column(key=key, label=label, values=[one.get(key) for one in values], form=form, unit=unit)
        for key, label, form, unit in overview_columns(is_money=run.balance is not None)
    ]
    columns.append(Column(key="buy_and_hold_percent", label="Hold", values=held, form="signed", unit="%"))
    return Table(tuple(columns), has_total=True)


def _stream_chapter(
    stream: StreamRun,
    findings: tuple[Finding, ...],
    run: RunResult,
    events: "pl.DataFrame | None",
    *,
    depth: Depth = "summary",
) -> Chapter:
    trades = stream.result.trades
    of_trades: Depth = "summary" if len(trades) else "record"
    sections = (
        *result_sections(
            trades,
            stream_equity(stream, run.range, run.balance),
            run,
            stream.result.funnel,
            findings,
        ),
        Section(key="candles", title="Stream and candles", block=candle_facts(stream, run), depth="full"),
        *original_sections(stream, events),
        Section(key="trades", title="Trades", block=trades_table(stream, shows_notes=run.shows_notes), depth=of_trades),
    )
    return Chapter(
        strategy=stream.strategy,
        symbol=stream.symbol,
        sections=sections,
        depth=depth,
    )


def _whole_chapter(run: RunResult, findings: tuple[Finding, ...]) -> Chapter:
    trades = _together(run)
    if trades is None:
        return Chapter(sections=(Section(key="warnings", title="How far to trust it", block=Findings(findings)),))
    funnel = sum_of(stream.result.funnel for stream in run.streams)
    return Chapter(sections=tuple(result_sections(trades, run_equity(run), run, funnel, findings)))


def result_sections(
    trades: Trades,
    equity: DailyEquity,
    run: RunResult,
    funnel: Funnel,
    findings: tuple[Finding, ...],
) -> Iterator[Section]:
    """The sections that a stream and all streams together share; without a trade figures are for the record."""
    depth: Depth = "summary" if len(trades) else "record"
    by_month = months(equity)
    of_months: Depth = "full" if depth == "summary" and len(by_month) == 1 else depth
    yield Section(key="metrics", title="Result", block=Measures(all_metrics(trades, run.range, equity)), depth=depth)
    balance = run.balance if equity.is_money else None
    yield Section(key="pnl_curve_percent", title="PnL over time", block=curve(trades, run.range, balance), depth=depth)
    yield Section(key="months", title="Month by month", block=by_month, depth=of_months)
    yield Section(
        key="exit_reasons", title="Why positions closed", block=exits(trades, is_money=equity.is_money), depth=depth
    )
    yield Section(key="funnel", title="Signal funnel", block=funnel_facts(funnel))
    yield Section(key="warnings", title="How far to trust it", block=Findings(findings))
