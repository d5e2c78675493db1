"""What the report of a live session needs of a market, from its candles one by one: counts, ends, one price a day.

* The price at each 00:00 UTC is the one of a backtest of the same candles: the last known one where none is fresh.
* With `bridges` a hole is filled with flat candles, but not the time in which nobody looked.
"""

import hashlib
import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from backtestkit_cli.engine.result import CandleUse
from backtestkit_cli.engine.vwap import vwap_of
from backtestkit_cli.measure.equity import mark_times
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, TimeRange


@dataclass(slots=True, eq=False)
class MarketTally:
    """One market since `started_ms`; `window` is the number of candles of a price. `away_minutes` count the time in
    which the session was not there."""

    started_ms: int
    window: int
    bridges: bool
    away_minutes: int = 0
    end_ms: int = 0
    _first_ms: int = 0
    _price_first: float | None = None
    _candles: int = 0
    _missing: int = 0
    _is_back: bool = False
    _recent: deque[Candle] = field(default_factory=deque)
    _price: float | None = None
    _prices: dict[int, float] = field(default_factory=dict)
    _hash: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def begin(self, known_ms: int) -> None:
        """The session began, or went on, when the market was known until then."""
        if self.end_ms:
            self.away_minutes += max(0, known_ms - self.end_ms) // MINUTE_MS
        self._is_back = True

    def take(self, time_ms: int, values: Sequence[float]) -> None:
        """The candle that opens at a time: open, high, low, close, volume."""
        if time_ms < self.end_ms:
            return
        candle = Candle(time_ms, *values)
        self._hash.update(struct.pack("<q5d", *candle))
        self._first_ms = self._first_ms or time_ms
        if self.end_ms and not self._is_back:
            self._fill(time_ms)
        self._is_back = False
        self._candles += 1
        if self._price_first is None and time_ms >= self.started_ms:
            self._price_first = candle.close
        self._add(candle)

    def use(self, within: TimeRange) -> CandleUse:
        """What a stream rested on that is measured over a range, which ends with the newest candle of the session."""
        *midnights, _ = mark_times(within).tolist()
        return CandleUse(
            fingerprint=self._hash.hexdigest(),
            history_start_ms=self._first_ms,
            data_end_ms=self.end_ms,
            candles=self._candles + (self._missing if self.bridges else 0),
            missing_minutes=0 if self.bridges else self._missing,
            bridged_minutes=self._missing if self.bridges else 0,
            price_first=self._price_first,
            price_last=None if self._price_first is None else self._recent[-1].close,
            daily_prices=(*(self._known(time_ms) for time_ms in midnights), self._price),
        )

    def _known(self, time_ms: int) -> float | None:
        """The price at a midnight; one that has not come yet for this market is the newest."""
        return self._price if time_ms > self.end_ms else self._prices.get(time_ms)

    def _fill(self, time_ms: int) -> None:
        """The minutes between the newest candle and this one are a hole."""
        self._missing += (time_ms - self.end_ms) // MINUTE_MS
        if self.bridges:
            last = self._recent[-1].close
            for missing_ms in range(self.end_ms, time_ms, MINUTE_MS):
                self._add(Candle(missing_ms, last, last, last, last, 0.0))

    def _add(self, candle: Candle) -> None:
        end_ms = candle.time + MINUTE_MS
        if self._price is not None:
            for midnight_ms in range(-(-(self.end_ms + 1) // DAY_MS) * DAY_MS, end_ms, DAY_MS):
                self._prices[midnight_ms] = self._price
        self.end_ms = end_ms
        self._recent.append(candle)
        while self._recent[0].time < end_ms - self.window * MINUTE_MS:
            self._recent.popleft()
        self._price = vwap_of(self._recent)
        if end_ms % DAY_MS == 0:
            self._prices[end_ms] = self._price
