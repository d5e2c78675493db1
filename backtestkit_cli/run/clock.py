"""The wall clock: the only module that asks the system for the time."""

import asyncio
import time
from contextlib import suppress
from typing import Protocol

_SLICE_SECONDS = 1.0


class Clock(Protocol):
    """Time as a run needs it."""

    def now_ms(self) -> int: ...
    def monotonic(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...
    async def wait_until(self, time_ms: int, woken: asyncio.Event) -> None: ...


class WallClock:
    """Real time. Tests hand in a clock of their own with the same methods."""

    def now_ms(self) -> int:
        """The time in UTC ms."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean something."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(max(0.0, seconds))

    async def wait_until(self, time_ms: int, woken: asyncio.Event) -> None:
        """Wait for a time, or until woken.

        In short pieces: after a suspension, or when somebody sets the clock, the time may have come at once.
        """
        started_ms, seconds = self.now_ms(), 0.0
        while not woken.is_set() and (left_ms := time_ms - self.now_ms()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), min(left_ms / 1000, _SLICE_SECONDS))
            seconds += _SLICE_SECONDS
            if seconds * 1000 > time_ms - started_ms + 2000 * _SLICE_SECONDS:
                return  # the clock was set back: the minute has passed all the same
