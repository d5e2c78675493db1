"""Whether the best of the tried params stands on a plateau or on a needle: what its neighbours made.

* A neighbour differs in one number, and there by one step among the values of it that were tried; all else is equal.
* Texts and truth values have no order, so nothing that differs in one of them is a neighbour.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TypeGuard

import numpy as np

from backtestkit_cli.measure.contest import Param


def plateau_score(tried: Sequence[tuple[Param, ...]], values: Sequence[float | None]) -> float | None:
    """The mean worth of the neighbours of the best: 1 where they are as good, 0 where they are like the middle trial.

    A neighbour is worth its share of the way from the median of all values to the best one, cut at 0; one without a
    value is worth 0. The more of a value, the better; of equal ones the first is the best. None without a value, or
    without a neighbour.
    """
    known = [one for one, value in enumerate(values) if value is not None]
    if not known:
        return None
    best = max(known, key=lambda one: values[one] or 0.0)
    top, middle = values[best] or 0.0, float(np.median([values[one] or 0.0 for one in known]))
    grid = _grid(tried)
    near = [value for params, value in zip(tried, values, strict=True) if _is_neighbour(params, tried[best], grid)]
    worth = [0.0 if value is None else _share(value - middle, top - middle) for value in near]
    return float(np.mean(worth)) if worth else None


def _share(height: float, whole: float) -> float:
    """A part of the way up; all of it where there is no way."""
    return max(0.0, height / whole) if whole > 0 else 1.0


def _grid(tried: Sequence[tuple[Param, ...]]) -> dict[str, list[float]]:
    """The tried values of each number, ascending."""
    found: dict[str, set[float]] = defaultdict(set)
    for key, value in chain.from_iterable(tried):
        if _is_number(value):
            found[key].add(value)
    return {key: sorted(some) for key, some in found.items()}


def _is_neighbour(params: tuple[Param, ...], best: tuple[Param, ...], grid: Mapping[str, list[float]]) -> bool:
    apart = [(one, other) for one, other in zip(params, best, strict=True) if one != other]
    if len(apart) != 1:
        return False
    (key, value), (_, top) = apart[0]
    if not (_is_number(value) and _is_number(top)):
        return False
    return abs(grid[key].index(value) - grid[key].index(top)) == 1


def _is_number(value: bool | float | str) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
