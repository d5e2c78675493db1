"""Calls of user code in a live session: each strategy, risk check and sizing has a thread, and a hang ends no other.

* A call over its time is interrupted as in a backtest. One that cannot be is left behind with its thread, and is asked
  nothing more; all others go on.
* Nobody presses a key in these threads: a `KeyboardInterrupt` is the failure of the code that raised it.
* An entry waits for its risk checks and its sizing, at most until the next minute: without their answer it is refused.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from traceback import extract_tb
from typing import Any, NamedTuple, TypeVar

from backtestkit_cli.errors import Problem, StrategyError
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.run.clock import Clock
from backtestkit_cli.run.context import CURRENT, Context, inside
from backtestkit_cli.run.deadline import CallTimedOut, Deadline

LOOK_SECONDS = 0.1
Asked = TypeVar("Asked")
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
        return asyncio.wrap_future(self.put(question))

    def put(self, question: Question[Answer]) -> "Future[Answer]":
        """The same for who is in no event loop."""
        future: Future[Answer] = Future()
        self._under_way += 1
        future.add_done_callback(self._ended)
        self._questions.put((question, future))
        return future

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
                except KeyboardInterrupt as pressed:
                    answer, error = None, _own_failure(pressed)
                with suppress(InvalidStateError):  # it was abandoned meanwhile
                    future.set_result(answer) if error is None else future.set_exception(error)

    def _abandoned(self, message: str) -> None:
        self.is_hung = True
        self.on_abandon(message)
        if self._asked is not None:
            with suppress(InvalidStateError):  # the answer has just come
                self._asked.set_exception(StrategyError(Problem("call-timed-out", message)))


class Outcome(NamedTuple):
    """What a call answered, or what it raised, whatever that is."""

    answer: Any
    error: BaseException | None


@dataclass(slots=True, eq=False)
class GateCalls:
    """Calls of risk checks and sizings. `seconds` is the time of a call; nobody waits longer than `until_ms`, or for
    anything once the session `is_leaving`."""

    clock: Clock
    seconds: float
    on_abandon: Callable[[str], None]
    is_leaving: Callable[[], bool]
    until_ms: int = 0
    _callers: dict[str, Caller] = field(default_factory=dict)

    def watched(self, what: str, function: Callable[[Asked], Answer]) -> Callable[[Asked], Answer]:
        """The same function with a deadline; `what` names it in messages.

        The function raises what it raised before, and `CallTimedOut`.
        """
        return partial(self._call, what, function)

    def close(self) -> None:
        """Ask nothing more."""
        for caller in self._callers.values():
            caller.close()

    def _call(self, what: str, function: Callable[[Asked], Answer], asked: Asked) -> Answer:
        caller = self._callers.get(what)
        if caller is None:
            caller = self._callers[what] = Caller(what, self.seconds, self.on_abandon)
        if caller.is_busy:
            raise _late(what, "is still busy with an earlier call")
        future = caller.put(partial(_outcome, CURRENT.get(), what, function, asked))
        if not self._has_come(future):
            raise _late(what, "has not answered before the next minute")
        try:
            outcome = future.result()
        except StrategyError as error:  # it hangs for good
            raise CallTimedOut(error.problems[0]) from None
        if outcome.error is not None:
            raise outcome.error
        answer: Answer = outcome.answer
        return answer

    def _has_come(self, future: "Future[Outcome]") -> bool:
        """Wait, in short pieces: who wants to leave is heard."""
        seconds = max(1.0, min(self.until_ms - self.clock.now_ms(), MINUTE_MS) / 1000)
        while not future.done() and seconds > 0 and not self.is_leaving():
            wait([future], LOOK_SECONDS)
            seconds -= LOOK_SECONDS
        return future.done()


def _outcome(
    context: Context | None, what: str, function: Callable[[Asked], Answer], asked: Asked, deadline: Deadline
) -> Outcome:
    token = CURRENT.set(context)
    try:
        return Outcome(deadline.run(what, function, asked), None)
    except KeyboardInterrupt as pressed:
        return Outcome(None, _own_failure(pressed))
    except BaseException as error:  # noqa: BLE001  # raised again where it is waited for
        return Outcome(None, error)
    finally:
        CURRENT.reset(token)


def _own_failure(pressed: KeyboardInterrupt) -> RuntimeError:
    """What the session makes of it, with the line that raised it."""
    *_, frame = extract_tb(pressed.__traceback__)
    text = f"it raised {type(pressed).__name__} ({frame.filename}, line {frame.lineno})"
    return RuntimeError(text).with_traceback(pressed.__traceback__)


def _late(what: str, why: str) -> CallTimedOut:
    return CallTimedOut(Problem("call-timed-out", f"{what} {why}"))
