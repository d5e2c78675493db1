"""A process that stays warm and runs one task at a time when it is asked to, and the two ends of its pipe.

A request is a line with the name of a task, the answer a line of JSON. The first request prepares the task and runs
it once unmeasured; every answer is the best of `REPEATS` runs in a row, unless a single run is long anyway.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

REPEATS = 3
_LONG_SECONDS = 0.5

Run: TypeAlias = Callable[[], int]
"""One run of a task; answers how many trades it made."""
Prepare: TypeAlias = Callable[[], Run]
TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Lap:
    """What one request took."""

    seconds: float
    trades: int


class WorkerFailed(Exception):  # noqa: N818  # it is told in the table
    """Raised when a worker died or could not run a task."""


def environment() -> dict[str, str]:
    """The environment of every process that is measured or measures."""
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "ignore"}


class Worker:
    """The asking end: a Python module of this folder in its own process."""

    def __init__(self, python: Path, module: str, *arguments: str) -> None:
        command = [str(python), "-m", f"benchmarks.{module}", *arguments]
        self._name = module
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
        )

    def ask(self, task: str) -> Lap:
        """Run a task once more.

        Raises:
            WorkerFailed: it could not.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise WorkerFailed(f"{self._name} has no pipe")
        try:
            self._process.stdin.write(f"{task}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise WorkerFailed(f"{self._name} has ended") from None
        answer = self._process.stdout.readline()
        if not answer:
            raise WorkerFailed(f"{self._name} ended while it ran {task}")
        found = json.loads(answer)
        if "failed" in found:
            raise WorkerFailed(f"{self._name} {task}: {found['failed']}")
        return Lap(found["seconds"], found["trades"])

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


def serve(tasks: Mapping[str, Prepare]) -> None:
    """Answer requests until the pipe is closed. What libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    runs: dict[str, Run] = {}
    for line in sys.stdin:
        task = line.strip()
        try:
            if task not in runs:
                runs[task] = tasks[task]()
                runs[task]()
            lap = _measured(runs[task])
            answer: dict[str, object] = {"seconds": lap.seconds, "trades": lap.trades}
        except Exception as error:  # noqa: BLE001  # the asking end tells it
            answer = {"failed": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _measured(run: Run) -> Lap:
    taken: list[float] = []
    trades = 0
    while len(taken) < REPEATS and sum(taken) < _LONG_SECONDS:
        start = time.perf_counter()
        trades = run()
        taken.append(time.perf_counter() - start)
    return Lap(min(taken), trades)
