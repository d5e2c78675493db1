"""How a closing price and its percent are told in steps."""

from dataclasses import replace

import pytest
from make import Deal, candle, closed

from backtestkit_cli.engine.step import Quote
from backtestkit_cli.measure.booking import exit_prices, pnl_steps, worst_of
from backtestkit_cli.model.event import Closed, CloseReason
from backtestkit_cli.model.policy import PRESETS, Costs, FillPolicy
from backtestkit_cli.model.trade import pnl_percent

COSTS = Costs(fee_percent=0.1, slippage_percent=0.5)
QUOTE = Quote(vwap=97.0, close=96.0, is_bridged=False)


@pytest.mark.parametrize(
    ("is_long", "entry", "exit_", "percent"),
    [
        pytest.param(True, 100 * 1.005, 110 * 0.995, (110 * 0.995 / (100 * 1.005) - 1) * 100, id="long"),
        pytest.param(False, 100 * 0.995, 110 * 1.005, (1 - 110 * 1.005 / (100 * 0.995)) * 100, id="short"),
    ],
)
def test_the_percent_of_a_position_comes_in_steps(is_long: bool, entry: float, exit_: float, percent: float) -> None:
    steps = pnl_steps(closed(Deal(is_long=is_long, price_open=100.0, price_close=110.0)), COSTS)
    assert (steps.entry, steps.exit, steps.slippage_percent) == (100.0, 110.0, 0.5)
    assert (steps.entry_with_slippage, steps.exit_with_slippage) == pytest.approx((entry, exit_), rel=1e-15)
    assert steps.before_fees_percent == pytest.approx(percent, rel=1e-12)
    assert steps.fees_percent == 0.2
    assert steps.pnl_percent == pnl_percent(is_long, 100.0, 110.0, COSTS)
    assert steps.pnl_percent == pytest.approx(steps.before_fees_percent - steps.fees_percent, rel=1e-12)


def names(made: Closed, policy: FillPolicy) -> list[str]:
    return [one.name for one in exit_prices(made, candle(), QUOTE, policy)]


@pytest.mark.parametrize(
    ("policy", "profit", "stop", "time"),
    [
        (PRESETS["honest"], ["take profit", "close"], ["stop", "VWAP", "close"], ["VWAP", "close"]),
        (PRESETS["vwap"], ["take profit"], ["VWAP"], ["VWAP"]),
        (PRESETS["touch"], ["take profit"], ["stop", "open"], ["VWAP", "close"]),
        (replace(PRESETS["honest"], stop_at="level"), ["take profit", "close"], ["stop"], ["VWAP", "close"]),
        (replace(PRESETS["touch"], market_books="vwap"), ["take profit"], ["stop", "open"], ["VWAP"]),
    ],
)
def test_each_policy_names_the_prices_it_books_the_worst_of(
    policy: FillPolicy, profit: list[str], stop: list[str], time: list[str]
) -> None:
    for reason, expected in zip(CloseReason, (profit, stop, time), strict=False):
        assert names(closed(Deal(reason=reason)), policy) == expected


def test_a_position_closed_in_the_minute_it_was_touched_is_closed_by_touch() -> None:
    policy = replace(PRESETS["honest"], entry="touch")
    at_once, later = (closed(Deal(reason=CloseReason.STOP_LOSS, hours=hours)) for hours in (0, 1))
    assert names(at_once, policy) == ["stop", "open"]
    assert names(later, policy) == ["stop", "VWAP", "close"]
    assert names(at_once, PRESETS["honest"]) == ["stop", "VWAP", "close"]


def test_the_worst_price_is_the_lowest_for_a_long_and_the_highest_for_a_short() -> None:
    prices = exit_prices(closed(Deal(reason=CloseReason.TIME_EXPIRED)), candle(), QUOTE, PRESETS["honest"])
    assert (worst_of(prices, is_long=True), worst_of(prices, is_long=False)) == (96.0, 97.0)
    assert [one.price for one in prices] == [97.0, 96.0]
