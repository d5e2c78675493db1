"""Truth values: a condition is true, false or unknown.

Rules kept here (Kleene): unknown stays unknown unless the other side decides; a comparison with null is unknown; only
a true condition fires.
"""

from dataclasses import dataclass

import numpy as np

from backtestkit_cli.engine.candles import Bools, Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """One truth value per row: true where `yes`, false where `no`, unknown where neither."""

    yes: Bools
    no: Bools

    def __getitem__(self, rows: Ints) -> "Truth":
        return Truth(self.yes[rows], self.no[rows])


def both(left: Truth, right: Truth) -> Truth:
    """Join with `and`."""
    return Truth(left.yes & right.yes, left.no | right.no)


def either(left: Truth, right: Truth) -> Truth:
    """Join with `or`."""
    return Truth(left.yes | right.yes, left.no & right.no)


def opposite(value: Truth) -> Truth:
    """Turn with `not`."""
    return Truth(value.no, value.yes)


def compare(sign: str, left: Floats, right: Floats) -> Truth:
    """Compare numbers; unknown where one of them is null (NaN)."""
    match sign:
        case "<":
            return Truth(left < right, left >= right)
        case "<=":
            return Truth(left <= right, left > right)
        case ">":
            return Truth(left > right, left <= right)
        case ">=":
            return Truth(left >= right, left < right)
        case "==":
            return Truth(left == right, (left < right) | (left > right))
        case _:
            return Truth((left < right) | (left > right), left == right)


def constant_truth(*, value: bool, rows: int) -> Truth:
    """The same truth value in every row."""
    return Truth(np.full(rows, value), np.full(rows, not value))


def earlier_truth(value: Truth, count: int) -> Truth:
    """The truth value of `count` rows before; unknown where there is none."""
    return Truth(_earlier(value.yes, count), _earlier(value.no, count))


def _earlier(column: Bools, count: int) -> Bools:
    moved = np.zeros(len(column), dtype=bool)
    if count < len(column):
        moved[count:] = column[: len(column) - count]
    return moved
