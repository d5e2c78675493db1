"""The rule functions against TA-Lib and against a second, slow implementation."""

import csv
import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
from oracles.asking import ask, candles_of
from oracles.cases import PLAIN, TALIB, tolerance
from oracles.with_talib import talib_columns
from shared import SHARED, needs_shared

from backtestkit_cli.engine.candles import Candles, Floats

FOLDER = Path(__file__).parents[1] / "data" / "oracles"
INTERVALS = {"whole": 1, "holes": 5}
SETTLED_ROWS = 168  # 42 × the longest recursion, adx(4)


def _table(name: str) -> list[dict[str, str]]:
    with (FOLDER / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def _candles(name: str) -> Candles:
    return candles_of(tuple(float(value) for value in row.values()) for row in _table(name))  # type: ignore[misc]


@pytest.mark.parametrize("name", INTERVALS)
@pytest.mark.parametrize("case", PLAIN)
def test_values_are_those_of_the_oracle(name: str, case: str) -> None:
    candles = _candles(name)
    minutes = INTERVALS[name]
    times = ask_times(candles, minutes)
    values, closes = ask(case, candles, minutes), ask("close", candles, minutes)
    compared = 0
    for row in _table(f"{name}_expected"):
        place = times[int(float(row["time"]))]
        if row[case] == "":
            assert math.isnan(values[place]), row["time"]
            continue
        expected = float(row[case])
        # Without a close there is no candle, so there would be no value either.
        assert abs(values[place] - expected) <= tolerance(case, expected, closes[place]), row["time"]
        compared += 1
    assert compared > 50


def ask_times(candles: Candles, minutes: int) -> dict[int, int]:
    """Row of each close time."""
    length = minutes * 60_000
    first = -(-candles.start_ms // length) * length + length
    return {time: row for row, time in enumerate(range(first, candles.end_ms + 1, length))}


def test_every_function_of_the_language_has_an_oracle() -> None:
    from backtestkit_cli.engine.rules.functions import FUNCTIONS

    assert {name for name in FUNCTIONS if not any(f"{name}(" in case for case in PLAIN)} == set()


def _runs(candles: Candles) -> list[tuple[int, int]]:
    """Unbroken runs of rows that are long enough to settle."""
    present = np.ones(len(candles), dtype=bool) if candles.present is None else candles.present
    edges = np.flatnonzero(np.diff(present.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    return [(int(first), int(last)) for first, last in edges if last - first > SETTLED_ROWS]


@needs_shared
@pytest.mark.skipif(importlib.util.find_spec("talib") is None, reason="TA-Lib is not installed")
@pytest.mark.parametrize(
    "file",
    [
        "binanceus_BTCUSDT_1m_2023-03.parquet",
        "binanceus_BTCUSDC_1m_2023-03.parquet",
        "bybit_LINKUSDT_1m_gappy_2024-09.parquet",
    ],
)
def test_values_are_those_of_talib_on_real_candles(file: str) -> None:
    import polars as pl

    path = SHARED / "data" / file
    frame = pl.read_parquet(path)
    names = ("open", "high", "low", "close", "volume")
    candles = Candles.from_rows(frame["timestamp"].to_numpy(), *(frame[name].to_numpy() for name in names))
    answers = {case: ask(case, candles) for case in TALIB}
    compared = dict.fromkeys(TALIB, 0)
    for first, last in _runs(candles):
        part = slice(first, last)
        close = candles.close[part]
        expected = talib_columns(candles.open[part], candles.high[part], candles.low[part], close)
        for case in TALIB:
            compared[case] += _compare(case, answers[case][part], expected[case], close)
    assert min(compared.values()) > 3_000, compared


def _compare(case: str, answer: Floats, expected: Floats, close: Floats) -> int:
    """Compare settled rows where ours is not null; how many there were."""
    known = np.isfinite(answer)
    known[:SETTLED_ROWS] = False
    allowed = [tolerance(case, value, price) for value, price in zip(expected[known], close[known], strict=True)]
    worst = np.abs(answer - expected)[known] - allowed
    assert not (worst > 0).any(), (case, float(worst.max()), int(np.count_nonzero(worst > 0)))
    return int(np.count_nonzero(known))
