"""A market made of the minutes of another one: the same moves, in another order.

* Whole blocks of a day's length are drawn, on a circle, so that what one minute owes to the minutes before stays in.
* A minute keeps its shape: open, high, low and close against the close before it, and its volume.
* Holes stay where they are; only minutes that have a candle are drawn.
* Symbols with the same candles draw the same minutes, so that what they share stays in.
"""

from dataclasses import replace

import numpy as np

from backtestkit_cli.engine.candles import Candles, Floats, Ints
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS

BLOCK_MINUTES = DAY_MS // MINUTE_MS
LEAST_BLOCKS = 8


def drawn_market(candles: Candles, seed: tuple[int, ...]) -> Candles:
    """Draw a market; of short ones the blocks are an eighth of all minutes."""
    there = np.arange(len(candles)) if candles.present is None else np.flatnonzero(candles.present)
    drawn = there[_drawn_places(len(there), seed)]
    before = np.roll(candles.close[there], 1)
    before[0] = candles.open[there[0]]
    known = np.empty(len(candles))
    known[there] = before
    level = candles.open[there[0]] * np.append(1.0, np.cumprod(candles.close[drawn] / known[drawn])[:-1])

    def laid(column: Floats, scale: Floats | None = None) -> Floats:
        dense = np.full(len(candles), np.nan)
        dense[there] = column[drawn] if scale is None else column[drawn] / known[drawn] * scale
        return dense

    return replace(
        candles,
        open=laid(candles.open, level),
        high=laid(candles.high, level),
        low=laid(candles.low, level),
        close=laid(candles.close, level),
        volume=laid(candles.volume),
    )


def _drawn_places(minutes: int, seed: tuple[int, ...]) -> Ints:
    length = max(1, min(BLOCK_MINUTES, minutes // LEAST_BLOCKS))
    starts = np.random.default_rng(seed).integers(minutes, size=-(-minutes // length))
    return np.asarray((starts[:, None] + np.arange(length)).ravel()[:minutes] % minutes)
