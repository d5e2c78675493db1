"""A market that grows minute by minute is at every instant the market that is loaded whole."""

import numpy as np
import pytest

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.growing import ROOM, GrowingMarket
from backtestkit_cli.engine.vwap import vwap_all
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.time import MINUTE_MS

START_MS = 1_704_067_200_000
WINDOW = 3


def candle(minute: int) -> Candle:
    price = 100.0 + minute % 7
    return Candle(START_MS + minute * MINUTE_MS, price, price + 1, price - 1, price + 0.5, 1.0 + minute % 3)


def candles(*minutes: int, bridge: bool = False) -> Candles:
    time, *columns = (np.array(column) for column in zip(*map(candle, minutes), strict=True))
    return Candles.from_rows(time.astype(np.int64), *columns, bridge=bridge)


def same(one: Candles, other: Candles) -> None:
    """The same candles, whether what is not marked is said of every minute or of none."""
    assert (one.start_ms, len(one)) == (other.start_ms, len(other))
    for name in ("open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)
    rows = range(-1, len(one) + 1)
    assert [one.has(row) for row in rows] == [other.has(row) for row in rows]
    assert [one.is_bridged(row) for row in rows] == [other.is_bridged(row) for row in rows]


@pytest.mark.parametrize("bridges", [False, True])
@pytest.mark.parametrize("history", [(0,), (0, 1, 2), (0, 2, 3, 7)])
@pytest.mark.parametrize("later", [(8, 9, 10), (9, 12), (20,), (8, 30, 31)])
def test_what_has_closed_is_what_would_have_been_loaded(
    bridges: bool, history: tuple[int, ...], later: tuple[int, ...]
) -> None:
    market = GrowingMarket.of(candles(*history, bridge=bridges), WINDOW, bridges=bridges)
    seen = [*history]
    for minute in later:
        assert not market.add(candle(minute))
        seen.append(minute)
        whole = candles(*seen, bridge=bridges)
        assert market.known_ms == whole.end_ms
        same(market.until(market.known_ms), whole)
        np.testing.assert_array_equal(market.price[: len(whole)], vwap_all(whole, WINDOW))


def test_only_what_has_closed_by_an_instant_is_shown() -> None:
    market = GrowingMarket.of(candles(0, 1, 2), WINDOW)
    market.add(candle(3))
    assert [len(market.until(START_MS + minute * MINUTE_MS)) for minute in (-5, 0, 1, 3, 4)] == [0, 0, 1, 3, 4]
    assert market.until(START_MS + 4 * MINUTE_MS).present is None
    late = market.until(START_MS + 6 * MINUTE_MS)
    assert (len(late), late.has(3), late.has(4)) == (6, True, False)


@pytest.mark.parametrize(("minute", "is_new"), [(ROOM - 1, False), (ROOM, True), (ROOM + 1, True), (3 * ROOM, True)])
def test_there_is_room_for_a_day_and_then_again(minute: int, is_new: bool) -> None:
    market = GrowingMarket.of(candles(0), WINDOW)
    assert len(market.candles) == 1 + ROOM
    assert market.add(candle(minute)) is is_new
    assert len(market.candles) == (minute + ROOM if is_new else 1 + ROOM) == len(market.price)
    assert market.candles.has(minute)
    assert not market.candles.has(minute + 1)
    same(market.until(market.known_ms), candles(0, minute))


def test_history_stays_as_it_was() -> None:
    history = candles(0, 1, 3)
    before = history.close.copy()
    market = GrowingMarket.of(history, WINDOW)
    market.add(candle(4))
    np.testing.assert_array_equal(history.close, before)
    assert len(history) == 4


def test_candles_since_an_instant_are_those_that_came_and_no_others() -> None:
    market = GrowingMarket.of(candles(0, 1), WINDOW)
    market.add(candle(4))
    for since, minutes in ((-5, [0, 1, 4]), (0, [0, 1, 4]), (1, [1, 4]), (2, [4]), (5, [])):
        assert [one.time for one in market.since(START_MS + since * MINUTE_MS)] == [candle(one).time for one in minutes]
    bridging = GrowingMarket.of(candles(0, 1, bridge=True), WINDOW, bridges=True)
    bridging.add(candle(4))
    assert list(bridging.since(START_MS)) == [candle(0), candle(1), candle(4)]
