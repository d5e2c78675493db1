"""How far a position has come: the levels told once per signal, and the call at every step.

The way is measured in percent of the distance from the entry to the level it moves towards, 100 at most. Each ten
percent is told once per side, also when the price comes back. A price at the entry tells nothing.
"""

from collections.abc import Iterator
from typing import Literal, TypeAlias

from backtestkit_cli.engine.reference.events import Row
from backtestkit_cli.model.event import LevelReached

LEVELS = range(10, 101, 10)

Side: TypeAlias = Literal["profit", "loss"]
SeenLevels: TypeAlias = dict[Side, list[int]]


def way(row: Row, price: float) -> tuple[Side, float] | None:
    """The side a position has moved to and the percent of the way; None at the entry."""
    entry = row.price_open
    gain = price - entry if row.is_long else entry - price
    if gain > 0:
        return "profit", min(gain / abs(row.price_take_profit - entry) * 100, 100.0)
    if gain < 0:
        return "loss", min(abs(gain) / abs(entry - row.price_stop_loss) * 100, 100.0)
    return None


def new_levels(
    row: Row, time_ms: int, price: float, side: Side, percent: float, seen: SeenLevels
) -> Iterator[LevelReached]:
    """Tell the levels that are reached for the first time, lowest first."""
    for level in LEVELS:
        if percent >= level and level not in seen[side]:
            seen[side].append(level)
            yield LevelReached(time_ms=time_ms, signal=row, side=side, level=level, price=price)
