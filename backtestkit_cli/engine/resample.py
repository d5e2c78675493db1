"""Larger candles: which minutes make one, when it exists and from when it can be seen.

Rules kept here:
- larger candles lie on the UTC grid and are built from 1m candles only;
- one exists when at least one of its minutes does and it opens at or after the start of history;
- it is seen at its nominal close, and only when the loaded minutes reach that far;
- rows are dense on the grid: an absent candle is NaN in every column.
"""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np

from backtestkit_cli.engine.candles import Bools, Candles, Floats, Ints
from backtestkit_cli.model.time import MINUTE_MS, Interval

if TYPE_CHECKING:
    import polars as pl

    Frame = TypeVar("Frame", bound=pl.DataFrame | pl.LazyFrame)

Column = TypeVar("Column", Floats, Bools)


class Resampled:
    """Candles of a larger interval, each column built when it is first read.

    Columns (float64, one value per candle of the grid): open, high, low, close, volume, vwap. Row `i` closes at
    `close_ms[i]`, which is the time of the row.
    """

    def __init__(self, candles: Candles, interval_minutes: int) -> None:
        length_ms = interval_minutes * MINUTE_MS
        self.interval_minutes = interval_minutes
        self.first_open_ms = -(-candles.start_ms // length_ms) * length_ms
        self._candles = candles
        self._count = max(0, (candles.end_ms - self.first_open_ms) // length_ms)

    def __len__(self) -> int:
        return self._count

    @cached_property
    def close_ms(self) -> Ints:
        """Nominal close of each candle."""
        length_ms = self.interval_minutes * MINUTE_MS
        return self.first_open_ms + length_ms * np.arange(1, self._count + 1, dtype=np.int64)

    @property
    def is_whole(self) -> bool:
        """Whether no minute is missing."""
        return self._candles.present is None

    @cached_property
    def exists(self) -> Bools:
        """Which candles have at least one minute."""
        if self._candles.present is None:
            return np.ones(self._count, dtype=bool)
        return np.asarray(self._minutes(self._candles.present).any(axis=1))

    @cached_property
    def open(self) -> Floats:
        """Open of the first minute."""
        return self._pick(self._candles.open, last=False)

    @cached_property
    def high(self) -> Floats:
        """Highest high."""
        return self._fold(self._candles.high, np.fmax)

    @cached_property
    def low(self) -> Floats:
        """Lowest low."""
        return self._fold(self._candles.low, np.fmin)

    @cached_property
    def close(self) -> Floats:
        """Close of the last minute."""
        return self._pick(self._candles.close, last=True)

    @cached_property
    def volume(self) -> Floats:
        """Sum of the volumes, oldest first."""
        return self._total(self._candles.volume)

    @cached_property
    def vwap(self) -> Floats:
        """Volume-weighted average of the typical prices of the minutes; the mean of their closes without volume."""
        minute = self._candles
        volume = self.volume
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            amount = self._total((minute.high + minute.low + minute.close) / 3 * minute.volume)
            average = amount / volume
            without = volume == 0
            if without.any():
                minutes = self._total(np.ones(len(minute)))
                average[without] = (self._total(minute.close) / minutes)[without]
        return average

    def _minutes(self, column: Column) -> Column:
        """One line of minutes per candle, as a view."""
        first = (self.first_open_ms - self._candles.start_ms) // MINUTE_MS
        part = column[first : first + self._count * self.interval_minutes]
        return cast("Column", part.reshape(self._count, self.interval_minutes))

    def _pick(self, column: Floats, *, last: bool) -> Floats:
        minutes = self._minutes(column)
        if self._candles.present is None:
            return np.ascontiguousarray(minutes[:, -1 if last else 0])
        present = self._minutes(self._candles.present)
        place = self.interval_minutes - 1 - present[:, ::-1].argmax(axis=1) if last else present.argmax(axis=1)
        return np.asarray(minutes[np.arange(self._count), place])

    def _fold(self, column: Floats, join: Callable[..., Floats]) -> Floats:
        minutes = self._minutes(column)
        total = minutes[:, 0].copy()
        for place in range(1, self.interval_minutes):
            join(total, minutes[:, place], out=total)
        return total

    def _total(self, column: Floats) -> Floats:
        if self._candles.present is None:
            return self._fold(column, np.add)
        total = self._fold(np.where(self._candles.present, column, 0.0), np.add)
        return np.where(self.exists, total, np.nan)


def resample(candles: "Frame", interval: str) -> "Frame":
    """Build larger candles from the frame a vectorised strategy is given.

    Columns in and out: time (Int64, close of the candle in ms), open, high, low, close, volume, vwap, price (Float64).
    A candle is there from its nominal close on; one without any row is a line of nulls, so that
    `join_asof(..., on="time", strategy="backward")` answers as `on` does in rules. `price` is null where the frame has
    no row at the nominal close.

    Raises:
        ValueError: the interval is unknown (the message lists the known ones).
    """
    import polars as pl

    if interval not in {known.value for known in Interval}:
        raise ValueError(f"{interval!r} is no interval; known are {', '.join(Interval)}")
    length_ms = Interval(interval).ms
    rows = candles.lazy()
    close_ms = -(-pl.col("time") // length_ms) * length_ms
    larger = rows.group_by(close_ms.alias("close_ms")).agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
        pl.when(pl.col("volume").sum() > 0)
        .then((pl.col("vwap") * pl.col("volume")).sum() / pl.col("volume").sum())
        .otherwise(pl.col("vwap").mean())
        .alias("vwap"),
        pl.when(pl.col("time").max() == close_ms.first()).then(pl.col("price").last()).alias("price"),
    )
    # The shortest step between rows tells when the first of them opened.
    start_ms = (pl.col("time").min() - pl.col("time").diff().min()).fill_null(0)
    first_ms = -(-start_ms // length_ms) * length_ms + length_ms
    end_ms = pl.col("time").max().fill_null(0) + 1
    grid = rows.select(pl.int_range(first_ms, pl.max_horizontal(first_ms, end_ms), length_ms).alias("time"))
    aligned = grid.join(larger, left_on="time", right_on="close_ms", how="left", maintain_order="left")
    return cast("Frame", aligned if isinstance(candles, pl.LazyFrame) else aligned.collect())
