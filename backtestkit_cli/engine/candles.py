"""Candles as columns on the dense minute grid.

Row `i` is the minute that opens at `start_ms + i * 60 000`. A minute without a candle is NaN in every column, so
that a comparison with it is never true. Row arithmetic therefore is time arithmetic, with holes or without.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from backtestkit_cli.model.time import MINUTE_MS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candles:
    """1m candles of one symbol, dense.

    Columns: open, high, low, close (float64, quote currency), volume (float64, base currency); all of length n.
    `present` (bool, n) tells which minutes have a candle, None when all have; `bridged` which of the present ones
    were filled in on request, None when none was. `part_of` are the candles that these were cut from by `from_time`.
    """

    start_ms: int
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    present: Bools | None = None
    bridged: Bools | None = None
    part_of: "Candles | None" = field(default=None, init=False)  # not taken along by `replace`, which changes columns

    @classmethod
    def from_rows(
        cls,
        time: Ints,
        open: Floats,  # noqa: A002  # the column's name
        high: Floats,
        low: Floats,
        close: Floats,
        volume: Floats,
        *,
        bridge: bool = False,
    ) -> "Candles":
        """Lay checked rows (ascending open times on the minute grid) on the dense grid.

        Without holes the columns are taken as they are, not copied. `bridge` fills holes between two candles with
        flat zero-volume ones at the last close and marks them.
        """
        columns = [open, high, low, close, volume]
        rows = len(time)
        start_ms = int(time[0]) if rows else 0
        minutes = int(time[-1] - start_ms) // MINUTE_MS + 1 if rows else 0
        if minutes == rows:
            return cls._of(start_ms, columns)
        place = (time - start_ms) // MINUTE_MS
        present = np.zeros(minutes, dtype=bool)
        present[place] = True
        dense = []
        for column in columns:
            spread = np.full(minutes, np.nan)
            spread[place] = column
            dense.append(spread)
        if not bridge:
            return cls._of(start_ms, dense, present=present)
        last = dense[3][np.maximum.accumulate(np.where(present, np.arange(minutes), 0))]
        filled = [np.where(present, column, last) for column in dense[:4]]
        return cls._of(start_ms, [*filled, np.where(present, dense[4], 0.0)], bridged=~present)

    @classmethod
    def _of(
        cls, start_ms: int, columns: list[Floats], *, present: Bools | None = None, bridged: Bools | None = None
    ) -> "Candles":
        open_, high, low, close, volume = columns
        return cls(
            start_ms=start_ms,
            open=open_,
            high=high,
            low=low,
            close=close,
            volume=volume,
            present=present,
            bridged=bridged,
        )

    def __len__(self) -> int:
        return len(self.close)

    @property
    def end_ms(self) -> int:
        """The close of the last candle."""
        return self.start_ms + len(self) * MINUTE_MS

    @property
    def whole(self) -> "Candles":
        """The candles that these are the last ones of."""
        return self.part_of or self

    def row(self, time_ms: int) -> int:
        """The row of the minute that opens at `time_ms`; may lie outside."""
        return (time_ms - self.start_ms) // MINUTE_MS

    def time(self, row: int) -> int:
        """The open time of a row."""
        return self.start_ms + row * MINUTE_MS

    def has(self, row: int) -> bool:
        """Whether there is a candle in that row."""
        return 0 <= row < len(self) and (self.present is None or bool(self.present[row]))

    def is_bridged(self, row: int) -> bool:
        """Whether the candle in that row was filled in."""
        return self.bridged is not None and 0 <= row < len(self) and bool(self.bridged[row])

    def holes(self) -> list[tuple[int, int]]:
        """Runs of missing (or bridged) minutes as (first row, count), in order."""
        missing = self.bridged if self.bridged is not None else None if self.present is None else ~self.present
        if missing is None:
            return []
        edges = np.flatnonzero(np.diff(np.concatenate(([False], missing, [False])).astype(np.int8)))
        return [(int(a), int(b - a)) for a, b in zip(edges[::2], edges[1::2], strict=True)]

    def from_time(self, start_ms: int) -> "Candles":
        """The candles that open at or after a time, as views; the first row holds a candle."""
        first = max(0, self.row(start_ms))
        if self.present is not None and first < len(self):
            first += int(self.present[first:].argmax())
        if first == 0:
            return self
        cut = self._part(first, len(self))
        object.__setattr__(cut, "part_of", self.whole)
        return cut

    def until_time(self, end_ms: int) -> "Candles":
        """The candles that close by a time, as views; the last row holds a candle."""
        last = min(len(self), self.row(end_ms))
        if self.present is not None and last > 0:
            last -= int(self.present[:last][::-1].argmax())
        return self if last >= len(self) else self._part(0, max(0, last))

    def _part(self, first: int, last: int) -> "Candles":
        part = slice(first, last)
        return Candles(
            start_ms=self.time(first),
            open=self.open[part],
            high=self.high[part],
            low=self.low[part],
            close=self.close[part],
            volume=self.volume[part],
            present=None if self.present is None else self.present[part],
            bridged=None if self.bridged is None else self.bridged[part],
        )
