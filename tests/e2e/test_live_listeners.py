"""Listeners of live sessions: none of them holds a position up, whatever it does."""

import threading
from pathlib import Path
from typing import Any

import pytest
from accelerated import Session, run_live
from e2e.project import START_MS, Project, make_project

from backtestkit_cli import Closed, Kit, ListenerFailed, Opened
from backtestkit_cli.model.event import Event
from backtestkit_cli.run.context import CURRENT

HOURS_MS = 3_600_000
ONE_SECOND = ("settings.limits.signal_seconds=1",)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def kit_of(project: Project, *overrides: str) -> Kit:
    return Kit.load(project.folder / "configs", overrides=overrides)


def lived(kit: Kit) -> Session:
    return run_live(kit, "asked", start=START_MS - 20_000, end=START_MS + 6 * HOURS_MS)


def trades(session: Session) -> list[Event]:
    return [event for event in session.events if isinstance(event, Opened | Closed)]


def undisturbed(project: Project, tmp_path: Path) -> tuple[Event, ...]:
    return lived(kit_of(make_project(tmp_path / "undisturbed"))).events


def test_listeners_hear_everything_in_order(project: Project) -> None:
    kit, heard = kit_of(project), list[Any]()
    kit.on(Opened | Closed, lambda event: heard.append((1, event)))
    kit.on(Opened | Closed, lambda event: heard.append((2, event)))
    told = trades(lived(kit))
    assert len(told) > 2
    assert heard == [(place, event) for event in told for place in (1, 2)]


def test_a_listener_that_sleeps_for_ever_holds_up_no_position_and_no_other_listener(
    project: Project, tmp_path: Path
) -> None:
    kit, heard, calls, end = kit_of(project, *ONE_SECOND), list[Any](), list[Any](), threading.Event()

    def sleeps(event: Any) -> None:
        calls.append(event)
        end.wait()

    kit.on(Opened, sleeps)
    kit.on(Opened | Closed, heard.append)
    session = lived(kit)
    assert session.events == undisturbed(project, tmp_path)
    assert heard == trades(session)
    assert calls == heard[:1], "it is told nothing more"
    end.set()
    (trouble,) = session.troubles
    assert "has not answered within 1 s" in str(trouble)
    assert "test_live_listeners.py" in str(trouble)
    assert "it is told nothing more" in str(trouble)


def test_a_listener_that_computes_for_ever_is_interrupted_and_told_again(project: Project, tmp_path: Path) -> None:
    kit, calls, failures = kit_of(project, *ONE_SECOND), list[Any](), list[Any]()

    def computes(event: Any) -> None:
        calls.append(event)
        while len(calls) < 2:
            pass

    kit.on(Opened, computes)
    kit.on(ListenerFailed, failures.append)
    session = lived(kit)
    assert session.events == undisturbed(project, tmp_path)
    assert calls == [event for event in session.events if isinstance(event, Opened)]
    (failure,) = failures
    assert "TimeoutError: nothing within 1 s" in failure.what


def test_a_listener_that_raises_is_reported_once(project: Project) -> None:
    kit = kit_of(project)
    kit.on(Opened | Closed, lambda event: 1 / 0)
    session = lived(kit)
    assert len(session.events) > 2
    (trouble,) = session.troubles
    assert "ZeroDivisionError" in str(trouble)


def test_a_listener_is_where_its_event_is(project: Project) -> None:
    kit, heard = kit_of(project), list[Any]()
    kit.on(Opened, lambda event: heard.append((event, CURRENT.get())))
    lived(kit)
    assert heard
    for event, here in heard:
        assert (here.time_ms, here.strategy, here.symbol) == (event.time_ms, "asked", "BTCUSDT")
