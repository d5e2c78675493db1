"""How much of the best of many trials is luck: Sharpe ratios after the search, and how often the best one disappoints.

* Every Sharpe ratio and every variance in here is of one period, a day as a rule, and not annualised.
* The deviation is the sample's (n - 1), as in every Sharpe ratio of this program; skew and kurtosis are those of the
  population, and kurtosis is 3 of a normal distribution.
* What has no deviation has no Sharpe ratio: it is N/A, or 0 among trials that are held against each other.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np

from backtestkit_cli.engine.candles import Bools, Floats
from backtestkit_cli.measure.ranking import Matrix
from backtestkit_cli.model.trade import FLAT_PERCENT

BLOCKS = 16
LEAST_DAYS_PER_BLOCK = 2

_EULER = 0.5772156649015329
_NORMAL = NormalDist()
_CHUNK = 32
_DUST = 1e-12
_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class SharpeMoments:
    """The Sharpe ratio of so many changes, per period, and the shape of their distribution."""

    sharpe: float
    count: int
    skew: float
    kurtosis: float


def sharpe_moments(changes: Floats) -> SharpeMoments | None:
    """Measure the changes of a curve; None if no two of them differ."""
    if len(changes) < 2:
        return None
    apart = changes - changes.mean()
    deviation = math.sqrt(float((apart**2).sum()) / (len(changes) - 1))
    if deviation <= FLAT_PERCENT:
        return None
    variance = float((apart**2).mean())
    return SharpeMoments(
        sharpe=float(changes.mean()) / deviation,
        count=len(changes),
        skew=float((apart**3).mean()) / variance**1.5,
        kurtosis=float((apart**4).mean()) / variance**2,
    )


def probabilistic_sharpe(sharpe: float, count: int, skew: float, kurtosis: float, benchmark: float = 0.0) -> float:
    """The chance, 0 to 1, that the true Sharpe ratio is above a benchmark, after `count` changes of that shape.

    Φ((sharpe - benchmark) √(count - 1) / √(1 - skew sharpe + (kurtosis - 1) / 4 sharpe²)). What stands under the last
    root is above zero for every distribution there is, since kurtosis is at least 1 + skew².
    Source: D. Bailey and M. López de Prado, The Sharpe Ratio Efficient Frontier, Journal of Risk 15 (2012).
    """
    spread = 1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2
    if spread <= 0:  # only where the changes have two values, and gain by the better of them
        return 1.0 if sharpe > benchmark else 0.0
    return _NORMAL.cdf((sharpe - benchmark) * math.sqrt(count - 1) / math.sqrt(spread))


def expected_best_sharpe(variance: float, trials: int) -> float:
    """The Sharpe ratio that the best of so many trials has by luck alone, if theirs have that variance; 0 of one.

    √variance ((1 - γ) Φ⁻¹(1 - 1 / trials) + γ Φ⁻¹(1 - 1 / (e trials))), with γ of Euler and Mascheroni.
    Source: D. Bailey and M. López de Prado, The Deflated Sharpe Ratio, Journal of Portfolio Management 40 (2014).
    """
    if trials < 2:
        return 0.0
    usual, rare = _NORMAL.inv_cdf(1 - 1 / trials), _NORMAL.inv_cdf(1 - 1 / (math.e * trials))
    return math.sqrt(variance) * ((1 - _EULER) * usual + _EULER * rare)


def deflated_sharpe(best: SharpeMoments, variance: float, trials: int) -> float:
    """The chance, 0 to 1, that the best of so many trials is better than luck makes the best of them.

    `variance` is that of the Sharpe ratios of the trials. Trials that are alike are fewer than they look; all of them
    are counted all the same, which errs on the side of luck.
    Source: as `expected_best_sharpe`.
    """
    luck = expected_best_sharpe(variance, trials)
    return probabilistic_sharpe(best.sharpe, best.count, best.skew, best.kurtosis, luck)


# ---- how often the best one disappoints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overfitting:
    """How often the best of one half of the days is in the worse half of all trials on the other days.

    `logits` has one value for each way to halve the days: the logarithm of the odds of its place, below 0 where it was
    worse than the middle.
    """

    probability: float
    logits: Floats


def probability_of_overfitting(changes: Matrix, blocks: int = BLOCKS) -> Overfitting | None:
    """Halve the days in every way that keeps blocks whole, and see where the best of one half stands in the other.

    `changes` has a row of daily changes for each trial; the days are cut into an even number of blocks that differ by a
    day at most. Trials are compared by Sharpe ratio. The place of a trial is the number of trials that are worse, equal
    ones half, and a half, over the number of trials and one. Of several that are equally best the worst on the other
    days counts, and the middle place counts as overfitted: where all trials are one, the probability is 1. None of
    fewer than two trials, or than two days a block.
    Source: D. Bailey, J. Borwein, M. López de Prado and Q. Zhu, The Probability of Backtest Overfitting, Journal of
    Computational Finance 20 (2017), by combinatorially symmetric cross-validation.
    """
    count, days = changes.shape
    if count < 2 or days < LEAST_DAYS_PER_BLOCK * blocks:
        return None
    logits = np.concatenate([_logits(chosen, other) for chosen, other in _halves(changes, blocks)])
    return Overfitting(probability=float((logits <= 0).mean()), logits=logits)


def _halves(changes: Matrix, blocks: int) -> Iterator[tuple[Matrix, Matrix]]:
    """The Sharpe ratios of all trials on some halves of the days, and on the days beside each; every half once."""
    means = changes.mean(axis=1)
    apart = changes - means[:, None]
    first_days = np.linspace(0, changes.shape[1], blocks + 1).round().astype(np.int64)
    sums, squares = (np.add.reduceat(one, first_days[:-1], axis=1).T for one in (apart, apart**2))
    sizes = np.diff(first_days).astype(np.float64)
    within = np.zeros((math.comb(blocks, blocks // 2), blocks), dtype=bool)
    for row, half in enumerate(combinations(range(blocks), blocks // 2)):
        within[row, list(half)] = True
    for first in range(0, len(within) // 2, _CHUNK):  # the other half of each stands mirrored at the other end
        part = within[first : min(first + _CHUNK, len(within) // 2)]
        one, other = (_sharpes(half, means, sums, squares, sizes) for half in (part, ~part))
        yield one, other
        yield other, one


def _sharpes(half: Bools, means: Floats, sums: Matrix, squares: Matrix, sizes: Floats) -> Matrix:
    """The Sharpe ratio of each trial on each half, from its mean and the sums of what is beside it in each block."""
    chosen = half.astype(np.float64)
    days = (chosen @ sizes)[:, None]
    beside, whole = chosen @ sums, chosen @ squares
    spread = whole - beside**2 / days
    is_moving = spread > np.maximum(FLAT_PERCENT**2, _DUST * whole)
    deviation = np.sqrt(np.where(is_moving, spread, 1.0) / (days - 1))
    found = np.where(is_moving, (means + beside / days) / deviation, 0.0)
    return np.asarray(found.round(_DIGITS))  # trials that are the same are equal, however sums were ordered


def _logits(chosen: Matrix, other: Matrix) -> Floats:
    """The logit of the place that the best of each row of `chosen` has in the same row of `other`."""
    best = np.where(chosen == chosen.max(axis=1, keepdims=True), other, np.inf).min(axis=1)[:, None]
    worse, equal = (other < best).sum(axis=1), (other == best).sum(axis=1)
    place = (worse + (equal + 1) / 2) / (other.shape[1] + 1)
    return np.asarray(np.log(place / (1 - place)))
