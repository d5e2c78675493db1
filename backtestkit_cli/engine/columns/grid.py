"""Decision times as an arithmetic grid: what lies on it, and how much of it lies before a time."""

import numpy as np

from backtestkit_cli.engine.candles import Bools, Candles, Ints
from backtestkit_cli.model.time import MINUTE_MS


def on_grid(times_ms: Ints, ticks: Ints) -> Bools:
    """Which times are ticks."""
    if not len(ticks):
        return np.zeros(len(times_ms), dtype=bool)
    step_ms = _step_ms(ticks)
    place = (times_ms - ticks[0]) // step_ms
    np.clip(place, 0, len(ticks) - 1, out=place)
    return np.asarray(ticks[0] + place * step_ms == times_ms)


def ticks_before(ticks: Ints, times_ms: Ints) -> Ints:
    """How many ticks lie before each time."""
    if not len(ticks):
        return np.zeros(len(times_ms), dtype=np.int64)
    return np.asarray(np.clip(-((ticks[0] - times_ms) // _step_ms(ticks)), 0, len(ticks)))


def is_fresh(candles: Candles, row: Ints) -> Bools:
    """Whether a decision can be taken at the start of a row: the minute before it has a candle, and data go on."""
    inside = (row >= 1) & (row < len(candles))
    if candles.present is None:
        return inside
    return inside & candles.present[np.where(inside, row - 1, 0)]


def _step_ms(ticks: Ints) -> int:
    return int(ticks[1] - ticks[0]) if len(ticks) > 1 else MINUTE_MS
