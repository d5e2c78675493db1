"""Where the levels of a draft lie, from a distance or a price.

Rules kept here:
- a distance counts from the entry, in price units or in percent of it; null or not above zero is a problem;
- the levels of a short mirror those of a long;
- a mapping of prices per side is taken as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from backtestkit_cli.engine.candles import Bools, Floats, Ints
from backtestkit_cli.engine.rules.evaluate import Evaluation
from backtestkit_cli.engine.rules.expression import Expression


@dataclass(frozen=True, slots=True)
class Percent:
    """A distance in percent of the entry."""

    percent: float


@dataclass(frozen=True, slots=True)
class Distance:
    """A distance in price units."""

    expression: Expression


@dataclass(frozen=True, slots=True)
class Prices:
    """An absolute price per side, `long` and `short`."""

    of_side: Mapping[str, Expression]


Level: TypeAlias = Percent | Distance | Prices


def expressions_of(level: Level) -> tuple[Expression, ...]:
    """Expressions a level is made from."""
    match level:
        case Percent():
            return ()
        case Distance(expression=expression):
            return (expression,)
        case _:
            return tuple(level.of_side.values())


def level_prices(
    level: Level, evaluation: Evaluation, rows: Ints, entry: Floats, side: Floats, *, gains: bool
) -> tuple[Floats, Bools]:
    """Price of a level in the given rows, and where its distance is null or not above zero.

    `side`: 1 for long, -1 for short. `gains`: the level lies where the position gains, else where it loses.
    """
    if isinstance(level, Prices):
        return _own_prices(level, evaluation, rows, side), np.zeros(len(rows), dtype=bool)
    if isinstance(level, Percent):
        distance = entry * (level.percent / 100)
    else:
        distance = evaluation.numbers(level.expression, rows)
    is_wrong = ~(distance > 0)
    return np.where(is_wrong, np.nan, entry + side * distance if gains else entry - side * distance), is_wrong


def _own_prices(level: Prices, evaluation: Evaluation, rows: Ints, side: Floats) -> Floats:
    prices = np.full(len(rows), np.nan)
    for name, sign in (("long", 1), ("short", -1)):
        own = side == sign
        if name in level.of_side:
            prices[own] = evaluation.numbers(level.of_side[name], rows[own])
    return prices
