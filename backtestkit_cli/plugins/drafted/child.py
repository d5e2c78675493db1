"""Running a drafted strategy in a process of its own, with limits; it is no sandbox, for it can read files.

* Candles go in and drafts come out through pipes, as Arrow bytes; nothing of the answer is unpickled.
* The process has an empty environment, 30 s of processor time, 1 GB of memory, and cannot make a file longer. It has
  no network where the system lets it leave the network.
* It ends with the call: with its answer, at a limit, or when whoever waits for it is interrupted.
"""

import json
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from threading import Thread, Timer
from typing import IO, TYPE_CHECKING, Any

from backtestkit_cli.errors import Problem, Source, StrategyError
from backtestkit_cli.plugins.words import described, one_line

if TYPE_CHECKING:
    import polars as pl

CPU_SECONDS = 30
MOST_MEMORY = 2**30
MOST_ANSWER = 2**28
_WORKER = "backtestkit_cli.plugins.drafted.worker"


@dataclass(frozen=True, slots=True)
class InChild:
    """A vectorised function of a drafted file, called in another process each time."""

    text: str
    name: str
    file: str
    line: int
    cpu_seconds: int = CPU_SECONDS

    def __call__(self, candles: "pl.LazyFrame", **params: Any) -> "pl.DataFrame":
        """Give it all candles; the frame that it answers.

        Raises:
            StrategyError: it raised, came to a limit, or answered no frame.
        """
        import polars as pl

        told, code = self._answer(self._question(candles, params))
        head, _, body = told.partition(b"\n")
        if problem := _read(head):
            raise StrategyError(self._raised(str(problem.get("what")), problem.get("line")))
        if code != 0 or head != b"{}":
            raise StrategyError(self._ended(code))
        try:
            return pl.read_ipc_stream(body)
        except (Exception, pl.exceptions.PanicException) as error:
            raise StrategyError(self._problem("child-ended", f"gave no frame: {described(error)}")) from error

    def _question(self, candles: "pl.LazyFrame", params: dict[str, Any]) -> bytes:
        asked = {"text": self.text, "file": self.file, "name": self.name, "params": params}
        limits = {"cpu_seconds": self.cpu_seconds, "memory": MOST_MEMORY}
        written = BytesIO()
        candles.collect().write_ipc_stream(written)
        return json.dumps({**asked, **limits}).encode() + b"\n" + written.getvalue()

    def _answer(self, question: bytes) -> tuple[bytes, int]:
        child = subprocess.Popen(  # noqa: S603  # our own worker
            [sys.executable, "-I", "-B", "-m", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"POLARS_MAX_THREADS": "1"},
            cwd="/",
            start_new_session=True,
        )
        assert child.stdin is not None  # noqa: S101  # both are pipes
        assert child.stdout is not None  # noqa: S101
        too_long = Timer(2 * self.cpu_seconds + 30, child.kill)
        with child.stdout:
            try:
                too_long.start()
                Thread(target=_feed, args=(child.stdin, question), daemon=True).start()
                answer = child.stdout.read(MOST_ANSWER)
                if len(answer) == MOST_ANSWER:
                    raise StrategyError(self._problem("child-ended", "answers more than a frame of drafts can be"))
                return answer, child.wait()
            finally:
                too_long.cancel()
                child.kill()
                child.wait()

    def _ended(self, code: int) -> Problem:
        if -code == signal.SIGXCPU:
            return self._problem("child-limit", f"was not ready after {self.cpu_seconds} s of processor time")
        if -code == signal.SIGKILL:
            return self._problem("child-limit", "took too long, or more memory than there is, and was ended")
        if -code in (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS):
            return self._problem("child-limit", f"broke off; it may have asked for more than {MOST_MEMORY >> 30} GB")
        return self._problem("child-ended", f"ended without an answer (code {code})")

    def _raised(self, what: str, line: object) -> Problem:
        if what.startswith("MemoryError"):
            return self._problem("child-limit", f"asked for more than {MOST_MEMORY >> 30} GB of memory")
        place = Source(file=self.file, line=line if isinstance(line, int) else self.line)
        return Problem("plugin-raised", f"the drafted strategy {self.name} raised {one_line(what)}", place)

    def _problem(self, code: str, what: str) -> Problem:
        return Problem(code, f"the drafted strategy {self.name} {what}", Source(file=self.file, line=self.line))


def _feed(pipe: IO[bytes], question: bytes) -> None:
    with suppress(OSError), pipe:  # it may end before it has read all
        pipe.write(question)


def _read(head: bytes) -> dict[str, Any]:
    """The problem that an answer tells of; empty where it tells of none."""
    try:
        told = json.loads(head)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
