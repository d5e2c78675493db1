"""What sized trades made of the balance, in quote currency: figures that percents of single trades cannot give.

* PnL is what closed trades booked, each its percent of what its entry was worth; nothing else moves the account.
* Drawdown is the fall of the realised equity below its former peak, trade by trade; of open positions it knows nothing.
* Exposure is what all open positions were worth at their entries, long and short alike, against the realised equity.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from backtestkit_cli.engine.candles import Ints
from backtestkit_cli.engine.trades import REASONS, Trades
from backtestkit_cli.measure.metrics import Metric, total
from backtestkit_cli.model.event import CloseReason

END_OF_DATA = REASONS.index(CloseReason.END_OF_DATA)
NOT_SIZED = "nothing is sized"
AT_EQUAL_STAKES = {
    "pnl_percent": "PnL at equal stakes",
    "profit_factor": "Profit factor, equal stakes",
    "max_drawdown_percent": "Max drawdown, equal stakes",
    "max_drawdown_hours": "Drawdown time, equal stakes",
    "long_pnl_percent": "Long PnL, equal stakes",
    "short_pnl_percent": "Short PnL, equal stakes",
}
"""What sums of trade percents are called beside money: each trade counts in them as if it had staked the same."""


def money_metrics(trades: Trades, balance: float) -> tuple[Metric, ...]:
    """Measure sized trades, in order of closing, against the balance they share."""
    pnl = total(trades.pnl_quote)
    return _metrics(pnl, 100 * pnl / balance, *_drawdown(trades, balance), max_exposure_percent(trades, balance))


def beside_money(metrics: Iterable[Metric]) -> tuple[Metric, ...]:
    """Name the metrics that are sums of trade percents so that nobody takes them for money."""
    return tuple(replace(metric, label=AT_EQUAL_STAKES.get(metric.key, metric.label)) for metric in metrics)


def unsized_metrics() -> tuple[Metric, ...]:
    """The same figures of a run in which nothing is sized."""
    return _metrics(*[None] * 5)


def max_exposure_percent(trades: Trades, balance: float) -> float:
    """Find the largest worth of open positions in percent of the realised equity, right after an opening.

    Openings and closings of one instant come in the order of the engine (`_phases`). Infinite where a position was open
    without any equity.
    """
    worth = trades.quantity * trades.price_open
    none = np.zeros(len(trades))
    times = np.concatenate((trades.opened_ms, trades.closed_ms))
    rows = np.tile(np.arange(len(trades)), 2)
    order = np.lexsort((rows, np.concatenate(_phases(trades)), times))
    held = np.cumsum(np.concatenate((worth, -worth))[order])
    equity = balance + np.cumsum(np.concatenate((none, trades.pnl_quote))[order])
    opening = order < len(trades)
    with np.errstate(divide="ignore", invalid="ignore"):
        percents = np.where(equity > 0, 100 * held / equity, np.inf)[opening]
    return float(percents.max()) if len(percents) else 0.0


def _drawdown(trades: Trades, balance: float) -> tuple[float, float]:
    """The deepest fall of the realised equity in quote currency, and the deepest in percent of its peak."""
    equity = balance + np.concatenate(([0.0], np.cumsum(trades.pnl_quote)))
    peaks = np.maximum.accumulate(equity)
    falls = peaks - equity
    return float(falls.max()), float((100 * falls / peaks).max())


def _phases(trades: Trades) -> tuple[Ints, Ints]:
    """When each trade opens and closes inside an instant.

    Closings come first, then entries that waited, those that close at once one after the other, then decisions, and the
    end of data last.
    """
    in_turn = (trades.opened_ms == trades.closed_ms) & (trades.reason != END_OF_DATA)
    opened = np.where(in_turn, 2, np.where(trades.decided_ms < trades.opened_ms, 1, 3))
    closed = np.where(in_turn, 2, np.where(trades.reason == END_OF_DATA, 4, 0))
    return opened, closed


def _metrics(
    pnl: float | None, percent: float | None, fall: float | None, fall_percent: float | None, exposure: float | None
) -> tuple[Metric, ...]:
    rows = (
        ("pnl_quote", "PnL, quote currency", pnl, "", True),
        ("return_percent", "Return on the balance", percent, "%", True),
        ("balance_drawdown_quote", "Max drawdown, quote", fall, "", False),
        ("balance_drawdown_percent", "Max drawdown of the balance", fall_percent, "%", False),
        ("max_exposure_percent", "Largest exposure", exposure, "%", False),
    )
    return tuple(
        Metric(
            key=key,
            label=label,
            value=value,
            unit=unit,
            reason=NOT_SIZED if value is None else None,
            is_signed=is_signed,
        )
        for key, label, value, unit, is_signed in rows
    )
