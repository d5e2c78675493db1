"""When a call of user code has taken too long, and how it is ended.

- One watching thread serves a whole run, from its first call on; a call costs two clock readings, no timer.
- A call over its time is interrupted where it stands: in the main thread by a signal, in another one between two
  steps of Python, so that there a long wait inside C code (`sleep`) is not. The interruption is no `Exception`, and an
  answer that comes after it is not taken, so user code cannot swallow it.
- What has not reacted a second later ends with the process, exit code 4, after the run was told; a run in the
  background is told alone, and its thread is left behind.
- C code that lets no other thread run cannot be interrupted, and nobody can be told: `last_resort` ends the process.
"""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar, TypeVarTuple

from backtestkit_cli.errors import Problem, Source
from backtestkit_cli.run.last_resort import LastResort

GRACE_SECONDS = 1.0
_LAST_WORDS_SECONDS = 5.0
_OURS = str(Path(__file__).parents[1])
_LAST_RESORT_SECONDS = 1.0
_EXIT_CODE = 4

Arguments = TypeVarTuple("Arguments")
Answer = TypeVar("Answer")


class CallTimedOut(BaseException):
    """A call of user code was interrupted."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return self.problem.what


class _Interrupted(BaseException):
    """Raised in a thread that hears no signals."""


class Deadline:
    """Watches the calls of user code that one thread makes, `seconds` for each.

    `on_abandon` gets the message when a call cannot be ended; it runs in another thread while the call still hangs,
    and has five seconds before the process ends, if it does.
    """

    def __init__(self, seconds: float, on_abandon: Callable[[str], None], *, ends_process: bool = True) -> None:
        self._seconds = seconds
        self._on_abandon = on_abandon
        self._ends_process = ends_process
        self._turn = threading.Lock()
        self._what = ""
        self._started = 0.0  # monotonic seconds, zero between calls
        self._interruption: CallTimedOut | None = None
        self._closed = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="deadline", daemon=True)
        self._thread = 0
        self._last_resort: LastResort
        self._in_main_thread = False
        self._previous: Any = None
        self._is_watched = False

    def __enter__(self) -> Self:
        return self

    def _begin(self) -> None:
        self._is_watched = True
        self._thread = threading.get_ident()
        self._last_resort = LastResort(_EXIT_CODE)
        self._in_main_thread = threading.current_thread() is threading.main_thread()
        if self._in_main_thread:
            self._previous = signal.signal(signal.SIGALRM, self._interrupt)
        self._postponed(self._seconds)  # here and not only there: the first call may let no other thread begin
        self._watcher.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._is_watched:
            return
        self._closed.set()
        self._watcher.join()
        self._last_resort.close()
        if self._in_main_thread:
            signal.signal(signal.SIGALRM, signal.SIG_DFL if self._previous is None else self._previous)

    def run(self, what: str, function: Callable[[*Arguments], Answer], *arguments: *Arguments) -> Answer:
        """Call user code; `what` names it in messages, such as `strategy momentum`.

        Raises:
            CallTimedOut: it took too long.
        """
        if not self._is_watched:
            self._begin()
        self._what = what
        self._started = monotonic()
        try:
            try:
                return function(*arguments)
            finally:
                if not self._in_main_thread:
                    self._take_back()
                # Nothing from here on is a point at which Python delivers signals: an interruption has come, or never.
                self._started = 0.0
                if self._interruption is not None:
                    interruption, self._interruption = self._interruption, None
                    raise interruption
        except _Interrupted:  # it came after the answer, while it was being taken back
            self._take_back()
            late, self._interruption = self._interruption, None
            raise late or CallTimedOut(self._problem(None)) from None

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._is_over(self._started):
            if self._interruption is None:
                self._interruption = CallTimedOut(self._problem(frame))
                raise self._interruption
        elif callable(self._previous):
            self._previous(number, frame)

    def _interrupt_there(self, started: float) -> None:
        """Raise in the thread that makes the calls, unless the call has just ended."""
        with self._turn:
            if self._started == started and self._interruption is None:
                self._interruption = CallTimedOut(self._problem(self._frame()))
                _raise_in(self._thread, _Interrupted)

    def _take_back(self) -> None:
        """From now on no interruption comes, and one that is on its way does not arrive."""
        with self._turn:
            self._started = 0.0
            if self._interruption is not None:  # else CPython 3.11 waits for one forever while code is traced
                _raise_in(self._thread, None)

    def _is_over(self, started: float) -> bool:
        return started != 0.0 and monotonic() - started >= self._seconds

    def _watch(self) -> None:
        while not self._closed.wait(self._postponed(self._left())):
            started = self._started
            if self._is_over(started):
                if self._in_main_thread:
                    signal.pthread_kill(self._thread, signal.SIGALRM)
                else:
                    self._interrupt_there(started)
                if not self._closed.wait(GRACE_SECONDS) and self._started == started:
                    self._abandon()
                    return

    def _left(self) -> float:
        """Seconds until a call can be over its time: never more than a whole one from now."""
        started = self._started
        return self._seconds if started == 0.0 else max(0.0, started + self._seconds - monotonic())

    def _postponed(self, seconds: float) -> float:
        self._last_resort.postpone(seconds + GRACE_SECONDS + _LAST_RESORT_SECONDS)
        return seconds

    def _abandon(self) -> None:
        problem = self._problem(self._frame())
        if not self._ends_process:
            self._last_resort.close()
            self._on_abandon(problem.what)
            return
        last_words = threading.Thread(target=self._on_abandon, args=(problem.what,), daemon=True)
        try:
            last_words.start()
            last_words.join(self._postponed(_LAST_WORDS_SECONDS))
        finally:
            os._exit(_EXIT_CODE)

    def _frame(self) -> FrameType | None:
        return sys._current_frames().get(self._thread)  # noqa: SLF001  # the only way to another thread

    def _problem(self, frame: FrameType | None) -> Problem:
        where = _line_in_call(frame)
        place = "code without a file" if where is None else f"{where.file}, line {where.line}"
        return Problem(
            "call-timed-out",
            f"{self._what} has not answered within {self._seconds:g} s; it was in {place}",
            where=where,
            hint="make it faster, or raise settings.limits.signal_seconds",
        )


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Raise between two steps of a thread, or take back what has not been raised yet."""
    raised = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)


def _line_in_call(frame: FrameType | None) -> Source | None:
    """The line that hangs: the innermost one of the file whose function was called, ours around it aside."""
    inside: list[FrameType] = []
    while frame is not None and frame.f_code is not Deadline.run.__code__:
        inside.append(frame)
        frame = frame.f_back
    if not inside or frame is None:
        return None
    theirs = [one for one in inside if not one.f_code.co_filename.startswith(_OURS)]
    file = (theirs or inside)[-1].f_code.co_filename
    innermost = next(one for one in inside if one.f_code.co_filename == file)
    return Source(file=file, line=innermost.f_lineno)
