"""How the streams of a live session and the desk that trades for them come together.

* A wish of a stream becomes an errand only when the stream that has it is kept; so nothing is at the exchange that no
  record knows of.
* What the desk learns is told to its stream: the exchange says when a position is open, and when it is not.
* At the start every order that may be at the exchange is asked for before anything is decided.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import assert_never

from backtestkit_cli.engine.gate import Refusal
from backtestkit_cli.engine.orders.errand import MARKET_MS, Errand, Task, closed, given_up, is_over, may_be_there
from backtestkit_cli.engine.orders.walk import CarriedWalk, Enter, Exit, GiveUp
from backtestkit_cli.errors import Problem, Source, StateError
from backtestkit_cli.model.event import DecisionFailed, Event
from backtestkit_cli.model.order import Answer
from backtestkit_cli.model.signal import Flat, OpenPosition, SignalState, WaitingEntry
from backtestkit_cli.run.live.desk import Desk
from backtestkit_cli.run.live.keeping import NOT_KEPT
from backtestkit_cli.run.live.stream import LiveStream
from backtestkit_cli.run.standing import Key

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
        import asyncio

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

    def recover(self) -> None:
        """Take the errands that a session left.

        Raises:
            StateError: a record is damaged, or a position is open for which there are no orders.
        """
        errands = self.desk.state.errands()
        for key, stream in self.streams.items():
            errand, state = errands.get(key), stream.walk.state
            if isinstance(state, WaitingEntry) and not _is_of(errand, state):
                _walk_of(stream).not_sent()
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
        refused = tuple(self._take_wishes())
        await self.desk.work()
        return (*refused, *self._learn())

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
        walk, now_ms = _walk_of(stream), self.desk.now_ms()
        if not (isinstance(walk.state, WaitingEntry) and walk.state.signal == wish.signal):
            walk.ledger.let_go(wish.signal)  # it could not be kept, and was taken back
            return
        task = Task(
            signal=wish.signal,
            is_market=wish.is_market,
            wait_until_ms=now_ms + MARKET_MS if wish.is_market else wish.wait_until_ms,
            quantity_step=stream.steps.quantity,
            least_value=walk.least_value,
            fee_percent=max(LEAST_FEE_PERCENT, walk.terms.costs.fee_percent),
        )
        try:
            self.desk.begin(key, task)
        except StateError as error:
            self.desk.on_trouble(key[1], error)
            before = walk.state
            walk.not_sent()
            failed = DecisionFailed(time_ms=stream.at_ms, strategy=key[0], symbol=key[1], what=NOT_KEPT)
            yield Learnt(stream=stream, before=before, events=(failed,))

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
