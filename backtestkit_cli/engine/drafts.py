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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DraftColumns:
    """One entry per row at which there is something to say, times ascending.

    Columns, all of the same length:
    time_ms (int64, UTC), side (int8: 1 long, -1 short, 0 no draft), ambiguous (both sides at once), warm_up (too few
    candles for a decision), short_history (a decision on candles that are not settled; side 0 where it was no draft),
    price_open (NaN: market), price_take_profit, price_stop_loss (absolute, quote currency), lifetime_minutes,
    wait_minutes (NaN: the default), distance_problem (int8, a sum of the constants of this module: that distance is
    null or not above zero, which makes the draft invalid).

    `notes` and `ids`: one for all rows, or one per row; no `ids` means that they follow from strategy, symbol, time.
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
    notes: str | tuple[str, ...] = ""
    ids: tuple[str | None, ...] | None = None

    def __len__(self) -> int:
        return len(self.time_ms)

    def note(self, row: int) -> str:
        """The note of one row."""
        return self.notes if isinstance(self.notes, str) else self.notes[row]
