"""Which of several strategies are better beyond luck: ranks from their daily results on the same days.

* Two strategies are compared by the mean of their daily differences. How far that mean is off by chance is found by a
  paired circular block bootstrap: whole blocks of days are drawn again, the same days for all strategies, so that what
  strategies share, and what one day owes to the next, stays in.
* A mean counts in deviations of its resampled means, against Student's distribution with one degree of freedom less
  than there are blocks. Shares of resamples could never be small enough for the many pairs of a large comparison.
* Of all pairs together at most 5 % of comparisons find a difference where there is none (Holm); a rank is one more than
  the number of strategies that are better.
* The same days and the same seed give the same ranks, whatever order the strategies come in.
"""

import math
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from backtestkit_cli.engine.candles import Bools, Floats
from backtestkit_cli.model.trade import FLAT_PERCENT

RESAMPLES = 2000
LEVEL = 0.05
LEAST_DAYS = 20
MOST_RANKED = 200
"""So many strategies are held against all others; the correction counts every pair all the same."""

_CHUNK = 100

Matrix: TypeAlias = npt.NDArray[np.float64]
"""One row per strategy, or per resample."""


class Changes(Protocol):
    """A matrix of which some rows are asked for at a time, so that not all of it need be there."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __getitem__(self, rows: slice | list[int], /) -> Matrix: ...


def block_days(days: int) -> int:
    """The length of a block: the cube root of the number of days, rounded to the nearest, at least 1.

    Source: P. Hall, J. Horowitz and B.-Y. Jing, On Blocking Rules for the Bootstrap with Dependent Data, Biometrika 82
    (1995): for the variance of a mean the best length grows with the cube root.
    """
    return max(1, round(math.cbrt(days)))


def ranks(changes: Changes, seed: int, ranked: Sequence[int] | None = None) -> list[int]:
    """Rank some strategies, by default all: 1 + the number of strategies that are better beyond luck.

    `changes` has a row of daily changes for each strategy. On fewer than 20 days nothing is beyond luck.
    """
    count, days = changes.shape
    chosen = list(range(count)) if ranked is None else list(ranked)
    if days < LEAST_DAYS or count < 2 or not chosen:
        return [1] * len(chosen)
    strengths = _strengths(changes, seed, chosen)
    is_above, freedom = strengths > 0, max(1, days // block_days(days) - 1)
    tails = strengths
    for row in tails:  # in its place, for there may be many
        row[:] = student_tails(row, freedom)
    may_be_clear = _once(count, chosen) & (tails <= LEVEL)
    limit = holm_limit(tails[may_be_clear], count * (count - 1) // 2)
    return [1 + int(better) for better in ((tails <= limit) & is_above).sum(axis=1)]


def day_weights(days: int, seed: int) -> Matrix:
    """Draw the days again 2000 times, in circular blocks: how much each day weighs in the mean of each resample.

    Source: D. Politis and J. Romano, A Circular Block-Resampling Procedure for Stationary Data, in LePage and Billard,
    Exploring the Limits of Bootstrap (1992).
    """
    length = block_days(days)
    starts = np.random.default_rng(seed).integers(days, size=(RESAMPLES, -(-days // length)))
    drawn = (starts[:, :, None] + np.arange(length)).reshape(RESAMPLES, -1)[:, :days] % days
    places = drawn + days * np.arange(RESAMPLES)[:, None]
    counts = np.bincount(places.ravel(), minlength=RESAMPLES * days)
    return np.asarray(counts.reshape(RESAMPLES, days) / days)


def student_tails(strengths: Floats, freedom: int) -> Floats:
    """The chance of a value at least that far from zero, either way, under Student's distribution.

    Source: M. Abramowitz and I. Stegun, Handbook of Mathematical Functions (1964), 26.7.3 and 26.7.4.
    """
    angle = np.arctan(np.abs(strengths) / math.sqrt(freedom))
    sine, cosine = np.sin(angle), np.cos(angle)
    is_odd = freedom % 2
    term = cosine if is_odd else np.ones_like(cosine)
    added = np.zeros_like(cosine) if freedom == 1 else term.copy()
    for place in range(1 + is_odd, freedom - 2, 2):
        term = term * cosine**2 * place / (place + 1)
        added += term
    inside = 2 / math.pi * (angle + sine * added) if is_odd else sine * added
    return np.asarray(np.clip(1 - inside, 0.0, 1.0))


def holm_limit(tails: Floats, pairs: int) -> float:
    """The largest chance among some of so many pairs that still counts, step by step from the clearest; -1 for none.

    Pairs that are not looked at count as less clear ones, which errs on the side of luck.
    Source: S. Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6
    (1979).
    """
    ascending = np.sort(tails)
    is_luck = ascending > LEVEL / (pairs - np.arange(len(ascending)))
    clear = int(np.argmax(is_luck)) if is_luck.any() else len(ascending)
    return float(ascending[clear - 1]) if clear else -1.0


def _strengths(changes: Changes, seed: int, chosen: list[int]) -> Matrix:
    """How far each strategy (column) is above a chosen one (row), in deviations of the mean; 0 where they are level."""
    count, days = changes.shape
    weights = day_weights(days, seed).T
    strengths = np.empty((len(chosen), count))
    known = changes[chosen]
    own, means = known @ weights, known.mean(axis=1)
    # a mean of blocks varies too little around the mean of the same days
    more = math.sqrt(days / (days - block_days(days)))
    for first in range(0, count, _CHUNK):  # all resampled means of many strategies would need much memory
        part = slice(first, first + _CHUNK)
        days_of_part = changes[part]
        others, gaps = days_of_part @ weights, days_of_part.mean(axis=1) - means[:, None]
        deviations = np.stack([(others - one).std(axis=1, ddof=1) for one in own]) * more
        with np.errstate(divide="ignore", invalid="ignore"):
            strengths[:, part] = np.where(np.abs(gaps) > FLAT_PERCENT, gaps / deviations, 0.0)
    return strengths


def _once(count: int, chosen: Sequence[int]) -> Bools:
    """Each pair that is looked at, once: of two chosen strategies both rows hold it."""
    is_own = np.ones((len(chosen), count), dtype=bool)
    for row in range(len(chosen)):
        is_own[row, chosen[: row + 1]] = False
    return is_own
