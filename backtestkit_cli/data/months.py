"""A month file: the candles of one UTC month in one parquet file, which can vouch for itself.

* The same candles and window give the same bytes.
* Beside the candles the file holds the window that was asked for and answered, and a seal: the SHA-256 of the file
  with zeros in place of the seal. No parser sees a file whose seal is broken.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl

from backtestkit_cli.data.border import checked
from backtestkit_cli.errors import DataError, Problem, Source
from backtestkit_cli.model.time import TimeRange

_FORMAT = 1
_WORDS_KEY = "backtestkit"
_ROW_GROUP_ROWS = 65_536
_WORDS_WITHIN_BYTES = 65_536
_OPEN_SEAL = b"0" * 64
_WORDS = re.compile(rb'\{"asked": [^{}]*"format": %d, [^{}]*"sha256": "[0-9a-f]{64}"\}' % _FORMAT)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMonth:
    """What a month file says about itself.

    `asked` is the window, inside the month, that was asked for and answered; outside of it nothing is known.
    """

    month: str
    asked: TimeRange
    rows: int
    first_ms: int | None
    last_ms: int | None
    sha256: str


def month_of(time_ms: int) -> str:
    """Name the UTC month of a time: `2023-03`."""
    return str(np.datetime64(time_ms, "ms").astype("datetime64[M]"))


def month_range(month: str) -> TimeRange:
    """The time range of a UTC month."""
    start = np.datetime64(month, "M")
    return TimeRange(*(int(edge.astype("datetime64[ms]").astype(np.int64)) for edge in (start, start + 1)))


def months_between(start_ms: int, end_ms: int) -> list[tuple[str, TimeRange]]:
    """Cut `[start_ms, end_ms)` at the edges of months."""
    parts = []
    while start_ms < end_ms:
        month = month_of(start_ms)
        edge_ms = min(end_ms, month_range(month).end_ms)
        parts.append((month, TimeRange(start_ms, edge_ms)))
        start_ms = edge_ms
    return parts


def month_bytes(candles: pl.DataFrame, month: str, asked: TimeRange) -> bytes:
    """Write checked candles of one month as the content of a month file.

    Raises:
        ValueError: a candle lies outside the month.
    """
    whole = month_range(month)
    if len(candles) and not (whole.start_ms <= candles["time"][0] and candles["time"][-1] < whole.end_ms):
        raise ValueError(f"candles outside {month}")
    words = {
        "asked": [asked.start_ms, asked.end_ms],
        "first": candles["time"].min(),
        "format": _FORMAT,
        "last": candles["time"].max(),
        "rows": len(candles),
        "sha256": _OPEN_SEAL.decode(),
    }
    written = BytesIO()
    candles.rechunk().write_parquet(
        written,
        compression="zstd",
        compression_level=3,
        statistics=False,
        row_group_size=_ROW_GROUP_ROWS,
        metadata={_WORDS_KEY: json.dumps(words)},
    )
    content = written.getvalue()
    return content.replace(_OPEN_SEAL, _seal(content))


def about_month(path: Path) -> StoredMonth:
    """Read what a month file says about itself, without its candles; nothing is verified.

    Raises:
        DataError: there are no such words.
    """
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _WORDS_WITHIN_BYTES))
            return _words(file.read(), path)
    except OSError as error:
        raise _damaged(path) from error


def read_month(path: Path) -> tuple[StoredMonth, pl.DataFrame]:
    """Read a month file, after every byte of it has been verified: a parser may crash on a damaged file.

    Raises:
        DataError: the file is damaged, or its candles are refused.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _damaged(path) from error
    about = _words(content[-_WORDS_WITHIN_BYTES:], path)
    if _seal(content.replace(about.sha256.encode("ascii"), _OPEN_SEAL)) != about.sha256.encode("ascii"):
        raise _damaged(path)
    return about, checked(pl.read_parquet(BytesIO(content)), where=str(path), anomaly=None)


def _seal(content: bytes) -> bytes:
    """Hash a month file in which the place of the hash is still blank."""
    return hashlib.sha256(content).hexdigest().encode("ascii")


def _words(end_of_file: bytes, path: Path) -> StoredMonth:
    """Find the file's own words in its last bytes."""
    match = _WORDS.search(end_of_file)
    if match is None:
        raise _damaged(path)
    try:
        words = json.loads(match[0])
        return StoredMonth(
            month=path.stem,
            asked=TimeRange(*words["asked"]),
            rows=words["rows"],
            first_ms=words["first"],
            last_ms=words["last"],
            sha256=words["sha256"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> DataError:
    hint = "remove the file and fetch the month again; nothing else depends on it"
    what = "the month file is damaged, or this version did not write it"
    return DataError(Problem(code="month-file-damaged", what=what, where=Source(file=str(path)), hint=hint))
