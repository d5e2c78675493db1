"""The listeners of a live session: they are told in a thread of their own, so that no position waits for them.

* One at a time, each event in the order of subscription, as in a backtest; the session does not wait.
* A listener over its time is interrupted and reported, as one that raises. One that cannot be interrupted is reported,
  left behind with its thread and told nothing more; all others are told by a new thread, and miss nothing.
* Their context is not that of strategies, which may be asked about a later time meanwhile.
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from backtestkit_cli.errors import Problem
from backtestkit_cli.plugins.places import place_of, text_of
from backtestkit_cli.plugins.ports import Mode
from backtestkit_cli.run.context import CURRENT, Context
from backtestkit_cli.run.deadline import CallTimedOut, Deadline
from backtestkit_cli.run.listen import Audience, Listeners, Subscription, Told, stream_of

LAST_SECONDS = 5.0
"""How long the end of a session waits for listeners that have not heard everything."""


class LiveAudience(Audience):
    """Everybody who hears one live session. `seconds` is the time of a call; `on_trouble` is called in any thread."""

    def __init__(
        self,
        mode: Mode,
        *listeners: Listeners,
        exchange: str,
        frame: str,
        seconds: float,
        on_trouble: Callable[[Problem], None],
    ) -> None:
        super().__init__(mode, *listeners, exchange=exchange, frame=frame)
        self._seconds = seconds
        self._on_trouble = on_trouble
        self._waiting: SimpleQueue[tuple[Subscription, Told] | None] = SimpleQueue()
        self._told_now: Subscription | None = None
        self._deadline: Deadline
        self._thread: threading.Thread | None = None
        self._has_ended = threading.Event()

    def tell(self, event: Told) -> None:
        """Let everybody be told, after all that was told before."""
        for listeners in self._listeners:
            for subscription in listeners.of(type(event), self._mode):
                self._waiting.put((subscription, event))
                if self._thread is None:
                    self._begin()

    def close(self) -> None:
        """Wait a while until everybody has heard everything."""
        self._waiting.put(None)
        if self._thread is not None and not self._has_ended.wait(LAST_SECONDS):
            self._on_trouble(Problem("call-timed-out", "listeners have not heard all that happened"))
        self._on_trouble = lambda _: None  # the session is over

    def _begin(self) -> None:
        self._thread = threading.Thread(target=self._work, name="listeners", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        with Deadline(self._seconds, self._abandoned, ends_process=False) as self._deadline:
            while (waiting := self._waiting.get()) is not None:
                self._told_now, event = waiting
                strategy, symbol = stream_of(event)
                here = Context(exchange=self._exchange, frame=self._frame, strategy=strategy, symbol=symbol)
                here.time_ms = event.time_ms
                CURRENT.set(here)
                self._call(self._told_now, event)
                if threading.current_thread() is not self._thread:
                    return  # it was left behind
            self._has_ended.set()

    def _run(self, function: Callable[[Any], object], event: Told) -> object:
        try:
            return self._deadline.run(f"listener {text_of(place_of(function))}", function, event)
        except CallTimedOut:
            raise TimeoutError(f"nothing within {self._seconds:g} s") from None

    def _failed(self, function: Callable[[Any], object], event: Told, error: BaseException) -> None:
        known = len(self._failures)
        super()._failed(function, event, error)
        if len(self._failures) > known:
            self._on_trouble(Problem("plugin-raised", self.warnings[-1]))

    def _abandoned(self, message: str) -> None:
        if self._told_now is not None:
            self._told_now.cancel()
        self._begin()
        self._on_trouble(Problem("call-timed-out", f"{message}; it is told nothing more"))
