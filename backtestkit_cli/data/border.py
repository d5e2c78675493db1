"""The one strict check that every candle passes on its way in.

* Nothing is repaired, filled or dropped here: a frame is taken as it is, or refused with everything wrong in it.
* Each kind of fault is counted, and its first candle is shown.
* A missing minute and a minute without volume are facts about a market, no faults.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from backtestkit_cli.errors import DataError, Problem, Source
from backtestkit_cli.model.candle import CANDLE_COLUMNS, PRICE_COLUMNS
from backtestkit_cli.model.time import MINUTE_MS, iso

SCHEMA = pl.Schema(
    {"time": pl.Int64, "open": pl.Float64, "high": pl.Float64, "low": pl.Float64, "close": pl.Float64}
    | {"volume": pl.Float64}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """When a price is an error: further than `factor` times from the median, or from the mean of fewer candles."""

    factor: float = 1000.0
    median_candles: int = 5


USUAL = Anomaly()

_SPIKE_BLOCK_ROWS = 1440
_FIRST_TIME_MS = 10**11
_LAST_TIME_MS = 10**14

_Mask = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of fault in a frame: how many candles have it, and the row of the first."""

    code: str
    count: int
    row: int


_WORDS = {
    "candle-not-a-number": ("{n} with an empty, NaN or infinite value", "remove or correct these rows in the source"),
    "candle-price-not-positive": (
        "{n} with a price that is zero or negative",
        "remove or correct these rows in the source",
    ),
    "candle-volume-negative": ("{n} with a negative volume", "a minute without trades has volume 0"),
    "candle-high-below-low": (
        "{n} with a high below the low",
        "check the order of the columns: open, high, low, close",
    ),
    "candle-outside-range": (
        "{n} with an open or close outside low to high",
        "check the order of the columns: open, high, low, close",
    ),
    "candle-time-unit": ("{n} with a time that is not in milliseconds", "times are milliseconds since 1970 in UTC"),
    "candle-off-grid": (
        "{n} with a time that is no whole minute",
        "a candle is stamped with the minute it opens at, in UTC",
    ),
    "candle-duplicate": ("{n} with the time of an earlier one", "keep one candle per minute"),
    "candle-unordered": ("{n} older than the one before", "sort the candles by time, oldest first"),
    "candle-unfinished": ("{n} not closed yet", "leave out the running minute"),
    "candle-in-future": ("{n} that opens in the future", "check the times, and the clock of this computer"),
    "candle-spike": (
        "{n} with a price far off its neighbours",
        "remove or correct these rows in the source; prices this far from the median are errors of the exchange",
    ),
}


def checked(
    frame: pl.DataFrame, *, where: str, now_ms: int | None = None, anomaly: Anomaly | None = USUAL
) -> pl.DataFrame:
    """Let 1m candles in, as time (Int64, open time in UTC ms), open, high, low, close, volume (Float64).

    `where` names the place for messages; with `now_ms` every candle must have closed by then. A price that is an
    `anomaly` among the about 1440 candles around it is refused; None asks for no such test. Other columns are left out.
    A frame without rows is fine.

    Raises:
        DataError: one problem for each kind of fault.
    """
    candles = typed(frame, where=where)
    faults = faults_of(candles, now_ms=now_ms, anomaly=anomaly)
    if faults:
        raise DataError(*(_problem(fault, candles, where) for fault in faults))
    return candles


def typed(frame: pl.DataFrame, *, where: str) -> pl.DataFrame:
    """Pick the candle columns and give them their types, without looking at values.

    Raises:
        DataError: a column is missing, or is no column of numbers.
    """
    if list(frame.schema.items()) == list(SCHEMA.items()):
        return frame
    missing = [name for name in CANDLE_COLUMNS if name not in frame.columns]
    if missing:
        raise DataError(
            Problem(
                code="candle-columns",
                what=f"candles without {' and '.join(missing)}",
                where=Source(file=where),
                found=", ".join(frame.columns) or "no columns",
                expected=", ".join(CANDLE_COLUMNS),
                hint="name the columns so; time may also be called timestamp, timestamp_ms or open_time in files",
            )
        )
    wrong = [name for name in CANDLE_COLUMNS if not _fits(name, frame.schema[name])]
    if not wrong:
        try:
            return frame.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
        except pl.exceptions.InvalidOperationError:
            wrong = ["time"]
    raise DataError(
        *(
            Problem(
                code="candle-column-type",
                what=f"the column {name} holds no {'whole ' if name == 'time' else ''}numbers",
                where=Source(file=where),
                found=str(frame.schema[name]),
                expected=str(SCHEMA[name]),
                hint="times are whole milliseconds, prices and volumes plain numbers",
            )
            for name in wrong
        )
    )


def _fits(name: str, kind: pl.DataType) -> bool:
    return kind == pl.Null or (kind.is_integer() if name == "time" else kind.is_numeric())


def faults_of(candles: pl.DataFrame, *, now_ms: int | None = None, anomaly: Anomaly | None = USUAL) -> list[Fault]:
    """List what is wrong with typed candles, each kind once; an empty list when all is well."""
    if candles.is_empty() or _is_clean(candles, now_ms, anomaly):
        return []
    return [
        Fault(code=code, count=int(np.count_nonzero(mask)), row=int(mask.argmax()))
        for code, mask in _masks(candles, now_ms, anomaly)
        if mask.any()
    ]


def _is_clean(candles: pl.DataFrame, now_ms: int | None, anomaly: Anomaly | None) -> bool:
    """Whether no mask would mark a candle; the quick way, for nearly all frames are clean."""
    if any(column.null_count() for column in candles):
        return False
    time, open_, high, low, close, volume = (candles[name].to_numpy() for name in CANDLE_COLUMNS)
    lowest, highest = float(low.min()), float(high.max())
    return bool(
        lowest > 0
        and (anomaly is None or highest <= lowest * anomaly.factor)
        and highest < np.inf
        and (low <= open_).all()
        and (low <= close).all()
        and (open_ <= high).all()
        and (close <= high).all()
        and 0 <= volume.min() <= volume.max() < np.inf
        and _is_clean_time(time, now_ms)
    )


def _is_clean_time(time: _Ints, now_ms: int | None) -> bool:
    first, last = int(time[0]), int(time[-1])
    if (
        first < _FIRST_TIME_MS
        or last >= _LAST_TIME_MS
        or first % MINUTE_MS
        or (now_ms is not None and last + MINUTE_MS > now_ms)
    ):
        return False
    steps = np.diff(time)
    return bool((steps == MINUTE_MS).all() or ((steps > 0).all() and not (steps % MINUTE_MS).any()))


def _masks(candles: pl.DataFrame, now_ms: int | None, anomaly: Anomaly | None) -> Iterator[tuple[str, _Mask]]:
    prices = {name: candles[name].fill_null(np.nan).to_numpy() for name in PRICE_COLUMNS}
    volume = candles["volume"].fill_null(np.nan).to_numpy()
    known = candles["time"].is_not_null().to_numpy()
    time = candles["time"].fill_null(strategy="forward").fill_null(0).to_numpy()
    yield from _value_masks(prices, volume, known)
    yield from _time_masks(time, known, now_ms)
    if anomaly is not None:
        yield "candle-spike", _spikes(prices, anomaly)


def _value_masks(prices: dict[str, _Floats], volume: _Floats, known: _Mask) -> Iterator[tuple[str, _Mask]]:
    open_, high, low, close = (prices[name] for name in PRICE_COLUMNS)
    lowest = np.minimum(np.minimum(open_, close), np.minimum(high, low))
    highest = np.maximum(np.maximum(open_, close), np.maximum(high, low))
    finite = np.isfinite(lowest) & np.isfinite(highest) & np.isfinite(volume)
    crossed = finite & (high < low)
    yield "candle-not-a-number", ~(finite & known)
    yield "candle-price-not-positive", finite & (lowest <= 0)
    yield "candle-volume-negative", finite & (volume < 0)
    yield "candle-high-below-low", crossed
    yield "candle-outside-range", finite & ~crossed & ((highest > high) | (lowest < low))


def _time_masks(time: _Ints, known: _Mask, now_ms: int | None) -> Iterator[tuple[str, _Mask]]:
    in_ms = (time >= _FIRST_TIME_MS) & (time < _LAST_TIME_MS)
    usable = known & in_ms
    yield "candle-time-unit", known & ~in_ms
    yield "candle-off-grid", usable & (time % MINUTE_MS != 0)
    later = np.diff(time, prepend=time[0] - 1) > 0
    if not later.all():
        repeated = ~pl.Series(time).is_first_distinct().to_numpy()
        yield "candle-duplicate", known & repeated
        yield "candle-unordered", known & ~later & ~repeated
    if now_ms is not None:
        yield "candle-unfinished", usable & (time <= now_ms) & (time + MINUTE_MS > now_ms)
        yield "candle-in-future", usable & (time > now_ms)


def _spikes(prices: dict[str, _Floats], anomaly: Anomaly) -> _Mask:
    """Mark prices far from the median close of their block; over years honest prices do grow thousandfold."""
    low, high, close = prices["low"], prices["high"], prices["close"]
    usable = np.isfinite(low) & np.isfinite(high) & np.isfinite(close) & (low > 0) & (close > 0)
    spikes = np.zeros(len(close), dtype=np.bool_)
    if not usable.any() or high[usable].max() <= low[usable].min() * anomaly.factor:
        return spikes
    for rows in np.array_split(np.arange(len(close)), max(1, len(close) // _SPIKE_BLOCK_ROWS)):
        taken = rows[usable[rows]]
        if len(taken):
            average = np.median if len(taken) >= anomaly.median_candles else np.mean
            usual = average(close[taken])
            spikes[taken] = (low[taken] < usual / anomaly.factor) | (high[taken] > usual * anomaly.factor)
    return spikes


def _problem(fault: Fault, candles: pl.DataFrame, where: str) -> Problem:
    what, hint = _WORDS[fault.code]
    time = candles["time"][fault.row]
    if fault.code == "candle-time-unit":
        hint = _unit_hint(int(time))
    return Problem(
        code=fault.code,
        what=what.format(n="1 candle" if fault.count == 1 else f"{fault.count} candles"),
        where=Source(file=where, time_ms=time if _is_printable(time) else None),
        found=_candle_text(candles, fault.row),
        hint=hint,
    )


def _unit_hint(time: int) -> str:
    for unit, factor in (("seconds: multiply by 1000", 1000), ("microseconds: divide by 1000", 1e-3)):
        if _FIRST_TIME_MS <= time * factor < _LAST_TIME_MS:
            return f"these look like {unit}"
    if _FIRST_TIME_MS <= time / 10**6 < _LAST_TIME_MS:
        return "these look like nanoseconds: divide by 1000000"
    return "times are milliseconds since 1970 in UTC"


def _candle_text(candles: pl.DataFrame, row: int) -> str:
    time, *values = candles.row(row)
    moment = iso(time) if _is_printable(time) else "no time" if time is None else str(time)
    words = (
        f"{name} {'empty' if value is None else value}" for name, value in zip(CANDLE_COLUMNS[1:], values, strict=True)
    )
    return f"candle {row + 1} of {len(candles)}: {moment}, {', '.join(words)}"


def _is_printable(time: int | None) -> bool:
    return time is not None and _FIRST_TIME_MS <= time < _LAST_TIME_MS
