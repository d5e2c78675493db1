"""Calls of strategies in a live session: each strategy has a thread, and nobody waits for one that hangs.

A call over its time is interrupted as in a backtest. One that cannot be is left behind with its thread, and its
strategy is asked nothing more; all others go on.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, TypeVar

from backtestkit_cli.errors import Problem, StrategyError
from backtestkit_cli.run.context import inside
from backtestkit_cli.run.deadline import CallTimedOut, Deadline

Answer = TypeVar("Answer")
Question = Callable[[Deadline], Answer]


@dataclass(slots=True, eq=False)
class Caller:
    """The thread in which one strategy is called. `seconds` is the time of a call."""

    name: str
    seconds: float
    on_abandon: Callable[[str], None]
    is_hung: bool = False
    _questions: "SimpleQueue[tuple[Question[Any], Future[Any]] | None]" = field(default_factory=SimpleQueue)
    _under_way: int = 0
    _asked: "Future[Any] | None" = None

    def __post_init__(self) -> None:
        threading.Thread(target=self._work, name=f"strategy {self.name}", daemon=True).start()

    @property
    def is_busy(self) -> bool:
        """Whether an earlier call is still under way."""
        return self.is_hung or self._under_way > 0

    def ask(self, question: Question[Answer]) -> "asyncio.Future[Answer]":
        """Call after the calls before it; the answer may be waited for, or not."""
        future: Future[Answer] = Future()
        self._under_way += 1
        future.add_done_callback(self._ended)
        self._questions.put((question, future))
        return asyncio.wrap_future(future)

    def close(self) -> None:
        """Ask nothing more."""
        self._questions.put(None)

    def _ended(self, _future: "Future[Any]") -> None:
        self._under_way -= 1

    def _work(self) -> None:
        with inside(None), Deadline(self.seconds, self._abandoned, ends_process=False) as deadline:
            while (asked := self._questions.get()) is not None:
                question, future = asked
                if self.is_hung or not future.set_running_or_notify_cancel():
                    continue
                self._asked = future
                try:
                    answer, error = question(deadline), None
                except (Exception, CallTimedOut) as raised:  # noqa: BLE001  # raised again where it is waited for
                    answer, error = None, raised
                with suppress(InvalidStateError):  # it was abandoned meanwhile
                    future.set_result(answer) if error is None else future.set_exception(error)

    def _abandoned(self, message: str) -> None:
        self.is_hung = True
        self.on_abandon(message)
        if self._asked is not None:
            with suppress(InvalidStateError):  # the answer has just come
                self._asked.set_exception(StrategyError(Problem("call-timed-out", message)))
