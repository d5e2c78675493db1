"""Runs in the background and event by event: the same results, and stopped, cancelled or failed without a trace."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from e2e.project import make_project

from backtestkit_cli import (
    Active,
    Cancelled,
    Closed,
    Idle,
    Kit,
    LevelReached,
    Opened,
    RunDone,
    RunFailed,
    Scheduled,
    SignalDraft,
    log,
)
from backtestkit_cli.engine.result import RunResult
from backtestkit_cli.engine.walk import StreamWalk
from backtestkit_cli.errors import BacktestkitError, StrategyError, UsageError
from backtestkit_cli.model.event import CancelReason
from backtestkit_cli.run.context import CURRENT
from backtestkit_cli.run.jobs import Job

FORMS = ("asked", "cross", "rows")
SECONDS = 30


class Gate:
    """A strategy that comes to a halt at its third decision until it is let through."""

    def __init__(self, *, wait_minutes: int | None = None) -> None:
        self.came, self.opens, self.wait_minutes = threading.Event(), threading.Event(), wait_minutes
        self.times: list[int] = []

    def decide(self, market: Any) -> SignalDraft:
        self.times.append(market.now)
        if len(self.times) == 3:
            self.came.set()
            assert self.opens.wait(SECONDS)
        price = market.price
        entry = {} if self.wait_minutes is None else {"price_open": price * 0.97, "wait_minutes": self.wait_minutes}
        return SignalDraft(
            position="long",
            price_take_profit=price * 1.02,
            price_stop_loss=price * 0.95,
            lifetime_minutes=90,
            **entry,
        )


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opens.set()


@pytest.fixture(scope="module")
def configs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("jobs")).folder / "configs"


def kit_with(gate: Gate) -> Kit:
    kit = Kit.empty()
    kit.add_exchange(name="sample", use="sample")
    kit.add_frame(name="day", start="2023-03-01", end="2023-03-02")
    kit.add_strategy(name="gate", interval="1h", use=gate.decide)
    return kit


def halted(kit: Kit, gate: Gate) -> Job[Any]:
    """A job that stands at its third decision."""
    job = kit.backtest(symbols=["A"]).background()
    assert gate.came.wait(SECONDS)
    return job


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(BacktestkitError) as caught:
        call()
    return caught.value.code


def told(run: RunResult) -> list[Any]:
    return [
        (run.run_id, one.strategy, one.symbol, list(one.result.events()), one.result.funnel, one.candles)
        for one in run.streams
    ]


@pytest.mark.parametrize("is_heard", [False, True])
def test_the_background_gives_the_result_of_the_foreground(configs: Path, is_heard: bool) -> None:
    kit, heard = Kit.load(configs), list[Any]()
    first = kit.backtest(symbols=["A", "B"]).run()
    if is_heard:
        kit.on(Closed, heard.append)
    job = kit.backtest(symbols=["A", "B"], jobs=2).background()
    run = job.result(SECONDS)
    assert told(run) == told(first)
    assert (job.status, job.progress, job.is_over) == ("done", 100.0, True)
    assert len(heard) == is_heard * sum(len(one.result.trades) for one in run.streams)
    assert job.stats == run.stats
    assert kit.jobs() == (job,)


def test_a_job_tells_where_it_stands_and_two_of_one_stream_are_refused(gate: Gate) -> None:
    kit = kit_with(gate)
    job = halted(kit, gate)
    assert (job.status, job.streams, job.is_over) == ("running", (("gate", "A"),), False)
    assert 0 < job.progress < 100
    assert code_of(lambda: job.result(timeout=0)) == "job-running"
    assert code_of(lambda: job.stats) == "job-running"
    assert code_of(lambda: kit.backtest(symbols=["B", "A"]).background()) == "job-running"
    gate.opens.set()
    other = kit.backtest(symbols=["B"]).background()
    assert told(job.result(SECONDS)) != told(other.result(SECONDS))
    again = kit.backtest(symbols=["A"]).background()
    assert told(again.result(SECONDS)) == told(job.result(SECONDS))
    assert kit.jobs() == (job, other, again)


def test_signals_of_a_run_under_way_can_be_asked_for(gate: Gate) -> None:
    kit, seen = kit_with(gate), list[Any]()

    def look(event: Any) -> None:
        seen.append((event.kind, kit.pending_signal("gate", "A"), kit.scheduled_signal("gate", "A"), event.signal))

    kit.on(Opened | Closed | Scheduled | Cancelled, look)
    gate.opens.set()
    kit.backtest(symbols=["A"]).run()
    assert {kind for kind, *_ in seen} == {"opened", "closed"}
    assert all(
        (pending, scheduled) == (signal if kind == "opened" else None, None)
        for kind, pending, scheduled, signal in seen
    )
    seen.clear()
    waiting = Gate(wait_minutes=90)
    waiting.opens.set()
    kit.override_strategy("gate", use=waiting.decide)
    kit.backtest(symbols=["A"]).run()
    assert {kind for kind, *_ in seen} >= {"scheduled", "cancelled"}
    assert all(scheduled == (signal if kind == "scheduled" else None) for kind, _, scheduled, signal in seen)
    assert kit.pending_signal("gate", "A") is None
    assert code_of(lambda: kit.pending_signal("gaet", "A")) == "unknown-name"


def test_a_stopped_job_decides_nothing_more_and_follows_its_position(gate: Gate) -> None:
    kit = kit_with(gate)
    job = halted(kit, gate)
    assert not kit.is_stopped("gate", "A")
    assert kit.stop("gate", "A")
    assert kit.is_stopped("gate", "A")
    assert not kit.stop("gate", "B")
    gate.opens.set()
    run = job.result(SECONDS)
    funnel = run.streams[0].result.funnel
    assert len(gate.times) == funnel.decisions == 3
    assert funnel.stopped > 0
    assert sum(funnel.closed.values()) == 3
    assert (run.status, job.status) == ("stopped", "done")
    assert not kit.is_stopped("gate", "A")
    whole = kit.backtest(symbols=["A"]).run()
    assert (whole.status, whole.run_id == run.run_id) == ("complete", False)


def test_a_stop_cancels_the_entry_that_waits() -> None:
    gate = Gate(wait_minutes=90)
    kit, cancelled = kit_with(gate), list[Cancelled]()
    kit.on(Cancelled, cancelled.append)
    job = halted(kit, gate)
    job.stop()
    gate.opens.set()
    run = job.result(SECONDS)
    assert [one.reason for one in cancelled] == ["wait_over", "wait_over", "stopped"]
    assert cancelled[-1].time_ms == gate.times[-1] + 60_000
    assert run.streams[0].result.funnel.cancelled[CancelReason.STOPPED] == 1


@pytest.mark.parametrize("is_walked", [False, True])
@pytest.mark.parametrize("name", FORMS)
def test_a_stop_from_a_listener_has_the_result_of_a_stop_request_at_that_time(
    name: str, is_walked: bool, configs: Path
) -> None:
    kit, heard = Kit.load(configs), list[Any]()
    closes = kit.on(Closed, lambda event: kit.stop(event.signal.strategy, event.signal.symbol), once=True)
    watching = [kit.on(Idle | Active, lambda _: None)] if is_walked else []
    kit.on(Opened | Closed, heard.append)
    run = kit.backtest(name).run()
    ((key, stop_ms),) = run.backtest.standing.stopped_ms.items()
    assert key == (name, "BTCUSDT")
    first_close = next(place for place, event in enumerate(heard) if isinstance(event, Closed))
    assert [event.kind for event in heard[first_close + 1 :]] == []
    for one in (closes, *watching):
        one.cancel()
    again = kit.backtest(name)

    def stopped(walk: StreamWalk) -> StreamWalk:
        walk.stop_ms = stop_ms
        return walk

    again.watch = stopped
    kit.on(Idle, lambda _: None)
    planned = again.run()
    assert [one[3:] for one in told(planned)] == [one[3:] for one in told(run)]


def test_a_cancelled_job_is_over_at_once_and_tells_nothing_more(gate: Gate) -> None:
    kit, heard = kit_with(gate), list[Any]()
    kit.on(Opened | Closed | RunDone | RunFailed, heard.append)
    job = halted(kit, gate)
    before = len(heard)
    job.cancel()
    assert (job.status, job.is_over) == ("cancelled", True)
    assert code_of(job.result) == "job-cancelled"
    gate.opens.set()
    for thread in threading.enumerate():
        if thread.name == "backtest":
            thread.join(SECONDS)
    assert len(heard) == before
    assert len(gate.times) == 3
    assert kit.runs.running == []
    assert kit.backtest(symbols=["A"]).background().result(SECONDS).status == "complete"
    job.cancel()
    assert job.status == "cancelled"


def test_a_job_that_is_done_cannot_be_cancelled_any_more(configs: Path) -> None:
    job = Kit.load(configs).backtest("cross").background()
    run = job.result(SECONDS)
    job.cancel()
    assert (job.status, job.result()) == ("done", run)


def test_an_error_reaches_who_asks_for_the_result_and_who_listens() -> None:
    def broken(candles: Any) -> Any:
        raise ValueError("on purpose")

    kit, heard = kit_with(Gate()), list[RunFailed]()
    kit.override_strategy("gate", use=broken)
    kit.on(RunFailed, heard.append)
    job = kit.backtest(symbols=["A"]).background()
    with pytest.raises(StrategyError) as caught:
        job.result(SECONDS)
    assert job.status == "failed"
    assert [(one.code, one.what) for one in heard] == [("strategy-raised", str(caught.value))]
    assert code_of(lambda: kit.backtest(symbols=["A"]).run()) == "strategy-raised"
    assert len(heard) == 2


def test_a_call_that_cannot_be_interrupted_fails_the_job_and_not_the_program(gate: Gate) -> None:
    kit, heard = kit_with(gate), list[Any]()
    kit.on(RunFailed | RunDone, heard.append)
    job = halted(kit, gate)
    assert not job.backtest.ends_process
    job.backtest.on_abandon("strategy gate has not answered")
    assert job.status == "failed"
    assert code_of(job.result) == "call-timed-out"
    gate.opens.set()
    assert [one.kind for one in heard] == ["run_failed"]


def test_iterating_tells_everything_as_it_happens(configs: Path) -> None:
    kit, kinds, place = Kit.load(configs), set[str](), CURRENT.get()
    job = kit.backtest("asked", "cross")
    stored: list[Any] = []
    for event in job:
        kinds.add(event.kind)
        assert CURRENT.get() is place
        log.info("outside of the run")
        if isinstance(event, Opened):
            assert kit.pending_signal(event.signal.strategy, event.signal.symbol) == event.signal
        if not isinstance(event, Idle | Active):
            stored.append(event)
    assert {"idle", "active", "opened", "closed", "level_reached"} <= kinds
    run = job.result()
    assert stored == [event for stream in run.streams for event in stream.result.events()]
    assert told(run) == told(kit.backtest("asked", "cross").run())


def test_events_of_one_class_are_told_alone(configs: Path) -> None:
    job = Kit.load(configs).backtest("cross", "rows")
    closed = list(job.events(Closed | LevelReached))
    assert {type(event) for event in closed} == {Closed, LevelReached}
    run = job.result()
    assert closed == [
        event for one in run.streams for event in one.result.events() if isinstance(event, Closed | LevelReached)
    ]


def test_who_leaves_the_loop_ends_the_run(configs: Path) -> None:
    kit = Kit.load(configs)
    job = kit.backtest("asked", "cross")
    for event in job:
        if isinstance(event, Closed):
            assert kit.runs.running == [job]
            break
    del event
    assert kit.runs.running == []
    assert "deadline" not in [thread.name for thread in threading.enumerate()]
    assert [one.strategy for one in job.result("interrupted").streams] == []
    assert len(job.run().streams) == 2


def test_an_error_ends_the_loop_with_it() -> None:
    kit = kit_with(Gate())
    kit.override_strategy("gate", use="nowhere.py:nothing")
    with pytest.raises(BacktestkitError):
        list(kit.backtest(symbols=["A"]))
    assert kit.runs.running == []


def test_a_finished_run_has_figures_a_report_and_its_files(tmp_path: Path) -> None:
    kit = Kit.load(make_project(tmp_path).folder / "configs")
    run = kit.backtest("asked", "cross").run()
    each = [run.stats_of(name, "BTCUSDT") for name in ("asked", "cross")]
    assert run.stats["trades"] == sum(one["trades"] or 0 for one in each) > 0
    assert run.report() == (run.dump().bundle / "report.md").read_text(encoding="utf-8")
    assert run.report(format="json").startswith("{")
    assert run.report("heat").startswith("#")
    assert "| columns | the stream |" in run.report("performance")
    assert len(run.report(format="csv").splitlines()) == 1 + (run.stats["trades"] or 0)
    assert code_of(lambda: run.report(format="pdf")) == "unknown-format"
    assert code_of(lambda: run.report("cold")) == "unknown-report-kind"
    assert code_of(lambda: run.stats_of("asked", "X")) == "unknown-stream"


SCRIPT = """
from backtestkit_cli import Kit, RunDone

kit = Kit.load("configs")
kit.on(RunDone, lambda event: print("done", event.streams))
kit.backtest().background()
"""


def test_a_program_that_ends_waits_for_its_jobs(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=project.folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done 4\n", "")


def test_a_stop_for_nobody_is_none(configs: Path) -> None:
    kit = Kit.load(configs)
    assert not kit.stop("cross", "BTCUSDT")
    with suppress(UsageError):
        kit.stop("corss", "BTCUSDT")
        raise AssertionError("an unknown strategy was stopped")
