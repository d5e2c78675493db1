"""What a walker shows while it runs fits into a line of 80 columns."""

import pytest

from backtestkit_cli.cli.output import walker_texts
from backtestkit_cli.measure.contest import Best, Contestant
from backtestkit_cli.run.walker import WalkerStep

BAR_AND_TIMES = 8 + 7 + 7 + 4


def step(strategy: str) -> WalkerStep:
    one = Contestant(name=f"{strategy}(fast=6, slow=1.0)", strategy=strategy, params=(("fast", 6), ("slow", 1.0)))
    return WalkerStep(21.5, 43, one, Best(None, None))


def test_a_contestant_is_told_by_its_strategy_and_the_values_that_vary() -> None:
    assert walker_texts(step("momentum")) == ("21/43 momentum 6 · 1.0", "")


@pytest.mark.parametrize("strategy", ["a", 200 * "long "])
def test_whatever_the_names_are_the_line_fits(strategy: str) -> None:
    assert sum(map(len, walker_texts(step(strategy)))) + BAR_AND_TIMES <= 80
