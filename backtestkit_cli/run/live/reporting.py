"""The reports of a live session on disk: `logs/live/<strategy>__<symbol>.md`, written while it runs and at its end.

* All of it happens in a thread of its own, from the lines of the journal: no position waits for a report.
* A report is written at most once a minute of real time, whole or not at all. What the disk does not take is told once,
  until it works again, and changes nothing else.
* A session that goes on reads its journal first, so its report goes on as well.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Full, Queue
from typing import Any

from backtestkit_cli.config.merge import Config
from backtestkit_cli.disk import DISK, Disk, remove_leftovers, write_atomic
from backtestkit_cli.errors import DataError, Problem, Source
from backtestkit_cli.report.dump import MODE, newest_report
from backtestkit_cli.report.live import LiveRun, live_report
from backtestkit_cli.report.markdown import markdown
from backtestkit_cli.run.clock import Clock, WallClock
from backtestkit_cli.run.live.so_far import live_run, read_tally
from backtestkit_cli.run.live.tally import Tally
from backtestkit_cli.state.journal import journal_bytes

EVERY_SECONDS = 60.0
ROOM = 100_000
"""How many lines may wait for the thread; one that hangs is given up."""
MINUTE: Mapping[str, Any] = {"what": "minute"}
PUT_SECONDS = 1.0
CLOSE_SECONDS = 5.0


@dataclass(slots=True, eq=False)
class Reporting:
    """Writes the reports of the session whose journal lies in `folder`, a folder in `logs/live`."""

    folder: Path
    config: Config
    on_trouble: Callable[[DataError], None]
    clock: Clock = field(default_factory=WallClock)
    disk: Disk = DISK
    _until: int = field(init=False)
    _lines: "Queue[Mapping[str, Any] | None]" = field(default_factory=lambda: Queue(ROOM))
    _thread: threading.Thread = field(init=False)
    _due: float = 0.0
    _is_given_up: bool = False
    _is_failing: bool = False

    def __post_init__(self) -> None:
        self._until = journal_bytes(self.folder)
        self._thread = threading.Thread(target=self._work, name="reports", daemon=True)
        self._thread.start()

    def take(self, line: Mapping[str, Any]) -> None:
        """A line was added to the journal."""
        self._put(line)

    def minute(self) -> None:
        """A minute is done: a moment to write, if it is time."""
        self._put(MINUTE)

    def close(self) -> None:
        """Write the last reports; a thread that hangs is not waited for long."""
        self._put(None)
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive() and not self._is_given_up:
            self._tell("they were not finished in time")

    def _put(self, line: Mapping[str, Any] | None) -> None:
        if self._is_given_up:
            return
        try:
            self._lines.put(line, timeout=PUT_SECONDS)
        except Full:
            self._is_given_up = True
            self._tell("the disk hangs, so they are not written any more")

    def _work(self) -> None:
        with suppress(OSError):
            remove_leftovers(self.folder.parent, disk=self.disk)  # of a session that was killed while it wrote
        tally = read_tally(self.folder, self._until)
        while (line := self._lines.get()) is not None:
            if line is MINUTE:
                self._write_if_due(tally)
            else:
                tally.take(line)
        self._write(tally)

    def _write_if_due(self, tally: Tally) -> None:
        if self.clock.monotonic() >= self._due and self._write(tally):
            self._due = self.clock.monotonic() + EVERY_SECONDS

    def _write(self, tally: Tally) -> bool:
        """Write each stream's report; whether there was anything to write yet."""
        try:
            session = live_run(tally, self.config)
            if session is None:
                return False
            for one in session.streams:
                self._place(session.part(one.run.strategy, one.run.symbol))
            self._is_failing = False
        except Exception as error:  # noqa: BLE001  # a session goes on whatever becomes of its reports
            if not self._is_failing:
                self._is_failing = True
                self._tell(str(error.strerror or error) if isinstance(error, OSError) else repr(error))
        return True

    def _place(self, part: LiveRun) -> None:
        (one,) = part.streams
        path = newest_report(self.folder.parents[1], "live", one.run.strategy, one.run.symbol)
        self.disk.make_folder(path.parent)
        write_atomic(path, markdown(live_report(part)).encode("utf-8"), mode=MODE, disk=self.disk)

    def _tell(self, why: str) -> None:
        what = f"the reports of the session could not be written: {why}"
        hint = "the session goes on; `backtestkit report show SESSION` makes one of its journal"
        where = Source(file=str(self.folder.parent))
        self.on_trouble(DataError(Problem("report-not-written", what, where, hint=hint)))
