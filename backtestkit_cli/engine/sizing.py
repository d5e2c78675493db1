"""How much to trade: three methods, and limits on what they answer.

Quantities are in base currency and not rounded. The limits act in a fixed order: the share of the balance, then the
least, then the most; so that the least may break the share, and the most wins.
Source: semantics of the original, section 14; the order of operations is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from backtestkit_cli.model.trade import FLAT_PERCENT


class SizingError(ValueError):
    """The inputs allow no quantity; `code` is kebab-case."""

    def __init__(self, code: str, what: str) -> None:
        super().__init__(what)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantityLimits:
    """Limits of a quantity; None means no limit. The percentage is of the balance."""

    max_position_percentage: float | None = None
    min_quantity: float | None = None
    max_quantity: float | None = None

    def apply(self, quantity: float, balance: float, price_open: float) -> float:
        """Bring a quantity within the limits."""
        if self.max_position_percentage is not None:
            quantity = min(quantity, balance * self.max_position_percentage / 100 / price_open)
        if self.min_quantity is not None:
            quantity = max(quantity, self.min_quantity)
        if self.max_quantity is not None:
            quantity = min(quantity, self.max_quantity)
        return quantity


def fixed_percentage(balance: float, price_open: float, price_stop_loss: float, *, risk_percentage: float) -> float:
    """Risk a share of the balance on the distance to the stop.

    Raises:
        SizingError: the stop is at the entry.
    """
    distance = abs(price_open - price_stop_loss)
    if not distance:
        raise SizingError("stop-distance-zero", "the stop is at the entry price")
    return balance * (risk_percentage / 100) / distance


def kelly_criterion(
    balance: float, price_open: float, win_rate: float, win_loss_ratio: float, *, kelly_multiplier: float = 0.25
) -> float:
    """Stake a part of what the Kelly criterion allows; nothing when it advises against.

    `win_rate` is a share between 0 and 1; `win_loss_ratio` the average win over the average loss.

    Raises:
        SizingError: odds that cannot be.
    """
    if not 0 < win_rate < 1:
        raise SizingError("win-rate-out-of-range", f"a win rate of {win_rate:g} is not between 0 and 1")
    if not win_loss_ratio > 0:
        raise SizingError("win-loss-ratio-not-positive", f"a win-loss ratio of {win_loss_ratio:g} is not above 0")
    share = (win_rate * win_loss_ratio - (1 - win_rate)) / win_loss_ratio
    return balance * (max(0.0, share) * kelly_multiplier) / price_open


def odds_of(percents: Sequence[float], count: int) -> tuple[float, float]:
    """Win rate and win-loss ratio of the last `count` trades, in percent of their entries; flat ones are neither.

    Raises:
        SizingError: fewer trades, or none that won or lost.
    """
    if len(percents) < count:
        raise SizingError("too-few-trades", f"fewer than {count} closed trades to take the odds from")
    last = percents[-count:]
    wins, losses = [one for one in last if one > FLAT_PERCENT], [-one for one in last if one < -FLAT_PERCENT]
    if not wins or not losses:
        raise SizingError("odds-unknown", f"no {'loss' if wins else 'win'} among the last {count} trades")
    return len(wins) / count, (reduce(add, wins) / len(wins)) / (reduce(add, losses) / len(losses))


def atr_based(balance: float, atr: float, *, risk_percentage: float, atr_multiplier: float = 2.0) -> float:
    """Risk a share of the balance on a multiple of the average true range.

    Raises:
        SizingError: a range that is not positive.
    """
    if not atr > 0:
        raise SizingError("atr-not-positive", f"an average true range of {atr:g} is not above 0")
    return balance * (risk_percentage / 100) / (atr * atr_multiplier)
