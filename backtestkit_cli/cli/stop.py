"""Ctrl-C and SIGTERM: one clean way out, whatever code is running.

* A signal raises `Stopped` where the program stands, and is remembered: where other code swallows
  the exception `check` raises it again, and the exit code tells in any case how the program ended.
* A live session is asked to stop by the first signal, and to leave at once by the second.
* While a result is written, the first signal waits until it is whole.
* A signal that the program was started to ignore, as in the background of a shell, stays ignored.
"""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from backtestkit_cli.run.backtest import OnProgress

Step = TypeVar("Step")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """The program was asked to stop; not `KeyboardInterrupt` itself, which Python may turn into another exit code."""


class Stop:
    """Whether, and by which signal, the program was asked to stop."""

    def __init__(self) -> None:
        self._number = 0
        self._is_held = False
        self._gentle: tuple[Callable[[], None], Callable[[], None]] | None = None

    def __bool__(self) -> bool:
        return self._number != 0

    @property
    def exit_code(self) -> int:
        """The exit code of a program that was stopped: 130 by Ctrl-C, 143 by SIGTERM."""
        return 128 + (self._number or signal.SIGINT)

    def listen(self) -> None:
        """Hear both signals from now on."""
        sys.unraisablehook = _without_interruptions
        for one in _SIGNALS:
            if signal.getsignal(one) is not signal.SIG_IGN:
                signal.signal(one, self._ask)

    def deafen(self) -> None:
        """Hear no signal any more: the program is ending anyway."""
        for one in _SIGNALS:
            signal.signal(one, signal.SIG_IGN)

    def check(self) -> None:
        """Raise again what other code may have swallowed.

        Raises:
            Stopped: the program was asked to stop.
        """
        if self._number:
            raise Stopped

    @contextmanager
    def gentle(self, first: Callable[[], None], second: Callable[[], None]) -> Iterator[None]:
        """Call a function at the first signal and another one at the second, and raise nothing.

        Raises:
            Stopped: a signal came before, and other code, such as an import, swallowed it.
        """
        self._gentle = (first, second)
        try:
            self.check()
            yield
        finally:
            self._gentle = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Finish what is inside first, such as the writing of a result; a second signal does not wait."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        waits, is_second = self._is_held and not self._number, bool(self._number)
        self._number = self._number or number
        if self._gentle is not None:
            self._gentle[is_second]()
            return
        if not waits:
            raise Stopped


def _without_interruptions(told: Any) -> None:
    """Python tells of exceptions that nobody can catch; of a stop the user knows already."""
    if not (told.exc_type and issubclass(told.exc_type, KeyboardInterrupt)):
        sys.__unraisablehook__(told)


STOP = Stop()


def stoppable_steps(on_progress: "Callable[[Step], None]") -> "Callable[[Step], None]":
    """Progress of a walker, or a search, at which a stop that a strategy swallowed takes effect."""

    def told(step: Step) -> None:
        STOP.check()
        on_progress(step)

    return told


def stoppable(on_progress: "OnProgress") -> "OnProgress":
    """Progress at which a stop that a strategy swallowed takes effect."""

    def told(strategy: str, symbol: str, minutes: int) -> None:
        STOP.check()
        on_progress(strategy, symbol, minutes)

    return told
