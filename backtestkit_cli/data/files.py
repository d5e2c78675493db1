"""Candles from the user's own files: what is read as what.

* The content decides about the format, not the name: parquet, CSV, and CSV inside gzip or a zip of one file.
* Columns: time (also called timestamp, timestamp_ms, open_time), open, high, low, close, volume; others are ignored.
* Times: whole milliseconds, ISO text (without a zone it is UTC), or a date-time column of parquet.
* A kline dump of Binance (12 columns, with or without header) counts microseconds from 2025 on; there, and only
  there, microseconds become milliseconds.
"""

import gzip
import io
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from backtestkit_cli.data.border import USUAL, Anomaly, checked
from backtestkit_cli.disk import file_name
from backtestkit_cli.errors import ConfigError, DataError, Problem, Source
from backtestkit_cli.model.candle import CANDLE_COLUMNS, MarketSteps
from backtestkit_cli.model.time import MINUTE_MS, parse_time

SYMBOL_MARK = "{symbol}"
PARQUET_MARK = b"PAR1"
# RuntimeError: a zip with a password; NotImplementedError: a way to compress that this Python does not know
BAD_ARCHIVE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError)

_TIME_NAMES = ("time", "timestamp", "timestamp_ms", "open_time")
_BINANCE_COLUMNS = 12
_FIRST_MICROSECOND_TIME = 10**14
_ENOUGH_ROWS = 10
_ISO_FORMATS = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d")


class FilesExchange:
    """Candles of one file per symbol; `path` holds `{symbol}` and counts from the project folder."""

    def __init__(self, path: str, steps: Mapping[str, MarketSteps], project: Path, anomaly: Anomaly = USUAL) -> None:
        if SYMBOL_MARK not in path:
            raise ConfigError(
                Problem(
                    code="path-without-symbol",
                    what="the path of the candle files does not say where the symbol goes",
                    where=Source(key="path"),
                    found=path,
                    expected="a path with {symbol}",
                    hint="write it like data/{symbol}_1m.parquet; every symbol has a file of its own",
                )
            )
        self._path = path
        self._steps = steps
        self._project = project
        self._anomaly = anomaly
        self._read: dict[str, tuple[tuple[int, int], pl.DataFrame]] = {}

    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        """Give the 1m candles that open in `[start_ms, end_ms)`.

        Raises:
            DataError: the file is missing or damaged, or its candles are.
        """
        frame = self._all(symbol)
        first, last = (int(frame["time"].search_sorted(moment)) for moment in (start_ms, end_ms))
        return frame.slice(first, max(0, last - first))

    def steps(self, symbol: str) -> MarketSteps:
        """Price and quantity steps as configured."""
        return self._steps.get(symbol, MarketSteps())

    def end_ms(self, symbol: str) -> int | None:
        """The close of the last candle in the file.

        Raises:
            DataError: the file is missing or damaged, or its candles are.
        """
        return int(self._all(symbol)["time"][-1]) + MINUTE_MS

    def _all(self, symbol: str) -> pl.DataFrame:
        path = self._project / self._path.replace(SYMBOL_MARK, file_name(symbol))
        try:
            status = path.stat()
        except OSError as error:
            raise _unreadable(path, error) from error
        version = (status.st_mtime_ns, status.st_size)
        known = self._read.get(symbol)
        if known is None or known[0] != version:
            known = self._read[symbol] = (version, read_candles(path, self._anomaly))
        return known[1]


def read_candles(path: Path, anomaly: Anomaly = USUAL, now_ms: int | None = None) -> pl.DataFrame:
    """Read a file of 1m candles through the border; with `now_ms` none may lie in the future.

    Columns: time (Int64, open time in UTC ms), open, high, low, close, volume (Float64); at least one row.

    Raises:
        DataError: there is no such file, it is no file of candles, or its candles are refused.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    if not content:
        raise _damaged("file-empty", "the file is empty", path)
    frame = _parquet(content, path) if content.startswith(PARQUET_MARK) else _csv(_unpacked(content, path), path)
    if frame.is_empty():
        raise _damaged("file-without-candles", "the file has a head but no candles", path)
    candles = checked(frame, where=str(path), anomaly=anomaly, now_ms=now_ms)
    shortest = candles["time"].diff().min()
    if isinstance(shortest, int) and shortest > MINUTE_MS and len(candles) >= _ENOUGH_ROWS:
        what = f"no two candles are less than {shortest // MINUTE_MS} minutes apart: these are no 1m candles"
        where, hint = Source(file=str(path)), "larger candles are built from 1m ones; take the 1m file"
        raise DataError(Problem("candle-interval", what, where, expected="candles of 1 minute", hint=hint))
    return candles


def _unpacked(content: bytes, path: Path) -> bytes:
    try:
        if content.startswith(b"\x1f\x8b"):
            return gzip.decompress(content)
        if content.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                names = archive.namelist()
                if len(names) == 1:
                    return archive.read(names[0])
            raise _damaged(
                "archive-content", "the archive must hold one file", path, found=", ".join(names) or "nothing"
            )
    except BAD_ARCHIVE as error:
        raise _damaged("file-damaged", "the archive is damaged or cut off", path) from error
    return content


def _parquet(content: bytes, path: Path) -> pl.DataFrame:
    if not content.endswith(PARQUET_MARK):
        raise _damaged("file-damaged", "the parquet file is damaged or cut off", path)
    try:
        with _without_crash_report():
            frame = pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise _damaged("file-damaged", "the parquet file is damaged or cut off", path) from error
    frame = _named(frame)
    return _with_times(frame, path) if "time" in frame.columns else frame


@contextmanager
def _without_crash_report() -> Iterator[None]:
    """Keep the parser from printing its own stack trace about a damaged file; our words follow."""
    try:
        kept = os.dup(2)
    except OSError:
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _csv(content: bytes, path: Path) -> pl.DataFrame:
    head = content.partition(b"\n")[0].lstrip(b"\xef\xbb\xbf").strip()
    if b"\0" in content[:4096]:
        raise _damaged("file-unknown", "the file is neither parquet nor CSV", path)
    has_header = not head.lstrip(b'"')[:1].isdigit()
    try:
        frame = pl.read_csv(content, has_header=has_header, infer_schema=False, raise_if_empty=False)
    except pl.exceptions.PolarsError as error:
        raise _damaged("file-damaged", "the file is no CSV with the same number of cells in each line", path) from error
    if not has_header:
        frame = _without_header(frame, path)
    frame = _named(frame)
    texts = [name for name in CANDLE_COLUMNS if name in frame.columns]
    frame = frame.with_columns(pl.col(texts).str.strip_chars())
    if "time" in frame.columns:
        frame = _with_times(frame, path)
    return _with_numbers(frame, path, first_line=2 if has_header else 1)


def _without_header(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    if frame.width not in (len(CANDLE_COLUMNS), _BINANCE_COLUMNS):
        raise _damaged(
            "csv-without-header",
            "the CSV has no header and neither 6 nor 12 columns",
            path,
            found=f"{frame.width} columns",
            hint=f"add a first line with {','.join(CANDLE_COLUMNS)}",
        )
    return frame.rename(dict(zip(frame.columns, CANDLE_COLUMNS, strict=False)))


def _named(frame: pl.DataFrame) -> pl.DataFrame:
    """Give the columns our names; the first name of a time that is there wins."""
    spelled = {name: name.strip().lstrip("\ufeff").strip('"').lower().replace(" ", "_") for name in frame.columns}
    if len(set(spelled.values())) == frame.width:
        frame = frame.rename(spelled)
    time = next((name for name in _TIME_NAMES if name in frame.columns), None)
    return frame.rename({time: "time"}) if time else frame


def _with_times(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Read the time column as milliseconds, whatever it is written in."""
    time = frame["time"]
    if time.dtype == pl.String:
        numbers = time.cast(pl.Int64, strict=False)
        time = _from_iso(time, path) if numbers.null_count() > time.null_count() else numbers
    elif isinstance(time.dtype, pl.Datetime):
        whole = time.dt.cast_time_unit("ms")
        if not (whole.dt.cast_time_unit(time.dtype.time_unit) == time).all():
            raise _damaged("candle-off-grid", "times with fractions of a millisecond", path)
        time = whole.dt.epoch("ms")
    elif time.dtype == pl.Date:
        time = time.cast(pl.Datetime("ms")).dt.epoch("ms")
    if frame.width == _BINANCE_COLUMNS and time.dtype == pl.Int64:
        is_fine = (time >= _FIRST_MICROSECOND_TIME) & (time % 1000 == 0)
        time = pl.select(pl.when(is_fine).then(time // 1000).otherwise(time)).to_series()
    return frame.with_columns(time.alias("time"))


def _from_iso(texts: pl.Series, path: Path) -> pl.Series:
    """Read ISO texts: the usual forms all at once, the rest one by one."""
    plain = texts.str.replace(" ", "T").str.strip_suffix("Z")
    moments = [plain.str.to_datetime(form, time_unit="ms", strict=False) for form in _ISO_FORMATS]
    times = pl.select(pl.coalesce(moments)).to_series().dt.epoch("ms")
    rest = (times.is_null() & texts.is_not_null()).arg_true()
    for row in rest:
        try:
            times[row] = parse_time(texts[row])
        except ValueError as error:
            raise _damaged("time-unreadable", f"candle {row + 1}: {error}", path) from error
    return times


def _with_numbers(frame: pl.DataFrame, path: Path, *, first_line: int) -> pl.DataFrame:
    columns = [name for name in CANDLE_COLUMNS[1:] if name in frame.columns]
    numbers = frame.with_columns(pl.col(columns).cast(pl.Float64, strict=False))
    for name in columns:
        wrong = (numbers[name].is_null() & frame[name].is_not_null() & (frame[name] != "")).arg_true()
        if len(wrong):
            row = int(wrong[0])
            raise DataError(
                Problem(
                    code="cell-not-a-number",
                    what=f"{_cells(len(wrong))} in the column {name} cannot be read as a number",
                    where=Source(file=str(path), line=row + first_line),
                    found=repr(frame[name][row]),
                    hint="write numbers with a decimal point and without separators",
                )
            )
    return numbers


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _unreadable(path: Path, error: OSError) -> DataError:
    if isinstance(error, FileNotFoundError):
        return _damaged("file-missing", "there is no such file", path, hint="check the path and the symbol")
    return _damaged(
        "file-unreadable", f"the file cannot be read: {error.strerror}", path, hint="check the path and its rights"
    )


def _damaged(
    code: str,
    what: str,
    path: Path,
    *,
    found: str | None = None,
    hint: str = "get the file again from where it came from",
) -> DataError:
    return DataError(Problem(code=code, what=what, where=Source(file=str(path)), found=found, hint=hint))
