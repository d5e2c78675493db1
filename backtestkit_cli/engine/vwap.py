"""The price: a volume-weighted average over the last minutes, the same bits for one window and for a whole column.

Rules kept here:
- the window is by time, not by index: the `count` minutes that end with the asked one;
- both sums run oldest first, one addition after the other, so that every form gives the same double;
- minutes without a candle are left out; without the newest minute there is no price (NaN);
- without volume in the window the price is the mean of its closes.
"""

import math
from collections.abc import Sequence

import numpy as np

from backtestkit_cli.engine.candles import Bools, Candles, Floats, Ints
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.time import MINUTE_MS

_BLOCK_ROWS = 8192  # a block and its temporaries stay in the second-level cache


def vwap_of(window: Sequence[Candle]) -> float:
    """Average the candles of one window, oldest first; NaN without a candle."""
    amount = volume = closes = 0.0
    for candle in window:
        amount += (candle.high + candle.low + candle.close) / 3 * candle.volume
        volume += candle.volume
        closes += candle.close
    if not window:
        return math.nan
    return amount / volume if volume else closes / len(window)


def vwap_all(candles: Candles, count: int) -> Floats:
    """Price at the end of every minute: row `i` averages the minutes `(i - count, i]`.

    NaN where minute `i` is missing.
    """
    prices = np.empty(len(candles))
    for first in range(0, len(candles), _BLOCK_ROWS):
        last = min(first + _BLOCK_ROWS, len(candles))
        prices[first:last] = _block(candles, first, last, count)
    return prices


def vwap_at(candles: Candles, rows: Ints, count: int) -> Floats:
    """Price at the end of the given minutes; NaN where a row is outside or missing."""
    if not len(candles) or not len(rows):
        return np.full(len(rows), np.nan)
    if candles.present is None and rows.min() >= count - 1 and rows.max() < len(candles):
        return _vwap_at_whole(candles, rows, count)
    amount, volume, closes, minutes = (np.zeros(len(rows)) for _ in range(4))
    for back in range(count - 1, -1, -1):
        row, is_there = _known_rows(candles, rows - back)
        column_volume, close = candles.volume[row], candles.close[row]
        worth = (candles.high[row] + candles.low[row] + close) / 3 * column_volume
        amount += np.where(is_there, worth, 0.0)
        volume += np.where(is_there, column_volume, 0.0)
        closes += np.where(is_there, close, 0.0)
        minutes += is_there
    return np.where(_known_rows(candles, rows)[1], _average(amount, volume, closes, minutes), np.nan)


def _vwap_at_whole(candles: Candles, rows: Ints, count: int) -> Floats:
    """The same where every window is whole: one line of minutes per place in the window, oldest first."""
    minutes = np.arange(1 - count, 1)[:, None] + rows
    close, volumes = candles.close[minutes], candles.volume[minutes]
    worth = candles.high[minutes]
    worth += candles.low[minutes]
    worth += close
    worth /= 3
    worth *= volumes
    amount, volume = _added(worth), _added(volumes)
    if volume.all():
        return np.asarray(amount / volume)
    return _average(amount, volume, _added(close), np.full(len(rows), float(count)))


def _added(lines: Floats) -> Floats:
    """Add lines one after the other; a reduction of numpy may add a single column in blocks."""
    total: Floats = lines[0].copy()
    for line in lines[1:]:
        total += line
    return total


def price_at(candles: Candles, times_ms: Ints, count: int) -> Floats:
    """Price at the given times: the average over the minutes that opened in `[t - count minutes, t)`."""
    return vwap_at(candles, (times_ms - candles.start_ms) // MINUTE_MS - 1, count)


def _average(amount: Floats, volume: Floats, closes: Floats, minutes: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return np.where(volume == 0, closes / minutes, amount / volume)


def _known_rows(candles: Candles, rows: Ints) -> tuple[Ints, Bools]:
    """Rows moved inside the columns, and which of them hold a candle."""
    is_there = (rows >= 0) & (rows < len(candles))
    inside = np.clip(rows, 0, len(candles) - 1)
    return inside, is_there if candles.present is None else is_there & candles.present[inside]


def _block(candles: Candles, first: int, last: int, count: int) -> Floats:
    """Prices of the rows `[first, last)`, from columns that begin `count - 1` rows earlier (zeros before the start)."""
    start = max(0, first - count + 1)
    missing = start - (first - count + 1)
    close, volume = candles.close[start:last], candles.volume[start:last]
    worth = candles.high[start:last] + candles.low[start:last]
    worth += close
    worth /= 3
    worth *= volume
    present = None if candles.present is None else candles.present[start:last]
    amounts = _fold(worth, present, missing, count)
    volumes = _fold(volume, present, missing, count)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        prices = amounts / volumes
    if not volumes.all():
        closes = _fold(close, present, missing, count)
        minutes = _fold(np.ones(len(close)), present, missing, count)
        prices = _average(amounts, volumes, closes, minutes)
    if present is not None:
        prices[~present[first - start :]] = np.nan
    return prices


def _fold(column: Floats, present: Bools | None, missing: int, count: int) -> Floats:
    """Sum each window oldest first by adding shifted copies."""
    if present is not None:
        column = np.where(present, column, 0.0)
    if missing:
        column = np.concatenate((np.zeros(missing), column))
    rows = len(column) - count + 1
    total = column[:rows].copy()
    for place in range(1, count):
        total += column[place : place + rows]
    return total
