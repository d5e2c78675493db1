"""The original's figures of one stream under any fill policy, each with its unit and the reason where there is none.

* `original` counts what the original still holds, the newest 250 trades and events; `original_all` counts all of them.
* Figures of its heat map, schedule, partial and risk reports have the report's name in front of their own.
* What they are worth: see `measure/original.py`; they stand beside ours, for those who compare.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import repeat
from typing import Any, Literal

from backtestkit_cli.engine.listed import CANCELLED, KINDS, LEVEL_REACHED, OPENED, SCHEDULED, ListedEvents
from backtestkit_cli.engine.result import StreamRun
from backtestkit_cli.measure.metrics import NO_TRADE, Metric, metric
from backtestkit_cli.measure.original import HELD_EVENTS, ClosedTrade, HeatFigures, backtest_figures, heat_figures
from backtestkit_cli.measure.original_events import ScheduleEntry, schedule_entry, schedule_figures, schedule_line
from backtestkit_cli.model.event import LevelReached, RiskRefused

Scope = Literal["original", "original_all"]

UNITS = {
    "win_rate": "%",
    "avg_pnl": "%",
    "total_pnl": "%",
    "std_dev": "%",
    "expected_yearly_returns": "%",
    "max_drawdown": "%",
    "avg_win": "%",
    "avg_loss": "%",
    "expectancy": "%",
    "cancellation_rate": "%",
    "activation_rate": "%",
    "avg_wait_time": "min",
    "avg_activation_time": "min",
}
SIGNED = frozenset(("avg_pnl", "total_pnl", "expected_yearly_returns", "avg_win", "avg_loss", "expectancy"))
REASONS = {
    "sharpe_ratio": "fewer than 2 trades, or all alike",
    "std_dev": "fewer than 2 trades",
    "profit_factor": "wins and losses are both needed",
    "expectancy": "wins and losses are both needed",
    "avg_win": "no winning trade",
    "avg_loss": "no losing trade",
    "cancellation_rate": "no limit entry",
    "activation_rate": "no limit entry",
    "avg_wait_time": "no entry was cancelled",
    "avg_activation_time": "no entry was activated",
}
NAMES = {"total_closed": "total_signals"}
"""What our type calls otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """What the original's reports of one stream are fed with, oldest first.

    `levels` tells of each that was reached whether it was on the side of the profit.
    """

    trades: tuple[ClosedTrade, ...]
    entries: tuple[ScheduleEntry, ...] = ()
    levels: tuple[bool, ...] = ()
    refusals: int = 0


def trades_happened(stream: StreamRun) -> tuple[ClosedTrade, ...]:
    """The closed trades of a stream, in order of closing."""
    trades = stream.result.trades
    columns = (trades.pnl_percent.tolist(), trades.opened_ms.tolist(), trades.closed_ms.tolist())
    return tuple(map(ClosedTrade, repeat(stream.symbol), *columns))


def happened(stream: StreamRun) -> Happened:
    """Go through the events of a stream, as columns where it has them so."""
    if stream.result.listed is not None:
        return _listed(stream, stream.result.listed())
    events = list(stream.result.events())
    return Happened(
        trades=trades_happened(stream),
        entries=tuple(entry for entry in map(schedule_entry, events) if entry is not None),
        levels=tuple(event.side == "profit" for event in events if isinstance(event, LevelReached)),
        refusals=sum(isinstance(event, RiskRefused) for event in events),
    )


def _listed(stream: StreamRun, events: ListedEvents) -> Happened:
    """Risk refuses nothing where events are columns."""
    decided_ms = events.signals.decided_ms[events.signal] if len(events.signals.ids) else events.time_ms
    waits = (events.kind == SCHEDULED) | (events.kind == CANCELLED)
    waits |= (events.kind == OPENED) & (events.time_ms != decided_ms)
    columns = (events.kind[waits].tolist(), events.time_ms[waits].tolist(), decided_ms[waits].tolist())
    lines = (schedule_line(KINDS[kind], time_ms, decided) for kind, time_ms, decided in zip(*columns, strict=True))
    return Happened(
        trades=trades_happened(stream),
        entries=tuple(line for line in lines if line is not None),
        levels=tuple(events.is_profit[events.kind == LEVEL_REACHED].tolist()),
    )


def original_metrics(told: Happened, scope: Scope) -> tuple[Metric, ...]:
    """Measure a stream as the original does, over its newest events or over all."""
    held = HELD_EVENTS if scope == "original" else None
    trades, entries, levels = (_newest(items, held) for items in (told.trades, told.entries, told.levels))
    refusals = told.refusals if held is None else min(held, told.refusals)
    profit = sum(levels)
    return (
        *_trade_metrics(trades),
        *_heat_metrics(trades),
        *_metrics("schedule_", schedule_figures(entries, held=len(entries))),
        metric("partial_total_events", "Partial total events", len(levels)),
        metric("partial_total_profit", "Partial total profit", profit),
        metric("partial_total_loss", "Partial total loss", len(levels) - profit),
        metric("risk_total_rejections", "Risk total rejections", refusals),
    )


def portfolio_metrics(trades: Sequence[ClosedTrade], scope: Scope) -> tuple[Metric, ...]:
    """Measure all symbols of a strategy as the original's heat map does; trades in order of closing."""
    found = heat_figures(trades, held=HELD_EVENTS if scope == "original" else len(trades))
    return tuple(_metrics("", found, left_out=("symbols",)))


def _newest(items: Sequence[Any], held: int | None) -> Sequence[Any]:
    return items if held is None else items[-held:]


def _trade_metrics(trades: Sequence[ClosedTrade]) -> Iterator[Metric]:
    yield from _metrics("", backtest_figures(trades, held=len(trades)), missing=None if trades else NO_TRADE)


def _heat_metrics(trades: Sequence[ClosedTrade]) -> Iterator[Metric]:
    """The row of the symbol; where there is none the same figures, all of them N/A."""
    found: HeatFigures = heat_figures(trades or [ClosedTrade("", 0.0, 0, 0)], held=max(1, len(trades)))
    row = found.symbols[0]
    for one in _metrics("heat_", row, left_out=("symbol",)):
        yield one if trades else replace(one, value=None, reason=NO_TRADE)


def _metrics(
    prefix: str, figures: Any, *, left_out: Sequence[str] = (), missing: str | None = None
) -> Iterator[Metric]:
    for field in fields(figures):
        if field.name in left_out:
            continue
        name = NAMES.get(field.name, field.name)
        key, bare = f"{prefix}{name}", name.removeprefix("portfolio_")
        yield metric(
            key,
            key.replace("_", " ").capitalize(),
            getattr(figures, field.name),
            UNITS.get(bare, ""),
            reason=missing or REASONS.get(bare, "no finite number"),
            is_signed=bare in SIGNED,
        )
