"""The desk: carries errands through an exchange, and keeps each step before it is taken.

* Before an order leaves, that it leaves is on disk; what the exchange answered is on disk before anybody acts on it.
* What cannot be kept opens nothing. Exits go on in memory: a position that cannot be written down is still managed.
* Where another program has taken the state over, nothing is sent any more.
* Where the clock was set, the times of all errands are, by as much: deadlines are of time that passes.
* An exchange that does not answer is told of once, until it does; a position without its stop every minute.
* A disputed errand is left alone until a person has said what is true.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import assert_never

from backtestkit_cli.engine.orders.errand import (
    UNPROTECTED_MS,
    Closing,
    Disputed,
    Ended,
    Entering,
    Errand,
    Protecting,
    Task,
    begun,
    due_ms,
    moved,
    order_of,
    retimed,
    with_order,
)
from backtestkit_cli.engine.orders.tracked import Accepted, Ask, Sent, Unknown, ask_of, heard, sending
from backtestkit_cli.errors import BacktestkitError, ExchangeError, Problem, Source, StateError
from backtestkit_cli.model.order import Answer, NotSent, Order, Refused, Unanswered
from backtestkit_cli.plugins.ports import Broker
from backtestkit_cli.run.clock import Clock
from backtestkit_cli.run.standing import Key
from backtestkit_cli.state.order import OrderState

SET_MS = 1_000
"""How far the clock may move against one that nobody can set, before it counts as set."""
WORDS: dict[Ask, str] = {"place": "take an order", "query": "say what became of an order", "cancel": "cancel an order"}
# after a cancel the order is asked for, whatever the answer was
WITHOUT_WORD = {"place": (NotSent, Unanswered), "query": (Refused, NotSent, Unanswered), "cancel": ()}

Call = Callable[[Callable[[], Answer]], Awaitable[Answer]]
"""Runs a question to the broker where nobody waits for it."""


@dataclass(slots=True, eq=False)
class Desk:
    """The errands of a session. `on_trouble` is told of a symbol and what is wrong with its orders, `on_change` of each
    errand that came further.
    """

    broker: Broker
    state: OrderState
    clock: Clock
    call: Call
    on_trouble: Callable[[str, BacktestkitError], None]
    on_change: Callable[[Key, Errand], None] = lambda _key, _errand: None
    errands: dict[Key, Errand] = field(default_factory=dict)
    is_taken_over: bool = False
    _unkept: dict[Key, Errand] = field(default_factory=dict)
    _unanswered: set[Key] = field(default_factory=set)
    _alarm_seconds: dict[Key, float] = field(default_factory=dict)
    _ahead_ms: float = field(init=False)

    def __post_init__(self) -> None:
        self._ahead_ms = self._now_ahead_ms()

    def now_ms(self) -> int:
        """The time."""
        return self.clock.now_ms()

    def begin(self, key: Key, task: Task) -> None:
        """Intend an entry; nothing leaves yet.

        Raises:
            StateError: it could not be written, and there is no errand.
        """
        errand = begun(task)
        self.state.keep(*key, errand)
        self.errands[key] = errand
        self._unkept.pop(key, None)
        self.on_change(key, errand)

    def take_over(self, key: Key, errand: Errand) -> None:
        """Go on with an errand that was left; one that is disputed is told of again."""
        self.errands[key] = retimed(errand, None, self.now_ms())
        self._tell(key, None, errand)

    def change(self, key: Key, errand: Errand) -> None:
        """Go on otherwise; it is kept before anything comes of it."""
        self._take(key, errand)

    def due_ms(self) -> int | None:
        """When something is to be done, None when nothing ever is."""
        return min((time for errand in self.errands.values() if (time := due_ms(errand)) is not None), default=None)

    @property
    def is_unprotected(self) -> bool:
        """Whether a position is without its stop, or an entry may just have become one."""
        return any(_is_unprotected(one) for one in self.errands.values())

    @property
    def disputed(self) -> dict[Key, Disputed]:
        """What a person has to look at."""
        return {key: one for key, one in self.errands.items() if isinstance(one, Disputed)}

    def forget(self, key: Key) -> None:
        """An errand is over, and all that came of it is known; its record stays, and is still kept if it was not."""
        del self.errands[key]

    async def work(self) -> None:
        """Do all that is to be done now."""
        self._look_at_clock()
        for key, errand in sorted(self._unkept.items()):
            self._keep(key, errand)
        for key in sorted(self.errands):
            while await self._ask(key):
                pass
            self._look_at_stop(key)

    async def _ask(self, key: Key) -> bool:
        """Ask one thing of the exchange, if there is one to ask now."""
        self._take(key, moved(self.errands[key], self.now_ms()))
        errand = self.errands[key]
        order = order_of(errand)
        ask = None if order is None else ask_of(order, self.now_ms())
        if order is None or ask is None or self.is_taken_over:
            return False
        if ask == "place":
            order = sending(order)
            is_kept = self._take(key, with_order(errand, order))
            if not is_kept and not self._goes_on_unkept(errand):
                self.errands[key] = errand
                return False
        answer = await self.call(partial(_asked, self.broker, ask, order.order))
        self._look_at_clock()
        now_ms, order = self.now_ms(), order_of(self.errands[key]) or order
        if isinstance(answer, WITHOUT_WORD[ask]):
            self._tell_unanswered(key, ask, answer.why)
        elif ask != "cancel":
            self._unanswered.discard(key)
        self._take(key, moved(with_order(self.errands[key], heard(order, ask, answer, now_ms)), now_ms))
        return True

    def _now_ahead_ms(self) -> float:
        return self.clock.now_ms() - self.clock.monotonic() * 1000

    def _look_at_clock(self) -> None:
        before_ms, now_ms, self._ahead_ms = self._ahead_ms, self.now_ms(), self._now_ahead_ms()
        by_ms = round(self._ahead_ms - before_ms)
        if abs(by_ms) < SET_MS:
            self._ahead_ms = before_ms
            return
        for key, errand in self.errands.items():
            self._take(key, retimed(errand, by_ms, now_ms))

    def _goes_on_unkept(self, errand: Errand) -> bool:
        """Whether an order leaves that could not be kept: only to end a position that is ours alone."""
        return not (isinstance(errand, Entering) or self.is_taken_over)

    def _take(self, key: Key, errand: Errand) -> bool:
        """Take and keep what an errand has become; whether it could be kept."""
        before = self.errands[key]
        if errand == before:
            return True
        self.errands[key] = errand
        self._tell(key, before, errand)
        if _place(errand) != _place(before):
            self.on_change(key, errand)
        return self._keep(key, errand)

    def _keep(self, key: Key, errand: Errand) -> bool:
        try:
            self.state.keep(*key, errand)
        except StateError as error:
            self._unkept[key] = errand
            self.is_taken_over |= error.code == "state-taken-over"
            self.on_trouble(key[1], error)
            return False
        self._unkept.pop(key, None)
        return True

    def _look_at_stop(self, key: Key) -> None:
        """Raise the alarm, every minute, where there may be a position that has had no stop for too long."""
        now = self.clock.monotonic()
        if not _is_unprotected(self.errands[key]):
            self._alarm_seconds.pop(key, None)
        elif now >= self._alarm_seconds.setdefault(key, now + UNPROTECTED_MS / 1000):
            self._alarm_seconds[key] = now + UNPROTECTED_MS / 1000
            told = f"{key[0]} on {key[1]} may hold a position that has had no stop for over {UNPROTECTED_MS // 1000} s"
            hint = "look at the exchange; nothing else is entered, and it is tried again and again"
            self.on_trouble(key[1], ExchangeError(Problem("no-stop", told, Source(symbol=key[1]), hint=hint)))

    def _tell_unanswered(self, key: Key, ask: Ask, why: str) -> None:
        """Say, once until it does, that the exchange does not do what it is asked."""
        if key not in self._unanswered:
            self._unanswered.add(key)
            told = f"{key[0]} on {key[1]}: the exchange did not {WORDS[ask]}: {why}"
            hint = "it is asked again; what is open there is not known before it answers"
            self.on_trouble(key[1], ExchangeError(Problem("order-unanswered", told, Source(symbol=key[1]), hint=hint)))

    def _tell(self, key: Key, before: Errand | None, errand: Errand) -> None:
        """Raise the alarm where something did not go as planned."""
        where = Source(symbol=key[1])
        match errand:
            case Disputed(what=what) if not isinstance(before, Disputed):
                told = f"{key[0]} on {key[1]}: {what}"
                hint = "look at the exchange, then say what is true with `backtestkit session reconcile`"
                self.on_trouble(key[1], StateError(Problem("order-disputed", told, where, hint=hint)))
            case Protecting(held=held) if held.is_fee_assumed and isinstance(before, Entering):
                told = f"{key[0]} on {key[1]}: the exchange does not show the trades of the entry"
                hint = f"a fee of {errand.task.fee_percent:g}% is assumed; what it took less stays in the account"
                self.on_trouble(key[1], ExchangeError(Problem("order-unanswered", told, where, hint=hint)))
            case Ended(held=held) if held.rest > 0 and not isinstance(before, Ended):
                told = f"{held.rest:g} of the position of {key[0]} on {key[1]} is worth too little to be sold"
                hint = "it stays in the account, and no figure of the trade counts it"
                self.on_trouble(key[1], ExchangeError(Problem("remainder", told, where, hint=hint)))
            case Closing(why=why) if why and not isinstance(before, Closing):
                told = f"the position of {key[0]} on {key[1]} is {why}"
                self.on_trouble(key[1], ExchangeError(Problem("no-stop", told, where, hint="look at the exchange")))
            case _:
                pass


def _place(errand: Errand) -> tuple[str, ...]:
    """How far an errand is, in words."""
    order = order_of(errand)
    return (errand.kind,) if order is None else (errand.kind, order.order.client_id, order.state.kind)


def _is_unprotected(errand: Errand) -> bool:
    match errand:
        case Protecting() | Closing():
            return True
        case Entering(entry=entry, first_part_ms=first_part_ms):
            is_unseen = isinstance(entry.state, Accepted) and entry.failures > 0
            return first_part_ms is not None or is_unseen or isinstance(entry.state, Sent | Unknown)
        case _:
            return False


def _asked(broker: Broker, ask: Ask, order: Order) -> Answer:
    match ask:
        case "place":
            return broker.place(order)
        case "query":
            return broker.query(order)
        case "cancel":
            return broker.cancel(order)
        case _:
            assert_never(ask)
