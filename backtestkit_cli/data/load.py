"""Which candles a run gets: from its start up to the first one that closes at or after its end.

* Holes may put that last candle later; it is looked for until the data end.
* `bridge` fills holes between two candles; `skip` and `fail` leave them, and a `fail` run asks `first_hole` later,
  when it knows the end of its last trade.
"""

import hashlib
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import polars as pl

from backtestkit_cli.data.border import USUAL, Anomaly, checked
from backtestkit_cli.engine.candles import Candles, Floats, Ints
from backtestkit_cli.errors import DataError, Problem, Source
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, TimeRange

if TYPE_CHECKING:
    from collections.abc import Iterator

Gap = Literal["skip", "bridge", "fail"]

_EARLIEST_MS = 10**11
_LONGEST_LOOK_MS = 4096 * DAY_MS


class LocalSource(Protocol):
    """Candles that are at hand without a network."""

    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        """The 1m candles that open in `[start_ms, end_ms)`, oldest first."""
        ...

    def steps(self, symbol: str) -> MarketSteps:
        """Price and quantity steps of the market."""
        ...

    def end_ms(self, symbol: str) -> int | None:
        """The close of the last candle; None when the candles never end."""
        ...


class Columns(NamedTuple):
    """Checked candles as arrays of one length: time (open time in UTC ms), prices, volume."""

    time: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def cut(self, first: int, last: int) -> "Columns":
        """The rows `[first, last)`, as views."""
        return Columns._make(column[first:last] for column in self)


@runtime_checkable
class ColumnSource(Protocol):
    """A local source whose candles have passed the border and lie ready as arrays."""

    def columns(self, symbol: str) -> Columns:
        """All candles of a symbol."""
        ...


def load_candles(
    source: LocalSource, symbol: str, start_ms: int, end_ms: int, gap: Gap = "skip", anomaly: Anomaly = USUAL
) -> Candles:
    """Load what a run over `[start_ms, end_ms)` needs, through the border.

    Raises:
        DataError: no candle opens in the window, or the candles are refused.
    """
    columns = _through_end(source, symbol, start_ms, end_ms, anomaly)
    if not len(columns.time) or columns.time[0] >= end_ms:
        raise DataError(_nothing_there(source, symbol, TimeRange(start_ms, end_ms)))
    return Candles.from_rows(*columns, bridge=gap == "bridge")


def first_hole(candles: Candles, start_ms: int, end_ms: int) -> tuple[int, int] | None:
    """Find the first hole that touches `[start_ms, end_ms)`: the first missing minute inside, and how many minutes.

    Only minutes between two candles are a hole; bridged ones count, they were missing.
    """
    for row, count in candles.holes():
        first = max(candles.time(row), start_ms)
        last = min(candles.time(row + count), end_ms)
        if first < last:
            return first, -(-(last - first) // MINUTE_MS)
    return None


def fingerprint(candles: Candles) -> str:
    """Hash what the candles are: 64 hex digits over the start and every column, the same wherever they came from."""
    digest = hashlib.sha256(f"{candles.start_ms} {len(candles)}\n".encode("ascii"))
    for column in (candles.open, candles.high, candles.low, candles.close, candles.volume):
        canonical = np.ascontiguousarray(column, dtype="<f8")
        if candles.present is not None:
            canonical = np.where(np.isnan(canonical), np.nan, canonical)
        digest.update(canonical.data)
    if candles.bridged is not None:
        digest.update(np.packbits(candles.bridged).data)
    return digest.hexdigest()


def _through_end(source: LocalSource, symbol: str, start_ms: int, end_ms: int, anomaly: Anomaly) -> Columns:
    if isinstance(source, ColumnSource):
        columns = source.columns(symbol)
        first = int(np.searchsorted(columns.time, start_ms))
        last = int(np.searchsorted(columns.time, end_ms - MINUTE_MS)) + 1
        return columns.cut(first, last)
    frame = _asked(source, symbol, start_ms, end_ms, anomaly)
    for window in _looks_beyond(end_ms):
        if frame.is_empty() or frame["time"][-1] + MINUTE_MS >= end_ms:
            break
        known_end_ms = source.end_ms(symbol)
        if known_end_ms is not None and known_end_ms <= window.start_ms:
            break
        frame = pl.concat([frame, _asked(source, symbol, window.start_ms, window.end_ms, anomaly).head(1)])
    return Columns._make(column.to_numpy() for column in frame)


def _looks_beyond(end_ms: int) -> "Iterator[TimeRange]":
    """Windows after the end, each twice as long as the one before."""
    start_ms, length_ms = end_ms, DAY_MS
    while length_ms <= _LONGEST_LOOK_MS:
        yield TimeRange(start_ms, start_ms + length_ms)
        start_ms, length_ms = start_ms + length_ms, 2 * length_ms


def _asked(source: LocalSource, symbol: str, start_ms: int, end_ms: int, anomaly: Anomaly) -> pl.DataFrame:
    frame = checked(source.candles(symbol, start_ms, end_ms), where=symbol, anomaly=anomaly)
    if len(frame) and not (start_ms <= frame["time"][0] and frame["time"][-1] < end_ms):
        raise DataError(outside_window(symbol, TimeRange(start_ms, end_ms), frame))
    return frame


def outside_window(place: str, window: TimeRange, frame: pl.DataFrame) -> Problem:
    """Say that a source answered with candles that nobody asked for."""
    return Problem(
        code="candles-outside-window",
        what="the source gave candles outside the window it was asked for",
        where=Source(file=place, time_ms=window.start_ms),
        found=str(TimeRange(frame["time"][0], frame["time"][-1] + MINUTE_MS)),
        expected=str(window),
        hint="correct the source: candles(symbol, start_ms, end_ms) gives those that open in [start_ms, end_ms)",
    )


def _nothing_there(source: LocalSource, symbol: str, window: TimeRange) -> Problem:
    return Problem(
        code="no-candles",
        what=f"no candles of {symbol} in {window}",
        where=Source(symbol=symbol, time_ms=window.start_ms),
        found=_offer(source, symbol),
        hint="choose a frame inside what is there, or fetch more candles",
    )


def _offer(source: LocalSource, symbol: str) -> str | None:
    end_ms = source.end_ms(symbol)
    if end_ms is None:
        return None
    there = source.candles(symbol, _EARLIEST_MS, end_ms)
    if there.is_empty():
        return "no candles at all"
    return f"candles in {TimeRange(there['time'][0], there['time'][-1] + MINUTE_MS)}"
