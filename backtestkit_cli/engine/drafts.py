"""Drafts as columns: what rules, vectorised Python and CSV signals become.

One entry for every row time at which something is to be said: a draft, an ambiguous row, a row still in warm-up.
Rows about which nothing is to be said are left out.
"""

from dataclasses import dataclass

import numpy as np

from backtestkit_cli.engine.candles import Bools, Floats, Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DraftColumns:
    """Columns of one length n, ascending in time.

    `time_ms` decision times (int64); `side` 1 long, -1 short, 0 no draft (int8); `ambiguous` long and short at once;
    `warm_up` fewer candles than the expressions need; `short_history` fewer than they need to settle (bool).
    `price_open` (float64) counts only where `has_price_open`; `price_take_profit`, `price_stop_loss` absolute;
    `lifetime_minutes`, `wait_minutes` (float64, NaN wait: the default). `distance_problem` bits of
    `engine.draft.DISTANCE_RULES` (int8): the draft is invalid for that reason. `notes`: one text for all rows, or one
    per row. `price` (float64) is the market at the row's time where it was computed anyway, else None.
    """

    time_ms: Ints
    side: np.ndarray[tuple[int], np.dtype[np.int8]]
    ambiguous: Bools
    warm_up: Bools
    short_history: Bools
    price_open: Floats
    has_price_open: Bools
    price_take_profit: Floats
    price_stop_loss: Floats
    lifetime_minutes: Floats
    wait_minutes: Floats
    distance_problem: np.ndarray[tuple[int], np.dtype[np.int8]]
    notes: str | tuple[str, ...] = ""
    price: Floats | None = None

    def __len__(self) -> int:
        return len(self.time_ms)

    def note(self, row: int) -> str:
        """The note of one row, as it was given."""
        return self.notes if isinstance(self.notes, str) else self.notes[row]
