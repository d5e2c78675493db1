"""The border for what strategies answer: a draft, a frame of drafts, or a reason why it is neither.

What passes has the right shape and plain types. Whether its numbers make sense is not asked here: NaN, a stop above
the entry or a position `sideways` pass, and validation counts them by rule.
"""

import inspect
from collections.abc import Mapping
from dataclasses import MISSING, fields
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from backtestkit_cli.model.signal import SignalDraft
from backtestkit_cli.model.time import iso
from backtestkit_cli.plugins.words import described, meant, one_line, shown

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import polars as pl

WAIT = "wait"
_SIDES = ("long", "short", WAIT)
_KNOWN = tuple(field.name for field in fields(SignalDraft))
_REQUIRED = tuple(field.name for field in fields(SignalDraft) if field.default is MISSING)
_TEXTS = ("note", "id")
_MINUTES = ("lifetime_minutes", "wait_minutes")

FRAME_REQUIRED = ("time", "position", "price_take_profit", "price_stop_loss", "lifetime_minutes")
FRAME_OPTIONAL = ("price_open", "wait_minutes", "note")


class AnswerProblem(ValueError):  # noqa: N818  # the answer is the problem, the program is fine
    """What a strategy answered is no answer; the text says why."""


def draft_from(answer: object) -> SignalDraft | None:
    """Read the answer of a strategy that is asked per decision: a draft, a mapping with its keys, or None.

    The position `wait` is None. Numbers become plain int or float of the same value.

    Raises:
        AnswerProblem: it is anything else.
    """
    if answer is None:
        return None
    given = _keys(answer)
    position = given.get("position")
    if isinstance(position, str) and position == WAIT:
        return None
    for name in _REQUIRED:
        if name not in given:
            raise AnswerProblem(f"{name} is missing")
    if not isinstance(position, str):
        raise AnswerProblem(f"position is {shown(position)}, not long, short or wait")
    values = {name: _value(name, value) for name, value in given.items() if name != "position"}
    return SignalDraft(position=str(position), **values)


def _keys(answer: object) -> dict[str, object]:
    if isinstance(answer, SignalDraft):
        return {name: getattr(answer, name) for name in _KNOWN}
    if not isinstance(answer, Mapping):
        raise AnswerProblem(f"the answer is {_name_of(answer)}, not a SignalDraft, a mapping or None")
    try:
        given = dict(answer)
    except Exception as error:  # a mapping of the user's own may do anything
        raise AnswerProblem(f"the answer is a mapping that cannot be read: {described(error)}") from error
    for name in given:
        if name not in _KNOWN:
            raise AnswerProblem(f"unknown key {one_line(str(name))}; {meant(str(name), _KNOWN)}")
    return given


def _name_of(answer: object) -> str:
    if inspect.iscoroutine(answer):
        answer.close()  # or Python warns that nobody has awaited it
        return "a coroutine (a strategy is no async function)"
    if inspect.isgenerator(answer) or inspect.isasyncgen(answer):
        return "a generator (a strategy returns, it does not yield)"
    if isinstance(answer, type):
        return f"the class {answer.__name__} itself"
    return f"{shown(answer)} of type {type(answer).__name__}"


def _value(name: str, value: object) -> Any:
    if name in _TEXTS:
        return _text(name, value)
    if value is None and name not in _REQUIRED:
        return None
    return _number(name, value)


def _text(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise AnswerProblem(f"{name} is {shown(value)} of type {type(value).__name__}, not a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise AnswerProblem(f"{name} holds a character that cannot be written") from None
    return str(value)


def _number(name: str, value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise AnswerProblem(f"{name} is {shown(value)} of type {type(value).__name__}, not a number")
    try:
        number = float(value)
        return int(value) if name in _MINUTES and isinstance(value, Integral) else number
    except Exception as error:
        raise AnswerProblem(f"{name} is {shown(value)}, no number a price could be: {described(error)}") from error


def frame_from(answer: object, given_times: "npt.NDArray[np.int64]") -> "pl.DataFrame":
    """Read the frame of a vectorised strategy; `given_times` are the times it was given, ascending (UTC ms).

    A lazy frame is computed here, so user code runs in this call. Only rows with a position come back.

    Columns: time (Int64, UTC ms), position (String, long or short), price_take_profit, price_stop_loss,
    lifetime_minutes (Float64, NaN where the row had none), price_open, wait_minutes (Float64, null where not given),
    note (String, null where not given).

    Raises:
        AnswerProblem: it is no frame, has missing, unknown or wrongly typed columns, times that are unordered, double
            or not among the given, or a position that is none.
    """
    import polars as pl

    frame = _computed(answer)
    _check_columns(frame)
    times = _times(frame, given_times)
    position = _position(frame, times)
    columns: dict[str, pl.Series] = {"time": times, "position": position}
    for name in ("price_take_profit", "price_stop_loss", "lifetime_minutes"):
        columns[name] = _numbers(frame, name).fill_null(float("nan"))
    for name in ("price_open", "wait_minutes"):
        columns[name] = (
            _numbers(frame, name)
            if name in frame.columns
            else pl.repeat(None, len(frame), dtype=pl.Float64, eager=True)
        )
    columns["note"] = _notes(frame)
    return pl.DataFrame(columns).filter(pl.col("position").is_not_null())


def _computed(answer: object) -> "pl.DataFrame":
    import polars as pl

    if isinstance(answer, pl.DataFrame):
        return answer
    if not isinstance(answer, pl.LazyFrame):
        raise AnswerProblem(f"the answer is {_name_of(answer)}, not a LazyFrame")
    try:
        return answer.collect()
    except (Exception, pl.exceptions.PanicException) as error:
        raise AnswerProblem(f"the answer is a frame that cannot be computed: {described(error)}") from error


def _check_columns(frame: "pl.DataFrame") -> None:
    known = (*FRAME_REQUIRED, *FRAME_OPTIONAL)
    missing = [name for name in FRAME_REQUIRED if name not in frame.columns]
    if missing:
        raise AnswerProblem(f"the frame has no column {missing[0]}; it has: {', '.join(frame.columns) or 'none'}")
    for name in frame.columns:
        if name not in known:
            raise AnswerProblem(f"unknown column {one_line(name)}; {meant(name, known)}; end with .select(...)")


def _times(frame: "pl.DataFrame", given_times: "npt.NDArray[np.int64]") -> "pl.Series":
    import numpy as np
    import polars as pl

    column = frame["time"]
    if not (column.dtype.is_integer() or (column.dtype == pl.Null and column.is_empty())):
        raise AnswerProblem(f"time is of type {column.dtype}, not whole milliseconds; keep the column that was given")
    if column.null_count():
        raise AnswerProblem("time is null in some rows")
    try:
        times = column.cast(pl.Int64)
    except pl.exceptions.PolarsError as error:
        raise AnswerProblem(f"time holds what is no time: {described(error)}") from error
    values = times.to_numpy()
    backwards = np.flatnonzero(np.diff(values) <= 0)
    if len(backwards):
        row = int(backwards[0]) + 1
        raise AnswerProblem(f"time goes from {_when(values[row - 1])} to {_when(values[row])}; it must ascend")
    strange = values[~np.isin(values, given_times)]
    if len(strange):
        raise AnswerProblem(f"{_when(strange[0])} is none of the times that were given")
    return times


def _when(time_ms: "np.int64") -> str:
    try:
        return iso(int(time_ms))
    except (ValueError, OverflowError, OSError):
        return str(int(time_ms))


def _position(frame: "pl.DataFrame", times: "pl.Series") -> "pl.Series":
    import polars as pl

    column = frame["position"]
    if column.dtype not in (pl.String, pl.Null) and not isinstance(column.dtype, pl.Categorical | pl.Enum):
        raise AnswerProblem(f"position is of type {column.dtype}, not text: long, short or null")
    position = column.cast(pl.String)
    wrong = (position.is_not_null() & ~position.is_in(_SIDES)).arg_true()
    if len(wrong):
        row = int(wrong[0])
        raise AnswerProblem(f"position is {shown(position[row])} at {_when(times[row])}, not long, short or null")
    return pl.select(pl.when(position != WAIT).then(position).alias("position")).to_series()


def _numbers(frame: "pl.DataFrame", name: str) -> "pl.Series":
    import polars as pl

    if name not in frame.columns:
        return pl.repeat(None, frame.height, dtype=pl.Float64, eager=True)
    column = frame[name]
    if not (column.dtype.is_numeric() or column.dtype == pl.Null):
        raise AnswerProblem(f"{name} is of type {column.dtype}, not a number")
    return column.cast(pl.Float64)


def _notes(frame: "pl.DataFrame") -> "pl.Series":
    import polars as pl

    if "note" not in frame.columns:
        return pl.repeat(None, len(frame), dtype=pl.String, eager=True)
    column = frame["note"]
    if column.dtype not in (pl.String, pl.Null) and not isinstance(column.dtype, pl.Categorical | pl.Enum):
        raise AnswerProblem(f"note is of type {column.dtype}, not text")
    return column.cast(pl.String)
