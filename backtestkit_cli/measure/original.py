"""The original's statistics of trades, figure by figure, for results of the mode `reference`: also heat map and walker.

* Each figure is computed over what the original still holds: the newest 250 events, newest first.
  Sums run in that order, one after the other.
* A figure that is no finite number is None. Nothing here is a good estimate of anything: the Sharpe ratio is per trade
  and annualised as if there were one trade a day, the drawdown of the heat map runs backwards in time.
* Percents are percents of the entry, net of costs; times are UTC ms. Inputs are in order of time, oldest first.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np

from backtestkit_cli.engine.reference.events import ReferenceEvent
from backtestkit_cli.engine.reference.exchange import left_sum
from backtestkit_cli.measure.metrics import longest_streak
from backtestkit_cli.model.event import Active, Closed, Idle, Opened
from backtestkit_cli.model.fixed import round_minutes
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS

HELD_EVENTS = 250

WALKER_METRICS = {
    "sharpeRatio": "sharpe_ratio",
    "annualizedSharpeRatio": "annualized_sharpe_ratio",
    "winRate": "win_rate",
    "totalPnl": "total_pnl",
    "certaintyRatio": "certainty_ratio",
    "avgPnl": "avg_pnl",
    "expectedYearlyReturns": "expected_yearly_returns",
}

Item = TypeVar("Item")


class ClosedTrade(NamedTuple):
    """One closed position, as far as statistics look at it."""

    symbol: str
    pnl_percent: float
    opened_ms: int
    closed_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeFigures:
    """What closed trades amount to; `expected_yearly_returns` assumes that no time passes between trades."""

    total_closed: int
    win_count: int
    loss_count: int
    win_rate: float | None = None
    avg_pnl: float | None = None
    total_pnl: float | None = None
    std_dev: float | None = None
    sharpe_ratio: float | None = None
    annualized_sharpe_ratio: float | None = None
    certainty_ratio: float | None = None
    expected_yearly_returns: float | None = None


def trade_of(closed: Closed) -> ClosedTrade:
    """The trade of a close."""
    return ClosedTrade(closed.signal.symbol, closed.pnl_percent, closed.opened_at, closed.time_ms)


def newest_first(items: Iterable[Item], limit: int = HELD_EVENTS) -> list[Item]:
    """What the original still holds of events in order of time, in its order."""
    return list(items)[-limit:][::-1]


# ---- backtest and live


def backtest_figures(trades: Iterable[ClosedTrade], held: int = HELD_EVENTS) -> TradeFigures:
    """Measure the newest `held` trades of a backtest."""
    kept = newest_first(trades, held)
    if not kept:
        return TradeFigures(total_closed=0, win_count=0, loss_count=0)
    return _trade_figures(kept, [float(trade.closed_ms - trade.opened_ms) for trade in kept])


def live_figures(events: Iterable[ReferenceEvent]) -> tuple[int, TradeFigures]:
    """Measure a live run: how many events are held, and the figures of the closed ones among them."""
    log = LiveLog()
    for event in events:
        log.add(event)
    held = [trade_of(event) for event in log.events if isinstance(event, Closed)]
    if not log.events:
        return 0, TradeFigures(total_closed=0, win_count=0, loss_count=0)
    durations = [float(round_minutes(trade.closed_ms - trade.opened_ms) * MINUTE_MS) for trade in held]
    return len(log.events), _trade_figures(held, durations)


@dataclass(slots=True)
class LiveLog:
    """The events of a live report, newest first; repeated idle and active ones take the place of the last."""

    events: list[ReferenceEvent] = field(default_factory=list)

    def add(self, event: ReferenceEvent) -> None:
        """Take an event in; waiting and cancelled signals are not listed."""
        if isinstance(event, Idle | Active):
            place = self._idle_place() if isinstance(event, Idle) else self._active_place(event)
            if place is not None:
                self.events[place] = event
                return
        elif not isinstance(event, Opened | Closed):
            return
        self.events.insert(0, event)
        del self.events[HELD_EVENTS:]

    def _idle_place(self) -> int | None:
        """The oldest idle event, unless something opened or active is older."""
        for place in range(len(self.events) - 1, -1, -1):
            if isinstance(self.events[place], Opened | Active):
                return None
            if isinstance(self.events[place], Idle):
                return place
        return None

    def _active_place(self, event: Active) -> int | None:
        for place in range(len(self.events) - 1, -1, -1):
            held = self.events[place]
            if isinstance(held, Active) and held.signal.id == event.signal.id:
                return place
        return None


def _trade_figures(held: Sequence[ClosedTrade], durations_ms: Sequence[float]) -> TradeFigures:
    """Figures of held trades, newest first; without a trade zeros, and no win rate."""
    returns = [trade.pnl_percent for trade in held]
    count = len(returns)
    wins, losses = [one for one in returns if one > 0], [one for one in returns if one < 0]
    total = left_sum(returns)
    average = mean_or_zero(returns)
    deviation = population_deviation(returns, average)
    sharpe = average / deviation if deviation > 0 else 0.0
    days = mean_or_zero(durations_ms) / DAY_MS
    return TradeFigures(
        total_closed=count,
        win_count=len(wins),
        loss_count=len(losses),
        win_rate=_finite(len(wins) / count * 100) if count else None,
        avg_pnl=_finite(average),
        total_pnl=_finite(total),
        std_dev=_finite(deviation),
        sharpe_ratio=_finite(sharpe),
        annualized_sharpe_ratio=_finite(sharpe * math.sqrt(365)),
        certainty_ratio=_finite(mean_or_zero(wins) / abs(mean_or_zero(losses)) if mean_or_zero(losses) < 0 else 0.0),
        expected_yearly_returns=_finite(average * (365 / days if days > 0 else 0.0)),
    )


def mean_or_zero(values: Sequence[float]) -> float:
    """The mean; zero of nothing."""
    return left_sum(values) / len(values) if values else 0.0


def population_deviation(values: Sequence[float], mean: float) -> float:
    """The deviation of the whole population; zero of nothing."""
    return math.sqrt(mean_or_zero([(value - mean) * (value - mean) for value in values]))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


# ---- heat map


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatRow:
    """One symbol of the heat map."""

    symbol: str
    total_pnl: float | None
    sharpe_ratio: float | None
    max_drawdown: float | None
    total_trades: int
    win_count: int
    loss_count: int
    win_rate: float | None
    avg_pnl: float | None
    std_dev: float | None
    profit_factor: float | None
    avg_win: float | None
    avg_loss: float | None
    max_win_streak: int
    max_loss_streak: int
    expectancy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatFigures:
    """The heat map of one strategy: its symbols by Sharpe ratio, and all of them together."""

    symbols: tuple[HeatRow, ...]
    total_symbols: int
    portfolio_total_pnl: float | None
    portfolio_sharpe_ratio: float | None
    portfolio_total_trades: int


def heat_figures(trades: Iterable[ClosedTrade], held: int = HELD_EVENTS) -> HeatFigures:
    """Measure the trades of a strategy on all its symbols, of each the newest `held`."""
    by_symbol: dict[str, list[ClosedTrade]] = {}
    for trade in trades:
        by_symbol.setdefault(trade.symbol, []).append(trade)
    rows = [_heat_row(symbol, newest_first(own, held)) for symbol, own in by_symbol.items()]
    rows.sort(key=lambda row: (row.sharpe_ratio is None, -(row.sharpe_ratio or 0.0)))
    count = sum(row.total_trades for row in rows)
    weighted = [row.sharpe_ratio * row.total_trades for row in rows if row.sharpe_ratio is not None]
    return HeatFigures(
        symbols=tuple(rows),
        total_symbols=len(rows),
        portfolio_total_pnl=_finite(left_sum(row.total_pnl or 0.0 for row in rows)) if rows else None,
        portfolio_sharpe_ratio=_finite(left_sum(weighted) / count) if weighted else None,
        portfolio_total_trades=count,
    )


def _heat_row(symbol: str, held: Sequence[ClosedTrade]) -> HeatRow:
    returns = [trade.pnl_percent for trade in held]
    count = len(returns)
    wins, losses = [one for one in returns if one > 0], [one for one in returns if one < 0]
    average = left_sum(returns) / count
    deviation = population_deviation(returns, average) if count > 1 else None
    rate = len(wins) / count * 100
    is_win = np.array([one > 0 for one in returns if one > 0 or one < 0], dtype=bool)  # others do not end a streak
    expected = rate / 100 * mean_or_zero(wins) + (100 - rate) / 100 * mean_or_zero(losses)
    return HeatRow(
        symbol=symbol,
        total_pnl=_finite(left_sum(returns)),
        sharpe_ratio=_finite(average / deviation) if deviation else None,
        max_drawdown=_finite(_depth_below_zero(returns)),
        total_trades=count,
        win_count=len(wins),
        loss_count=len(losses),
        win_rate=rate,
        avg_pnl=_finite(average),
        std_dev=None if deviation is None else _finite(deviation),
        profit_factor=_finite(left_sum(wins) / abs(left_sum(losses))) if wins and losses else None,
        avg_win=_finite(mean_or_zero(wins)) if wins else None,
        avg_loss=_finite(mean_or_zero(losses)) if losses else None,
        max_win_streak=longest_streak(is_win),
        max_loss_streak=longest_streak(~is_win),
        expectancy=_finite(expected) if wins and losses else None,
    )


def _depth_below_zero(returns: Iterable[float]) -> float:
    """How far below zero the running sum, newest trade first, ever is."""
    total = deepest = 0.0
    for one in returns:
        total += one
        deepest = max(deepest, -total)
    return deepest


# ---- walker


class WalkerResult(NamedTuple):
    """One tested strategy, and the best one so far."""

    strategy: str
    figures: TradeFigures
    metric_value: float | None
    best_strategy: str | None
    best_metric: float | None


def walker_results(tested: Iterable[tuple[str, TradeFigures]], metric: str = "sharpeRatio") -> list[WalkerResult]:
    """Compare strategies in the order they were tested; of equal ones the first stays the best."""
    results: list[WalkerResult] = []
    best: tuple[str | None, float | None] = (None, None)
    for strategy, figures in tested:
        value: float | None = getattr(figures, WALKER_METRICS[metric])
        if value is not None and (best[1] is None or value > best[1]):
            best = (strategy, value)
        results.append(WalkerResult(strategy, figures, value, *best))
    return results


def walker_ranking(results: Sequence[WalkerResult]) -> list[WalkerResult]:
    """The comparison table: by metric, none last; of equal ones the last tested stands first."""
    last_first = results[::-1]
    return sorted(last_first, key=lambda one: (one.metric_value is None, -(one.metric_value or 0.0)))
