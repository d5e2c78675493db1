"""Drawn candles hold exactly the minutes of their stretch, and are few enough for the eye."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from make import START_MS

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.drawn import MOST_CANDLES, drawing_interval, drawn_candles
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, Interval, TimeRange

HOURS = [Interval.M1, Interval.M3, Interval.M15, Interval.H1]


def minutes(places: list[int]) -> Candles:
    """Candles of some minutes of the day, no two alike."""
    place = np.array(places, dtype=np.int64)
    price = np.array([100.0 + one * 37 % 101 for one in places], dtype=np.float64)
    time = START_MS + place * MINUTE_MS
    high, low, close = (np.add(price, change, dtype=np.float64) for change in (2, -2, 1))
    return Candles.from_rows(time, price, high, low, close, np.ones(len(place)))


@given(
    places=st.sets(st.integers(0, 200), min_size=1, max_size=60),
    first=st.integers(-10, 210),
    length=st.integers(0, 220),
    interval=st.sampled_from(HOURS),
)
def test_each_drawn_candle_is_made_of_its_minutes(
    places: set[int], first: int, length: int, interval: Interval
) -> None:
    candles = minutes(sorted(places))
    drawn = drawn_candles(
        candles, TimeRange(START_MS + first * MINUTE_MS, START_MS + (first + length) * MINUTE_MS), interval
    )
    groups: dict[int, list[int]] = {}
    for place in sorted(places):
        if first <= place < first + length:
            time_ms = START_MS + place * MINUTE_MS
            groups.setdefault(time_ms // interval.ms * interval.ms, []).append(candles.row(time_ms))
    assert drawn.time_ms.tolist() == list(groups)
    expected = [
        (candles.open[rows[0]], candles.high[rows].max(), candles.low[rows].min(), candles.close[rows[-1]])
        for rows in groups.values()
    ]
    assert list(zip(drawn.open, drawn.high, drawn.low, drawn.close, strict=True)) == expected


@pytest.mark.parametrize(
    ("days", "interval"),
    [
        pytest.param(1, "1m", id="a day in minutes"),
        pytest.param(21, "30m", id="three weeks"),
        pytest.param(365, "6h", id="a year"),
        pytest.param(365 * 30, "3d", id="more than the largest can draw"),
    ],
)
def test_the_smallest_interval_that_draws_the_range_in_few_candles(days: int, interval: str) -> None:
    within = TimeRange(START_MS, START_MS + days * DAY_MS)
    chosen = drawing_interval(within)
    assert chosen == interval
    assert within.minutes <= MOST_CANDLES * chosen.minutes or chosen is Interval.D3
