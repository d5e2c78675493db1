"""What a stream, or a run, was worth day by day: closed trades as booked, open ones at the price of the moment.

* The curve is 100 plus the sum of trade percents; it is marked at each 00:00 UTC inside the range and at its end.
* An open trade is worth what closing it at that price would bring, net of costs.
* The range ends the curve: a trade that closes later is marked at the end, one that opens later is not in it.
* Streams stake 100 each; what they add up to is one curve from 100 on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backtestkit_cli.engine.candles import Floats, Ints
from backtestkit_cli.engine.result import RunResult, StreamRun
from backtestkit_cli.engine.trades import Trades
from backtestkit_cli.measure.metrics import total
from backtestkit_cli.model.policy import Costs
from backtestkit_cli.model.time import DAY_MS, TimeRange
from backtestkit_cli.model.trade import long_pnl_percent, short_pnl_percent

STAKE = 100.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DailyEquity:
    """Worth in percent of the stake, at the start of the range and at each of its marks; two columns of one length."""

    times_ms: Ints
    values: Floats

    @property
    def changes(self) -> Floats:
        """What each day brought, in points; the first and last day may be cut short by the range."""
        return np.diff(self.values)


def mark_times(within: TimeRange) -> Ints:
    """Each 00:00 UTC in `(start, end]`, and the end."""
    first_ms = (within.start_ms // DAY_MS + 1) * DAY_MS
    midnights = np.arange(first_ms, within.end_ms, DAY_MS, dtype=np.int64)
    return np.append(midnights, np.int64(within.end_ms))


def stream_equity(stream: StreamRun, within: TimeRange) -> DailyEquity:
    """Mark one stream."""
    return curve_of([_worth(stream, within)], within)


def run_equity(run: RunResult) -> DailyEquity:
    """Mark all streams of a run together."""
    return curve_of([_worth(stream, run.range) for stream in run.streams], run.range)


def curve_of(worths: Sequence[Floats], within: TimeRange) -> DailyEquity:
    """Add up what streams gained by each mark, in percent of a stake, to one curve."""
    marks = mark_times(within)
    gained = sum(worths, np.zeros(len(marks)))
    return DailyEquity(times_ms=np.append(np.int64(within.start_ms), marks), values=np.append(STAKE, STAKE + gained))


def gained_percent(trades: Trades, marks: Ints, prices: Floats, costs: Costs) -> Floats:
    """What trades, in order of closing, are worth at each mark; `prices` are those of the marks, NaN where unknown."""
    sums = np.append(0.0, np.cumsum(trades.pnl_percent))
    realised = sums[np.searchsorted(trades.closed_ms, marks, side="right")]
    return np.asarray(realised + _open_percent(trades, marks, prices, costs))


def monthly(equity: DailyEquity) -> list[tuple[str, float, float]]:
    """Add up the days of each calendar month: its name (`2023-03`), its points, the worth at its end."""
    # a day belongs to the month in which it begins, and it ends at its mark
    months = (equity.times_ms[1:] - 1).astype("datetime64[ms]").astype("datetime64[M]")
    names, firsts = np.unique(months, return_index=True)
    found = []
    for name, days in zip(names, np.split(np.arange(len(months)), firsts[1:]), strict=True):
        found.append((str(name), total(equity.changes[days]), float(equity.values[days[-1] + 1])))
    return found


def _worth(stream: StreamRun, within: TimeRange) -> Floats:
    prices = np.array(stream.candles.daily_prices, dtype=np.float64)
    return gained_percent(stream.result.trades, mark_times(within), prices, stream.result.terms.costs)


def _open_percent(trades: Trades, marks: Ints, prices: Floats, costs: Costs) -> Floats:
    """The sum of what the trades open at each mark would bring if they closed there."""
    first = np.searchsorted(marks, trades.opened_ms)
    count = np.maximum(0, np.searchsorted(marks, trades.closed_ms) - first)
    trade = np.repeat(np.arange(len(trades)), count)
    mark = np.repeat(first - (np.cumsum(count) - count), count) + np.arange(len(trade))
    entry = trades.price_open[trade]
    # without any candle by then nothing is known but the entry
    price = np.where(np.isnan(prices[mark]), entry, prices[mark])
    is_long = trades.side[trade] > 0
    worth = np.where(is_long, long_pnl_percent(entry, price, costs), short_pnl_percent(entry, price, costs))
    return np.bincount(mark, weights=worth, minlength=len(marks)).astype(np.float64)
