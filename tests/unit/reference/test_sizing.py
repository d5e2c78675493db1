"""Position sizes: what the table of recordings does not show."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from backtestkit_cli.engine.sizing import QuantityLimits, SizingError, atr_based, fixed_percentage, kelly_criterion


@given(some.floats(1, 1e9), some.floats(0.01, 1e6), some.floats(0.001, 0.5), some.floats(0.1, 10))
def test_a_stop_loses_the_chosen_share(balance: float, price: float, distance: float, percent: float) -> None:
    stop = price * (1 - distance)
    quantity = fixed_percentage(balance, price, stop, risk_percentage=percent)
    assert quantity * (price - stop) == pytest.approx(balance * percent / 100)


def test_odds_without_an_edge_stake_nothing() -> None:
    assert kelly_criterion(1000, 10, 0.4, 1.0) == 0
    assert kelly_criterion(1000, 10, 0.6, 1.0, kelly_multiplier=1) == pytest.approx(20)


def test_the_most_wins_over_the_least_and_the_least_over_the_share() -> None:
    limits = QuantityLimits(max_position_percentage=10, min_quantity=5, max_quantity=2)
    assert limits.apply(100, 1000, 100) == 2
    assert QuantityLimits(max_position_percentage=10, min_quantity=5).apply(100, 1000, 100) == 5
    assert QuantityLimits(max_position_percentage=10).apply(100, 1000, 100) == 1
    assert QuantityLimits().apply(100, 1000, 100) == 100


@pytest.mark.parametrize("range_", [0.0, -1.0, float("nan")])
def test_a_range_that_is_not_positive_is_refused(range_: float) -> None:
    with pytest.raises(SizingError) as caught:
        atr_based(1000, range_, risk_percentage=1)
    assert caught.value.code == "atr-not-positive"
