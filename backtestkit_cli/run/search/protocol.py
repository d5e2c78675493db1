"""How the time of a search is divided, so that nothing is judged on candles that it was chosen on.

* The last part of the range is the hold-out, which the search never sees.
* What is before it is cut into one block more than there are folds, the first the longest. Each fold is chosen on all
  blocks before its own and judged on its own; the last search is made on all of them.
* Every window ends a gap before the next cut: its positions are followed into the gap and have ended by the cut.
* Cuts lie a whole number of days, or of ticks where these are longer, after the start of the range.
"""

from dataclasses import dataclass
from itertools import pairwise

from backtestkit_cli.model.time import DAY_MS, TimeRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One fold: where its params are chosen, and where they are judged."""

    train: TimeRange
    test: TimeRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """The windows of a search; `gap_ms` is between the end of each and the next cut."""

    folds: tuple[Split, ...]
    search: TimeRange
    hold_out: TimeRange
    gap_ms: int


def divided(within: TimeRange, *, folds: int, hold_out: float, gap_ms: int, tick_ms: int) -> Protocol | None:
    """Divide a range, with a `hold_out` share of it at its end; None if a window would be empty."""
    unit_ms = max(DAY_MS, tick_ms)
    units = (within.end_ms - within.start_ms) // unit_ms
    searched = units - max(1, round(units * hold_out))
    block = searched // (folds + 1)
    cuts = [within.start_ms + (searched - (folds - one) * block) * unit_ms for one in range(folds + 1)]
    if block * unit_ms <= gap_ms or searched >= units:
        return None
    return Protocol(
        folds=tuple(
            Split(train=TimeRange(within.start_ms, first - gap_ms), test=TimeRange(first, last - gap_ms))
            for first, last in pairwise(cuts)
        ),
        search=TimeRange(within.start_ms, cuts[-1] - gap_ms),
        hold_out=TimeRange(cuts[-1], within.end_ms),
        gap_ms=gap_ms,
    )
