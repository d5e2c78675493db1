"""The price of a few rows against that of the column, where the way of adding could differ."""

import numpy as np
import pytest
from worlds import START_MS

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.vwap import vwap_all, vwap_at


@pytest.mark.parametrize("count", [1, 5, 8, 9, 17, 64])
@pytest.mark.parametrize("asked", [1, 2, 30])
def test_single_rows_and_long_windows_add_in_the_same_order(count: int, asked: int) -> None:
    random = np.random.default_rng(count)
    prices = 100 + random.random(200)
    candles = Candles(
        start_ms=START_MS, open=prices, high=prices + 1, low=prices - 1, close=prices, volume=random.random(200)
    )
    rows = np.arange(100, 100 + asked)
    assert vwap_at(candles, rows, count).tobytes() == vwap_all(candles, count)[rows].tobytes()
