"""Whole processes: how long one takes from start to end, and how much memory it holds at most.

The asking process must stay small: a child's peak on Linux begins with the peak of the process that started it.
"""

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.worker import Lap, WorkerFailed, environment


@dataclass(frozen=True, slots=True)
class Process:
    """A command that is started afresh at every call."""

    command: Sequence[str | Path]
    folder: Path

    def __call__(self) -> Lap:
        """Run it once.

        Raises:
            WorkerFailed: it did not end well.
        """
        return Lap(self.measured()[0], 0)

    def measured(self) -> tuple[float, float]:
        """Wall seconds and peak memory in MiB.

        Raises:
            WorkerFailed: it did not end well.
        """
        start = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in self.command],
            cwd=self.folder,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        said = process.stderr.read() if process.stderr else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        if process.stderr:
            process.stderr.close()
        if process.returncode:
            lines = " / ".join(line.strip() for line in said.strip().splitlines()[-3:])
            raise WorkerFailed(f"{' '.join(str(part) for part in self.command[1:])} ended with {lines}")
        return seconds, usage.ru_maxrss / 1024
