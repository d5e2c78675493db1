"""Validation of the original: what the table of recordings does not show."""

import math
from typing import Any

import pytest

from backtestkit_cli.engine.reference.signals import broken_rules
from backtestkit_cli.model.limits import Limits


def rules(limits: Limits | None = None, **changed: object) -> tuple[str, ...]:
    given: dict[str, object] = {
        "position": "long",
        "price": 100.0,
        "price_open": 100.0,
        "take_profit": 102.0,
        "stop_loss": 98.0,
        "lifetime": 60,
    }
    is_scheduled = bool(changed.pop("is_scheduled", False))
    return broken_rules(**(given | changed), is_scheduled=is_scheduled, limits=limits or Limits())


def test_a_waiting_entry_exactly_at_a_level_is_beyond_it() -> None:
    assert rules(take_profit=100.0, is_scheduled=True) == (
        "long_tp_wrong_side",
        "long_scheduled_open_beyond_profit",
        "long_tp_too_close",
    )
    assert "long_scheduled_open_beyond_stop" in rules(stop_loss=100.0, is_scheduled=True)


def test_only_a_short_is_refused_on_a_spot_market() -> None:
    spot = Limits(long_only=True)
    assert rules(spot) == ()
    assert rules(spot, position="short", take_profit=98.0, stop_loss=102.0) == ("short_on_spot",)


def test_the_bare_double_decides_at_a_limit() -> None:
    assert (100.3 - 99.7985) / 100.3 * 100 < 0.5
    assert rules(price_open=100.3, stop_loss=99.7985) == ("long_sl_too_close",)


def test_limits_of_zero_are_switched_off() -> None:
    off = Limits(min_take_profit_percent=0, min_stop_loss_percent=0, max_stop_loss_percent=0, max_lifetime_minutes=0)
    assert rules(off, take_profit=100.0001, stop_loss=1.0, lifetime=10**9) == ()
    assert rules(off, take_profit=99.0) == ("long_tp_wrong_side", "long_immediate_already_at_profit")
    assert rules(off, stop_loss=101.0) == ("long_sl_wrong_side", "long_immediate_already_stopped")


def test_an_entry_of_zero_gives_distances_without_end() -> None:
    assert rules(price_open=0.0) == (
        "price_open_not_positive",
        "long_sl_wrong_side",
        "long_sl_too_close",
    )


def test_nothing_given_breaks_the_rules_of_every_value() -> None:
    nothing: dict[str, Any] = dict.fromkeys(("position", "price", "price_open", "take_profit", "stop_loss", "lifetime"))
    prices = ("current_price", "price_open", "price_take_profit", "price_stop_loss")
    assert rules(**nothing) == (
        "position_missing",
        "position_invalid",
        *(f"{name}_not_{what}" for name in prices for what in ("a_number_type", "finite")),
        "minutes_not_a_number_type",
        "minutes_not_integer",
        "minutes_not_finite",
    )


def test_a_word_that_is_no_side_is_named_and_its_levels_are_not_judged() -> None:
    assert rules(position="up", take_profit=90.0) == ("position_invalid",)


@pytest.mark.parametrize("value", ["102", True])
def test_a_text_or_a_truth_is_no_number_but_read_as_one(value: object) -> None:
    assert (
        rules(take_profit=value, stop_loss=0.5, price_open=0.75, price=0.7)[0] == "price_take_profit_not_a_number_type"
    )
    assert rules(lifetime="60") == ("minutes_not_a_number_type", "minutes_not_integer")
    assert rules(take_profit="one hundred") == ("price_take_profit_not_a_number_type", "price_take_profit_not_finite")


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_price_is_above_zero(value: float) -> None:
    assert rules(stop_loss=value) == ("price_stop_loss_not_positive", "long_sl_too_far")


SHORT = {"position": "short", "take_profit": 98.0, "stop_loss": 102.0}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"take_profit": 100.0}, ("long_tp_wrong_side", "long_tp_too_close", "long_immediate_already_at_profit")),
        ({"stop_loss": 100.0}, ("long_sl_wrong_side", "long_sl_too_close", "long_immediate_already_stopped")),
        ({"price": 98.0}, ("long_immediate_already_stopped",)),
        ({"price": 98.001}, ()),
        ({"price": 102.0}, ("long_immediate_already_at_profit",)),
        ({"price": 101.999}, ()),
        ({"take_profit": 100.5}, ()),
        ({"take_profit": 100.499}, ("long_tp_too_close",)),
        ({"stop_loss": 99.5}, ()),
        ({"stop_loss": 99.501}, ("long_sl_too_close",)),
        ({"stop_loss": 80.0}, ()),
        ({"stop_loss": 79.999}, ("long_sl_too_far",)),
        ({"lifetime": 0}, ("minutes_not_positive",)),
        ({"lifetime": 1}, ()),
        ({"lifetime": 1.5}, ("minutes_not_integer",)),
        ({"lifetime": 60.0}, ()),
        ({"lifetime": 1440}, ()),
        ({"lifetime": 1441}, ("minutes_too_large",)),
        ({"lifetime": math.inf}, ("minutes_not_integer", "minutes_not_finite", "minutes_too_large")),
        (SHORT, ()),
        (SHORT | {"price": 102.0}, ("short_immediate_already_stopped",)),
        (SHORT | {"price": 98.0}, ("short_immediate_already_at_profit",)),
        (SHORT | {"take_profit": 99.501}, ("short_tp_too_close",)),
        (SHORT | {"stop_loss": 120.001}, ("short_sl_too_far",)),
        (SHORT | {"stop_loss": 100.499}, ("short_sl_too_close",)),
    ],
)
def test_each_rule_breaks_exactly_beyond_its_limit(changed: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert sorted(rules(**changed)) == sorted(expected)


def test_a_waiting_entry_without_a_number_is_beyond_no_level() -> None:
    assert rules(price_open=math.nan, is_scheduled=True) == ("price_open_not_finite",)
    assert rules(price_open=math.inf, is_scheduled=True) == ("price_open_not_finite", "long_tp_wrong_side")
    assert rules(price_open=-math.inf, is_scheduled=True) == ("price_open_not_finite", "long_sl_wrong_side")


def test_a_market_without_a_number_is_at_no_level() -> None:
    assert rules(price=math.inf) == ("current_price_not_finite",)


def test_distances_from_a_zero_entry_have_the_sign_of_the_distance() -> None:
    assert rules(price_open=0.0, take_profit=-1.0, stop_loss=-2.0) == (
        "price_open_not_positive",
        "price_take_profit_not_positive",
        "price_stop_loss_not_positive",
        "long_tp_wrong_side",
        "long_immediate_already_at_profit",
        "long_tp_too_close",
        "long_sl_too_far",
    )
    assert rules(price_open=0.0, take_profit=0.0)[-1] == "long_sl_too_close"
