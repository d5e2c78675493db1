"""The price in all its forms, bit for bit against a loop over the minutes of one window."""

import math

import numpy as np
import pytest

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.vwap import _BLOCK_ROWS, price_at, vwap_all, vwap_at, vwap_of
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.time import MINUTE_MS

START_MS = 1_704_067_200_000


def market(seed: int, minutes: int, *, holes: float, quiet: float, bridge: bool = False) -> Candles:
    random = np.random.default_rng(seed)
    close = 100 + random.normal(0, 1, minutes)
    volume = np.where(random.random(minutes) < quiet, 0.0, random.random(minutes) * 7)
    kept = random.random(minutes) >= holes
    kept[[0, -1]] = True
    columns = (close, close + random.random(minutes), close - random.random(minutes), close + 0.1, volume)
    time_ms = START_MS + np.arange(minutes, dtype=np.int64) * MINUTE_MS
    return Candles.from_rows(time_ms[kept], *(column[kept] for column in columns), bridge=bridge)


def by_loop(candles: Candles, row: int, count: int) -> float:
    """One addition after the other, oldest first."""
    if not candles.has(row):
        return math.nan
    amount = volume = closes = minutes = 0.0
    for place in range(row - count + 1, row + 1):
        if candles.has(place):
            high, low, close = candles.high[place], candles.low[place], candles.close[place]
            amount += (high + low + close) / 3 * candles.volume[place]
            volume += candles.volume[place]
            closes += close
            minutes += 1
    return float(amount / volume if volume else closes / minutes)


def candle(candles: Candles, row: int) -> Candle:
    high, low, close, volume = (
        float(column[row]) for column in (candles.high, candles.low, candles.close, candles.volume)
    )
    return Candle(candles.time(row), 0.0, high, low, close, volume)


MARKETS = [
    pytest.param(0.0, 0.0, id="whole"),
    pytest.param(0.0, 0.6, id="quiet minutes"),
    pytest.param(0.3, 0.0, id="holes"),
    pytest.param(0.3, 0.8, id="holes and quiet minutes"),
]


@pytest.mark.parametrize(("holes", "quiet"), MARKETS)
@pytest.mark.parametrize("count", [1, 2, 5, 13])
def test_every_form_gives_the_double_of_a_loop(holes: float, quiet: float, count: int) -> None:
    candles = market(count, 300, holes=holes, quiet=quiet)
    wanted = np.array([by_loop(candles, row, count) for row in range(300)])
    rows = np.arange(-3, 304)
    around = np.concatenate((np.full(3, np.nan), wanted, np.full(4, np.nan)))
    assert vwap_all(candles, count).tobytes() == wanted.tobytes()
    assert np.array_equal(vwap_at(candles, rows, count), around, equal_nan=True)
    assert np.array_equal(vwap_at(candles, rows[20:90], count), around[20:90], equal_nan=True)
    assert np.array_equal(vwap_at(candles, np.array([count - 1, 299]), count), wanted[[count - 1, 299]], equal_nan=True)
    assert np.array_equal(price_at(candles, START_MS + (rows + 1) * MINUTE_MS, count), around, equal_nan=True)


@pytest.mark.parametrize(("holes", "quiet"), MARKETS)
def test_blocks_of_a_long_column_join_without_a_seam(holes: float, quiet: float) -> None:
    minutes = 2 * _BLOCK_ROWS + 5
    candles = market(3, minutes, holes=holes, quiet=quiet)
    whole = vwap_all(candles, 4)
    assert len(whole) == minutes
    for row in (0, 1, 2, 3, _BLOCK_ROWS - 1, _BLOCK_ROWS, _BLOCK_ROWS + 3, 2 * _BLOCK_ROWS, minutes - 1):
        assert np.array_equal(whole[row], by_loop(candles, row, 4), equal_nan=True), row


def test_a_window_of_candles_gives_the_same_price() -> None:
    candles = market(5, 40, holes=0.0, quiet=0.5)
    for last in range(4, 40):
        window = [candle(candles, row) for row in range(last - 4, last + 1)]
        assert vwap_of(window) == by_loop(candles, last, 5)
    assert math.isnan(vwap_of([]))


def test_filled_in_minutes_count_as_minutes_without_volume() -> None:
    candles = market(6, 60, holes=0.4, quiet=0.0, bridge=True)
    assert vwap_all(candles, 5).tobytes() == np.array([by_loop(candles, row, 5) for row in range(60)]).tobytes()


def test_beyond_the_last_minute_there_is_no_price() -> None:
    whole = Candles.from_rows(START_MS + MINUTE_MS * np.arange(6), *np.full((5, 6), 2.0))
    found = vwap_at(whole, np.array([4, 5, 6]), 3)
    np.testing.assert_array_equal(found, [2.0, 2.0, np.nan])


def test_nothing_asked_or_nothing_there_is_no_price() -> None:
    none = Candles.from_rows(np.array([], dtype=np.int64), *(np.array([]) for _ in range(5)))
    assert np.isnan(vwap_at(none, np.array([0, 1]), 5)).tolist() == [True, True]
    assert len(vwap_all(none, 5)) == 0
    assert len(vwap_at(market(1, 9, holes=0.0, quiet=0.0), np.array([], dtype=np.int64), 5)) == 0
