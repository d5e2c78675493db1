"""The money arithmetic by hand, and numbers as text."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from backtestkit_cli.model.fixed import round_half_up, round_minutes, to_fixed
from backtestkit_cli.model.levels import SL_LEVEL1, SL_LEVEL2, TP_LEVEL1, TP_LEVEL2, TP_LEVEL3
from backtestkit_cli.model.policy import PRESETS, Costs, FillPolicy, policy_from, policy_keys
from backtestkit_cli.model.rounding import cut_quantity, write_price, write_quantity
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.model.trade import long_pnl_percent, pnl_percent, short_pnl_percent

FREE = Costs(fee_percent=0.0, slippage_percent=0.0)


def test_a_gain_is_in_percent_of_the_entry() -> None:
    assert pnl_percent(True, 200.0, 210.0, FREE) == 5.0
    assert pnl_percent(False, 200.0, 210.0, FREE) == -5.0


def test_the_fee_is_paid_on_both_sides() -> None:
    costs = Costs(fee_percent=0.25, slippage_percent=0.0)
    assert pnl_percent(True, 200.0, 210.0, costs) == 4.5
    assert pnl_percent(False, 200.0, 210.0, costs) == -5.5


def test_slippage_worsens_both_prices() -> None:
    costs = Costs(fee_percent=0.0, slippage_percent=1.0)
    assert pnl_percent(True, 100.0, 100.0, costs) == pytest.approx((99 - 101) / 101 * 100)
    assert pnl_percent(False, 100.0, 100.0, costs) == pytest.approx((99 - 101) / 99 * 100)


def test_costs_are_a_tenth_of_a_percent_each_where_nothing_is_said() -> None:
    assert Costs() == Costs(fee_percent=0.1, slippage_percent=0.1)
    assert pnl_percent(True, 100.0, 100.0, Costs()) == pytest.approx((0.999 - 1.001) / 1.001 * 100 - 0.2)


@given(some.floats(0.01, 1e6), some.floats(0.01, 1e6), some.floats(0, 5), some.floats(0, 5))
def test_columns_give_what_single_prices_give(price_open: float, price_close: float, fee: float, slip: float) -> None:
    costs = Costs(fee_percent=fee, slippage_percent=slip)
    opened, closed = np.array([price_open]), np.array([price_close])
    assert long_pnl_percent(opened, closed, costs)[0] == pnl_percent(True, price_open, price_close, costs)
    assert short_pnl_percent(opened, closed, costs)[0] == pnl_percent(False, price_open, price_close, costs)


@pytest.mark.parametrize(
    ("policy", "name", "is_optimistic"),
    [
        (FillPolicy(), "honest", False),
        (FillPolicy(exit="touch", entry="touch"), "touch", False),
        (FillPolicy(market_books="vwap"), "vwap", True),
        (FillPolicy(exit="touch", entry="touch", stop_at="level"), "touch, stop_at: level", True),
        (FillPolicy(order="profit_first"), "honest, order: profit_first", True),
        (FillPolicy(entry="touch", better_entry="given"), "honest, entry: touch, better_entry: given", False),
    ],
)
def test_a_policy_is_named_by_what_differs_from_a_preset(policy: FillPolicy, name: str, is_optimistic: bool) -> None:
    assert (policy.name, policy.is_optimistic) == (name, is_optimistic)


def test_a_policy_is_a_preset_with_keys_changed() -> None:
    assert policy_from({}) == PRESETS["honest"]
    assert policy_from({"stop_at": "level"}, "touch") == FillPolicy(exit="touch", entry="touch", stop_at="level")
    assert policy_keys() == {
        "market_books": ("worse", "vwap"),
        "exit": ("vwap", "touch"),
        "entry": ("vwap", "touch"),
        "order": ("stop_first", "profit_first"),
        "stop_at": ("worse", "level"),
        "better_entry": ("market", "given"),
    }


@pytest.mark.parametrize(
    ("value", "step", "price", "quantity"),
    [
        (100.26, 0.5, "100.5", "100.0"),
        (100.25, 0.5, "100.5", "100.0"),
        (100.249, 0.5, "100.0", "100.0"),
        (1.0, 1e-8, "1.00000000", "1.00000000"),
        (123.0, 10, "120", "120"),
        (125.0, 10.0, "130", "120"),
        (0.1, None, "0.1", "0.1"),
        (1e-7, None, "0.0000001", "0.0000001"),
        (7.5, 1, "8", "7"),
        (np.float64(7.5), 1, "8", "7"),
        (np.float64(7.5), None, "7.5", "7.5"),
        (1e25, 1e-6, "10000000000000000000000000.000000", "10000000000000000000000000.000000"),
    ],
)
def test_prices_are_rounded_half_up_and_quantities_cut(
    value: float, step: float | None, price: str, quantity: str
) -> None:
    assert (write_price(value, step), write_quantity(value, step)) == (price, quantity)


@given(some.floats(0, 1e9), some.sampled_from([1e-8, 0.001, 0.01, 0.5, 1.0, 25.0]))
def test_what_is_written_lies_on_the_step_and_a_quantity_is_never_more(value: float, step: float) -> None:
    size, exact = Decimal(repr(step)), Decimal(repr(value))
    price, quantity = Decimal(write_price(value, step)), Decimal(write_quantity(value, step))
    assert price % size == quantity % size == 0
    assert abs(price - exact) <= size / 2
    assert 0 <= exact - quantity < size


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.125, 2, "0.13"),
        (-0.125, 2, "-0.13"),
        (1.005, 2, "1.00"),
        (2.5, 0, "3"),
        (1e22, 1, "10000000000000000000000.0"),
    ],
)
def test_the_exact_double_decides_and_ties_go_away_from_zero(value: float, digits: int, text: str) -> None:
    assert to_fixed(value, digits) == text


def test_the_smallest_double_is_written_in_full() -> None:
    assert to_fixed(5e-324, 1074).endswith("33447265625")


def test_half_a_minute_goes_up() -> None:
    assert [round_minutes(half * MINUTE_MS / 2) for half in range(-3, 4)] == [-1, -1, 0, 0, 1, 1, 2]
    assert round_minutes(0.49 * MINUTE_MS) == 0
    assert round_half_up(0.49999999999999994) == 0


def test_levels_for_user_code_are_those_of_the_original() -> None:
    assert (TP_LEVEL1, TP_LEVEL2, TP_LEVEL3, SL_LEVEL1, SL_LEVEL2) == (30, 60, 90, 40, 80)


def test_a_quantity_is_cut_to_its_step_and_stays_as_it_is_without_one() -> None:
    assert (cut_quantity(1.23456789, None), cut_quantity(1.99, 0.5), cut_quantity(0.4, 0.5)) == (1.23456789, 1.5, 0.0)
    assert (cut_quantity(1.7e308, 5e-324), cut_quantity(5e-324, 1.7e308)) == (1.7e308, 0.0)
