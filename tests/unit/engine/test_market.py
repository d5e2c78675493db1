"""What a strategy sees at a decision: closed candles, read-only, and prices on the market's steps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import START_MS

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.market import MarketView, TooFewCandles
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.rounding import write_price, write_quantity
from backtestkit_cli.model.time import MINUTE_MS


def market(minutes: int = 60, *, missing: tuple[int, ...] = ()) -> MarketView:
    close = np.arange(minutes, dtype=np.float64) + 100
    kept = np.array([minute for minute in range(minutes) if minute not in missing])
    time = START_MS + kept * MINUTE_MS
    prices = close[kept]
    candles = Candles.from_rows(time, prices, prices, prices, prices, np.ones(len(kept)))
    return MarketView("X", candles, MarketSteps(price=0.5, quantity=0.01))


def test_a_candle_is_seen_from_its_close_on() -> None:
    view = market()
    view.now = START_MS + 30 * MINUTE_MS
    assert view.candles("1m", 3).close.tolist() == [127.0, 128.0, 129.0]
    assert view.candles("15m", 2).close.tolist() == [114.0, 129.0]
    view.now += 14 * MINUTE_MS
    assert view.candles("15m", 2).close.tolist() == [114.0, 129.0]
    view.now += MINUTE_MS
    assert view.candles("15m", 1).close.tolist() == [144.0]
    assert view.candles("15m", 1).time.tolist() == [START_MS + 30 * MINUTE_MS]
    assert len(view.candles("5m", 4)) == 4


def test_before_the_first_decision_there_is_no_price() -> None:
    view = market()
    assert (view.now, np.isnan(view.price)) == (START_MS, True)


def test_too_few_candles_end_the_decision() -> None:
    view = market()
    view.now = START_MS + 30 * MINUTE_MS
    view.candles("15m", 2)
    with pytest.raises(TooFewCandles):
        view.candles("15m", 3)


def test_an_absent_candle_is_left_out_of_the_window() -> None:
    view = market(missing=tuple(range(15, 30)))
    view.now = START_MS + 45 * MINUTE_MS
    assert view.candles("15m", 2).close.tolist() == [114.0, 144.0]
    with pytest.raises(TooFewCandles):
        view.candles("15m", 3)


def test_what_is_handed_out_cannot_be_changed() -> None:
    view = market()
    view.now = START_MS + 30 * MINUTE_MS
    for interval in ("1m", "5m"):
        with pytest.raises(ValueError, match="read-only"):
            view.candles(interval, 3).close[0] = 1.0


@pytest.mark.parametrize("interval", ["7m", "3d", "", "1M"])
def test_an_unknown_interval_is_refused(interval: str) -> None:
    with pytest.raises(ValueError, match="no interval"):
        market().candles(interval, 1)


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        market().candles("1m", 0)


def test_prices_round_half_up_and_quantities_are_cut() -> None:
    view = market()
    assert [view.format_price(price) for price in (100.24, 100.25, 100.74, 100.75)] == [
        "100.0",
        "100.5",
        "100.5",
        "101.0",
    ]
    assert [view.format_quantity(one) for one in (0.019, 0.02, 1.999)] == ["0.01", "0.02", "1.99"]


@pytest.mark.parametrize(
    ("price", "step", "text"),
    [
        (123.456789, 0.01, "123.46"),
        (1234.5678, 0.05, "1234.55"),
        (12345.67, 1.0, "12346"),
        (1e-7, None, "0.0000001"),
        (0.1, None, "0.1"),
    ],
)
def test_a_price_is_written_on_its_step_or_in_full(price: float, step: float | None, text: str) -> None:
    assert write_price(price, step) == text


@given(value=st.floats(0, 1e6), step=st.sampled_from([1e-8, 0.00001, 0.01, 0.05, 0.5, 1.0, 10.0]))
def test_a_written_value_lies_on_a_step_next_to_it(value: float, step: float) -> None:
    assert abs(float(write_price(value, step)) - value) <= step / 2 * (1 + 1e-6) + 1e-9
    cut = float(write_quantity(value, step))
    assert cut <= value * (1 + 1e-12)
    assert value - cut < step * (1 + 1e-6) + 1e-9
