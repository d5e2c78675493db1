"""The market of one symbol while it happens: candles with room for those to come.

What has not come yet is a minute without a candle, so everything that reads candles reads these too. A strategy is
only ever shown `until` an instant.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from backtestkit_cli.engine.candles import Bools, Candles, Floats
from backtestkit_cli.engine.vwap import vwap_all, vwap_at
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS

ROOM = DAY_MS // MINUTE_MS


@dataclass(slots=True, eq=False)
class GrowingMarket:
    """Candles, and the VWAP price at the end of each minute (NaN where there is none), both with room at the end.

    `known_ms` is the end of the newest candle. With `bridges` a hole between two candles is filled with flat ones.
    """

    candles: Candles
    price: Floats
    known_ms: int
    window: int
    bridges: bool

    @classmethod
    def of(cls, candles: Candles, window: int, *, bridges: bool = False) -> "GrowingMarket":
        """Begin with history; `window` is the number of candles of a price."""
        grown = _with_room(candles)
        return cls(grown, vwap_all(grown, window), candles.end_ms, window, bridges)

    def add(self, candle: Candle) -> bool:
        """Take a candle that is newer than all others; whether there had to be made new room, in new columns."""
        row = self.candles.row(candle.time)
        is_new = row + 1 >= len(self.candles)  # a decision needs a minute after it
        if is_new:
            self.candles = _with_room(self.candles, row + ROOM)
            self.price = vwap_all(self.candles, self.window)
        if self.bridges:
            for missing in range(self.candles.row(self.known_ms), row):
                last = float(self.candles.close[missing - 1])
                self._set(missing, Candle(self.candles.time(missing), last, last, last, last, 0.0))
                cast("Bools", self.candles.bridged)[missing] = True
        self._set(row, candle)
        self.known_ms = candle.time + MINUTE_MS
        return is_new

    def until(self, time_ms: int) -> Candles:
        """The candles that have closed by an instant."""
        part = slice(0, max(0, self.candles.row(time_ms)))
        cut = _cut(self.candles, part)
        return replace(cut, present=None) if cut.present is not None and cut.present.all() else cut

    def since(self, time_ms: int) -> Iterator[Candle]:
        """The candles that open at or after an instant, oldest first; bridged minutes have none."""
        columns = self.candles
        for row in range(max(0, columns.row(time_ms)), columns.row(self.known_ms)):
            if columns.has(row) and not columns.is_bridged(row):
                values = (columns.open, columns.high, columns.low, columns.close, columns.volume)
                yield Candle(columns.time(row), *(float(column[row]) for column in values))

    def _set(self, row: int, candle: Candle) -> None:
        columns = self.candles
        columns.open[row], columns.high[row], columns.low[row] = candle.open, candle.high, candle.low
        columns.close[row], columns.volume[row] = candle.close, candle.volume
        cast("Bools", columns.present)[row] = True
        self.price[row] = vwap_at(columns, np.array([row]), self.window)[0]


def _cut(candles: Candles, part: slice) -> Candles:
    return Candles(
        start_ms=candles.start_ms,
        open=candles.open[part],
        high=candles.high[part],
        low=candles.low[part],
        close=candles.close[part],
        volume=candles.volume[part],
        present=None if candles.present is None else candles.present[part],
        bridged=None if candles.bridged is None else candles.bridged[part],
    )


def _with_room(candles: Candles, rows: int | None = None) -> Candles:
    more = (len(candles) + ROOM if rows is None else rows) - len(candles)
    present = np.ones(len(candles), dtype=bool) if candles.present is None else candles.present
    bridged = np.zeros(len(candles), dtype=bool) if candles.bridged is None else candles.bridged
    columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
    room, none = np.full(more, np.nan), np.zeros(more, dtype=bool)
    open_, high, low, close, volume = (np.concatenate((column, room)) for column in columns)
    return Candles(
        start_ms=candles.start_ms,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=volume,
        present=np.concatenate((present, none)),
        bridged=np.concatenate((bridged, none)),
    )
