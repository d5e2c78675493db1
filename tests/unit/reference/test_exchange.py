"""What the original sees of a market."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from unit.reference.worlds import NOW_MS, START_MS, at, flat_candles

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.reference.exchange import (
    CandleList,
    Exchange,
    RequestFailed,
    average_price,
    broken_candle,
    frame_ticks,
    left_sum,
    window_start,
)
from backtestkit_cli.engine.reference.market import CandleHistory, ReferenceMarket
from backtestkit_cli.model.candle import Candle, MarketSteps
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, Interval


def exchange_of(candles: list[Candle], **changed: float) -> Exchange:
    return Exchange(source=CandleList.of(candles), now_ms=NOW_MS, **changed)  # type: ignore[arg-type]  # numbers


def test_a_window_holds_the_candle_that_opens_at_the_asked_time() -> None:
    found = exchange_of(flat_candles(0, 20)).candles(at(10), Interval.M1, 3)
    assert [candle.time for candle in found] == [at(8), at(9), at(10)]


def test_a_window_leaves_out_candles_after_the_asked_time_that_a_hole_let_in() -> None:
    found = exchange_of(flat_candles(0, 20, {9: {}})).candles(at(10), Interval.M1, 3)
    assert [candle.time for candle in found] == [at(8), at(10)]


def test_one_candle_cannot_be_asked_for() -> None:
    with pytest.raises(RequestFailed, match="limit_one_not_supported"):
        exchange_of(flat_candles(0, 20)).candles(at(10), Interval.M1, 1)


def test_next_candles_may_hold_the_one_that_opens_at_the_end() -> None:
    found = exchange_of(flat_candles(0, 20, {3: {}})).next_candles(at(2), Interval.M1, 3)
    assert [candle.time for candle in found] == [at(2), at(4), at(5)]


def test_there_are_no_next_candles_when_their_end_lies_after_the_present() -> None:
    exchange = Exchange(source=CandleList.of(flat_candles(0, 20)), now_ms=at(10))
    assert len(exchange.next_candles(at(5), Interval.M1, 5)) == 5
    assert exchange.next_candles(at(6), Interval.M1, 5) == []


def test_a_price_without_a_candle_fails() -> None:
    with pytest.raises(RequestFailed, match="no_candles"):
        exchange_of(flat_candles(0, 5)).price(at(60))


def test_a_broken_candle_fails_the_whole_request() -> None:
    exchange = exchange_of(flat_candles(0, 20, {8: {"low": 0.01}}))
    with pytest.raises(RequestFailed, match="candle_anomalously_low at candle 2"):
        exchange.price(at(10))


def test_the_anomaly_settings_are_those_of_the_exchange() -> None:
    candles = flat_candles(0, 20, {8: {"low": 0.01}})
    assert exchange_of(candles, anomaly_factor=100_000).price(at(10))
    rows = flat_candles(0, 2, {1: {"open": 10.0, "high": 10.0, "low": 10.0, "close": 10.0}})
    assert broken_candle(rows, 5, 5) == ("candle_anomalously_low", 1)  # the mean is 55
    assert broken_candle(rows, 11, 2) is None  # the upper median is 100


def test_prices_that_are_not_positive_are_no_part_of_the_reference() -> None:
    zero = {"open": 0.0, "high": 0.0, "low": 0.0, "close": 0.0}
    assert broken_candle(flat_candles(0, 5, dict.fromkeys(range(1, 5), zero))) == ("candle_zero_or_negative", 1)


def test_a_frame_ends_at_the_last_midnight() -> None:
    now_ms = START_MS + DAY_MS + 5 * MINUTE_MS
    ticks = frame_ticks(START_MS + 1, now_ms + DAY_MS, Interval.H12, now_ms)
    assert list(ticks) == [START_MS + 1, START_MS + 1 + DAY_MS // 2]


@given(some.lists(some.floats(-1e12, 1e12), max_size=30))
def test_a_sum_is_one_addition_after_the_other(values: list[float]) -> None:
    total = 0.0
    for value in values:
        total += value
    assert left_sum(values) == total


@given(some.lists(some.tuples(some.floats(1, 2), some.sampled_from([0.0, 1.0, 3.5])), min_size=1, max_size=9))
def test_a_price_lies_within_its_window(minutes: list[tuple[float, float]]) -> None:
    window = [Candle(0, price, price, price, price, volume) for price, volume in minutes]
    prices = [price for price, _ in minutes]
    found = average_price(window)
    assert min(prices) * (1 - 1e-12) <= found <= max(prices) * (1 + 1e-12)


def dense_candles(minutes: int, missing: int | None = None) -> Candles:
    rows = flat_candles(0, minutes, {} if missing is None else {missing: {}})
    time, *columns = (np.array(column) for column in zip(*rows, strict=True))
    return Candles.from_rows(time.astype(np.int64), *columns)


def test_a_larger_candle_that_opens_now_is_whole_and_shows_its_future() -> None:
    exchange = Exchange(source=CandleHistory(dense_candles(120)), now_ms=NOW_MS)
    market = ReferenceMarket("BTCUSDT", exchange, MarketSteps())
    market.now = at(60)
    hours = market.candles("1h", 2)
    assert hours.time.tolist() == [at(0), at(60)]
    assert hours.volume.tolist() == [60.0, 60.0]
    assert market.candles("1m", 3).time.tolist() == [at(58), at(59), at(60)]


def test_a_market_gives_what_is_there_and_leaves_missing_minutes_out() -> None:
    exchange = Exchange(source=CandleHistory(dense_candles(10, missing=4)), now_ms=NOW_MS)
    market = ReferenceMarket("BTCUSDT", exchange, MarketSteps(price=0.5))
    market.now = at(5)
    assert market.candles("1m", 4).time.tolist() == [at(2), at(3), at(5)]
    assert market.candles("1m", 50).close.tolist() == [100.0] * 5
    market.now = at(500)
    assert len(market.candles("5m", 5)) == 0
    assert math.isnan(market.price)
    assert market.format_price(100.26) == "100.5"


def test_no_candle_is_broken_where_there_is_none() -> None:
    assert broken_candle([]) is None


def test_without_a_price_above_zero_there_is_no_reference() -> None:
    zero = {"open": 0.0, "high": 0.0, "low": 0.0, "close": 0.0}
    assert broken_candle(flat_candles(0, 2, dict.fromkeys(range(2), zero))) == ("candle_reference_price_zero", None)


@pytest.mark.parametrize("name", ["open", "high", "low", "close", "volume"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_no_number_breaks_its_candle(name: str, value: float) -> None:
    assert broken_candle(flat_candles(0, 5, {3: {name: value}})) == ("candle_invalid_number", 3)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"low": 0.1}, None),
        ({"low": 0.09995}, "candle_anomalously_low"),
        ({"low": 0.0}, "candle_zero_or_negative"),
        ({"volume": 0.0}, None),
        ({"volume": -1.0}, "candle_zero_or_negative"),
        ({"high": 1e9}, None),
    ],
)
def test_a_candle_is_judged_against_a_thousandth_of_the_others(changed: dict[str, float], expected: str | None) -> None:
    found = broken_candle(flat_candles(0, 5, {0: changed}))
    assert found == (None if expected is None else (expected, 0))


def test_four_candles_are_judged_by_their_mean_and_five_by_their_upper_median() -> None:
    low = {"open": 0.09, "high": 0.09, "low": 0.09, "close": 0.09}
    assert broken_candle(flat_candles(0, 5, {0: low})) == ("candle_anomalously_low", 0)
    assert broken_candle(flat_candles(0, 4, {0: low})) is None  # the mean is 75
    half = flat_candles(0, 6, dict.fromkeys(range(3), low))
    assert broken_candle(half) == ("candle_anomalously_low", 0)


def test_a_window_starts_before_by_all_intervals_but_one() -> None:
    assert window_start(at(60), Interval.M5, 3) == at(50)
    assert list(frame_ticks(START_MS, START_MS + DAY_MS, Interval.H12, START_MS + DAY_MS)) == [
        START_MS,
        START_MS + DAY_MS // 2,
        START_MS + DAY_MS,
    ]


def test_a_market_writes_quantities_cut_and_knows_its_symbol_and_mode() -> None:
    market = ReferenceMarket("BTCUSDT", exchange_of([]), MarketSteps(quantity=0.1))
    assert market.format_quantity(0.19) == "0.1"
    assert (market.symbol, market.mode, market.now) == ("BTCUSDT", "backtest", 0)
    assert ReferenceMarket("BTCUSDT", exchange_of([]), MarketSteps(), "live").mode == "live"


def test_a_history_with_holes_gives_the_candles_that_exist_with_all_values() -> None:
    history = CandleHistory(dense_candles(12, missing=3))
    flat = (100.0, 100.0, 100.0, 100.0)
    assert history(Interval.M1, at(2), 2) == [(at(2), *flat, 1.0), (at(4), *flat, 1.0)]
    assert history(Interval.M5, at(0), 9) == [(at(0), *flat, 4.0), (at(5), *flat, 5.0)]
    sparse = Candles.from_rows(np.array([at(0), at(11)]), *(np.full(2, 7.0) for _ in range(5)))
    assert [candle.time for candle in CandleHistory(sparse)(Interval.M3, at(0), 9)] == [at(0), at(9)]
