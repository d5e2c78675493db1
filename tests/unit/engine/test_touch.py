"""The first touch of a level, against a loop over minutes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as some

from backtestkit_cli.engine.candles import Floats
from backtestkit_cli.engine.touch import first_touch, first_touch_of_one


def by_loop(high: Floats, low: Floats, start: int, stop: int, upper: float, lower: float) -> int:
    for row in range(start, min(stop, len(high))):
        if high[row] >= upper or low[row] <= lower:
            return row
    return -1


@given(seed=some.integers(0, 2**32), rows=some.integers(1, 400), candidates=some.integers(0, 40), one=some.booleans())
@settings(max_examples=150, deadline=None)
def test_the_first_touch_is_that_of_a_loop(seed: int, rows: int, candidates: int, *, one: bool) -> None:
    dice = np.random.default_rng(seed)
    middle: Floats = np.round(np.cumsum(dice.normal(0, 0.2, rows)), 1).astype(np.float64)
    middle[dice.random(rows) < 0.1] = np.nan
    high: Floats = middle if one else middle + np.round(dice.random(rows), 1)
    low: Floats = middle if one else middle - np.round(dice.random(rows), 1)
    start = dice.integers(0, rows + 1, candidates)
    stop = np.minimum(start + dice.integers(0, rows + 1, candidates), rows)
    level = np.round(dice.normal(0, 2, candidates), 1)
    upper, lower = level + dice.integers(0, 40, candidates) / 10, level
    found = first_touch(high, low, start, stop, upper, lower)
    wanted = [by_loop(high, low, *asked) for asked in zip(start, stop, upper, lower, strict=True)]
    assert found.tolist() == wanted
    assert [
        first_touch_of_one(high, low, int(first), int(last), float(top), float(bottom))
        for first, last, top, bottom in zip(start, stop, upper, lower, strict=True)
    ] == wanted


def test_a_touch_is_found_behind_every_window() -> None:
    rows = 20_000
    flat = np.full(rows, 100.0)
    for place in (0, 31, 32, 63, 64, 95, 96, 319, 320, 4_095, 4_096, 12_000, rows - 1):
        high = flat.copy()
        high[place] = 101.0
        several = np.full(70, 0)
        levels = np.full(70, 101.0), np.full(70, 99.0)
        assert set(first_touch(high, flat, several, several + rows, *levels).tolist()) == {place}
        assert set(first_touch(high, flat, several, several + place, *levels).tolist()) == {-1}
        assert first_touch_of_one(high, flat, 0, rows, 101.0, 99.0) == place
        assert first_touch_of_one(high, flat, 0, place, 101.0, 99.0) == -1
