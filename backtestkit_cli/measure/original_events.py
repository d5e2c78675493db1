"""The original's counts of what is no trade: waiting entries, levels, refusals, timings.

As for trades, only the newest 250 events (10 000 timings) count, newest first, and sums run in that order.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from backtestkit_cli.engine.reference.events import OfferRejected, ReferenceEvent
from backtestkit_cli.engine.reference.exchange import left_sum
from backtestkit_cli.measure.original import HELD_EVENTS, mean_or_zero, newest_first, population_deviation
from backtestkit_cli.model.event import Cancelled, Event, LevelReached, Opened, Scheduled
from backtestkit_cli.model.fixed import round_minutes

HELD_TIMINGS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleFigures:
    """What became of waiting entries; times in minutes. Rates are percents of the scheduled ones."""

    total_events: int
    total_scheduled: int
    total_opened: int
    total_cancelled: int
    cancellation_rate: float | None
    activation_rate: float | None
    avg_wait_time: float | None
    avg_activation_time: float | None


class ScheduleEntry(NamedTuple):
    """One line of the schedule report; `minutes` waited, None of one that starts to wait."""

    time_ms: int
    action: str
    minutes: int | None


def schedule_entry(event: Event | ReferenceEvent) -> ScheduleEntry | None:
    """The line of an event."""
    if isinstance(event, Scheduled | Cancelled | Opened):
        return schedule_line(event.kind, event.time_ms, event.signal.decided_at)
    return None


def schedule_line(kind: str, time_ms: int, decided_ms: int) -> ScheduleEntry | None:
    """The line of something scheduled, cancelled or opened; an opening counts only where it ended a wait."""
    if kind == "scheduled":
        return ScheduleEntry(decided_ms, kind, None)
    if kind == "opened" and time_ms == decided_ms:
        return None
    return ScheduleEntry(time_ms, kind, round_minutes(time_ms - decided_ms))


def schedule_figures(entries: Iterable[ScheduleEntry], held: int = HELD_EVENTS) -> ScheduleFigures:
    """Measure the newest `held` lines of a schedule report."""
    kept = newest_first(entries, held)
    counts = Counter(entry.action for entry in kept)
    scheduled = counts["scheduled"]
    return ScheduleFigures(
        total_events=len(kept),
        total_scheduled=scheduled,
        total_opened=counts["opened"],
        total_cancelled=counts["cancelled"],
        cancellation_rate=counts["cancelled"] / scheduled * 100 if scheduled else None,
        activation_rate=counts["opened"] / scheduled * 100 if scheduled else None,
        avg_wait_time=_average_minutes(kept, "cancelled"),
        avg_activation_time=_average_minutes(kept, "opened"),
    )


def _average_minutes(held: Iterable[ScheduleEntry], action: str) -> float | None:
    waited = [float(entry.minutes or 0) for entry in held if entry.action == action]
    return mean_or_zero(waited) if waited else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelFigures:
    """How many levels were reached."""

    total_events: int
    total_profit: int
    total_loss: int


def level_figures(levels: Iterable[LevelReached]) -> LevelFigures:
    """Count reached levels."""
    held = newest_first(levels)
    profit = sum(level.side == "profit" for level in held)
    return LevelFigures(total_events=len(held), total_profit=profit, total_loss=len(held) - profit)


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectionFigures:
    """How often risk refused."""

    total_rejections: int
    by_symbol: Mapping[str, int]
    by_strategy: Mapping[str, int]


def rejection_figures(rejections: Iterable[OfferRejected]) -> RejectionFigures:
    """Count refusals."""
    held = newest_first(rejections)
    return RejectionFigures(
        total_rejections=len(held),
        by_symbol=dict(Counter(one.symbol for one in held)),
        by_strategy=dict(Counter(one.strategy for one in held)),
    )


class Timing(NamedTuple):
    """How long a piece of work took, and when it and the one before it ended (wall clock, ms)."""

    time_ms: float
    previous_ms: float | None
    metric_type: str
    duration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingFigures:
    """The timings of one type, all in ms; percentiles by nearest rank."""

    metric_type: str
    count: int
    total_duration: float
    avg_duration: float
    min_duration: float
    max_duration: float
    std_dev: float
    median: float
    p95: float
    p99: float
    avg_wait_time: float
    min_wait_time: float
    max_wait_time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceFigures:
    """All timings; types overlap, so that the total counts time several times."""

    total_events: int
    total_duration: float
    metric_stats: Mapping[str, TimingFigures]


def performance_figures(timings: Iterable[Timing]) -> PerformanceFigures:
    """Measure timings, by type."""
    held = newest_first(timings, HELD_TIMINGS)
    by_type: dict[str, list[Timing]] = {}
    for timing in held:
        by_type.setdefault(timing.metric_type, []).append(timing)
    return PerformanceFigures(
        total_events=len(held),
        total_duration=left_sum(timing.duration for timing in held),
        metric_stats={name: _timing_figures(name, own) for name, own in by_type.items()},
    )


def _timing_figures(name: str, held: Sequence[Timing]) -> TimingFigures:
    durations = sorted(timing.duration for timing in held)
    waits = [timing.time_ms - timing.previous_ms for timing in held if timing.previous_ms is not None]
    average = mean_or_zero(durations)
    return TimingFigures(
        metric_type=name,
        count=len(durations),
        total_duration=left_sum(durations),
        avg_duration=average,
        min_duration=durations[0],
        max_duration=durations[-1],
        std_dev=population_deviation(durations, average),
        median=nearest_rank(durations, 50),
        p95=nearest_rank(durations, 95),
        p99=nearest_rank(durations, 99),
        avg_wait_time=mean_or_zero(waits),
        min_wait_time=min(waits, default=0.0),
        max_wait_time=max(waits, default=0.0),
    )


def nearest_rank(ascending: Sequence[float], percentile: int) -> float:
    """The smallest value that so many percent of all do not exceed."""
    return ascending[max(0, math.ceil(len(ascending) * percentile / 100) - 1)]
