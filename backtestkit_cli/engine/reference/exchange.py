"""What the original sees of a market: frames, candle windows, their checks, and the price.

* A window reaches back `limit - 1` intervals and holds the candle that opens at the asked time.
* Nothing is aligned: neither ticks nor windows.
* One broken candle fails the whole request.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Protocol

from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.time import DAY_MS, Interval


class RequestFailed(Exception):  # noqa: N818  # no error of the program: the original reports it and goes on
    """A request the original could not answer; `code` says why."""

    def __init__(self, code: str, index: int | None = None) -> None:
        super().__init__(code if index is None else f"{code} at candle {index}")
        self.code = code
        self.index = index


class CandleLists(Protocol):
    """Where candles come from: the first `limit` candles that open at or after `since_ms`."""

    def __call__(self, interval: Interval, since_ms: int, limit: int) -> Sequence[Candle]: ...


@dataclass(frozen=True, slots=True)
class CandleList:
    """A source over one list of candles in order of time, all of one interval."""

    times: Sequence[int]
    candles: Sequence[Candle]

    @classmethod
    def of(cls, candles: Sequence[Candle]) -> "CandleList":
        """Index a list of candles by their open time."""
        return cls([candle.time for candle in candles], candles)

    def __call__(self, interval: Interval, since_ms: int, limit: int) -> Sequence[Candle]:  # noqa: ARG002  # there is one
        """Answer a request."""
        first = bisect_left(self.times, since_ms)
        return self.candles[first : first + limit]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One market. `average_candles` make a price; the two anomaly settings judge candles; `now_ms` is the present."""

    source: CandleLists
    now_ms: int
    average_candles: int = 5
    anomaly_factor: float = 1000
    anomaly_median_candles: int = 5

    def candles(self, when_ms: int, interval: Interval, limit: int) -> list[Candle]:
        """The last candles at a time, with the one that opens then.

        Raises:
            RequestFailed: a limit of one, or a broken candle.
        """
        since_ms = window_start(when_ms, interval, limit)
        return [candle for candle in self._asked(interval, since_ms, limit) if since_ms <= candle.time <= when_ms]

    def next_candles(self, when_ms: int, interval: Interval, limit: int) -> list[Candle]:
        """The next candles from a time on; none when the last of them would end after the present.

        Raises:
            RequestFailed: a broken candle.
        """
        end_ms = when_ms + limit * interval.ms
        if end_ms > self.now_ms:
            return []
        return [candle for candle in self._asked(interval, when_ms, limit) if when_ms <= candle.time <= end_ms]

    def price(self, when_ms: int) -> float:
        """The price at a time.

        Raises:
            RequestFailed: no candle in the window, or as `candles`.
        """
        window = self.candles(when_ms, Interval.M1, self.average_candles)
        if not window:
            raise RequestFailed("no_candles")
        return average_price(window)

    def _asked(self, interval: Interval, since_ms: int, limit: int) -> Sequence[Candle]:
        answer = self.source(interval, since_ms, limit)
        broken = broken_candle(answer, self.anomaly_factor, self.anomaly_median_candles)
        if broken is not None:
            raise RequestFailed(*broken)
        return answer


def window_start(when_ms: int, interval: Interval, limit: int) -> int:
    """Where a window of `limit` candles starts that ends with the candle at `when_ms`.

    Raises:
        RequestFailed: a limit of one.
    """
    if limit == 1:
        raise RequestFailed("limit_one_not_supported")
    return when_ms - (limit - 1) * interval.ms


def frame_ticks(start_ms: int, end_ms: int, interval: Interval, now_ms: int) -> range:
    """The ticks of a frame, both ends included; the end is at most the last midnight (UTC)."""
    return range(start_ms, min(end_ms, now_ms - now_ms % DAY_MS) + 1, interval.ms)


def average_price(window: Sequence[Candle]) -> float:
    """The volume-weighted price of a window, summed left to right; without volume the mean of its closes."""
    amount = volume = 0.0
    for candle in window:
        amount += (candle.high + candle.low + candle.close) / 3 * candle.volume
        volume += candle.volume
    if volume:
        return amount / volume
    return left_sum(candle.close for candle in window) / len(window)


def left_sum(values: Iterable[float]) -> float:
    """Add one after the other; the built-in sum of newer Pythons corrects its rounding, which the original does not."""
    return reduce(add, values, 0.0)


def broken_candle(
    candles: Sequence[Candle], factor: float = 1000, median_candles: int = 5
) -> tuple[str, int | None] | None:
    """The first candle that the original refuses, as (code, index); None when all pass.

    Too high prices, order, doubles and holes are not looked at, nor a high below the low.
    """
    if not candles:
        return None
    sample = [price for candle in candles for price in candle[1:5] if price > 0]
    reference = _reference(sample, is_median=len(candles) >= median_candles)
    if not reference:
        return "candle_reference_price_zero", None
    for index, candle in enumerate(candles):
        code = _fault(candle, reference / factor)
        if code is not None:
            return code, index
    return None


def _reference(sample: Sequence[float], *, is_median: bool) -> float:
    """The upper median of a sample, or its mean; zero of an empty one."""
    if not sample:
        return 0.0
    return sorted(sample)[len(sample) // 2] if is_median else left_sum(sample) / len(sample)


def _fault(candle: Candle, least: float) -> str | None:
    lowest = min(candle[1:5])
    if not all(map(math.isfinite, candle)):
        return "candle_invalid_number"
    if lowest <= 0 or candle.volume < 0:
        return "candle_zero_or_negative"
    return "candle_anomalously_low" if lowest < least else None
