"""What else could have come of the same trades and days: another order of them, another draw.

* Trades in another order make the same sum, but another drawdown.
* Days drawn again, in circular blocks, keep what one day owes to the next, and make another sum.
* Percents are points of one stake, of money percent of the worth each day began with, as everywhere.
* The same run and the same seed give the same figures.
"""

import math
from dataclasses import dataclass

import numpy as np

from backtestkit_cli.engine.candles import Floats
from backtestkit_cli.engine.trades import Trades
from backtestkit_cli.measure.ranking import day_weights
from backtestkit_cli.measure.statistics import LEAST_DAYS, YEAR_DAYS
from backtestkit_cli.model.trade import FLAT_PERCENT

SHUFFLES = 1000
LEAST_TRADES = 2

_CHUNK = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Between what nine of ten draws lie, and the one in the middle: 5 %, 50 % and 95 % of them are below."""

    low: float
    middle: float
    high: float


def spread_of(values: Floats) -> Spread:
    """The spread of some draws, of which there is at least one."""
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95)).tolist()
    return Spread(low=low, middle=middle, high=high)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffledTrades:
    """The deepest fall of the sum of closed trades in points: as it was, and with the trades in other orders.

    `share_deeper` is the share of orders that fall deeper than it was.
    """

    drawdown_percent: float
    spread: Spread
    share_deeper: float


def shuffled_trades(trades: Trades, seed: int) -> ShuffledTrades | None:
    """Put the trades in 1000 other orders; None of fewer than two."""
    if len(trades) < LEAST_TRADES:
        return None
    random = np.random.default_rng(seed)
    # sums of the same trades in another order differ in the last bit
    actual = float(_deepest(trades.pnl_percent[None, :])[0].round(9))
    falls = np.concatenate(
        [_deepest(random.permuted(np.tile(trades.pnl_percent, (_CHUNK, 1)), axis=1)) for _ in range(SHUFFLES // _CHUNK)]
    ).round(9)
    return ShuffledTrades(drawdown_percent=actual, spread=spread_of(falls), share_deeper=float((falls > actual).mean()))


def _deepest(orders: Floats) -> Floats:
    """The deepest fall of the sum in each row, from 0 on."""
    sums = np.cumsum(orders, axis=1)
    peaks = np.maximum(np.maximum.accumulate(sums, axis=1), 0.0)
    return np.asarray((peaks - sums).max(axis=1).clip(0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResampledDays:
    """What the days sum up to, and their yearly Sharpe ratio, when they are drawn again.

    `share_of_loss` is the share of draws that lose; `sharpe` is None where the days of some draw do not differ.
    """

    pnl_percent: Spread
    sharpe: Spread | None
    share_of_loss: float


def resampled_days(changes: Floats, seed: int) -> ResampledDays | None:
    """Draw the days again 2000 times in circular blocks; None of fewer than 20."""
    days = len(changes)
    if days < LEAST_DAYS:
        return None
    weights = day_weights(days, seed)
    means = weights @ changes
    spreads = np.maximum(weights @ changes**2 - means**2, 0.0) * days / (days - 1)
    is_moving = bool((spreads > FLAT_PERCENT).all())
    sharpes = means / np.sqrt(spreads) * math.sqrt(YEAR_DAYS) if is_moving else None
    return ResampledDays(
        pnl_percent=spread_of(means * days),
        sharpe=None if sharpes is None else spread_of(sharpes),
        share_of_loss=float((means < -FLAT_PERCENT).mean()),
    )
