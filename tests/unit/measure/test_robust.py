"""The break-even of costs: exact where costs are a line, closed in on where they jump."""

import math

import pytest

from backtestkit_cli.measure.robust import break_even, scaled
from backtestkit_cli.model.policy import Costs


@pytest.mark.parametrize("root", [0.2, 1.0, 2.5, 17.3, 900.0])
def test_the_break_even_of_a_line_is_exact_in_a_few_runs(root: float) -> None:
    asked: list[float] = []

    def made(factor: float) -> float:
        asked.append(factor)
        return 7 * (root - factor)

    assert break_even(made) == pytest.approx(root, rel=1e-9)
    assert len(asked) < 14


def test_a_curve_and_a_jump_are_closed_in_on() -> None:
    assert break_even(lambda factor: 5 - factor**2) == pytest.approx(math.sqrt(5), rel=1e-6)
    assert break_even(lambda factor: 40.0 if factor < 1.7 else -1.0) == pytest.approx(1.7, rel=1e-5)


@pytest.mark.parametrize("always", [-1.0, 0.0, 1.0])
def test_what_never_turns_has_no_break_even(always: float) -> None:
    assert break_even(lambda factor: always) is None


def test_costs_are_scaled_together() -> None:
    assert scaled(Costs(fee_percent=0.1, slippage_percent=0.02), 2.0) == Costs(fee_percent=0.2, slippage_percent=0.04)
