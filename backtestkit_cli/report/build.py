"""What a backtest report tells, and in which order: from a run's results to sections of plain values.

* The lead comes first: net PnL against buy and hold at the same costs, one stake per stream.
* One stream is one chapter. Several make a table side by side, a chapter of them all, and one chapter each.
* Nothing depends on the wall clock, on the order of work or on a writer.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace

import numpy as np

from backtestkit_cli.engine.note import plain_text
from backtestkit_cli.engine.result import RunResult, StreamRun
from backtestkit_cli.engine.trades import REASONS, Trades
from backtestkit_cli.measure.metrics import HOUR_MS, Metric, cumulative_percent, merged, metrics, total
from backtestkit_cli.measure.trust import Finding, trust
from backtestkit_cli.model.event import CancelReason, CloseReason
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.policy import FillPolicy
from backtestkit_cli.model.time import DAY_MS, TimeRange
from backtestkit_cli.model.trade import pnl_percent
from backtestkit_cli.report.report import (
    Chapter,
    Column,
    Curve,
    Fact,
    Facts,
    Findings,
    Form,
    Lead,
    Measures,
    Report,
    Section,
    Table,
    Value,
)

FINGERPRINT_DIGITS = 12
CURVE_POINTS = 60
LAST_TRADES = 10

OVERVIEW = (
    ("trades", "Trades", "count", ""),
    ("win_rate_percent", "Wins", "number", "%"),
    ("pnl_percent", "PnL", "signed", "%"),
    ("profit_factor", "Factor", "number", ""),
    ("max_drawdown_percent", "Drawdown", "number", "%"),
    ("exposure_percent", "Held", "number", "%"),
)
"""Metrics that stand side by side: key, head, form, unit."""


def build(run: RunResult) -> Report:
    """Make the report of a backtest."""
    findings = {id(stream): trust(stream, run) for stream in run.streams}
    notes = tuple(Finding("warning", "from-the-run", text) for text in run.warnings)
    several = len(run.streams) != 1
    chapters = [_stream_chapter(stream, run, findings[id(stream)], several=several) for stream in run.streams]
    if several:
        told = tuple(_of_stream(stream, one) for stream in run.streams for one in findings[id(stream)])
        told = notes + tuple(sorted(told, key=lambda finding: finding.level != "warning"))
        chapters.insert(0, _whole_chapter(run, told))
    elif notes:
        chapters[0] = _with_notes(chapters[0], notes)
    return Report(
        run_id=run.run_id,
        kind=run.kind,
        strategies=_distinct(stream.strategy for stream in run.streams),
        symbols=_distinct(stream.symbol for stream in run.streams),
        lead=_lead(run, notes + tuple(one for told in findings.values() for one in told)),
        head=_head(run),
        overview=_overview(run) if several and run.streams else None,
        chapters=tuple(chapters),
    )


def buy_and_hold_percent(stream: StreamRun, run: RunResult) -> float | None:
    """What buying at the first close of the range and selling at the last would have brought, net of the same costs."""
    first, last = stream.candles.price_first, stream.candles.price_last
    return None if first is None or last is None else pnl_percent(True, first, last, run.costs)


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _held(run: RunResult) -> float | None:
    """Buy and hold with one stake per stream; None as long as one of them has no price."""
    held = [buy_and_hold_percent(stream, run) for stream in run.streams]
    known = [percent for percent in held if percent is not None]
    return total(np.array(known, dtype=np.float64)) if known and len(known) == len(held) else None


def _lead(run: RunResult, findings: Sequence[Finding]) -> Lead:
    trades = _together(run)
    return Lead(
        pnl_percent=total(trades.pnl_percent) if trades else 0.0,
        hold_percent=_held(run),
        trades=len(trades) if trades else 0,
        streams=len(run.streams),
        warnings=sum(finding.level == "warning" for finding in findings),
        is_interrupted=run.status == "interrupted",
        is_optimistic=run.policy.is_optimistic,
    )


def _together(run: RunResult) -> Trades | None:
    return merged([stream.result.trades for stream in run.streams]) if run.streams else None


def _head(run: RunResult) -> Facts:
    days = (run.range.end_ms - run.range.start_ms) / DAY_MS
    optimistic = " (optimistic)" if run.policy.is_optimistic else ""
    costs = run.costs
    per_side = f"fee {costs.fee_percent:g} %, slippage {costs.slippage_percent:g} %, per side"
    policy = [
        Fact(key=f"fill.{field.name}", label="", value=getattr(run.policy, field.name), depth="record")
        for field in fields(FillPolicy)
    ]
    return Facts(
        (
            Fact(key="run_id", label="Run", value=run.run_id),
            Fact(key="kind", label="Kind", value=run.kind, depth="record"),
            Fact(key="status", label="Status", value=run.status),
            Fact(key="strategies", label="Strategies", value=_distinct(stream.strategy for stream in run.streams)),
            Fact(key="symbols", label="Symbols", value=_distinct(stream.symbol for stream in run.streams)),
            Fact(key="exchange", label="Exchange", value=run.exchange),
            Fact(key="frame", label="Frame", value=run.frame),
            Fact(key="range", label="Range", value=f"{run.range} ({days:g} days)"),
            Fact(key="start", label="Start", value=run.range.start_ms, form="time", depth="record"),
            Fact(key="end", label="End", value=run.range.end_ms, form="time", depth="record"),
            Fact(key="tick", label="Tick", value=run.tick.value),
            Fact(key="fill_policy", label="Fill policy", value=run.policy.name + optimistic),
            *policy,
            Fact(key="costs", label="Costs", value=per_side),
            Fact(key="fee_percent", label="", value=costs.fee_percent, form="number", depth="record"),
            Fact(key="slippage_percent", label="", value=costs.slippage_percent, form="number", depth="record"),
            Fact(key="gap", label="Gap policy", value=run.gap),
            Fact(key="data_fingerprint", label="Data", value=_fingerprint(run)),
        )
    )


def _fingerprint(run: RunResult) -> str:
    """The candles' own fingerprint where all streams share it, else one of all of them."""
    known = sorted({f"{stream.symbol} {stream.candles.fingerprint}" for stream in run.streams})
    if len(known) == 1:
        return run.streams[0].candles.fingerprint[:FINGERPRINT_DIGITS]
    return hashlib.sha256("\n".join(known).encode(errors="surrogatepass")).hexdigest()[:FINGERPRINT_DIGITS]


def _overview(run: RunResult) -> Table:
    measured = [metrics(stream.result.trades, run.range) for stream in run.streams]
    measured.append(metrics(merged([stream.result.trades for stream in run.streams]), run.range))
    values = [{metric.key: metric.value for metric in one} for one in measured]
    held = [*(buy_and_hold_percent(stream, run) for stream in run.streams), _held(run)]
    columns: list[Column] = [
        Column(key="strategy", label="Strategy", values=[*(stream.strategy for stream in run.streams), "all streams"]),
        Column(key="symbol", label="Symbol", values=[*(stream.symbol for stream in run.streams), ""]),
    ]
    forms: tuple[tuple[str, str, Form, str], ...] = OVERVIEW  # type: ignore[assignment]  # forms are literals there
    columns += [
        Column(key=key, label=label, values=[one[key] for one in values], form=form, unit=unit)
        for key, label, form, unit in forms
    ]
    columns.append(Column(key="buy_and_hold_percent", label="Hold", values=held, form="signed", unit="%"))
    return Table(tuple(columns), has_total=True)


def _stream_chapter(stream: StreamRun, run: RunResult, findings: tuple[Finding, ...], *, several: bool) -> Chapter:
    trades = stream.result.trades
    sections = [
        *_result_sections(trades, run.range, stream.result.funnel, findings),
        Section(key="candles", title="Stream and candles", block=_candles(stream, run), depth="full"),
    ]
    if len(trades):
        sections.append(Section(key="trades", title="Trades", block=_trades_table(stream)))
    else:
        sections.append(Section(key="trades", title="Trades", block=_trades_table(stream), depth="record"))
    return Chapter(
        strategy=stream.strategy,
        symbol=stream.symbol,
        sections=tuple(sections),
        depth="full" if several else "summary",
    )


def _whole_chapter(run: RunResult, findings: tuple[Finding, ...]) -> Chapter:
    trades = _together(run)
    if trades is None:
        return Chapter(sections=(Section(key="warnings", title="How far to trust it", block=Findings(findings)),))
    funnel = _sum_of(stream.result.funnel for stream in run.streams)
    return Chapter(sections=tuple(_result_sections(trades, run.range, funnel, findings)))


def _result_sections(
    trades: Trades, within: TimeRange, funnel: Funnel, findings: tuple[Finding, ...]
) -> Iterator[Section]:
    """The sections that a stream and all streams together share; without a trade figures are for the record."""
    depth = "summary" if len(trades) else "record"
    measured = metrics(trades, within)
    yield Section(key="metrics", title="Result", block=Measures(measured), depth=depth)
    yield Section(key="pnl_curve_percent", title="PnL over time", block=_curve(trades, within), depth=depth)
    yield Section(key="exit_reasons", title="Why positions closed", block=_exits(trades), depth=depth)
    yield Section(key="funnel", title="Signal funnel", block=_funnel(funnel))
    yield Section(key="warnings", title="How far to trust it", block=Findings(findings))


def _of_stream(stream: StreamRun, finding: Finding) -> Finding:
    return replace(finding, text=f"{stream.strategy} on {stream.symbol}: {finding.text}")


def _with_notes(chapter: Chapter, notes: tuple[Finding, ...]) -> Chapter:
    sections = tuple(
        replace(section, block=Findings(notes + section.block.findings))
        if isinstance(section.block, Findings)
        else section
        for section in chapter.sections
    )
    return replace(chapter, sections=sections)


def _curve(trades: Trades, within: TimeRange) -> Curve:
    end_ms = max([within.end_ms, *trades.closed_ms[-1:].tolist()])
    times = np.linspace(within.start_ms, end_ms, CURVE_POINTS)
    sums = np.concatenate(([0.0], cumulative_percent(trades)))
    return Curve(tuple(sums[np.searchsorted(trades.closed_ms, times, side="right")].tolist()))


def _exits(trades: Trades) -> Table:
    found = [(reason, trades.pnl_percent[trades.reason == code]) for code, reason in enumerate(REASONS)]
    rows = [(reason.value, len(pnl), total(pnl), total(pnl) / len(pnl)) for reason, pnl in found if len(pnl)]
    reasons, counts, sums, means = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Table(
        (
            Column(key="reason", label="Reason", values=reasons),
            Column(key="trades", label="Trades", values=counts, form="count"),
            Column(key="pnl_percent", label="PnL", values=sums, form="signed", unit="%"),
            Column(key="average_pnl_percent", label="Average", values=means, form="signed", unit="%"),
        )
    )


def _sum_of(funnels: Iterable[Funnel]) -> Funnel:
    whole = Funnel()
    for funnel in funnels:
        for field in fields(Funnel):
            setattr(whole, field.name, getattr(whole, field.name) + getattr(funnel, field.name))
    return whole


def _funnel(funnel: Funnel) -> Facts:
    """Where decision times and drafts ended; parts that are zero are for the record."""
    rules = sorted(funnel.invalid_by_rule.items(), key=lambda item: (-item[1], item[0]))
    rows: list[tuple[str, str, int, int]] = [
        ("ticks", "Decision times", funnel.ticks, 0),
        ("stopped", "stopped", funnel.stopped, 1),
        ("busy", "position or entry there", funnel.busy, 1),
        ("no_price", "no fresh price", funnel.no_price, 1),
        ("decisions", "Decisions", funnel.decisions, 0),
        ("warm_up", "warm-up", funnel.warm_up, 1),
        ("ambiguous", "long and short at once", funnel.ambiguous, 1),
        ("no_draft", "no draft", funnel.no_draft, 1),
        ("errors", "failed", funnel.errors, 1),
        ("short_history", "short history, among all", funnel.short_history, 1),
        ("drafts", "Drafts", funnel.drafts, 0),
        ("invalid.total", "invalid", funnel.invalid, 1),
        *((f"invalid.{rule}", rule, count, 2) for rule, count in rules),
        ("scheduled", "waiting for their price", funnel.scheduled, 1),
        ("cancelled.total", "cancelled", funnel.cancelled.total(), 2),
        *((f"cancelled.{reason.value}", reason.value, funnel.cancelled[reason], 3) for reason in CancelReason),
        ("opened", "Positions", funnel.opened, 0),
        ("opened_at_decision", "opened at the decision", funnel.opened_at_decision, 1),
        ("activated", "opened at their limit", funnel.activated, 1),
        ("closed.total", "Closed", funnel.closed.total(), 0),
        *((f"closed.{reason.value}", reason.value, funnel.closed[reason], 1) for reason in CloseReason),
        ("off_grid", "Rows off the grid", funnel.off_grid, 1),
        ("late", "Rows that came too late", funnel.late, 1),
    ]
    return Facts(
        tuple(
            Fact(
                key=key,
                label=label,
                value=count,
                form="count",
                indent=indent if key not in ("off_grid", "late") else 0,
                depth="summary" if count or not indent else "record",
            )
            for key, label, count, indent in rows
        )
    )


def _candles(stream: StreamRun, run: RunResult) -> Facts:
    used = stream.candles
    return Facts(
        (
            Fact(key="form", label="Decided by", value=stream.form),
            Fact(key="interval", label="Interval", value=stream.interval.value),
            Fact(key="note", label="Note", value=stream.note, depth="summary" if stream.note else "record"),
            Fact(key="fingerprint", label="Data", value=used.fingerprint[:FINGERPRINT_DIGITS]),
            Fact(key="candles", label="Candles", value=used.candles, form="count"),
            Fact(key="history_start", label="History from", value=used.history_start_ms, form="time", unit="UTC"),
            Fact(key="data_end", label="Candles until", value=used.data_end_ms, form="time", unit="UTC"),
            Fact(key="missing_minutes", label="Missing minutes", value=used.missing_minutes, form="count"),
            Fact(key="bridged_minutes", label="Filled-in minutes", value=used.bridged_minutes, form="count"),
            Fact(key="price_first", label="First close", value=used.price_first, form="price"),
            Fact(key="price_last", label="Last close", value=used.price_last, form="price"),
            Fact(
                key="buy_and_hold_percent",
                label="Buy and hold, net",
                value=buy_and_hold_percent(stream, run),
                form="signed",
                unit="%",
            ),
        )
    )


def _trades_table(stream: StreamRun) -> Table:
    trades, terms = stream.result.trades, stream.result.terms
    rows = range(len(trades))
    shared = plain_text(trades.notes) if isinstance(trades.notes, str) else None
    notes = [trades.note(row) if shared is None else shared for row in rows]
    hours = ((trades.closed_ms - trades.opened_ms) / HOUR_MS).tolist()
    sides = ["long" if side > 0 else "short" for side in trades.side.tolist()]
    reasons = [REASONS[code].value for code in trades.reason.tolist()]
    has_doubt = "full" if bool((trades.ambiguous_minutes > 0).any()) else "record"
    return Table(
        (
            Column(
                key="opened", label="Opened", values=trades.opened_ms.tolist(), form="time", unit="UTC", depth="full"
            ),
            Column(key="closed", label="Closed", values=trades.closed_ms.tolist(), form="time", unit="UTC"),
            Column(key="duration_hours", label="Held", values=hours, form="number", unit="h"),
            Column(key="position", label="Side", values=sides),
            Column(key="price_open", label="Entry", values=trades.price_open.tolist(), form="price"),
            Column(key="price_close", label="Exit", values=trades.price_close.tolist(), form="price"),
            Column(key="pnl_percent", label="PnL", values=trades.pnl_percent.tolist(), form="signed", unit="%"),
            Column(key="reason", label="Reason", values=reasons),
            Column(
                key="price_take_profit",
                label="Take profit",
                values=trades.price_take_profit.tolist(),
                form="price",
                depth="full",
            ),
            Column(
                key="price_stop_loss",
                label="Stop loss",
                values=trades.price_stop_loss.tolist(),
                form="price",
                depth="full",
            ),
            Column(
                key="ambiguous_minutes",
                label="Ambiguous",
                values=trades.ambiguous_minutes.tolist(),
                form="count",
                depth=has_doubt,
            ),
            Column(
                key="profit_at_stake_percent",
                label="At stake",
                values=trades.profit_at_stake_percent.tolist(),
                form="signed",
                unit="%",
                depth=has_doubt,
            ),
            Column(
                key="vwap_lag_percent",
                label="VWAP lag",
                values=trades.vwap_lag_percent.tolist(),
                form="number",
                unit="%",
                depth="record",
            ),
            Column(
                key="is_bridged",
                label="Bridged",
                values=trades.is_bridged.tolist(),
                form="truth",
                depth="full" if bool(trades.is_bridged.any()) else "record",
            ),
            Column(key="note", label="Note", values=notes, depth="full" if any(notes) else "record"),
            Column(key="id", label="Signal", values=[trades.id(row, terms) for row in rows], depth="full"),
        ),
        last=LAST_TRADES,
    )
