"""Checksums of months: a month whose candles differ has another one, all others keep theirs."""

from dataclasses import replace

import numpy as np
import pytest
from oracles.asking import random_candles

from backtestkit_cli.data.marks import month_marks
from backtestkit_cli.model.time import parse_time

START_MS = parse_time("2023-02-28T23:00Z")


def test_months_are_marked_apart() -> None:
    assert [month for month, _ in month_marks(random_candles(1, 120, start_ms=START_MS))] == ["2023-02", "2023-03"]


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
def test_another_value_gives_its_month_another_mark(column: str) -> None:
    candles = random_candles(1, 120, start_ms=START_MS)
    values = getattr(candles, column).copy()
    values[70] = np.nextafter(values[70], 1e9)
    before, after = month_marks(candles), month_marks(replace(candles, **{column: values}))
    assert before[0] == after[0]
    assert before[1] != after[1]


def test_a_filled_minute_is_not_a_candle_of_the_same_values() -> None:
    candles = random_candles(1, 120, start_ms=START_MS)
    bridged = np.zeros(120, dtype=bool)
    bridged[70] = True
    assert month_marks(candles)[1] != month_marks(replace(candles, bridged=bridged))[1]


def test_what_stands_in_a_missing_minute_does_not_matter() -> None:
    candles = random_candles(1, 120, start_ms=START_MS)
    present = np.ones(120, dtype=bool)
    present[5] = False
    other = candles.close.copy()
    other[5] = 7.0
    assert month_marks(replace(candles, present=present)) == month_marks(replace(candles, present=present, close=other))
