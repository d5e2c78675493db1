"""What a stream, or a run, was worth day by day: closed trades as booked, open ones at the price of the moment.

* The curve is 100 plus the sum of trade percents; it is marked at each 00:00 UTC inside the range and at its end.
* An open trade is worth what closing it at that price would bring, net of costs.
* The range ends the curve: a trade that closes later is marked at the end, one that opens later is not in it.
* Streams stake 100 each; what they add up to is one curve from 100 on.
* Sized streams share a balance instead: their curve is money, and days are percents of the worth they begin with.
* Buy and hold beside it buys at the first close of the range and is net of the same costs; it ends at the last close.
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
from backtestkit_cli.model.trade import long_pnl_percent, pnl_quote, short_pnl_percent

STAKE = 100.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DailyEquity:
    """Worth at the start of the range and at each of its marks; two columns of one length.

    In percent of the stake, or in quote currency where `is_money`.
    """

    times_ms: Ints
    values: Floats
    is_money: bool = False

    @property
    def changes(self) -> Floats:
        """What each day brought; the first and last day may be cut short by the range.

        In points, of money in percent of the worth the day began with: 0 where that was nothing.
        """
        gains = np.diff(self.values)
        return self.percent_of(gains, self.values[:-1]) if self.is_money else gains

    def percent_of(self, gains: Floats, worth: Floats) -> Floats:
        """Gains in points; of money in percent of a worth, 0 where that is nothing."""
        if not self.is_money:
            return gains
        return np.asarray(np.where(worth > 0, 100 * gains / np.where(worth > 0, worth, 1.0), 0.0))


def mark_times(within: TimeRange) -> Ints:
    """Each 00:00 UTC in `(start, end]`, and the end."""
    first_ms = (within.start_ms // DAY_MS + 1) * DAY_MS
    midnights = np.arange(first_ms, within.end_ms, DAY_MS, dtype=np.int64)
    return np.append(midnights, np.int64(within.end_ms))


def stream_equity(stream: StreamRun, within: TimeRange, balance: float | None = None) -> DailyEquity:
    """Mark one stream; a sized one against the whole balance, as if it were alone."""
    return _marked([stream], within, balance if stream.sizing else None)


def run_equity(run: RunResult) -> DailyEquity:
    """Mark all streams of a run together; with a balance those that are sized."""
    return _marked(_measured(run), run.range, run.balance)


def stream_hold(stream: StreamRun, run: RunResult) -> DailyEquity:
    """Mark buy and hold of one stream of a run; NaN as long as there is no price."""
    return _held([stream], run, run.balance if stream.sizing else None)


def run_hold(run: RunResult) -> DailyEquity:
    """Mark buy and hold of all streams together, one stake each, of a balance the same share; NaN without a price."""
    return _held(_measured(run), run, run.balance)


def _marked(streams: Sequence[StreamRun], within: TimeRange, balance: float | None) -> DailyEquity:
    return curve_of([_worth(stream, within, is_money=balance is not None) for stream in streams], within, balance)


def curve_of(worths: Sequence[Floats], within: TimeRange, balance: float | None = None) -> DailyEquity:
    """Add up what streams gained by each mark, in percent of a stake or in the balance's currency, to one curve."""
    marks = mark_times(within)
    gained = sum(worths, np.zeros(len(marks)))
    start = STAKE if balance is None else balance
    return DailyEquity(
        times_ms=np.append(np.int64(within.start_ms), marks),
        values=np.append(start, start + gained),
        is_money=balance is not None,
    )


def gained(trades: Trades, marks: Ints, prices: Floats, costs: Costs, *, is_money: bool = False) -> Floats:
    """What trades, in order of closing, brought by each mark, in percent of a stake or in quote currency.

    `prices` are those of the marks, NaN where unknown.
    """
    sums = np.append(0.0, np.cumsum(trades.pnl_quote if is_money else trades.pnl_percent))
    realised = sums[np.searchsorted(trades.closed_ms, marks, side="right")]
    return np.asarray(realised + _open_worth(trades, marks, prices, costs, is_money=is_money))


def monthly(equity: DailyEquity) -> list[tuple[str, float, float]]:
    """What each calendar month brought: its name (`2023-03`), its points or percent, the worth at its end."""
    # a day belongs to the month in which it begins, and it ends at its mark
    months = (equity.times_ms[1:] - 1).astype("datetime64[ms]").astype("datetime64[M]")
    names, firsts = np.unique(months, return_index=True)
    found = []
    for name, days in zip(names, np.split(np.arange(len(months)), firsts[1:]), strict=True):
        before, after = equity.values[days[0]], equity.values[days[-1] + 1]
        brought = equity.percent_of(after - before, before) if equity.is_money else total(equity.changes[days])
        found.append((str(name), float(brought), float(after)))
    return found


def _worth(stream: StreamRun, within: TimeRange, *, is_money: bool) -> Floats:
    prices = np.array(stream.candles.daily_prices, dtype=np.float64)
    costs = stream.result.terms.costs
    return gained(stream.result.trades, mark_times(within), prices, costs, is_money=is_money)


def _measured(run: RunResult) -> Sequence[StreamRun]:
    return run.streams if run.balance is None else [stream for stream in run.streams if stream.sizing]


def _held(streams: Sequence[StreamRun], run: RunResult, balance: float | None) -> DailyEquity:
    percents = [_held_percent(stream, run.costs) for stream in streams]
    share = 1.0 if balance is None else balance / 100 / len(streams)
    return curve_of([percent * share for percent in percents], run.range, balance)


def _held_percent(stream: StreamRun, costs: Costs) -> Floats:
    used = stream.candles
    prices = np.array([*used.daily_prices[:-1], used.price_last], dtype=np.float64)
    bought = np.nan if used.price_first is None else used.price_first
    return np.asarray(long_pnl_percent(bought, prices, costs))


def _open_worth(trades: Trades, marks: Ints, prices: Floats, costs: Costs, *, is_money: bool) -> Floats:
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
    worth = pnl_quote(trades.quantity[trade], entry, worth) if is_money else worth
    return np.bincount(mark, weights=worth, minlength=len(marks)).astype(np.float64)
