"""A clock that jumps from minute to minute and shows its time in a file, where a restart goes on.

Each jump is a tiny real pause, so that a kill after a random time lands at a random place of the minute.
"""

import asyncio
import mmap
import struct
import urllib.request
from pathlib import Path
from typing import Any

from backtestkit_cli.kit import Kit


class ShownClock:
    """Time in UTC ms, in the first eight bytes of a file. A loopback exchange at `exchange_url` follows it."""

    def __init__(self, path: Path, pause_seconds: float, end_ms: int, exchange_url: str | None = None) -> None:
        self._pause_seconds = pause_seconds
        self._end_ms = end_ms
        self._exchange_url = exchange_url
        self._shown = mapped(path)
        self._set(self.now_ms())

    def now_ms(self) -> int:
        """The time."""
        return read_ms(self._shown)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self.now_ms() / 1000

    def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self._set(self.now_ms() + round(seconds * 1000))

    async def wait_until(self, time_ms: int, woken: asyncio.Event) -> None:
        """Move on after a tiny pause; at the end stay there until woken."""
        if time_ms > self._end_ms:
            self._set(self._end_ms)
            await woken.wait()
            return
        await asyncio.sleep(self._pause_seconds)
        if not woken.is_set():
            self._set(max(self.now_ms(), time_ms))

    def _set(self, time_ms: int) -> None:
        if self._exchange_url is not None:
            urllib.request.urlopen(f"{self._exchange_url}/_test/clock?set={time_ms}").close()
        struct.pack_into("<q", self._shown, 0, time_ms)


def mapped(path: Path) -> mmap.mmap:
    """The file of a clock."""
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), 8)


def read_ms(shown: mmap.mmap) -> int:
    """The time it shows."""
    (time_ms,) = struct.unpack_from("<q", shown, 0)
    return int(time_ms)


def install(path: str, pause_seconds: float, end_ms: int, exchange_url: str | None = None) -> None:
    """Let live sessions of this process run by such a clock."""
    plan = Kit.live

    def live(self: Kit, *arguments: Any, **keywords: Any) -> Any:
        session = plan(self, *arguments, **keywords)
        session.clock = ShownClock(Path(path), pause_seconds, end_ms, exchange_url)
        return session

    Kit.live = live  # type: ignore[method-assign]
