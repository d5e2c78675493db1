"""The border refuses each kind of bad candle with words that help, and changes nothing."""

import math
from contextlib import nullcontext
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtestkit_cli.data.border import SCHEMA, checked, faults_of
from backtestkit_cli.errors import DataError, Problem
from backtestkit_cli.model.time import MINUTE_MS, iso, parse_time

START = parse_time("2023-03-01")
Row = list[Any]


def rows(count: int = 5) -> list[Row]:
    return [[START + n * MINUTE_MS, 100.0, 101.0, 99.0, 100.5, 2.0] for n in range(count)]


def frame(lines: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(lines, schema=SCHEMA, orient="row", strict=False)


def changed(*cells: tuple[int, int, Any]) -> pl.DataFrame:
    lines = rows()
    for row, column, value in cells:
        lines[row][column] = value
    return frame(lines)


def text(problem: Problem) -> str:
    place = problem.where
    moment = "" if place is None or place.time_ms is None else f" {iso(place.time_ms)}"
    file = "" if place is None else place.file
    return f"{problem.code} | {file}{moment} | {problem.what} | {problem.found} | {problem.hint}"


def refusal(candles: pl.DataFrame, **options: Any) -> list[str]:
    with pytest.raises(DataError) as caught:
        checked(candles, where="here.csv", **options)
    return [text(problem) for problem in caught.value.problems]


SECOND = "here.csv 2023-03-01T00:01Z"
CANDLE = "candle 2 of 5: 2023-03-01T00:01Z"
ROW_HINT = "remove or correct these rows in the source"
ORDER_HINT = "check the order of the columns: open, high, low, close"
SPIKE_HINT = f"{ROW_HINT}; prices this far from the median are errors of the exchange"


@pytest.mark.parametrize(
    ("candles", "expected"),
    [
        pytest.param(
            changed((1, 2, math.nan)),
            f"candle-not-a-number | {SECOND} | 1 candle with an empty, NaN or infinite value"
            f" | {CANDLE}, open 100.0, high nan, low 99.0, close 100.5, volume 2.0 | {ROW_HINT}",
            id="nan",
        ),
        pytest.param(
            changed((1, 5, math.inf)),
            f"candle-not-a-number | {SECOND} | 1 candle with an empty, NaN or infinite value"
            f" | {CANDLE}, open 100.0, high 101.0, low 99.0, close 100.5, volume inf | {ROW_HINT}",
            id="infinite",
        ),
        pytest.param(
            changed((1, 4, None), (3, 4, None)),
            f"candle-not-a-number | {SECOND} | 2 candles with an empty, NaN or infinite value"
            f" | {CANDLE}, open 100.0, high 101.0, low 99.0, close empty, volume 2.0 | {ROW_HINT}",
            id="none",
        ),
        pytest.param(
            changed((1, 0, None)),
            "candle-not-a-number | here.csv | 1 candle with an empty, NaN or infinite value"
            f" | candle 2 of 5: no time, open 100.0, high 101.0, low 99.0, close 100.5, volume 2.0 | {ROW_HINT}",
            id="no-time",
        ),
        pytest.param(
            changed((1, 3, -99.0)),
            f"candle-price-not-positive | {SECOND} | 1 candle with a price that is zero or negative"
            f" | {CANDLE}, open 100.0, high 101.0, low -99.0, close 100.5, volume 2.0 | {ROW_HINT}",
            id="negative-price",
        ),
        pytest.param(
            changed((1, 3, 0.0)),
            f"candle-price-not-positive | {SECOND} | 1 candle with a price that is zero or negative"
            f" | {CANDLE}, open 100.0, high 101.0, low 0.0, close 100.5, volume 2.0 | {ROW_HINT}",
            id="zero-price",
        ),
        pytest.param(
            changed((1, 5, -0.5)),
            f"candle-volume-negative | {SECOND} | 1 candle with a negative volume"
            f" | {CANDLE}, open 100.0, high 101.0, low 99.0, close 100.5, volume -0.5"
            " | a minute without trades has volume 0",
            id="negative-volume",
        ),
        pytest.param(
            changed((1, 2, 98.0)),
            f"candle-high-below-low | {SECOND} | 1 candle with a high below the low"
            f" | {CANDLE}, open 100.0, high 98.0, low 99.0, close 100.5, volume 2.0 | {ORDER_HINT}",
            id="high-below-low",
        ),
        pytest.param(
            changed((1, 1, 101.5)),
            f"candle-outside-range | {SECOND} | 1 candle with an open or close outside low to high"
            f" | {CANDLE}, open 101.5, high 101.0, low 99.0, close 100.5, volume 2.0 | {ORDER_HINT}",
            id="open-above-high",
        ),
        pytest.param(
            changed((1, 4, 98.5)),
            f"candle-outside-range | {SECOND} | 1 candle with an open or close outside low to high"
            f" | {CANDLE}, open 100.0, high 101.0, low 99.0, close 98.5, volume 2.0 | {ORDER_HINT}",
            id="close-below-low",
        ),
        pytest.param(
            frame([[line[0] // 1000, *line[1:]] for line in rows()]),
            "candle-time-unit | here.csv | 5 candles with a time that is not in milliseconds"
            " | candle 1 of 5: 1677628800, open 100.0, high 101.0, low 99.0, close 100.5, volume 2.0"
            " | these look like seconds: multiply by 1000",
            id="seconds",
        ),
        pytest.param(
            frame([[line[0] * 1000, *line[1:]] for line in rows()]),
            "candle-time-unit | here.csv | 5 candles with a time that is not in milliseconds"
            " | candle 1 of 5: 1677628800000000, open 100.0, high 101.0, low 99.0, close 100.5, volume 2.0"
            " | these look like microseconds: divide by 1000",
            id="microseconds",
        ),
        pytest.param(
            frame([[line[0] * 10**6, *line[1:]] for line in rows()]),
            "candle-time-unit | here.csv | 5 candles with a time that is not in milliseconds"
            " | candle 1 of 5: 1677628800000000000, open 100.0, high 101.0, low 99.0, close 100.5, volume 2.0"
            " | these look like nanoseconds: divide by 1000000",
            id="nanoseconds",
        ),
        pytest.param(
            changed((1, 0, START + MINUTE_MS + 1000)),
            "candle-off-grid | here.csv 2023-03-01T00:01:01Z | 1 candle with a time that is no whole minute"
            " | candle 2 of 5: 2023-03-01T00:01:01Z, open 100.0, high 101.0, low 99.0, close 100.5, volume 2.0"
            " | a candle is stamped with the minute it opens at, in UTC",
            id="off-grid",
        ),
        pytest.param(
            changed((1, 0, START)),
            "candle-duplicate | here.csv 2023-03-01T00:00Z | 1 candle with the time of an earlier one"
            " | candle 2 of 5: 2023-03-01T00:00Z, open 100.0, high 101.0, low 99.0, close 100.5, volume 2.0"
            " | keep one candle per minute",
            id="duplicate",
        ),
        pytest.param(
            changed((1, 0, START - MINUTE_MS)),
            "candle-unordered | here.csv 2023-02-28T23:59Z | 1 candle older than the one before"
            " | candle 2 of 5: 2023-02-28T23:59Z, open 100.0, high 101.0, low 99.0, close 100.5, volume 2.0"
            " | sort the candles by time, oldest first",
            id="unordered",
        ),
        pytest.param(
            changed((1, 2, 200_000.0)),
            f"candle-spike | {SECOND} | 1 candle with a price far off its neighbours"
            f" | {CANDLE}, open 100.0, high 200000.0, low 99.0, close 100.5, volume 2.0 | {SPIKE_HINT}",
            id="spike-up",
        ),
        pytest.param(
            changed((1, 3, 0.05)),
            f"candle-spike | {SECOND} | 1 candle with a price far off its neighbours"
            f" | {CANDLE}, open 100.0, high 101.0, low 0.05, close 100.5, volume 2.0 | {SPIKE_HINT}",
            id="spike-down",
        ),
    ],
)
def test_bad_candle_is_refused_with_its_place_and_a_hint(candles: pl.DataFrame, expected: str) -> None:
    assert refusal(candles) == [expected]


@pytest.mark.parametrize(
    ("now_ms", "code", "count"),
    [
        pytest.param(START + 5 * MINUTE_MS - 1, "candle-unfinished", "1 candle not closed yet", id="running-minute"),
        pytest.param(START + 4 * MINUTE_MS, "candle-unfinished", "1 candle not closed yet", id="just-opened"),
        pytest.param(START + 4 * MINUTE_MS - 1, "candle-in-future", "1 candle that opens in the future", id="future"),
    ],
)
def test_candle_that_has_not_closed_is_refused(now_ms: int, code: str, count: str) -> None:
    last = [line for line in refusal(frame(rows()), now_ms=now_ms) if line.startswith(code)]
    assert [line.split(" | ")[2] for line in last] == [count]


def test_candle_that_closes_right_now_is_let_in() -> None:
    assert len(checked(frame(rows()), where="here.csv", now_ms=START + 5 * MINUTE_MS)) == 5


def test_every_kind_of_fault_is_told_at_once() -> None:
    codes = [line.split(" ")[0] for line in refusal(changed((0, 5, -1.0), (2, 2, 1.0), (3, 0, START)))]
    assert codes == ["candle-volume-negative", "candle-high-below-low", "candle-duplicate"]


def test_columns_that_are_missing_are_named() -> None:
    with pytest.raises(DataError) as caught:
        checked(frame(rows()).drop("low", "volume"), where="here.csv")
    (problem,) = caught.value.problems
    assert (problem.code, problem.what) == ("candle-columns", "candles without low and volume")
    assert problem.found == "time, open, high, close"


@pytest.mark.parametrize(
    ("column", "values", "found"),
    [
        pytest.param("close", ["a"] * 5, "String", id="text"),
        pytest.param("time", [1.5] * 5, "Float64", id="fractions-as-time"),
        pytest.param("time", pl.Series([2**64 - 1] * 5, dtype=pl.UInt64), "UInt64", id="time-too-large"),
    ],
)
def test_column_of_another_type_is_refused(column: str, values: Any, found: str) -> None:
    with pytest.raises(DataError) as caught:
        checked(frame(rows()).with_columns(pl.Series(column, values)), where="here.csv")
    assert [(problem.code, problem.found) for problem in caught.value.problems] == [("candle-column-type", found)]


@pytest.mark.parametrize(
    "candles",
    [
        pytest.param(pl.DataFrame(schema=SCHEMA), id="no-rows"),
        pytest.param(pl.DataFrame({name: [] for name in SCHEMA}), id="no-rows-no-types"),
        pytest.param(changed((1, 5, 0.0)), id="zero-volume"),
        pytest.param(frame(rows()[:2] + rows()[4:]), id="hole"),
        pytest.param(frame(rows()).with_columns(pl.lit("x").alias("note")), id="extra-column"),
        pytest.param(frame(rows()).with_columns(pl.col("open").cast(pl.Float32)), id="narrow-numbers"),
    ],
)
def test_honest_candles_come_through_unchanged(candles: pl.DataFrame) -> None:
    through = checked(candles, where="here.csv")
    assert through.schema == SCHEMA
    assert through.rows() == candles.select(SCHEMA.names()).rows()


def test_price_that_grows_thousandfold_over_days_is_no_spike() -> None:
    growth = np.exp(np.linspace(0, math.log(50_000), 20_000))
    time = START + np.arange(20_000) * MINUTE_MS
    prices = dict.fromkeys(("open", "high", "low", "close"), growth)
    assert faults_of(pl.DataFrame({"time": time} | prices | {"volume": growth})) == []


WILD = st.sampled_from([None, math.nan, math.inf, -math.inf, -1.0, 0.0, 0.01, 99.0, 100.0, 101.0, 5e6])
TIMES = st.sampled_from([None, 0, -5, 60_000, START - 1, START, START + MINUTE_MS, START * 1000, 2**62, -(2**62)])


def ruined(lines: list[Row], cells: list[tuple[int, int, float | None, int | None]]) -> pl.DataFrame:
    for row, column, value, moment in cells:
        lines[row][column] = moment if column == 0 else value
    return frame(lines)


CELLS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 5), WILD, TIMES), max_size=4)


def is_bad(line: Row, before: Row | None) -> bool:
    time, *values = line
    if time is None or any(value is None or not math.isfinite(value) for value in values):
        return True
    open_, high, low, close, volume = values
    return (
        not 10**11 <= time < 10**14
        or time % MINUTE_MS != 0
        or not 0 < low <= min(open_, close)
        or not max(open_, close) <= high
        or volume < 0
        or (before is not None and (before[0] is None or time <= before[0]))
    )


@settings(max_examples=150, deadline=None)
@given(cells=CELLS)
def test_border_refuses_exactly_the_frames_with_a_bad_candle(
    cells: list[tuple[int, int, float | None, int | None]],
) -> None:
    candles = ruined(rows(8), cells)
    lines = [list(line) for line in candles.rows()]
    bad = any(is_bad(line, before) for line, before in zip(lines, [None, *lines], strict=False))
    found = {fault.code for fault in faults_of(candles)}
    assert bool(found - {"candle-spike"}) == bad
    with pytest.raises(DataError) if found else nullcontext():
        assert checked(candles, where="x").equals(candles)


def test_shown_candle_is_the_first_of_its_kind() -> None:
    (fault,) = faults_of(changed((2, 5, -1.0), (4, 5, -1.0)))
    assert (fault.count, fault.row) == (2, 2)
