"""Every function and column of the rule language answers what slow, plain Python answers, on any market."""

import math
import random

import numpy as np
import pytest
from oracles import plain
from oracles.asking import START_MS, ask, minutes_of, random_candles
from oracles.cases import PLAIN, tolerance
from oracles.plain import Column

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.model.time import MINUTE_MS

MARKETS = [
    pytest.param(1, 90, 0.0, 0.0, id="whole"),
    pytest.param(1, 160, 0.2, 0.5, id="holes and quiet minutes"),
    pytest.param(5, 640, 0.15, 0.6, id="larger candles with holes"),
    pytest.param(60, 2_000, 0.05, 0.3, id="hours"),
]


def market(minutes: int, holes: float, quiet: float) -> Candles:
    start_ms = START_MS + random.Random(minutes).randrange(60) * MINUTE_MS
    candles = random_candles(minutes, minutes, start_ms=start_ms, holes=holes, quiet=quiet)
    return rounded(candles)


def rounded(candles: Candles) -> Candles:
    """Prices on a coarse grid, so that equal ones, and steps of none, happen."""
    prices = (np.round(column * 20) / 20 for column in (candles.open, candles.high, candles.low, candles.close))
    open_, high, low, close = prices
    return Candles(
        start_ms=candles.start_ms,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=candles.volume,
        present=candles.present,
    )


def expected(candles: Candles, interval: int) -> dict[str, Column]:
    rows = {minute.time: tuple(minute)[1:] for minute in minutes_of(candles) if minute is not None}
    return plain.larger(rows, interval)  # type: ignore[arg-type]  # five numbers


@pytest.mark.parametrize(("interval", "minutes", "holes", "quiet"), MARKETS)
@pytest.mark.parametrize("case", PLAIN)
def test_a_function_answers_what_plain_python_answers(
    case: str, interval: int, minutes: int, holes: float, quiet: float
) -> None:
    candles = market(minutes, holes, quiet)
    columns = expected(candles, interval)
    wanted, values = PLAIN[case](columns), ask(case, candles, interval).tolist()
    assert len(values) == len(wanted)
    for row, (value, right) in enumerate(zip(values, wanted, strict=True)):
        if right is None:
            assert math.isnan(value), row
        else:
            assert abs(value - right) <= tolerance(case, right, columns["close"][row] or 100.0), row
