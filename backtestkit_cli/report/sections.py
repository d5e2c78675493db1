"""The blocks that chapters are made of: curve, exits, funnel, candles and trades, as plain values.

Parts that are zero, or the same for every trade, are for the record only; nothing is left out of it.
"""

from collections.abc import Iterable
from dataclasses import fields

import numpy as np

from backtestkit_cli.engine.candles import Floats, Ints
from backtestkit_cli.engine.note import plain_text
from backtestkit_cli.engine.result import RunResult, StreamRun
from backtestkit_cli.engine.trades import REASONS, Trades
from backtestkit_cli.measure.equity import DailyEquity, monthly
from backtestkit_cli.measure.metrics import HOUR_MS, cumulative_percent, total
from backtestkit_cli.measure.money import AT_EQUAL_STAKES
from backtestkit_cli.model.event import CancelReason, CloseReason
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.time import TimeRange
from backtestkit_cli.model.trade import pnl_percent
from backtestkit_cli.report.report import Column, Curve, Depth, Fact, Facts, Table

FINGERPRINT_DIGITS = 12
CURVE_POINTS = 60
LAST_TRADES = 10
LAST_MONTHS = 12


def buy_and_hold_percent(stream: StreamRun, run: RunResult) -> float | None:
    """What buying at the first close of the range and selling at the last would have brought, net of the same costs."""
    is_long = True
    first, last = stream.candles.price_first, stream.candles.price_last
    return None if first is None or last is None else pnl_percent(is_long, first, last, run.costs)


def curve(trades: Trades, within: TimeRange, balance: float | None = None) -> Curve:
    """Sample the sum of trade percents at equal steps of time; with a balance the PnL in percent of it."""
    end_ms = max([within.end_ms, *trades.closed_ms[-1:].tolist()])
    times = np.linspace(within.start_ms, end_ms, CURVE_POINTS)
    brought = cumulative_percent(trades) if balance is None else np.nancumsum(trades.pnl_quote) / balance * 100
    sums = np.concatenate(([0.0], brought))
    return Curve(tuple(sums[np.searchsorted(trades.closed_ms, times, side="right")].tolist()))


def months(equity: DailyEquity) -> Table:
    """What the days of each calendar month (UTC) add up to, open trades marked, and the curve at its end."""
    names, points, ends = zip(*monthly(equity), strict=True)
    return Table(
        (
            Column(key="month", label="Month", values=names),
            Column(key="pnl_percent", label="PnL", values=points, form="signed", unit="%"),
            Column(key="equity", label="Equity", values=ends, form="number"),
        ),
        row="month",
        last=LAST_MONTHS,
    )


def exits(trades: Trades, *, is_money: bool = False) -> Table:
    """Count the trades of each close reason, with what they brought; beside money that is at equal stakes."""
    label = AT_EQUAL_STAKES["pnl_percent"] if is_money else "PnL"
    found = [(reason, trades.pnl_percent[trades.reason == code]) for code, reason in enumerate(REASONS)]
    rows = [(reason.value, len(pnl), total(pnl), total(pnl) / len(pnl)) for reason, pnl in found if len(pnl)]
    reasons, counts, sums, means = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Table(
        (
            Column(key="reason", label="Reason", values=reasons),
            Column(key="trades", label="Trades", values=counts, form="count"),
            Column(key="pnl_percent", label=label, values=sums, form="signed", unit="%"),
            Column(key="average_pnl_percent", label="Average", values=means, form="signed", unit="%"),
        )
    )


def sum_of(funnels: Iterable[Funnel]) -> Funnel:
    """Add up funnels, gate by gate."""
    whole = Funnel()
    for funnel in funnels:
        for field in fields(Funnel):
            setattr(whole, field.name, getattr(whole, field.name) + getattr(funnel, field.name))
    return whole


def funnel_facts(funnel: Funnel) -> Facts:
    """Tell where decision times and drafts ended; parts that are zero are for the record."""
    rules = sorted(funnel.invalid_by_rule.items(), key=lambda item: (-item[1], item[0]))
    sizes = sorted(funnel.no_quantity_by_rule.items())
    profiles = sorted(funnel.risk_by_profile.items())
    rows: list[tuple[str, str, int, int]] = [
        ("ticks", "Decision times", funnel.ticks, 0),
        ("stopped", "stopped", funnel.stopped, 1),
        ("busy", "position or entry there", funnel.busy, 1),
        *([("missed", "learnt of too late", funnel.missed, 1)] if funnel.missed else []),
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
        ("no_quantity", "without a quantity", funnel.no_quantity, 1),
        *((f"no_quantity_by_rule.{rule}", rule, count, 2) for rule, count in sizes),
        ("risk", "refused by risk", funnel.risk, 1),
        *((f"risk_by_profile.{profile}", profile, count, 2) for profile, count in profiles),
        ("scheduled", "waiting for their price", funnel.scheduled, 1),
        ("cancelled.total", "cancelled", funnel.cancelled.total(), 2),
        *((f"cancelled.{reason.value}", reason.value, funnel.cancelled[reason], 3) for reason in CancelReason),
        ("opened", "Positions", funnel.opened, 0),
        ("opened_at_decision", "opened at the decision", funnel.opened_at_decision, 1),
        ("activated", "opened at their limit", funnel.activated, 1),
        ("closed.total", "Closed", funnel.closed.total(), 0),
        *((f"closed.{reason.value}", reason.value, funnel.closed[reason], 1) for reason in CloseReason),
        ("off_grid", "Rows off the grid", funnel.off_grid, 1),
        ("late", "Rows while a position was there", funnel.late, 1),
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


def candle_facts(stream: StreamRun, run: RunResult) -> Facts:
    """What a stream rested on."""
    used = stream.candles
    return Facts(
        (
            Fact(key="form", label="Decided by", value=stream.form),
            Fact(key="interval", label="Interval", value=stream.interval.value),
            Fact(key="sizing", label="Sizing", value=stream.sizing, depth=shown_if(stream.sizing)),
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


def trades_table(stream: StreamRun, *, shows_notes: bool) -> Table:
    """Every trade, newest last."""
    trades, terms = stream.result.trades, stream.result.terms
    rows = range(len(trades))
    shared = plain_text(trades.notes) if isinstance(trades.notes, str) else None
    notes = [trades.note(row) if shared is None else shared for row in rows]
    hours = ((trades.closed_ms - trades.opened_ms) / HOUR_MS).tolist()
    sides = ["long" if side > 0 else "short" for side in trades.side.tolist()]
    reasons = [REASONS[code].value for code in trades.reason.tolist()]
    is_sized = stream.sizing is not None  # money takes the room on a terminal
    is_ambiguous = bool((trades.ambiguous_minutes > 0).any())

    def times(key: str, label: str, values: Ints, depth: Depth = "summary") -> Column:
        return Column(key=key, label=label, values=values.tolist(), form="time", unit="UTC", depth=depth)

    def prices(key: str, label: str, values: Floats, depth: Depth = "summary") -> Column:
        return Column(key=key, label=label, values=values.tolist(), form="price", depth=depth)

    def percents(key: str, label: str, values: Floats, depth: Depth = "summary") -> Column:
        return Column(key=key, label=label, values=values.tolist(), form="signed", unit="%", depth=depth)

    minutes, bridged = trades.ambiguous_minutes.tolist(), trades.is_bridged.tolist()
    return Table(
        (
            times("opened", "Opened", trades.opened_ms, "full"),
            times("closed", "Closed", trades.closed_ms),
            Column(
                key="duration_hours",
                label="Held",
                values=hours,
                form="number",
                unit="h",
                depth="full" if is_sized else "summary",
            ),
            Column(key="position", label="Side", values=sides),
            prices("price_open", "Entry", trades.price_open),
            prices("price_close", "Exit", trades.price_close),
            percents("pnl_percent", "PnL", trades.pnl_percent),
            Column(key="reason", label="Reason", values=reasons),
            *_money_columns(stream),
            prices("price_take_profit", "Take profit", trades.price_take_profit, "full"),
            prices("price_stop_loss", "Stop loss", trades.price_stop_loss, "full"),
            Column(
                key="ambiguous_minutes", label="Ambiguous", values=minutes, form="count", depth=_full_if(is_ambiguous)
            ),
            percents("profit_at_stake_percent", "At stake", trades.profit_at_stake_percent, _full_if(is_ambiguous)),
            percents("vwap_lag_percent", "VWAP lag", trades.vwap_lag_percent, "record"),
            Column(key="is_bridged", label="Bridged", values=bridged, form="truth", depth=_full_if(any(bridged))),
            Column(key="note", label="Note", values=notes, depth=_full_if(shows_notes and any(notes))),
            Column(key="id", label="Signal", values=[trades.id(row, terms) for row in rows], depth="full"),
        ),
        row="trade",
        last=LAST_TRADES,
    )


def _money_columns(stream: StreamRun) -> tuple[Column, ...]:
    """Quantity and PnL of sized trades; nothing where none is sized."""
    if stream.sizing is None:
        return ()
    trades = stream.result.trades
    return (
        Column(key="quantity", label="Quantity", values=trades.quantity.tolist(), form="price", depth="full"),
        Column(key="pnl_quote", label="PnL, quote", values=trades.pnl_quote.tolist(), form="signed"),
    )


def shown_if(value: object) -> Depth:
    """Depth of what is told only where it is there."""
    return "record" if value is None else "summary"


def _full_if(is_telling: bool) -> Depth:
    return "full" if is_telling else "record"
