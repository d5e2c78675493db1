"""Drafts as columns: what a rule, a vectorised function or a CSV says at each of its rows.

A row is stamped with its decision time. Rows that are not here say nothing: no draft, with enough history.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from backtestkit_cli.engine.candles import Bools, Floats, Ints

TAKE_PROFIT_DISTANCE = 1
STOP_LOSS_DISTANCE = 2
LIMIT_DISTANCE = 4

DISTANCE_RULES = (
    (TAKE_PROFIT_DISTANCE, "take_profit_distance"),
    (STOP_LOSS_DISTANCE, "stop_loss_distance"),
    (LIMIT_DISTANCE, "limit_distance"),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DraftColumns:
    """One entry per row at which there is something to say, times ascending.

    Columns, all of the same length:
    time_ms (int64, UTC), side (int8: 1 long, -1 short, 0 no draft), ambiguous (both sides at once), warm_up (too few
    candles for a decision), short_history (a decision on candles that are not settled; side 0 where it was no draft),
    price_open (counts where has_price_open, else the entry is the market), price_take_profit, price_stop_loss
    (absolute, quote currency), lifetime_minutes, wait_minutes (NaN: the default), distance_problem (int8, a sum of
    the constants of this module: that distance is null or not above zero, which makes the draft invalid).

    `price`: the market at the times of rows with a side, where it is known already. `notes`: one for all rows, or one
    per row. Without `ids` they follow from strategy, symbol and time.
    """

    time_ms: Ints
    side: npt.NDArray[np.int8]
    ambiguous: Bools
    warm_up: Bools
    short_history: Bools
    price_open: Floats
    price_take_profit: Floats
    price_stop_loss: Floats
    lifetime_minutes: Floats
    wait_minutes: Floats
    distance_problem: npt.NDArray[np.int8]
    has_price_open: Bools
    notes: str | tuple[str, ...] = ""
    price: Floats | None = None
    ids: tuple[str | None, ...] | None = None

    def __len__(self) -> int:
        return len(self.time_ms)

    @property
    def has_position(self) -> Bools:
        """Which rows have a position."""
        return np.asarray((self.side != 0) & ~self.warm_up & ~self.ambiguous)

    @property
    def position_times(self) -> Ints:
        """The times of the rows that have a position, UTC ms."""
        return np.asarray(self.time_ms[self.has_position])

    def note(self, row: int) -> str:
        """The note of one row."""
        return self.notes if isinstance(self.notes, str) else self.notes[row]
