"""Partial levels in columns: each tenth of the way to a level, at the first minute whose price reaches it.

Many positions are looked at together, in blocks of minutes that stay in the cache. Every minute gets the number of
tenths its price has come; where the highest number so far of a position grows, levels are reached.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from backtestkit_cli.engine.candles import Bools, Candles, Floats, Ints
from backtestkit_cli.engine.step import LEVELS, Side
from backtestkit_cli.engine.trades import Codes
from backtestkit_cli.model.event import LevelReached
from backtestkit_cli.model.signal import Signal
from backtestkit_cli.model.time import MINUTE_MS

_BLOCK_MINUTES = 1 << 15
_STRIDE = len(LEVELS) + 1  # lifts the tenths of a position above all of the one before


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spans:
    """Open positions, one value each: side, entry, levels, and the minutes `[start, stop)` that leave them open."""

    is_long: Bools
    entry: Floats
    take_profit: Floats
    stop_loss: Floats
    start: Ints
    stop: Ints

    @classmethod
    def of(cls, signal: Signal, start: int, stop: int) -> "Spans":
        """One position."""
        return cls(
            is_long=np.array([signal.is_long]),
            entry=np.array([signal.price_open]),
            take_profit=np.array([signal.price_take_profit]),
            stop_loss=np.array([signal.price_stop_loss]),
            start=np.array([start]),
            stop=np.array([max(start, stop)]),
        )


class Reached(NamedTuple):
    """One level, 10 to 100, at the end of the minute whose price reached it."""

    time_ms: int
    is_profit: bool
    level: int
    price: float

    def event(self, signal: Signal) -> LevelReached:
        """The event of a position's signal."""
        side: Side = "profit" if self.is_profit else "loss"
        return LevelReached(time_ms=self.time_ms, signal=signal, side=side, level=self.level, price=self.price)


def levels_reached(candles: Candles, price: Floats, spans: Spans) -> Iterator[list[Reached]]:
    """Find, position by position, the levels that the price at the end of each minute reaches, in order of time."""
    for first, last in _blocks(spans.stop - spans.start):
        position, row, is_profit, level = _block(price, spans, first, last)
        time_ms = candles.start_ms + (row + 1) * MINUTE_MS
        told = list(map(Reached, time_ms.tolist(), is_profit.tolist(), level.tolist(), price[row].tolist()))
        ends = np.searchsorted(position, np.arange(first, last), side="right").tolist()
        yield from (told[begin:end] for begin, end in zip([0, *ends], ends, strict=False))


def level_columns(price: Floats, spans: Spans) -> tuple[Ints, Ints, Bools, Ints]:
    """The same as columns: position, minute, whether on the side of the profit, level."""
    none = np.zeros(0, dtype=np.int64)
    parts = [(none, none, none.astype(bool), none)]
    parts += [_block(price, spans, first, last) for first, last in _blocks(spans.stop - spans.start)]
    position, row, is_profit, level = zip(*parts, strict=True)
    return np.concatenate(position), np.concatenate(row), np.concatenate(is_profit), np.concatenate(level)


def _blocks(lengths: Ints) -> Iterator[tuple[int, int]]:
    """Positions that are looked at together, as `[first, last)`."""
    ends = np.cumsum(lengths)
    first = 0
    while first < len(lengths):
        before = int(ends[first] - lengths[first])
        last = max(first + 1, int(np.searchsorted(ends, before + _BLOCK_MINUTES, side="right")))
        yield first, last
        first = last


def _block(price: Floats, spans: Spans, first: int, last: int) -> tuple[Ints, Ints, Bools, Ints]:
    """The position, minute, side and level of all that is reached by some positions."""
    start, length = spans.start[first:last], (spans.stop - spans.start)[first:last]
    entry, sign = spans.entry[first:last], np.where(spans.is_long[first:last], 1.0, -1.0)
    to_profit, to_stop = (np.abs(level[first:last] - entry) for level in (spans.take_profit, spans.stop_loss))
    position = np.repeat(np.arange(first, last), length)
    row = np.arange(len(position)) + np.repeat(start - (np.cumsum(length) - length), length)
    gain = np.repeat(sign, length) * (price[row] - np.repeat(entry, length))
    is_profit = gain > 0
    percent = np.abs(gain) / np.where(is_profit, np.repeat(to_profit, length), np.repeat(to_stop, length)) * 100
    tenths = np.zeros(len(percent), dtype=np.int8)
    for level in LEVELS:
        tenths += percent >= level
    gains, losses = _growth(position, tenths * is_profit), _growth(position, tenths * ~is_profit)
    minute, tenth = (np.concatenate(both) for both in zip(gains, losses, strict=True))
    order = np.argsort(minute, kind="stable")  # a minute is on one side only
    minute = minute[order]
    return position[minute], row[minute], is_profit[minute], tenth[order] * LEVELS.step


def _growth(position: Ints, tenths: Codes) -> tuple[Ints, Ints]:
    """Where the highest number of tenths so far of a position grows: the place, and each tenth that is new there."""
    steps = np.diff(tenths, prepend=np.int8(0)) > 0
    steps[1:] |= position[1:] != position[:-1]
    at = np.flatnonzero(steps)  # elsewhere nothing can grow
    lift = position[at] * _STRIDE
    highest = np.maximum.accumulate(tenths[at] + lift)
    before = np.maximum(np.concatenate(([0], highest[:-1])), lift)
    count = highest - before
    place = np.repeat(np.arange(len(at)), count)
    nth = np.arange(len(place)) - np.repeat(np.cumsum(count) - count, count)
    return at[place], before[place] - lift[place] + nth + 1
