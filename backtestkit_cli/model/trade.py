"""The money arithmetic of one finished position.

Percent of the entry, net: slippage worsens both prices, the fee of both sides is subtracted from the percent.
Source: semantics of the original, section 11; the order of operations is kept, so that results are equal bit for bit.
The formulas work on numbers and on columns alike: prices are floats, or float columns of one length.
"""

from typing import Any

from backtestkit_cli.model.policy import Costs

FLAT_PERCENT = 1e-12
"""A PnL of at most this, either way, is neither a win nor a loss: two VWAPs of a flat price differ in the last bit."""


def long_pnl_percent(price_open: Any, price_close: Any, costs: Costs) -> Any:
    """PnL of a long position in percent of its entry, net of costs."""
    slippage = costs.slippage_percent / 100
    entry = price_open * (1 + slippage)
    close = price_close * (1 - slippage)
    return (close - entry) / entry * 100 - costs.fee_percent * 2


def short_pnl_percent(price_open: Any, price_close: Any, costs: Costs) -> Any:
    """PnL of a short position in percent of its entry, net of costs."""
    slippage = costs.slippage_percent / 100
    entry = price_open * (1 - slippage)
    close = price_close * (1 + slippage)
    return (entry - close) / entry * 100 - costs.fee_percent * 2


def pnl_percent(is_long: bool, price_open: float, price_close: float, costs: Costs) -> float:
    """PnL of one position in percent of its entry, net of costs."""
    formula = long_pnl_percent if is_long else short_pnl_percent
    return float(formula(price_open, price_close, costs))


def pnl_quote(quantity: Any, price_open: Any, percent: Any) -> Any:
    """PnL in quote currency of a position of `quantity` (base currency): its percent of what the entry was worth."""
    return quantity * price_open * percent / 100
