"""What finished trades amount to: each metric with its unit, or the reason why there is none.

* A trade stakes 100; percents of trades are added, never compounded: the curve is 100 plus their sum so far.
* Order is order of closing; sums run left to right. PnL is net of costs.
* A PnL of at most 1e-12 percent either way is neither a win nor a loss; its value still counts in sums.
* What a sample is too small for is N/A with a reason, never zero and never infinite.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from backtestkit_cli.engine.candles import Bools, Floats
from backtestkit_cli.engine.trades import Trades
from backtestkit_cli.model.time import DAY_MS, TimeRange
from backtestkit_cli.model.trade import FLAT_PERCENT

HOUR_MS = 3_600_000

NO_TRADE = "no trade"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure. `value` is None where there is none, and `reason` says why."""

    key: str
    label: str
    value: float | int | None
    unit: str = ""
    reason: str | None = None
    is_signed: bool = False


def metrics(trades: Trades, range: TimeRange) -> tuple[Metric, ...]:  # noqa: A002  # the field's word
    """Measure finished trades, in order of closing, over the range they were looked for in."""
    return (
        *_outcome(trades),
        *_per_trade(trades),
        *_risk(trades, range),
        *_time(trades, range),
        *_sides(trades),
    )


def merged(streams: Sequence[Trades]) -> Trades:
    """Join the trades of streams in order of closing, at equal times in the order given; without notes and ids."""
    if len(streams) == 1:
        return streams[0]
    columns = [field.name for field in fields(Trades) if field.name not in ("notes", "ids")]
    joined = {name: np.concatenate([getattr(trades, name) for trades in streams]) for name in columns}
    order = np.argsort(joined["closed_ms"], kind="stable")
    return replace(streams[0], **{name: column[order] for name, column in joined.items()}, notes="", ids=None)


def total(values: Floats | Sequence[float]) -> float:
    """Add left to right, so that the last bit does not depend on the machine."""
    return float(np.cumsum(values)[-1]) if len(values) else 0.0


def is_win(trades: Trades) -> Bools:
    """Which trades gained."""
    return trades.pnl_percent > FLAT_PERCENT


def is_loss(trades: Trades) -> Bools:
    """Which trades lost."""
    return trades.pnl_percent < -FLAT_PERCENT


def cumulative_percent(trades: Trades) -> Floats:
    """The sum of trade percents after each trade."""
    return np.cumsum(trades.pnl_percent)


def drawdown(trades: Trades, range: TimeRange) -> tuple[float, float]:  # noqa: A002  # the field's word
    """Find the deepest fall below a former peak of the curve: depth in points, length in hours.

    The curve starts at 100 at the start of the range and moves when a trade closes. The length runs from the peak to
    the trade that regains it, or to the end of the range (of the last trade, if later) where none does.
    """
    curve = np.concatenate(([100.0], 100.0 + cumulative_percent(trades)))
    times = np.concatenate(([range.start_ms], trades.closed_ms))
    peaks = np.maximum.accumulate(curve)
    deepest = int(np.argmax(peaks - curve))
    depth = float(peaks[deepest] - curve[deepest])
    if depth <= FLAT_PERCENT:
        return 0.0, 0.0
    peak = int(np.argmax(curve == peaks[deepest]))
    regained = np.flatnonzero(curve[deepest:] >= peaks[deepest])
    end_ms = times[deepest + regained[0]] if len(regained) else max(range.end_ms, times[-1])
    return depth, float(end_ms - times[peak]) / HOUR_MS


def held_ms(trades: Trades, range: TimeRange) -> int:  # noqa: A002  # the field's word
    """Count the time inside the range with at least one open position; positions may overlap."""
    opened = np.clip(trades.opened_ms, range.start_ms, range.end_ms)
    closed = np.clip(trades.closed_ms, range.start_ms, range.end_ms)
    order = np.argsort(opened, kind="stable")
    opened, closed = opened[order], np.maximum.accumulate(closed[order])
    before = np.concatenate((opened[:1], closed[:-1]))
    return int(np.maximum(0, closed - np.maximum(opened, before)).sum())


def longest_streak(hits: Bools) -> int:
    """The longest run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], hits, [False])).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max()) if len(edges) else 0


def metric(
    key: str, label: str, value: float | None, unit: str = "", *, reason: str | None = None, is_signed: bool = False
) -> Metric:
    """Make a metric; its reason stays only where it has no value."""
    missing = reason if value is None else None
    return Metric(key=key, label=label, value=value, unit=unit, reason=missing, is_signed=is_signed)


def mean_of(values: Floats | Sequence[float]) -> float | None:
    """The mean, added left to right; None of nothing."""
    return total(values) / len(values) if len(values) else None


def _outcome(trades: Trades) -> tuple[Metric, ...]:
    """PnL is the sum of trade percents; the win rate's whole is all trades, flat ones too."""
    count, wins, losses = len(trades), int(is_win(trades).sum()), int(is_loss(trades).sum())
    rate = 100 * wins / count if count else None
    return (
        metric("pnl_percent", "PnL, net", total(trades.pnl_percent), "%", is_signed=True),
        metric("trades", "Trades", count, "trades"),
        metric("wins", "Wins", wins, "trades"),
        metric("losses", "Losses", losses, "trades"),
        metric("win_rate_percent", "Win rate", rate, "%", reason=NO_TRADE),
    )


def _per_trade(trades: Trades) -> tuple[Metric, ...]:
    """The profit factor is gains over losses; expectancy weighs average win and loss by their share of all trades.

    The deviation is the sample's (n - 1).
    """
    pnl, count = trades.pnl_percent, len(trades)
    won, lost = pnl[is_win(trades)], pnl[is_loss(trades)]
    gains, losses = total(won), -total(lost)
    no_loss = "no losing trade" if count else NO_TRADE
    no_win = "no winning trade" if count else NO_TRADE
    expectancy = (gains - losses) / count if count else None
    deviation = float(np.std(pnl, ddof=1)) if count > 1 else None
    best, worst = (float(pnl.max()), float(pnl.min())) if count else (None, None)
    return (
        metric("average_pnl_percent", "Average trade", mean_of(pnl), "%", reason=NO_TRADE, is_signed=True),
        metric("average_win_percent", "Average win", mean_of(won), "%", reason=no_win, is_signed=True),
        metric("average_loss_percent", "Average loss", mean_of(lost), "%", reason=no_loss, is_signed=True),
        metric("best_trade_percent", "Best trade", best, "%", reason=NO_TRADE, is_signed=True),
        metric("worst_trade_percent", "Worst trade", worst, "%", reason=NO_TRADE, is_signed=True),
        metric("deviation_percent", "Deviation", deviation, "%", reason="fewer than 2 trades"),
        metric("profit_factor", "Profit factor", gains / losses if losses else None, reason=no_loss),
        metric("expectancy_percent", "Expectancy", expectancy, "%", reason=NO_TRADE, is_signed=True),
    )


def _risk(trades: Trades, range: TimeRange) -> tuple[Metric, ...]:  # noqa: A002  # the field's word
    """Drawdown is in points of the curve, which are percent of the stake; a flat trade ends a streak."""
    depth, hours = drawdown(trades, range)
    wins, losses = longest_streak(is_win(trades)), longest_streak(is_loss(trades))
    return (
        metric("max_drawdown_percent", "Max drawdown", depth, "%"),
        metric("max_drawdown_hours", "Drawdown lasted", hours, "h"),
        metric("longest_win_streak", "Longest win streak", wins, "trades"),
        metric("longest_loss_streak", "Longest loss streak", losses, "trades"),
    )


def _time(trades: Trades, range: TimeRange) -> tuple[Metric, ...]:  # noqa: A002  # the field's word
    """Exposure is the share of the range with a position open; durations run from entry to exit."""
    length_ms = range.end_ms - range.start_ms
    exposure = 100 * held_ms(trades, range) / length_ms if length_ms > 0 else None
    per_day = len(trades) * DAY_MS / length_ms if length_ms > 0 else None
    hours = (trades.closed_ms - trades.opened_ms) / HOUR_MS
    return (
        metric("exposure_percent", "Time in position", exposure, "%", reason="empty range"),
        metric("average_duration_hours", "Average duration", mean_of(hours), "h", reason=NO_TRADE),
        metric("trades_per_day", "Trades per day", per_day, reason="empty range"),
    )


def _sides(trades: Trades) -> tuple[Metric, ...]:
    """The same sums for longs and shorts alone."""
    found: list[Metric] = []
    for side, label, chosen in (("long", "Long", trades.side > 0), ("short", "Short", trades.side < 0)):
        count = int(chosen.sum())
        pnl = total(trades.pnl_percent[chosen]) if count else None
        found += (
            metric(f"{side}_trades", f"{label} trades", count, "trades"),
            metric(f"{side}_pnl_percent", f"{label} PnL", pnl, "%", reason=f"no {side} trade", is_signed=True),
        )
    return tuple(found)
