"""How often the best half disappoints, once more: slow, plain Python, written from the paper and not from the engine.

Trials are rows of daily changes; the number of days is a multiple of the number of blocks.
"""

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import mean, stdev

Row = Sequence[float]


def sharpe(days: Row) -> float:
    """The Sharpe ratio of some days; 0 if none differs."""
    return mean(days) / stdev(days) if max(days) > min(days) else 0.0


def logits(trials: Sequence[Row], blocks: int) -> list[float]:
    """One logit for each way to choose half of the blocks."""
    length = len(trials[0]) // blocks
    found = []
    for half in combinations(range(blocks), blocks // 2):
        inside = [sharpe(_days(row, half, length)) for row in trials]
        rest = [block for block in range(blocks) if block not in half]
        outside = [sharpe(_days(row, rest, length)) for row in trials]
        best = min(outside[one] for one, value in enumerate(inside) if value == max(inside))
        ordered = sorted(outside)
        places = [place for place, value in enumerate(ordered, 1) if value == best]
        share = mean(places) / (len(trials) + 1)
        found.append(math.log(share / (1 - share)))
    return found


def _days(row: Row, blocks: Sequence[int], length: int) -> list[float]:
    return [day for block in blocks for day in row[block * length : (block + 1) * length]]
