"""The money arithmetic of one finished position.

Percent of the entry, net: slippage worsens both prices, the fee of both sides is subtracted from the percent.
Source: semantics of the original, section 11; the order of operations is kept, so that results are equal bit for bit.
The formulas work on numbers and on columns alike.
"""

from typing import TypeVar

from backtestkit_cli.model.policy import Costs

Amount = TypeVar("Amount")


def long_pnl_percent(price_open: Amount, price_close: Amount, costs: Costs) -> Amount:
    """PnL of a long position in percent of its entry, net of costs."""
    slippage = costs.slippage_percent / 100
    entry = price_open * (1 + slippage)  # type: ignore[operator]  # float or float column
    close = price_close * (1 - slippage)  # type: ignore[operator]
    return (close - entry) / entry * 100 - costs.fee_percent * 2  # type: ignore[no-any-return]


def short_pnl_percent(price_open: Amount, price_close: Amount, costs: Costs) -> Amount:
    """PnL of a short position in percent of its entry, net of costs."""
    slippage = costs.slippage_percent / 100
    entry = price_open * (1 - slippage)  # type: ignore[operator]  # float or float column
    close = price_close * (1 + slippage)  # type: ignore[operator]
    return (entry - close) / entry * 100 - costs.fee_percent * 2  # type: ignore[no-any-return]


def pnl_percent(is_long: bool, price_open: float, price_close: float, costs: Costs) -> float:
    """PnL of one position in percent of its entry, net of costs."""
    formula = long_pnl_percent if is_long else short_pnl_percent
    return formula(price_open, price_close, costs)
