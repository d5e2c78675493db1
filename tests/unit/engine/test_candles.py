"""Candles on the dense minute grid: holes, filled holes, and what lies outside."""

import numpy as np
import pytest

from backtestkit_cli.engine.candles import Candles, Floats
from backtestkit_cli.model.time import MINUTE_MS

START_MS = 1_704_067_200_000


def at(minute: int) -> int:
    return START_MS + minute * MINUTE_MS


def candles_at(*minutes: int, bridge: bool = False) -> Candles:
    """Candles whose prices and volume tell their minute: open m, high m + 3, low m − 3, close m + 1, volume m + 10."""
    minute = np.array(minutes, dtype=np.int64)
    price = minute.astype(np.float64)
    return Candles.from_rows(
        START_MS + minute * MINUTE_MS, price, price + 3, price - 3, price + 1, price + 10, bridge=bridge
    )


def listed(column: Floats) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in column]


def test_rows_without_holes_are_taken_as_they_are() -> None:
    close = np.array([1.0, 2.0])
    candles = Candles.from_rows(np.array([at(0), at(1)]), close, close, close, close, close)
    assert candles.close is close
    assert (candles.present, candles.bridged, candles.holes()) == (None, None, [])


def test_a_minute_without_a_candle_is_nan_in_every_column() -> None:
    candles = candles_at(2, 3, 6, 8)
    assert candles.start_ms == at(2)
    assert candles.present is not None
    assert candles.present.tolist() == [True, True, False, False, True, False, True]
    assert candles.bridged is None
    for name, shift in {"open": 0, "high": 3, "low": -3, "close": 1, "volume": 10}.items():
        wanted = [2 + shift, 3 + shift, None, None, 6 + shift, None, 8 + shift]
        assert listed(getattr(candles, name)) == wanted, name
    assert candles.holes() == [(2, 2), (5, 1)]


def test_a_filled_hole_is_flat_at_the_last_close_without_volume() -> None:
    candles = candles_at(2, 3, 6, 8, bridge=True)
    assert candles.present is None
    assert candles.bridged is not None
    assert candles.bridged.tolist() == [False, False, True, True, False, True, False]
    for name, shift in {"open": 0, "high": 3, "low": -3, "close": 1}.items():
        assert listed(getattr(candles, name)) == [2 + shift, 3 + shift, 4, 4, 6 + shift, 7, 8 + shift], name
    assert listed(candles.volume) == [12, 13, 0, 0, 16, 0, 18]
    assert candles.holes() == [(2, 2), (5, 1)]


def test_no_rows_are_no_candles() -> None:
    candles = candles_at()
    assert (len(candles), candles.start_ms, candles.end_ms, candles.has(0)) == (0, 0, 0, False)


def test_rows_and_times_belong_together() -> None:
    candles = candles_at(0, 1, 4)
    assert (len(candles), candles.end_ms) == (5, at(5))
    assert [candles.row(at(minute)) for minute in (-1, 0, 4, 9)] == [-1, 0, 4, 9]
    assert [candles.time(row) for row in (0, 4)] == [at(0), at(4)]


@pytest.mark.parametrize("bridge", [False, True])
def test_outside_there_is_neither_a_candle_nor_a_filled_one(*, bridge: bool) -> None:
    candles = candles_at(0, 1, 4, bridge=bridge)
    rows = range(-1, 6)
    assert [row for row in rows if candles.has(row)] == ([0, 1, 2, 3, 4] if bridge else [0, 1, 4])
    assert [row for row in rows if candles.is_bridged(row)] == ([2, 3] if bridge else [])


@pytest.mark.parametrize(("minute", "first"), [(-5, 0), (0, 0), (1, 1), (2, 4), (4, 4), (5, 5)])
def test_from_a_time_on_the_first_row_holds_a_candle(minute: int, first: int) -> None:
    part = candles_at(0, 1, 4, 5).from_time(at(minute))
    assert part.start_ms == at(first)
    for name, shift in {"open": 0, "high": 3, "low": -3, "close": 1, "volume": 10}.items():
        wanted = [row + shift if row in (0, 1, 4, 5) else None for row in range(first, 6)]
        assert listed(getattr(part, name)) == wanted, name
    assert part.present is not None
    assert part.present.tolist() == [row in (0, 1, 4, 5) for row in range(first, 6)]


def test_from_a_time_on_filled_candles_stay_marked() -> None:
    part = candles_at(0, 1, 4, bridge=True).from_time(at(2))
    assert part.present is None
    assert part.bridged is not None
    assert part.bridged.tolist() == [True, True, False]


def test_from_a_time_after_the_end_nothing_is_left() -> None:
    assert len(candles_at(0, 1, 4).from_time(at(5))) == 0


@pytest.mark.parametrize(("minute", "left"), [(-1, 0), (0, 0), (1, 1), (2, 2), (4, 2), (5, 5), (9, 6)])
def test_until_a_time_the_last_row_holds_a_candle(minute: int, left: int) -> None:
    whole = candles_at(0, 1, 4, 5)
    part = whole.until_time(at(minute))
    assert (part.start_ms, len(part)) == (at(0), left)
    for name in ("open", "high", "low", "close", "volume"):
        assert listed(getattr(part, name)) == listed(getattr(whole, name))[:left], name
    assert len(candles_at(0, 1, 2).until_time(at(minute))) == min(max(minute, 0), 3)
