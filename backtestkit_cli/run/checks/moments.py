"""At which decisions a strategy is probed: always the same ones, those that tell most.

A dependence on later candles shows only where it changes a decision, so drafts come first: both sides, every hour of
the day, the extremes of their levels. Then what is rare in the market: the greatest volumes and moves. Then the ends
of days, the neighbours of drafts, and moments spread evenly over all.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from backtestkit_cli.engine.candles import Candles, Ints
from backtestkit_cli.engine.resample import Resampled
from backtestkit_cli.model.time import DAY_MS
from backtestkit_cli.run.checks.decisions import Decisions

HOUR_MS = DAY_MS // 24
_RARE = 5


def draft_moments(drafts: Decisions, count: int) -> list[int]:
    """At most `count` times of drafts, ascending."""
    if not len(drafts):
        return []
    places = _first(count, [*_telling(drafts), *_spread(len(drafts), count)])
    return [int(time) for time in drafts.times_ms[places]]


def other_moments(drafts: Decisions, times_ms: Ints, candles: Candles, row_minutes: int, count: int) -> list[int]:
    """At most `count` times of `times_ms` beside those of drafts, ascending: rare candles, ends of days, all hours."""
    there = np.flatnonzero(~np.isin(times_ms, drafts.times_ms))
    if not len(there):
        return []
    free = times_ms[there]
    wanted = [
        *_rare(candles, row_minutes),
        *(free[free % DAY_MS == 0][:3].tolist()),
        *(drafts.times_ms[:3] - row_minutes * 60_000).tolist(),
    ]
    known = {time: place for place, time in enumerate(free.tolist())}
    places = [known[time] for time in wanted if time in known]
    return [int(time) for time in free[_first(count, [*places, *_spread(len(free), count)])]]


def _telling(drafts: Decisions) -> Iterator[int]:
    side, price_open, profit, stop, lifetime, wait = drafts.values.T
    with np.errstate(all="ignore"):
        shapes = (profit / stop, (profit / stop) * side, lifetime, wait, price_open / stop)
    yield from (len(drafts) - 1, 0)
    for value in (1.0, -1.0):
        yield from np.flatnonzero(side == value)[:1].tolist()
    for shape in shapes:
        if np.isfinite(shape).any():
            yield from (int(np.nanargmax(shape)), int(np.nanargmin(shape)))
    _, hours = np.unique(drafts.times_ms % DAY_MS // HOUR_MS, return_index=True)
    yield from hours.tolist()


def _rare(candles: Candles, row_minutes: int) -> Iterator[int]:
    """The close times of the rows with the greatest volumes and moves."""
    rows = Resampled(candles, row_minutes)
    with np.errstate(all="ignore"):
        for size in (rows.volume, np.abs(rows.close / rows.open - 1)):
            order = np.argsort(np.where(np.isfinite(size), -size, np.inf), kind="stable")
            yield from rows.close_ms[order[:_RARE]].tolist()


def _spread(length: int, count: int) -> list[int]:
    """Places spread evenly over a length, none at its very ends."""
    return sorted({int((place + 0.5) * length / count) for place in range(count)})


def _first(count: int, places: Iterable[int]) -> list[int]:
    return sorted(list(dict.fromkeys(places))[:count])
