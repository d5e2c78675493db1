"""Questions that block, each in one of a few threads, that nobody has to wait for.

The threads are daemons: a question that hangs holds up neither the others nor the end of the program.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, TypeVar

Answer = TypeVar("Answer")


@dataclass(slots=True, eq=False)
class Asking:
    """So many `threads`; with one of them, questions are asked one after the other. `asked` counts all questions."""

    threads: int
    asked: int = 0
    _questions: "SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None]" = field(default_factory=SimpleQueue)

    def __post_init__(self) -> None:
        for number in range(self.threads):
            threading.Thread(target=self._work, name=f"feed {number + 1}", daemon=True).start()

    def ask(self, question: Callable[[], Answer]) -> "asyncio.Future[Answer]":
        """Ask as soon as a thread is free; the answer may be waited for, or not."""
        future: Future[Answer] = Future()
        self.asked += 1
        self._questions.put((question, future))
        return asyncio.wrap_future(future)

    def close(self) -> None:
        """Ask nothing more."""
        for _ in range(self.threads):
            self._questions.put(None)

    def _work(self) -> None:
        while (asked := self._questions.get()) is not None:
            question, future = asked
            if not future.set_running_or_notify_cancel():
                continue
            try:
                answer, error = question(), None
            except Exception as raised:  # noqa: BLE001  # raised again where it is waited for
                answer, error = None, raised
            with suppress(RuntimeError):  # the loop that waited has ended
                future.set_result(answer) if error is None else future.set_exception(error)
