"""What is odd about candles: holes, faults, jumps, stillness. It judges nothing and changes nothing.

* It takes candles the border would refuse as well, and says why it would.
* A jump is measured between neighbouring minutes only, against the usual step of the same candles.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from backtestkit_cli.data.border import faults_of, typed
from backtestkit_cli.model.time import MINUTE_MS

JUMP_FACTOR = 25.0
SMALLEST_JUMP_PERCENT = 1.0
FLAT_RUN_MINUTES = 60

_DEVIATION_OF_MEDIAN = 1.4826

_Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Some minutes in a row, from `start_ms` on."""

    start_ms: int
    minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """A close that is `percent` away from the close one minute before."""

    time_ms: int
    percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The state of a set of candles.

    `faults` counts candles by the code the border refuses them with. `flat_runs` are at least 60 minutes on which
    nothing moved. `first_ms` and `last_ms` are open times, None without candles.
    """

    rows: int
    first_ms: int | None
    last_ms: int | None
    holes: tuple[Run, ...]
    zero_volume_minutes: int
    jumps: tuple[Jump, ...]
    flat_runs: tuple[Run, ...]
    faults: Mapping[str, int]

    @property
    def missing_minutes(self) -> int:
        """Minutes without a candle between the first and the last one."""
        return sum(hole.minutes for hole in self.holes)

    @property
    def longest_hole_minutes(self) -> int:
        """The length of the longest hole, 0 without any."""
        return max((hole.minutes for hole in self.holes), default=0)

    @property
    def missing_percent(self) -> float:
        """Share of the minutes from first to last that have no candle."""
        if self.first_ms is None or self.last_ms is None:
            return 0.0
        return 100 * self.missing_minutes / ((self.last_ms - self.first_ms) // MINUTE_MS + 1)


def audit(frame: pl.DataFrame, *, now_ms: int | None = None) -> Audit:
    """Look through 1m candles with the columns time, open, high, low, close, volume.

    Raises:
        DataError: a column is missing or holds no numbers.
    """
    candles = typed(frame, where="candles")
    faults = {fault.code: fault.count for fault in faults_of(candles, now_ms=now_ms)}
    ordered = candles.drop_nulls().unique("time", keep="first").sort("time")
    time = ordered["time"].to_numpy()
    return Audit(
        rows=len(candles),
        first_ms=int(time[0]) if len(time) else None,
        last_ms=int(time[-1]) if len(time) else None,
        holes=_holes(time),
        zero_volume_minutes=int((ordered["volume"] == 0).sum()),
        jumps=_jumps(time, ordered["close"].to_numpy()),
        flat_runs=_flat_runs(time, ordered),
        faults=faults,
    )


def _holes(time: npt.NDArray[np.int64]) -> tuple[Run, ...]:
    missing = np.diff(time) // MINUTE_MS - 1
    return tuple(
        Run(start_ms=int(time[row]) + MINUTE_MS, minutes=int(missing[row])) for row in np.flatnonzero(missing > 0)
    )


def _jumps(time: npt.NDArray[np.int64], close: npt.NDArray[np.float64]) -> tuple[Jump, ...]:
    before, after = close[:-1], close[1:]
    usable = (np.diff(time) == MINUTE_MS) & (before > 0) & np.isfinite(before) & np.isfinite(after)
    percent = np.zeros(len(usable))
    percent[usable] = 100 * (after[usable] / before[usable] - 1)
    moved = np.abs(percent[usable & (percent != 0)])
    usual = _DEVIATION_OF_MEDIAN * float(np.median(moved)) if len(moved) else 0.0
    limit = max(SMALLEST_JUMP_PERCENT, JUMP_FACTOR * usual)
    return tuple(
        Jump(time_ms=int(time[row + 1]), percent=float(percent[row])) for row in np.flatnonzero(np.abs(percent) > limit)
    )


def _flat_runs(time: npt.NDArray[np.int64], candles: pl.DataFrame) -> tuple[Run, ...]:
    close = candles["close"].to_numpy()
    still: _Bools = (candles["high"] == candles["low"]).to_numpy()
    follows = np.zeros(len(time), dtype=np.bool_)
    follows[1:] = (np.diff(time) == MINUTE_MS) & (close[1:] == close[:-1]) & still[:-1]
    continues = still & follows
    begins = np.flatnonzero(~continues)
    minutes = np.diff(np.append(begins, len(time)))
    return tuple(
        Run(start_ms=int(time[begin]), minutes=int(length))
        for begin, length in zip(begins, minutes, strict=True)
        if still[begin] and length >= FLAT_RUN_MINUTES
    )
