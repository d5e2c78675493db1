"""What the exits of a stream would have made of other entries: at random times, or some minutes later.

* An entry here is at the market of its minute, and every other one begins when the one before has ended, as in a run.
* At random: as many entries, each with the side, the levels in percent and the lifetime of a trade of the run, in any
  order; the minutes without a position are spread evenly between them. What passes the end of the range goes on at its
  start. Nothing is validated, so that their number stays.
* Later: the levels stay where they are and the lifetime begins with the entry. What is no valid draft
  any more, or would begin before the trade before it has ended, is left out.
* Risk and sizing have no say; each entry is one stake.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from backtestkit_cli.engine.candles import Candles, Floats, Ints
from backtestkit_cli.engine.columns import run_columns
from backtestkit_cli.engine.columns.booking import booked
from backtestkit_cli.engine.columns.candidates import Candidates
from backtestkit_cli.engine.columns.grid import is_fresh
from backtestkit_cli.engine.columns.market import Market
from backtestkit_cli.engine.columns.outcome import resolve
from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.trades import Codes, Trades
from backtestkit_cli.model.time import MINUTE_MS, TimeRange

DRAWS = 1000


def p_value(made: float, draws: Floats) -> float:
    """The chance that random entries make at least as much: (1 + those that do) / (1 + all).

    Source: B. Phipson and G. Smyth, Permutation P-values Should Never Be Zero, Statistical Applications in Genetics
    and Molecular Biology 9 (2010).
    """
    return (1 + int((draws >= made).sum())) / (1 + len(draws))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RandomEntries:
    """Draws of random entries into one market: as many as `trades`, and with their exits, within a range."""

    candles: Candles
    terms: Terms
    within: TimeRange
    trades: Trades

    def draw(self, seed: int, draws: int = DRAWS, on_entry: Callable[[], None] = lambda: None) -> Floats:
        """The sum of trade percents of each draw; `on_entry` is told of each entry of all draws together."""
        market, trades, random = (
            Market.of(self.candles, self.terms, has_limits=False),
            self.trades,
            np.random.default_rng(seed),
        )
        first, last = self._rows
        free = max(1, last - first - int((trades.closed_ms - trades.opened_ms).sum()) // MINUTE_MS)
        starts = np.sort(random.integers(free, size=(draws, len(trades)), dtype=np.int32), axis=1)
        gaps = np.diff(starts, prepend=0, axis=1)
        order = random.permuted(np.tile(np.arange(len(trades), dtype=np.int32), (draws, 1)), axis=1)
        following = self._next_fresh(first, last)
        made, at = np.zeros(draws), np.full(draws, first)
        for nth in range(len(trades)):
            at = following[(at + gaps[:, nth] - first) % (last - first)]
            at, percents = self._held(market, at, order[:, nth])
            made += percents
            on_entry()
        return made

    @property
    def _rows(self) -> tuple[int, int]:
        """The rows of the range that are there."""
        first, last = (self.candles.row(time_ms) for time_ms in (self.within.start_ms, self.within.end_ms))
        return max(0, first), min(len(self.candles), last)

    def _next_fresh(self, first: int, last: int) -> Ints:
        """For each row of the range the first one, round the end, at which the market has a price."""
        rows = np.arange(first, last)
        fresh = rows[is_fresh(self.candles, rows)]
        return fresh[np.searchsorted(fresh, rows) % len(fresh)]

    def _held(self, market: Market, row: Ints, which: Ints) -> tuple[Ints, Floats]:
        """Enter at a row with the exits of a trade each: the row of the end, and the percent."""
        trades, policy = self.trades, self.terms.policy
        side, everybody = trades.side[which], np.arange(len(row))
        is_long = side > 0
        vwap, close = market.price_at(row - 1), self.candles.close[row - 1]
        worse = np.where(is_long, np.maximum(vwap, close), np.minimum(vwap, close))
        entry = vwap if policy.market_books == "vwap" else worse
        profit, stop = (
            entry * (level[which] / trades.price_open[which])
            for level in (trades.price_take_profit, trades.price_stop_loss)
        )
        lifetime, yes = trades.lifetime_minutes[which], np.ones(len(row), dtype=bool)
        rows = _drafts(self.candles.start_ms + row * MINUTE_MS, side, profit, stop, lifetime)
        offered = Candidates(
            place=everybody,
            row=row,
            is_long=is_long,
            vwap=vwap,
            worse=worse,
            entry=entry,
            is_market=yes,
            at_market=yes,
            take_profit=profit,
            stop_loss=stop,
            lifetime=lifetime,
            wait=rows.wait_minutes,
            is_valid=yes,
        )
        outcome = resolve(market, offered, everybody, policy)
        return outcome.end, booked(market, rows, offered, outcome, self.terms).pnl_percent


def delayed(candles: Candles, terms: Terms, trades: Trades, minutes: int) -> Trades:
    """Enter each trade so many minutes later; those that remain."""
    if not len(trades):
        return trades
    times = trades.opened_ms + minutes * MINUTE_MS
    rows = _drafts(times, trades.side, trades.price_take_profit, trades.price_stop_loss, trades.lifetime_minutes)
    return run_columns(candles, rows, np.arange(times[0], times[-1] + 1, MINUTE_MS), terms).trades


def _drafts(times_ms: Ints, side: Codes, profit: Floats, stop: Floats, lifetime: Floats) -> DraftColumns:
    """Drafts at the market."""
    no, none = np.zeros(len(times_ms), dtype=bool), np.full(len(times_ms), np.nan)
    return DraftColumns(
        time_ms=times_ms,
        side=side,
        ambiguous=no,
        warm_up=no,
        short_history=no,
        price_open=none,
        price_take_profit=profit,
        price_stop_loss=stop,
        lifetime_minutes=lifetime,
        wait_minutes=none,
        distance_problem=np.zeros(len(times_ms), dtype=np.int8),
        has_price_open=no,
    )
