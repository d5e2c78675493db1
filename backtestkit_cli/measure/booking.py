"""How a closed position came to its price and its percent, step by step.

The step function has booked already; here its prices are named. The worst of the named prices is the booked one, and
the last step of the percent is the booked percent, to the last bit.
Source: rules, section 5 (what a fill books); semantics of the original, section 11 (percent, slippage, fees).
"""

from dataclasses import dataclass

from backtestkit_cli.engine.step import Quote
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.event import Closed, CloseReason
from backtestkit_cli.model.policy import Costs, FillPolicy
from backtestkit_cli.model.trade import pnl_percent


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPrice:
    """A price that counts for a booking, and what it is."""

    name: str
    price: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PnlSteps:
    """The percent of a position: both prices with their slippage, the percent before fees, fees of both sides, net."""

    entry: float
    entry_with_slippage: float
    exit: float
    exit_with_slippage: float
    slippage_percent: float
    before_fees_percent: float
    fees_percent: float
    pnl_percent: float


def exit_prices(closed: Closed, candle: Candle, quote: Quote, policy: FillPolicy) -> tuple[NamedPrice, ...]:
    """The prices of which the worst for the position was booked."""
    signal = closed.signal
    is_touch = policy.exit == "touch" or (closed.time_ms == closed.opened_at and policy.entry == "touch")
    vwap, close = NamedPrice(name="VWAP", price=quote.vwap), NamedPrice(name="close", price=quote.close)
    if closed.reason is CloseReason.TAKE_PROFIT:
        level = NamedPrice(name="take profit", price=signal.price_take_profit)
        return (level,) if is_touch or policy.market_books == "vwap" else (level, close)
    if closed.reason is CloseReason.STOP_LOSS:
        level = NamedPrice(name="stop", price=signal.price_stop_loss)
        if policy.stop_at == "level":
            return (level,)
        if is_touch:
            return level, NamedPrice(name="open", price=candle.open)
        return (vwap,) if policy.market_books == "vwap" else (level, vwap, close)
    return (vwap,) if policy.market_books == "vwap" else (vwap, close)


def worst_of(prices: tuple[NamedPrice, ...], *, is_long: bool) -> float:
    """The worst price to leave a position at: the lowest for a long, the highest for a short."""
    return (min if is_long else max)(one.price for one in prices)


def pnl_steps(closed: Closed, costs: Costs) -> PnlSteps:
    """The percent of a closed position in steps."""
    signal = closed.signal
    slippage = costs.slippage_percent / 100
    if signal.is_long:
        entry, exit_ = signal.price_open * (1 + slippage), closed.price * (1 - slippage)
        before_fees = (exit_ - entry) / entry * 100
    else:
        entry, exit_ = signal.price_open * (1 - slippage), closed.price * (1 + slippage)
        before_fees = (entry - exit_) / entry * 100
    return PnlSteps(
        entry=signal.price_open,
        entry_with_slippage=entry,
        exit=closed.price,
        exit_with_slippage=exit_,
        slippage_percent=costs.slippage_percent,
        before_fees_percent=before_fees,
        fees_percent=costs.fee_percent * 2,
        pnl_percent=pnl_percent(signal.is_long, signal.price_open, closed.price, costs),
    )
