"""A stopwatch counts each piece once, waits between pieces of a stage, and answers with exact figures."""

from dataclasses import fields

import pytest

from backtestkit_cli.measure.timings import Pieces, Stopwatch, Timing


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stopwatch(clock: Clock) -> Stopwatch:
    return Stopwatch(clock)


def figures(stopwatch: Stopwatch) -> dict[tuple[str, str | None, str | None], Timing]:
    return {(one.stage, one.strategy, one.symbol): one for one in stopwatch.timings()}


def test_a_piece_inside_another_counts_once(clock: Clock, stopwatch: Stopwatch) -> None:
    with stopwatch.piece("walk"):
        clock.passes(1)
        for _ in range(2):
            with stopwatch.piece("decide"):
                clock.passes(0.25)
                with stopwatch.piece("load"):
                    clock.passes(0.5)
        clock.passes(1)
    found = {part[0]: one.total_ms for part, one in figures(stopwatch).items()}
    assert found == {"walk": 2000.0, "decide": 500.0, "load": 1000.0}


def test_a_piece_that_raises_counts_too(clock: Clock, stopwatch: Stopwatch) -> None:
    def broken(seconds: int) -> None:
        clock.passes(seconds)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        stopwatch.timed(broken, "walk")(1)
    with stopwatch.piece("walk"):
        clock.passes(2)
    assert stopwatch.timings()[0].total_ms == 3000.0


def test_figures_of_a_hand_worked_sample(clock: Clock, stopwatch: Stopwatch) -> None:
    for seconds in (0.004, 0.001, 0.003, 0.002):
        clock.passes(0.5)
        with stopwatch.piece("decide"):
            clock.passes(seconds)
    (found,) = stopwatch.timings()
    expected = {
        "count": 4,
        "total_ms": 10.0,
        "mean_ms": 2.5,
        "min_ms": 1.0,
        "max_ms": 4.0,
        "deviation_ms": 1.25**0.5,  # of the population: divided by 4
        "median_ms": 2.0,
        "p95_ms": 4.0,
        "p99_ms": 4.0,
        "mean_wait_ms": 500.0,
        "min_wait_ms": 500.0,
        "max_wait_ms": 500.0,
    }
    assert {key: getattr(found, key) for key in expected} == pytest.approx(expected)


def test_a_piece_that_took_no_time_has_a_mean_of_nothing(stopwatch: Stopwatch) -> None:
    with stopwatch.piece("decide"):
        pass
    (found,) = stopwatch.timings()
    assert (found.count, found.mean_ms, found.deviation_ms) == (1, 0.0, 0.0)


def test_waits_have_a_least_and_a_longest(clock: Clock, stopwatch: Stopwatch) -> None:
    for seconds in (0.0, 0.2, 0.6):
        clock.passes(seconds)
        with stopwatch.piece("decide"):
            clock.passes(0.001)
    (found,) = stopwatch.timings()
    assert (found.min_wait_ms, found.mean_wait_ms, found.max_wait_ms) == pytest.approx((200.0, 400.0, 600.0))


@pytest.mark.parametrize(("count", "p95", "p99"), [(1, 1, 1), (20, 19, 20), (100, 95, 99), (101, 96, 100)])
def test_percentiles_are_by_nearest_rank(count: int, p95: int, p99: int, clock: Clock, stopwatch: Stopwatch) -> None:
    for place in range(count):
        with stopwatch.piece("decide"):
            clock.passes(1 + place)
    (found,) = stopwatch.timings()
    assert (found.p95_ms, found.p99_ms) == (1000.0 * p95, 1000.0 * p99)


def test_a_stage_waits_for_nobody_before_its_first_piece(clock: Clock, stopwatch: Stopwatch) -> None:
    clock.passes(5)
    with stopwatch.piece("load"):
        clock.passes(1)
    (found,) = stopwatch.timings()
    assert (found.mean_wait_ms, found.min_wait_ms, found.max_wait_ms) == (None, None, None)


def test_a_stage_of_the_run_holds_all_its_parts(clock: Clock, stopwatch: Stopwatch) -> None:
    for symbol in ("A", "B"):
        with stopwatch.piece("decide", "one", symbol):
            clock.passes(1)
    with stopwatch.piece("write"):
        clock.passes(1)
    found = figures(stopwatch)
    assert list(found) == [
        ("decide", None, None),
        ("write", None, None),
        ("decide", "one", "A"),
        ("decide", "one", "B"),
    ]
    assert found["decide", None, None].total_ms == 2000.0


def test_what_other_processes_measured_is_added(clock: Clock, stopwatch: Stopwatch) -> None:
    other = Stopwatch(clock)
    for one in (stopwatch, other, other):
        with one.piece("decide", "one", "A"):
            clock.passes(1)
    stopwatch.add(other.pieces)
    assert stopwatch.pieces["decide", "one", "A"] == Pieces([1000.0] * 3, [0.0])  # type: ignore[index]


def test_a_timed_function_answers_as_it_is(clock: Clock, stopwatch: Stopwatch) -> None:
    def doubled(value: int) -> int:
        clock.passes(1)
        return 2 * value

    timed = stopwatch.timed(doubled, "decide", "one", "A")
    assert [timed(1), timed(2)] == [2, 4]
    assert figures(stopwatch)["decide", "one", "A"].count == 2


def test_every_figure_has_a_column_in_the_report() -> None:
    from backtestkit_cli.report.performance import FIGURES

    named = {field.name for field in fields(Timing)}
    assert named == {"stage", "strategy", "symbol", "count", *(key for key, _ in FIGURES)}
