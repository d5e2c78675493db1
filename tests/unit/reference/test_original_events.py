"""The original's counts of waiting entries, levels, refusals and timings, where the tables of recordings are silent."""

import math

from unit.reference.test_original_statistics import closed, idle, opened, row
from unit.reference.worlds import at, draft

from backtestkit_cli.engine.reference.events import OfferRejected
from backtestkit_cli.measure.original_events import (
    HELD_TIMINGS,
    LevelFigures,
    PerformanceFigures,
    ScheduleEntry,
    ScheduleFigures,
    Timing,
    TimingFigures,
    level_figures,
    performance_figures,
    rejection_figures,
    schedule_entry,
    schedule_figures,
)
from backtestkit_cli.model.event import Cancelled, CancelReason, LevelReached, Scheduled


def test_the_schedule_lists_waits_their_ends_and_no_entry_at_once() -> None:
    cancelled = Cancelled(time_ms=at(7), signal=row("x"), price=100.0, reason=CancelReason.WAIT_OVER)
    assert schedule_entry(Scheduled(time_ms=at(3), signal=row("x"), price=100.0)) == (at(0), "scheduled", None)
    assert schedule_entry(cancelled) == (at(7), "cancelled", 7)
    assert schedule_entry(opened(4, "x")) == (at(4), "opened", 4)
    assert schedule_entry(opened(0, "x")) is None
    assert schedule_entry(closed(5, "x")) is None
    assert schedule_entry(idle(5)) is None


def entries(*listed: tuple[str, int | None]) -> list[ScheduleEntry]:
    return [ScheduleEntry(at(place), action, minutes) for place, (action, minutes) in enumerate(listed)]


def test_a_schedule_is_measured_by_what_became_of_its_waits() -> None:
    waits = [("scheduled", None)] * 4
    found = schedule_figures(entries(*waits, ("opened", 3), ("cancelled", 10), ("opened", 6)))
    assert found == ScheduleFigures(
        total_events=7,
        total_scheduled=4,
        total_opened=2,
        total_cancelled=1,
        cancellation_rate=25.0,
        activation_rate=50.0,
        avg_wait_time=10.0,
        avg_activation_time=4.5,
    )


def test_of_a_schedule_without_waits_rates_and_times_are_unknown() -> None:
    found = schedule_figures([])
    assert (found.total_events, found.total_scheduled) == (0, 0)
    assert (found.cancellation_rate, found.activation_rate) == (None, None)
    assert (found.avg_wait_time, found.avg_activation_time) == (None, None)


def test_a_wait_of_no_minute_counts_as_zero() -> None:
    assert schedule_figures(entries(("cancelled", None), ("cancelled", 1))).avg_wait_time == 0.5


def test_levels_are_counted_by_side_among_the_newest() -> None:
    def level(side: str) -> LevelReached:
        return LevelReached(time_ms=at(1), signal=row("x"), side=side, level=10, price=100.0)  # type: ignore[arg-type]  # a side

    found = level_figures([*[level("loss")] * 100, *[level("profit")] * 240, *[level("loss")] * 10])
    assert found == LevelFigures(total_events=250, total_profit=240, total_loss=10)


def test_refusals_are_counted_by_symbol_and_strategy() -> None:
    def refused(strategy: str, symbol: str) -> OfferRejected:
        return OfferRejected(
            time_ms=at(1),
            strategy=strategy,
            symbol=symbol,
            offer=draft(),
            profile="calm",
            price=100.0,
            open_positions=0,
            rejection_id=None,
            note=None,
            by="text",
        )

    found = rejection_figures([refused("a", "X"), refused("b", "X"), refused("a", "Y")])
    assert found.total_rejections == 3
    assert list(found.by_symbol.items()) == [("Y", 1), ("X", 2)]
    assert list(found.by_strategy.items()) == [("a", 2), ("b", 1)]


def test_timings_of_a_type_are_measured_by_nearest_rank() -> None:
    timings = [Timing(float(100 * place), 100.0 * place - place, "tick", float(place)) for place in range(20, 0, -1)]
    assert performance_figures(timings).metric_stats["tick"] == TimingFigures(
        metric_type="tick",
        count=20,
        total_duration=210.0,
        avg_duration=10.5,
        min_duration=1.0,
        max_duration=20.0,
        std_dev=math.sqrt(33.25),
        median=10.0,
        p95=19.0,
        p99=20.0,
        avg_wait_time=10.5,
        min_wait_time=1.0,
        max_wait_time=20.0,
    )


def test_of_a_hundred_timings_only_one_is_longer_than_the_99th_percent() -> None:
    timings = [Timing(float(place), None, "tick", float(place)) for place in range(100, 0, -1)]
    tick = performance_figures(timings).metric_stats["tick"]
    assert (tick.median, tick.p95, tick.p99, tick.max_duration) == (50.0, 95.0, 99.0, 100.0)


def test_timings_are_kept_apart_by_type_and_the_total_counts_all() -> None:
    found = performance_figures([Timing(5.0, None, "tick", 2.0), Timing(9.0, 5.0, "run", 4.0)])
    assert (found.total_events, found.total_duration) == (2, 6.0)
    assert list(found.metric_stats) == ["run", "tick"]
    tick = found.metric_stats["tick"]
    assert (tick.count, tick.median, tick.p95, tick.p99) == (1, 2.0, 2.0, 2.0)
    assert (tick.avg_wait_time, tick.min_wait_time, tick.max_wait_time) == (0.0, 0.0, 0.0)


def test_no_timing_is_no_type() -> None:
    assert performance_figures([]) == PerformanceFigures(total_events=0, total_duration=0.0, metric_stats={})


def test_only_the_newest_timings_are_held() -> None:
    assert HELD_TIMINGS == 10_000
    timings = [Timing(1.0, None, "old", 1.0)] * 5 + [Timing(1.0, None, "new", 1.0)] * HELD_TIMINGS
    assert list(performance_figures(timings).metric_stats) == ["new"]
