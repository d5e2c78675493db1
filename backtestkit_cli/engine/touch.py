"""First touch: for many candidates at once, the first minute whose range reaches one of two levels.

The one primitive of the column form. Windows of rows are gathered for all candidates, compared with each candidate's
own levels, and doubled for those that found nothing; a row that is NaN reaches nothing.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from backtestkit_cli.engine.candles import Floats, Ints

_FIRST_WINDOW = 32
_LAST_WINDOW = 4096
_GATHERED_VALUES = 1 << 17  # a gathered block and its comparison stay in the second-level cache


def first_touch(high: Floats, low: Floats, start: Ints, stop: Ints, upper: Floats, lower: Floats) -> Ints:
    """Find, for each candidate, the first row in `[start, stop)` with high >= upper or low <= lower; -1 if none.

    `high` and `low` (n) may be the same column. `start`, `stop`, `upper`, `lower` have one value per candidate.
    """
    found = np.full(len(start), -1, dtype=np.int64)
    live = np.flatnonzero(start < stop)
    offset, size, rows = 0, min(_FIRST_WINDOW, len(high)), len(high)
    while len(live):
        highs = sliding_window_view(high, size)
        lows = highs if low is high else sliding_window_view(low, size)
        waiting = []
        for part in range(0, len(live), max(1, _GATHERED_VALUES // size)):
            chosen = live[part : part + max(1, _GATHERED_VALUES // size)]
            begin = start[chosen] + offset
            at = np.minimum(begin, rows - size)
            window = highs[at]
            hit = window >= upper[chosen, None]
            hit |= (window if low is high else lows[at]) <= lower[chosen, None]
            for late in np.flatnonzero(begin > at):
                hit[late, : begin[late] - at[late]] = False
            place = hit.argmax(axis=1)
            got = hit[np.arange(len(chosen)), place]
            row = at + place
            inside = got & (row < stop[chosen])
            found[chosen[inside]] = row[inside]
            waiting.append(chosen[~got & (begin + size < stop[chosen])])
        live = np.concatenate(waiting)
        offset += size
        size = min(size * 2, _LAST_WINDOW, rows)
    return found


def first_touch_of_one(high: Floats, low: Floats, start: int, stop: int, upper: float, lower: float) -> int:
    """The same for one candidate: growing slices, so that no row is looked at twice."""
    size = 2 * _FIRST_WINDOW
    while start < stop:
        end = min(start + size, stop)
        window = high[start:end]
        hit = window >= upper
        hit |= (window if low is high else low[start:end]) <= lower
        place = int(hit.argmax())
        if hit[place]:
            return start + place
        start, size = end, size * 4
    return -1
