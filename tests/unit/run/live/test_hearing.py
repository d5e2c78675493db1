"""What a session hears from other terminals: a look that fails is told, and the next one hears what it missed."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backtestkit_cli.errors import StateError
from backtestkit_cli.run.live.hearing import Hearing
from backtestkit_cli.state.request import StopRequest, ask
from backtestkit_cli.state.session import SessionState
from backtestkit_cli.state.store import FileStore

RUN = "word"


@dataclass(slots=True)
class Session:
    """Notes what it is asked."""

    done: list[str] = field(default_factory=list)

    def stop(self) -> None:
        self.done.append("stop")

    def leave(self) -> None:
        self.done.append("leave")

    def stop_after(self, after_ms: int) -> None:
        self.done.append(f"after {after_ms}")

    def wake(self) -> None:
        self.done.append("wake")


async def heard(
    state: SessionState, on_asked: Callable[[StopRequest], None], enough: Callable[[Session, list[StateError]], bool]
) -> tuple[Session, list[StateError]]:
    """Listen until that is enough, or the ears are deaf."""
    session, alarms = Session(), list[StateError]()
    task = asyncio.create_task(Hearing(session, state, RUN, on_asked, alarms.append, seconds=0.001).listen())
    while not (task.done() or enough(session, alarms)):
        await asyncio.sleep(0)
    if task.done():
        task.result()
    task.cancel()
    return session, alarms


def asked_to_stop(folder: Path) -> SessionState:
    store = FileStore(folder, lambda: 0)
    ask(store, StopRequest(run=RUN, manner="gently", asked_ms=1))
    store.save("switch", "only", {"is_killed": True})
    return SessionState(store)


@pytest.mark.parametrize("number", [24, 5, 20])
def test_a_read_that_fails_leaves_no_session_deaf(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    state, read, looks = asked_to_stop(tmp_path), Path.read_bytes, []

    def read_bytes(path: Path) -> bytes:
        looks.append(path)
        if len(looks) <= 3:
            raise OSError(number, "it fails")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    session, alarms = asyncio.run(heard(state, lambda _: None, lambda one, _: len(one.done) == 2))
    assert session.done == ["stop", "wake"]
    assert [alarm.code for alarm in alarms] == ["state-unreadable"] * 3


def test_a_terminal_that_cannot_be_told_leaves_no_session_deaf(tmp_path: Path) -> None:
    def on_asked(_: StopRequest) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    session, alarms = asyncio.run(heard(asked_to_stop(tmp_path), on_asked, lambda one, _: len(one.done) == 2))
    assert session.done == ["stop", "wake"], "it obeys, and sees the kill switch at the next look"
    assert ["Broken pipe" in str(alarm) for alarm in alarms] == [True]
