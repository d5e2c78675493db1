"""Candles for the eye: a stretch of minutes as a few hundred larger candles on the UTC grid.

* The interval is the smallest that draws the range in at most MOST_CANDLES.
* The first and the last candle are cut by the stretch; a candle without a minute is left out.
* Nothing is decided or measured on them.
"""

from dataclasses import dataclass

import numpy as np

from backtestkit_cli.engine.candles import Candles, Floats, Ints
from backtestkit_cli.model.time import MINUTE_MS, Interval, TimeRange

MOST_CANDLES = 1500


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnCandles:
    """Larger candles of one symbol: columns of one length, `time_ms` is the open on the grid, prices are float64."""

    interval: Interval
    time_ms: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats

    def __len__(self) -> int:
        return len(self.time_ms)


def drawing_interval(within: TimeRange) -> Interval:
    """Choose the smallest interval that draws a range in at most MOST_CANDLES; the largest where none does."""
    fitting = (interval for interval in Interval if within.minutes <= MOST_CANDLES * interval.minutes)
    return next(fitting, Interval.D3)


def drawn_candles(candles: Candles, within: TimeRange, interval: Interval) -> DrawnCandles:
    """Draw the minutes of a range that have a candle."""
    first = max(0, candles.row(within.start_ms))
    chosen = slice(first, max(first, candles.row(within.end_ms)))
    rows = first + np.arange(len(candles.close[chosen]))
    open_, high, low, close = (column[chosen] for column in (candles.open, candles.high, candles.low, candles.close))
    if candles.present is not None:
        there = candles.present[chosen]
        rows = rows[there]
        open_, high, low, close = (column[there] for column in (open_, high, low, close))
    opens_ms = np.arange(within.start_ms // interval.ms * interval.ms, within.end_ms, interval.ms)
    edges = np.searchsorted(rows, (opens_ms - candles.start_ms) // MINUTE_MS)
    minutes = np.diff(edges, append=len(rows))
    starts, ends = edges[minutes > 0], (edges + minutes)[minutes > 0] - 1
    return DrawnCandles(
        interval=interval,
        time_ms=opens_ms[minutes > 0],
        open=open_[starts],
        high=np.maximum.reduceat(high, starts) if len(starts) else high,
        low=np.minimum.reduceat(low, starts) if len(starts) else low,
        close=close[ends],
    )
