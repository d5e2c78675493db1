"""What the daily equity amounts to: ratios of gain to risk, each with its convention and its source.

* A day is 00:00 to 00:00 UTC; days without a position count, a first or last day cut short by the range too.
* A daily figure is a difference of the curve in points, not a growth rate: nothing is compounded. Of money, where
  trades are sized, it is percent of the worth the day began with, and drawdown percent of the peak.
* A year has 365 days, the risk-free rate is zero, deviations are the sample's (n - 1).
* Below 20 days or 2 trades every figure is N/A; so is a ratio to no risk at all, never infinite.
"""

import math
from dataclasses import dataclass

import numpy as np

from backtestkit_cli.engine.candles import Floats
from backtestkit_cli.engine.result import RunResult, StreamRun
from backtestkit_cli.engine.trades import Trades, trades_of
from backtestkit_cli.measure.equity import DailyEquity, curve_of, run_equity, stream_equity
from backtestkit_cli.measure.metrics import Metric, merged, metrics, total
from backtestkit_cli.measure.money import beside_money, money_metrics, unsized_metrics
from backtestkit_cli.model.time import DAY_MS, TimeRange
from backtestkit_cli.model.trade import FLAT_PERCENT

YEAR_DAYS = 365
LEAST_DAYS = 20
LEAST_TRADES = 2

NO_CHANGE = "no two days differ"
NO_FALL = "no day lost"
NO_DRAWDOWN = "the daily curve never fell"


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyDrawdown:
    """The deepest fall of the daily curve below a former peak, in points or, of money, in percent of the peak.

    `length_days` runs from the peak until it is regained.
    """

    depth_percent: float
    length_days: float


def all_metrics(trades: Trades, within: TimeRange, equity: DailyEquity) -> tuple[Metric, ...]:
    """Measure finished trades, then the daily curve that they made; of sized trades the money first."""
    of_trades, of_days = metrics(trades, within), daily_metrics(equity, len(trades))
    if not equity.is_money:
        return (*of_trades, *of_days)
    money = money_metrics(trades.where(~np.isnan(trades.quantity)), float(equity.values[0]))
    return (*money, *beside_money(of_trades), *of_days)


def stream_metrics(stream: StreamRun, within: TimeRange, balance: float | None = None) -> tuple[Metric, ...]:
    """Measure one stream of a run over its range: its trades, then its days."""
    return all_metrics(stream.result.trades, within, stream_equity(stream, within, balance))


def run_metrics(run: RunResult) -> tuple[Metric, ...]:
    """Measure all streams of a run together, of which there is at least one."""
    return all_metrics(merged([stream.result.trades for stream in run.streams]), run.range, run_equity(run))


def empty_metrics() -> tuple[Metric, ...]:
    """Every metric there is, of a day without a trade."""
    day = TimeRange(0, DAY_MS)
    return (*unsized_metrics(), *all_metrics(trades_of(()), day, curve_of([], day)))


def daily_metrics(equity: DailyEquity, trades: int) -> tuple[Metric, ...]:
    """Measure a daily curve that so many trades made."""
    changes, reason = equity.changes, _too_small(len(equity.changes), trades)
    drawdown = daily_drawdown(equity)
    rows: tuple[tuple[str, str, float | None, str, str, bool], ...] = (
        ("sharpe_ratio", "Sharpe ratio", sharpe_ratio(changes), "", NO_CHANGE, False),
        ("sortino_ratio", "Sortino ratio", sortino_ratio(changes), "", NO_FALL, False),
        ("calmar_ratio", "Calmar ratio", calmar_ratio(equity), "", NO_DRAWDOWN, False),
        ("volatility_percent", "Yearly volatility", volatility_percent(changes), "%", "", False),
        ("daily_drawdown_percent", "Daily drawdown", drawdown.depth_percent, "%", "", False),
        ("daily_drawdown_days", "Daily drawdown lasted", drawdown.length_days, "days", "", False),
        ("best_day_percent", "Best day", float(changes.max()), "%", "", True),
        ("worst_day_percent", "Worst day", float(changes.min()), "%", "", True),
        ("positive_days_percent", "Days that gained", positive_days_percent(changes), "%", "", False),
    )
    return tuple(
        Metric(
            key=key,
            label=label,
            value=None if reason else value,
            unit=unit,
            reason=reason or (missing if value is None else None),
            is_signed=is_signed,
        )
        for key, label, value, unit, missing, is_signed in rows
    )


def sharpe_ratio(changes: Floats) -> float | None:
    """Divide the mean day by the deviation of days and annualise: mean / deviation × √365; None if no two days differ.

    Source: W. F. Sharpe, The Sharpe Ratio, Journal of Portfolio Management 21 (1994), with a risk-free rate of zero.
    """
    deviation = _deviation(changes)
    return _mean(changes) / deviation * math.sqrt(YEAR_DAYS) if deviation > FLAT_PERCENT else None


def sortino_ratio(changes: Floats) -> float | None:
    """Divide the mean day by the downside deviation and annualise: mean / √(mean of min(day, 0)²) × √365.

    Days that gained count as zero in that mean; None if no day lost.
    Source: F. A. Sortino and L. N. Price, Performance Measurement in a Downside Risk Framework, Journal of Investing 3
    (1994), with a target of zero.
    """
    downside = math.sqrt(_mean(np.minimum(changes, 0.0) ** 2))
    return _mean(changes) / downside * math.sqrt(YEAR_DAYS) if downside > FLAT_PERCENT else None


def calmar_ratio(equity: DailyEquity) -> float | None:
    """Divide the mean year by the deepest daily drawdown: mean day × 365 / depth; None if the curve never fell.

    Over the whole range, not the last 36 months, and in points.
    Source: T. W. Young, Calmar Ratio: A Smoother Tool, Futures 20 (1991).
    """
    depth = daily_drawdown(equity).depth_percent
    return _mean(equity.changes) * YEAR_DAYS / depth if depth else None


def volatility_percent(changes: Floats) -> float:
    """Annualise the sample deviation of days: deviation × √365, in points."""
    return _deviation(changes) * math.sqrt(YEAR_DAYS)


def positive_days_percent(changes: Floats) -> float:
    """The share of all days that gained."""
    return 100 * float(np.count_nonzero(changes > FLAT_PERCENT)) / len(changes)


def daily_drawdown(equity: DailyEquity) -> DailyDrawdown:
    """Find the deepest fall of the daily curve.

    Unlike the drawdown of closed trades it sees open losses, though only at the marks. It lasts from its peak to the
    first mark at or above it, or to the end.
    """
    peaks = np.maximum.accumulate(equity.values)
    falls = equity.percent_of(peaks - equity.values, peaks)
    deepest = int(np.argmax(falls))
    if falls[deepest] <= FLAT_PERCENT:
        return DailyDrawdown(depth_percent=0.0, length_days=0.0)
    peak = int(np.argmax(equity.values == peaks[deepest]))
    regained = np.flatnonzero(equity.values[deepest:] >= peaks[deepest])
    end = deepest + int(regained[0]) if len(regained) else len(peaks) - 1
    length_ms = int(equity.times_ms[end] - equity.times_ms[peak])
    return DailyDrawdown(depth_percent=float(falls[deepest]), length_days=length_ms / DAY_MS)


def _too_small(days: int, trades: int) -> str | None:
    if trades < LEAST_TRADES:
        return f"fewer than {LEAST_TRADES} trades"
    return f"fewer than {LEAST_DAYS} days" if days < LEAST_DAYS else None


def _mean(values: Floats) -> float:
    return total(values) / len(values)


def _deviation(changes: Floats) -> float:
    return math.sqrt(total((changes - _mean(changes)) ** 2) / (len(changes) - 1)) if len(changes) > 1 else 0.0
