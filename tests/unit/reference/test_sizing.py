"""Position sizes: what the table of recordings does not show."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as some

from backtestkit_cli.engine.sizing import (
    QuantityLimits,
    SizingError,
    atr_based,
    fixed_percentage,
    kelly_criterion,
    odds_of,
)


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


@pytest.mark.parametrize(
    ("ask", "code", "words"),
    [
        (lambda: fixed_percentage(1000, 10, 10, risk_percentage=1), "stop-distance-zero", "the stop is at the entry"),
        (lambda: kelly_criterion(1000, 10, 0.0, 1.0), "win-rate-out-of-range", "a win rate of 0 is"),
        (lambda: kelly_criterion(1000, 10, 1.0, 1.0), "win-rate-out-of-range", "a win rate of 1 is"),
        (lambda: kelly_criterion(1000, 10, 0.5, 0.0), "win-loss-ratio-not-positive", "a win-loss ratio of 0 is"),
        (lambda: atr_based(1000, -0.5, risk_percentage=1), "atr-not-positive", "range of -0.5 is not above 0"),
    ],
)
def test_inputs_that_allow_no_quantity_are_refused(ask: Callable[[], float], code: str, words: str) -> None:
    with pytest.raises(SizingError, match=words) as caught:
        ask()
    assert caught.value.code == code


def test_each_method_by_hand() -> None:
    assert fixed_percentage(1000, 10, 8, risk_percentage=1) == 5  # 10 at risk, 2 a piece
    assert fixed_percentage(1000, 8, 10, risk_percentage=1) == 5
    assert kelly_criterion(1000, 10, 0.6, 2.0) == pytest.approx(10)  # (0.6 × 2 − 0.4) / 2 = 0.4, a quarter of it
    assert kelly_criterion(1000, 10, 0.6, 2.0, kelly_multiplier=0.5) == pytest.approx(20)
    assert atr_based(1000, 2, risk_percentage=1) == 2.5  # 10 at risk, twice the range a piece
    assert atr_based(1000, 2, risk_percentage=1, atr_multiplier=1) == 5


def test_a_zero_limit_is_a_limit() -> None:
    assert QuantityLimits(max_position_percentage=0).apply(100, 1000, 100) == 0
    assert QuantityLimits(max_quantity=0).apply(100, 1000, 100) == 0
    assert QuantityLimits(min_quantity=0).apply(-1, 1000, 100) == 0


def test_odds_are_those_of_the_last_trades_and_flat_ones_are_neither() -> None:
    assert odds_of([-50.0, 4.0, 2.0, -1.0, 0.0, 1e-12], 5) == (0.4, 3.0)
    assert odds_of([-50.0, 4.0, 2.0, -1.0, 0.0, -1e-12], 5) == (0.4, 3.0)
    assert odds_of([1.0, -2.0], 2) == (0.5, 0.5)
    assert odds_of([4.0, 2.0, -1.0, -3.0], 4) == (0.5, 1.5)


@pytest.mark.parametrize(
    ("percents", "code", "words"),
    [
        ([1.0, -1.0], "too-few-trades", "fewer than 3 closed trades to take the odds from"),
        ([-1.0, 1.0, 2.0, 0.0], "odds-unknown", "no loss among the last 3 trades"),
        ([1.0, -1.0, -2.0, 0.0], "odds-unknown", "no win among the last 3 trades"),
    ],
)
def test_odds_need_enough_trades_of_both_kinds(percents: list[float], code: str, words: str) -> None:
    with pytest.raises(SizingError, match=words) as caught:
        odds_of(percents, 3)
    assert caught.value.code == code
