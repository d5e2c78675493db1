"""A copy of the project in which no file knows what comes after a moment.

* CSV and parquet files with a column of times lose the rows that could not be known yet: of candles those that had
  not closed, of anything else those stamped later. Whether candles are stamped with their open is seen by comparing
  their closes with the market's; where that cannot be told, rows stamped up to the moment are left.
* Code is copied, everything else is linked. Files that cannot be read this way are as they are.
* A project with more than `MOST_BYTES` of such files is not copied.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from backtestkit_cli.engine.candles import Bools, Candles, Ints
from backtestkit_cli.model.time import MINUTE_MS

MOST_BYTES = 256 * 1024 * 1024
MOST_FILES = 5000
_TIME_NAMES = ("time", "timestamp", "open_time", "datetime", "date", "ts")
_LEFT_OUT = frozenset({"logs", "state", "__pycache__", "node_modules"})
_COPIED = (".py", ".yaml", ".yml", ".toml")
_COMPARED_ROWS = 500


@dataclass(slots=True, kw_only=True)
class TimedFile:
    """A file with a column of times; `known_ms` tells when each row is known, and `lines` are those of a CSV."""

    path: Path
    known_ms: Ints
    frame: pl.DataFrame
    lines: list[bytes] | None

    def write(self, target: Path, time_ms: int) -> None:
        """Write what is known at a time."""
        known: Bools = self.known_ms <= time_ms
        if self.lines is None:
            self.frame.filter(pl.Series(known)).write_parquet(target)
            return
        kept = [line for line, is_known in zip(self.lines[1:], known.tolist(), strict=True) if is_known]
        target.write_bytes(b"".join([self.lines[0], *kept]))


class CutProject:
    """A project whose files can be cut; `candles` are those of the market it is probed on."""

    def __init__(self, project: Path, candles: Candles) -> None:
        self._project = project.resolve()
        self._candles = candles
        self.is_too_large = False

    @cached_property
    def files(self) -> list[TimedFile]:
        """The files that know times."""
        found, total = [], 0
        for path in self._paths:
            if path.suffix.lower() not in (".csv", ".parquet"):
                continue
            total += path.stat().st_size
            if total > MOST_BYTES:
                self.is_too_large = True
                return []
            one = _timed(path, self._candles)
            if one is not None:
                found.append(one)
        return found

    @cached_property
    def _paths(self) -> list[Path]:
        found: list[Path] = []
        for folder, names, files in os.walk(self._project):
            names[:] = sorted(name for name in names if name not in _LEFT_OUT and not name.startswith("."))
            found += [Path(folder) / name for name in sorted(files)]
            if len(found) > MOST_FILES:
                self.is_too_large = True
                return []
        return found

    @contextmanager
    def at(self, time_ms: int) -> Iterator[Path | None]:
        """The folder of a copy that ends at a time; None where nothing in the project could tell more."""
        if not self.files:
            yield None
            return
        timed = {one.path: one for one in self.files}
        with TemporaryDirectory(prefix="backtestkit-check-") as folder:
            copy = Path(folder).resolve()
            for path in self._paths:
                target = copy / path.relative_to(self._project)
                target.parent.mkdir(parents=True, exist_ok=True)
                if path in timed:
                    timed[path].write(target, time_ms)
                elif path.suffix in _COPIED:
                    shutil.copyfile(path, target)
                else:
                    target.symlink_to(path)
            yield copy


def _timed(path: Path, candles: Candles) -> TimedFile | None:
    try:
        frame, lines = _read(path)
        name = next((one for wanted in _TIME_NAMES for one in frame.columns if one.lower() == wanted), None)
        times = None if name is None else _times(frame[name])
    except (OSError, pl.exceptions.PolarsError, UnicodeDecodeError):
        return None
    if times is None or (lines is not None and len(lines) != len(times) + 1):
        return None
    return TimedFile(path=path, known_ms=times + _lag_ms(frame, times, candles), frame=frame, lines=lines)


def _read(path: Path) -> tuple[pl.DataFrame, list[bytes] | None]:
    if path.suffix.lower() == ".parquet":
        return pl.read_parquet(path), None
    return pl.read_csv(path, infer_schema_length=None), path.read_bytes().splitlines(keepends=True)


def _times(column: pl.Series) -> Ints | None:
    """A column as UTC ms; None where it is no times."""
    if column.dtype == pl.String:
        column = column.str.to_datetime(time_unit="ms", time_zone="UTC", strict=False)
    if column.dtype.is_temporal() and column.dtype != pl.Time:
        times = column.cast(pl.Datetime("ms")).cast(pl.Int64)
    elif column.dtype.is_numeric():
        highest: Any = column.max()
        size = abs(float(highest or 0))
        factor = next((one for limit, one in ((1e17, 1e-6), (1e14, 1e-3), (1e11, 1.0)) if size > limit), 1000.0)
        times = (column.cast(pl.Float64) * factor).cast(pl.Int64)
    else:
        return None
    return None if times.null_count() or not len(times) else times.to_numpy()


def _lag_ms(frame: pl.DataFrame, times: Ints, candles: Candles) -> int:
    """How long after its stamp a row is known: the length of a candle where stamps are opens, else nothing."""
    names = {name.lower(): name for name in frame.columns}
    if "close" not in names or not frame[names["close"]].dtype.is_numeric() or len(times) < 2:
        return 0
    steps = np.diff(np.sort(times))
    step = int(steps[steps > 0].min()) if (steps > 0).any() else 0
    close = frame[names["close"]].cast(pl.Float64).to_numpy()
    return step if step and _share_equal(times + step, close, candles) > 0.5 else 0


def _share_equal(known_ms: Ints, close: Any, candles: Candles) -> float:
    """The share of rows whose close is that of the market at the time they would be known."""
    rows = (known_ms - candles.start_ms) // MINUTE_MS - 1
    inside = np.flatnonzero((rows >= 0) & (rows < len(candles)))[:_COMPARED_ROWS]
    if not len(inside):
        return 0.0
    return float(np.isclose(close[inside], candles.close[rows[inside]], rtol=1e-6).mean())
