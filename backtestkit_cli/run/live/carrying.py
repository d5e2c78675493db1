"""How the streams of a live session and the desk that trades for them come together.

* A wish of a stream becomes an errand only when the stream that has it is kept; so nothing is at the exchange that no
  record knows of.
* What the desk learns is told to its stream: the exchange says when a position is open, and when it is not.
* At the start every order that may be at the exchange is asked for before anything is decided.
* Orders are looked after while the session waits for something else too, such as a strategy that thinks.
* Who leaves lets no entry rest at the exchange, and no position without its stop, as far as that can be had in time.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import assert_never

from backtestkit_cli.engine.gate import Refusal
from backtestkit_cli.engine.orders.errand import (
    MARKET_MS,
    Disputed,
    Entering,
    Errand,
    GivenUp,
    Guarded,
    Task,
    closed,
    given_up,
    is_over,
    may_be_there,
)
from backtestkit_cli.engine.orders.walk import CarriedWalk, Enter, Exit, GiveUp
from backtestkit_cli.errors import ExchangeError, Problem, Source, StateError
from backtestkit_cli.model.event import CancelReason, Event
from backtestkit_cli.model.order import Answer
from backtestkit_cli.model.signal import Flat, OpenPosition, SignalState, WaitingEntry
from backtestkit_cli.run.live.desk import Desk
from backtestkit_cli.run.live.stream import LiveStream
from backtestkit_cli.run.standing import Key

LEAVE_SECONDS = 10.0
"""How long who leaves waits at most until the exchange has done what has to be done before."""
LOOK_SECONDS = 1.0
SAY = "look at the exchange, then say what is true with `backtestkit session reconcile`"
LEAST_FEE_PERCENT = 0.1
"""What an exchange keeps at least of what is bought, as long as it does not say."""
SHORTEST_MS = 1_000
"""How soon after one look at the orders the next one may follow."""


@dataclass(slots=True)
class OrderThread:
    """A thread in which the exchange is asked, so that a session never waits with all else."""

    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "orders"))

    async def call(self, question: Callable[[], Answer]) -> Answer:
        """Ask, and wait for the answer."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, question)

    def close(self) -> None:
        """Wait for nothing any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What a stream learnt: its events, and its state before."""

    stream: LiveStream
    before: SignalState
    events: tuple[Event, ...]


@dataclass(slots=True, eq=False)
class Carrying:
    """The desk of a session, and its streams."""

    desk: Desk
    thread: OrderThread
    streams: Mapping[Key, LiveStream]
    _never_sent: list[Learnt] = field(default_factory=list)
    _working: asyncio.Lock = field(default_factory=asyncio.Lock)

    def recover(self) -> None:
        """Take the errands that a session left.

        Raises:
            StateError: a record is damaged, or a position is open for which there are no orders.
        """
        errands = self.desk.state.errands()
        for key, stream in self.streams.items():
            errand, state = errands.get(key), stream.walk.state
            if isinstance(state, WaitingEntry) and not _is_of(errand, state):
                self._never_sent += self._not_ordered(stream, state, "the session ended before it was sent")
            elif isinstance(state, OpenPosition) and not _is_of(errand, state):
                raise _without_orders(key)
            elif isinstance(state, Flat) and errand is not None and may_be_there(errand):
                raise _without_stream(key)
            elif errand is not None and not isinstance(state, Flat):
                self.desk.take_over(key, errand)

    def wake_ms(self, next_ms: int, now_ms: int) -> int:
        """When to look at the orders, at the latest at `next_ms`."""
        due_ms = self.desk.due_ms()
        return next_ms if due_ms is None else min(next_ms, max(due_ms, now_ms + SHORTEST_MS))

    async def work(self) -> tuple[Learnt, ...]:
        """Take the wishes of the streams, do all that is to be done now, and tell each stream what came of it."""
        async with self._working:
            refused = tuple(self._take_wishes())
            await self.desk.work()
            never_sent, self._never_sent = self._never_sent, []
            return (*never_sent, *refused, *self._learn())

    async def watch(self) -> None:
        """Do what is to be done as soon as it is, for ever; the streams learn of it when the session has time."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            async with self._working:
                await self.desk.work()

    async def leave(self) -> tuple[Learnt, ...]:
        """Cancel every entry and wait a while until it is over, and until each position has its stop or is closed.

        What stays behind is told; the next start looks at it first.
        """
        desk, clock = self.desk, self.desk.clock
        ends = clock.monotonic() + LEAVE_SECONDS
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS), self._working:
                for key, errand in desk.errands.items():
                    if isinstance(errand, Entering):
                        desk.change(key, given_up(errand, CancelReason.STOPPED, desk.now_ms()))
                await desk.work()
                while self.unsettled and not desk.is_taken_over and clock.monotonic() < ends:
                    await clock.wait_until(desk.now_ms() + SHORTEST_MS, asyncio.Event())
                    await desk.work()
        for strategy, symbol in self.unsettled:
            what = f"{strategy} on {symbol} leaves an order at the exchange that may be filled while nobody looks"
            hint = "start the session again, which looks at it first, or cancel it at the exchange"
            desk.on_trouble(symbol, ExchangeError(Problem("order-unanswered", what, Source(symbol=symbol), hint=hint)))
        return tuple(self._learn())

    @property
    def unsettled(self) -> tuple[Key, ...]:
        """Where an entry may still be filled, or a position may have no stop."""
        errands = sorted(self.desk.errands.items())
        return tuple(key for key, one in errands if not (is_over(one) or isinstance(one, Guarded | Disputed)))

    def closed_for(self) -> Refusal | None:
        """What forbids every entry just now."""
        if self.desk.is_unprotected:
            return Refusal("session", "unprotected", 0, "another position is still without its stop")
        return None

    @property
    def closed_symbols(self) -> dict[str, Refusal]:
        """What forbids entries in some symbols."""
        why = "somebody has to say first what became of its orders"
        return {symbol: Refusal("session", "disputed", 0, why) for _, symbol in self.desk.disputed}

    def refuse_disputed(self) -> None:
        """Hold that no order is disputed.

        Raises:
            StateError: one is; a person has to say what is true.
        """
        problems = [
            Problem("order-disputed", f"{strategy} on {symbol}: {one.what}", Source(symbol=symbol), hint=SAY)
            for (strategy, symbol), one in sorted(self.desk.disputed.items())
        ]
        if problems:
            raise StateError(*problems)

    def _take_wishes(self) -> Iterator[Learnt]:
        for key, stream in sorted(self.streams.items()):
            walk = _walk_of(stream)
            wishes, walk.wishes = walk.wishes, []
            errands = self.desk.errands
            for wish in wishes:
                match wish:
                    case Enter():
                        yield from self._begin(key, stream, wish)
                    case GiveUp(reason=reason) if key in errands:
                        self.desk.change(key, given_up(errands[key], reason, self.desk.now_ms()))
                    case Exit(reason=exit_reason) if key in errands:
                        self.desk.change(key, closed(errands[key], exit_reason))
                    case GiveUp() | Exit():
                        pass
                    case _:
                        assert_never(wish)

    def _begin(self, key: Key, stream: LiveStream, wish: Enter) -> Iterator[Learnt]:
        walk, state = _walk_of(stream), stream.walk.state
        if not (isinstance(state, WaitingEntry) and state.signal == wish.signal):
            walk.ledger.let_go(wish.signal)  # it could not be kept, and was taken back
            return
        try:
            if (refusal := self.closed_for()) is not None:  # since the strategy was asked
                yield from self._not_ordered(stream, state, refusal.why)
            else:
                self.desk.begin(key, self._task(stream, state))
        except StateError as error:
            self.desk.on_trouble(key[1], error)
            yield from self._not_ordered(stream, state, "the state could not be written, so nothing was ordered")

    def _task(self, stream: LiveStream, waiting: WaitingEntry) -> Task:
        walk, is_market = _walk_of(stream), waiting.wait_until == waiting.signal.decided_at
        return Task(
            signal=waiting.signal,
            is_market=is_market,
            wait_until_ms=self.desk.now_ms() + MARKET_MS if is_market else waiting.wait_until,
            quantity_step=stream.steps.quantity,
            least_value=walk.least_value,
            fee_percent=max(LEAST_FEE_PERCENT, walk.terms.costs.fee_percent),
        )

    def _not_ordered(self, stream: LiveStream, waiting: WaitingEntry, why: str) -> Iterator[Learnt]:
        """Nothing has left for an entry, and nothing will: it counts as refused."""
        task = self._task(stream, waiting)
        refused = GivenUp(task=task, reason=CancelReason.RISK, why=why, time_ms=self.desk.now_ms())
        yield Learnt(stream=stream, before=waiting, events=tuple(_walk_of(stream).learn(refused)))

    def _learn(self) -> Iterator[Learnt]:
        for key, errand in sorted(self.desk.errands.items()):
            stream = self.streams[key]
            before = stream.walk.state
            events = tuple(_walk_of(stream).learn(errand))
            if events:
                yield Learnt(stream=stream, before=before, events=events)
            if is_over(errand):
                self.desk.forget(key)


def _walk_of(stream: LiveStream) -> CarriedWalk:
    if not isinstance(stream.walk, CarriedWalk):
        raise TypeError(f"{stream.key} is not carried out by an exchange")
    return stream.walk


def _is_of(errand: Errand | None, state: WaitingEntry | OpenPosition) -> bool:
    return errand is not None and errand.task.signal.id == state.signal.id


def _without_stream(key: Key) -> StateError:
    what = f"{key[0]} on {key[1]} has orders on their way, and its own record says that nothing is open"
    return StateError(Problem("order-disputed", what, Source(key="order"), hint=SAY))


def _without_orders(key: Key) -> StateError:
    what = f"{key[0]} on {key[1]} was left open, and there is no record of its orders"
    return StateError(Problem("order-disputed", what, Source(key="order"), hint=SAY))
