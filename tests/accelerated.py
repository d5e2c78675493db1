"""Live sessions in no time: a clock that jumps to whatever is waited for, and sessions over a stretch of market."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backtestkit_cli.disk import Disk
from backtestkit_cli.errors import BacktestkitError
from backtestkit_cli.kit import Kit
from backtestkit_cli.model.event import Active, Event, Idle
from backtestkit_cli.model.time import parse_time
from backtestkit_cli.run.live.session import Live
from backtestkit_cli.state.store import FileStore


@dataclass(slots=True)
class JumpingClock:
    """Time that passes only while somebody waits. `at` is called, once, when its time has come."""

    time_ms: int
    at: dict[int, Callable[[], object]] = field(default_factory=dict)

    def now_ms(self) -> int:
        """The time."""
        return self.time_ms

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self.time_ms / 1000

    def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self.time_ms += round(seconds * 1000)

    async def wait_until(self, time_ms: int, woken: asyncio.Event) -> None:
        """Move on at once."""
        if not woken.is_set():
            self.time_ms = max(self.time_ms, time_ms)
        for due_ms in [one for one in self.at if one <= self.time_ms]:
            self.at.pop(due_ms)()
        await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class Session:
    """What a session told, and what went wrong."""

    live: Live
    events: tuple[Event, ...]
    troubles: tuple[BacktestkitError, ...]


def run_live(
    kit: Kit,
    *names: str,
    start: str | int,
    end: str | int,
    symbols: Sequence[str] = ("BTCUSDT",),
    exchange: str | None = None,
    leaves: bool = True,
    prepared: Callable[[Live], object] = lambda _: None,
) -> Session:
    """Run a session from a time to another, then leave it, or stop it well and wait for its end.

    `prepared` is called with the session before it begins.
    """
    start_ms, end_ms = (one if isinstance(one, int) else parse_time(one) for one in (start, end))
    live = kit.live(*names, symbols=symbols, exchange=exchange)
    live.clock = JumpingClock(start_ms, {end_ms: live.leave if leaves else live.stop})
    troubles: list[BacktestkitError] = []
    live.on_trouble = troubles.append
    prepared(live)
    events = tuple(event for event in live if not isinstance(event, Idle | Active))
    return Session(live, events, tuple(troubles))


class UnsyncedDisk(Disk):
    """A disk that is not waited for; for tests that cut no power."""

    def sync(self, descriptor: int) -> None:
        """Nothing."""

    def sync_folder(self, folder: Path) -> None:
        """Nothing."""


@contextmanager
def unsynced() -> Iterator[None]:
    """State is written without waiting for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FileStore.__init__, "__defaults__", (UnsyncedDisk(),))
        yield
