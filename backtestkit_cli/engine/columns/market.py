"""The columns that fills are judged on, for one policy."""

from dataclasses import dataclass

import numpy as np

from backtestkit_cli.engine.cache import NOTHING_KEPT, Cache
from backtestkit_cli.engine.candles import Candles, Floats, Ints
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.vwap import vwap_all, vwap_at
from backtestkit_cli.model.time import MINUTE_MS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Market:
    """Row `i` is a minute; what happens at its end has the time row `i + 1`.

    `exit_high` and `exit_low` test the levels of an open position, `entry_high` and `entry_low` a limit entry.
    `next_there[i]` is the first row at or after `i` with a candle, None when there are no holes. `price` is the VWAP
    of every minute, None where the policy judges no fill on it; `count` its candles.
    """

    candles: Candles
    price: Floats | None
    exit_high: Floats
    exit_low: Floats
    entry_high: Floats
    entry_low: Floats
    next_there: Ints | None
    count: int
    stop_ms: int | None

    @classmethod
    def of(
        cls,
        candles: Candles,
        terms: Terms,
        *,
        has_limits: bool,
        stop_ms: int | None = None,
        cache: Cache = NOTHING_KEPT,
    ) -> "Market":
        """Build the columns; the VWAP of every minute only where the policy judges fills on it."""
        count, policy = terms.limits.average_price_candles, terms.policy
        waits_for_price = has_limits and policy.entry == "vwap"
        price = vwap_in(cache, candles, count) if policy.exit == "vwap" or waits_for_price else None
        exits = (candles.high, candles.low) if price is None or policy.exit == "touch" else (price, price)
        entries = (candles.high, candles.low)
        if price is not None and waits_for_price:
            entries = cache.get(
                ("entry levels", candles, count),
                lambda: (np.minimum(candles.high, price), np.maximum(candles.low, price)),
            )
        return cls(
            candles=candles,
            price=price,
            exit_high=exits[0],
            exit_low=exits[1],
            entry_high=entries[0],
            entry_low=entries[1],
            next_there=cache.get(("next there", candles), lambda: _next_there(candles)),
            count=count,
            stop_ms=stop_ms,
        )

    @property
    def stop_row(self) -> int:
        """The first time at which the stop request is seen; one after the end of data where there is none."""
        if self.stop_ms is None:
            return len(self.candles) + 1
        return -((self.candles.start_ms - self.stop_ms) // MINUTE_MS)

    def price_at(self, rows: Ints) -> Floats:
        """VWAP at the end of the given minutes."""
        return vwap_at(self.candles, rows, self.count) if self.price is None else self.price[rows]

    def all_prices(self) -> Floats:
        """VWAP at the end of every minute."""
        return vwap_all(self.candles, self.count) if self.price is None else self.price

    def test_end(self, row: Ints) -> Ints:
        """The last row that is tested when the limit of time lies at the end of `row`; n where there is none."""
        end = np.minimum(row, len(self.candles))
        return end if self.next_there is None else self.next_there[end]


def vwap_in(cache: Cache, candles: Candles, count: int) -> Floats:
    """VWAP at the end of every minute, from the cache.

    The first `count - 1` minutes of candles that were cut also average what was cut off. Nothing is judged there:
    history begins at least `count` minutes before the first decision, or after a hole.
    """
    whole = cache.source(candles)
    return cache.get(("price", whole, count), lambda: vwap_all(whole, count))[len(whole) - len(candles) :]


def _next_there(candles: Candles) -> Ints | None:
    if candles.present is None:
        return None
    rows = np.where(candles.present, np.arange(len(candles)), len(candles))
    return np.append(np.minimum.accumulate(rows[::-1])[::-1], len(candles))
