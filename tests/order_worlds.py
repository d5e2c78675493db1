"""Random errands against an exchange in this process that loses, delays, splits and refuses, in virtual time.

A seed decides what goes wrong. The book knows the truth: every order that it ever accepted, and what they traded.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from backtestkit_cli.engine.orders.errand import Disputed, Ended, Errand, GivenUp, Task, closed, given_up, is_over
from backtestkit_cli.errors import BacktestkitError, Problem, StateError
from backtestkit_cli.model.event import CancelReason, CloseReason
from backtestkit_cli.model.order import (
    Answer,
    AtLimit,
    AtMarket,
    Level,
    NotSent,
    NotThere,
    Order,
    Pair,
    Refused,
    Report,
    Stop,
    Unanswered,
)
from backtestkit_cli.model.rounding import cut_quantity
from backtestkit_cli.model.signal import Position, Signal
from backtestkit_cli.run.live.carrying import Carrying, Learnt, OrderThread
from backtestkit_cli.run.live.desk import Desk
from backtestkit_cli.state.order import OrderState, errand_of

KEY = ("long", "AAA")
STEP, FEE = 0.001, 0.001
JUMPS_MS = (-86_400_000, -3_600_000, 25_000, 3_600_000, 31_536_000_000)
"""How the clock of the computer is set now and then."""
START_MS = 1_700_000_000_000
LATEST_MS = 4_500
"""How late an order may arrive at most."""
HIDDEN_MS = 15_000
"""How long queries may not see an order at most."""


class CrashError(Exception):
    """The process is gone."""


@dataclass(slots=True)
class Wall:
    """The clock of the computer: somebody may set it. Time itself is that of the book."""

    book: "Book"
    set_ms: int = START_MS

    def now_ms(self) -> int:
        """What the clock shows."""
        return self.book.now_ms + self.set_ms

    def monotonic(self) -> float:
        """Seconds that nobody can set."""
        return self.book.now_ms / 1000

    def sleep(self, seconds: float) -> None:
        """Nobody sleeps."""

    async def wait_until(self, time_ms: int, woken: asyncio.Event) -> None:  # nobody wakes
        """Let time pass."""
        self.book.move_to(max(self.book.now_ms, time_ms - self.set_ms))


@dataclass(slots=True)
class Booked:
    """An order in the book. `arrives_ms`: from when on it is there, `seen_ms`: from when on queries see it."""

    order: Order
    arrives_ms: int
    seen_ms: int
    parts: int
    stays: bool
    fee_seen_ms: int
    status: str = "open"
    quantity: float = 0.0
    value: float = 0.0
    fee: float = 0.0
    level: Level | None = None

    def report(self, now_ms: int) -> Report:
        """What the exchange says of it; the trades of an entry may be shown later."""
        status = self.status
        assert status in ("open", "filled", "cancelled")
        return Report(
            status=status,  # type: ignore[arg-type]  # it is one of them
            quantity=round(self.quantity, 6),
            value=self.value,
            fee_quantity=None if status != "open" and self.fee and now_ms < self.fee_seen_ms else round(self.fee, 9),
            level=self.level,
        )


@dataclass(slots=True, eq=False)
class Book:
    """A made exchange. `rate` is how often something goes wrong; without `harms_exits` no exit is refused. While it is
    `deaf` it takes what it is asked and says nothing.
    """

    random: Random
    rate: float
    harms_exits: bool
    deaf: range = range(0)
    now_ms: int = 0
    price: float = 100.0
    orders: list[Booked] = field(default_factory=list)
    met: Counter[str] = field(default_factory=Counter)
    on_call: Callable[[str], None] = lambda _: None
    unprotected_ms: int = 0
    longest_unprotected_ms: int = 0

    # the port

    def place(self, order: Order) -> Answer:
        """Take an order, or lose it, or its answer."""
        self.on_call("before")
        fate = self._fate("place")
        is_exit = order.side == "sell"
        if fate == "not sent":
            return NotSent(why="too many requests")
        if fate == "lost before":
            return Unanswered(why="no reply")
        if (fate == "refused" and (self.harms_exits or not is_exit)) or self._is_wrong(order):
            self.met["refused exit" if is_exit else "refused entry"] += 1
            return Refused(why="the book says no")
        if any(one.order.client_id == order.client_id and one.status == "open" for one in self.orders):
            return Unanswered(why="duplicate")
        booked = Booked(
            order=order,
            arrives_ms=self.now_ms + (self.random.randint(1, LATEST_MS) if fate == "late" else 0),
            seen_ms=self.now_ms + (self.random.randint(1, HIDDEN_MS) if fate == "hidden" else 0),
            parts=self.random.choice([2, 3, 5]) if fate == "parts" else 1,
            stays=fate == "parts" and self.random.random() < 0.5,
            fee_seen_ms=self.now_ms + (self.random.choice([5_000, 10**9]) if fate == "no trades" else 0),
        )
        self.orders.append(booked)
        self._trade()
        self.on_call("after")
        if fate in ("lost after", "late", "hidden"):
            return Unanswered(why="no reply")
        return booked.report(self.now_ms)

    def query(self, order: Order) -> Answer:
        """What became of an order, as far as it can be seen."""
        if self._fate("query") in ("lost before", "lost after", "not sent"):
            return Unanswered(why="no reply")
        found = [one for one in self.orders if one.order.client_id == order.client_id]
        if not found or self.now_ms < max(found[-1].arrives_ms, found[-1].seen_ms):
            self.met["not there"] += 1
            return NotThere()
        return found[-1].report(self.now_ms)

    def cancel(self, order: Order) -> Answer:
        """End an order; sometimes it trades first."""
        self.on_call("before")
        fate = self._fate("cancel")
        if fate in ("lost before", "not sent"):
            return Unanswered(why="no reply")
        found = [one for one in self.orders if one.order.client_id == order.client_id]
        if not found or found[-1].status != "open" or self.now_ms < found[-1].arrives_ms:
            return NotThere()
        if fate == "parts":
            self.met["filled before its cancel"] += 1
            self._fill(found[-1], found[-1].order.quantity, self.price)
        else:
            found[-1].status = "cancelled"
        self.on_call("after")
        return Unanswered(why="no reply") if fate == "lost after" else found[-1].report(self.now_ms)

    def _is_wrong(self, order: Order) -> bool:
        """A stop that would trade at once, or more than there is."""
        stop = order.way.stop_loss if isinstance(order.way, Pair) else None
        stop = order.way.price if isinstance(order.way, Stop) else stop
        profit = order.way.take_profit if isinstance(order.way, Pair) else None
        is_at_once = (stop is not None and self.price <= stop) or (profit is not None and self.price >= profit)
        return is_at_once or (order.side == "sell" and order.quantity > self.free + 1e-9)

    def _fate(self, what: str) -> str:
        if self.now_ms in self.deaf:
            self.met["deaf"] += 1
            return "lost after"
        if self.random.random() >= self.rate:
            return "well"
        fates = ["lost before", "lost after", "not sent", "parts"]
        fate = self.random.choice([*fates, "late", "hidden", "refused", "no trades"] if what == "place" else fates)
        self.met[f"{what} {fate}"] += 1
        return fate

    # what it knows

    @property
    def bought(self) -> float:
        """What was bought, after fees."""
        return sum(one.quantity - one.fee for one in self.orders if one.order.side == "buy")

    @property
    def sold(self) -> float:
        """What was sold."""
        return sum(one.quantity for one in self.orders if one.order.side == "sell")

    @property
    def free(self) -> float:
        """What no open order holds."""
        held = sum(one.order.quantity - one.quantity for one in self.orders if self._holds(one))
        return self.bought - self.sold - held

    @property
    def is_exposed(self) -> bool:
        """Whether there is a position without a stop."""
        has_stop = any(self._holds(one) and isinstance(one.order.way, Pair | Stop) for one in self.orders)
        return self.bought - self.sold > STEP and not has_stop

    @property
    def has_open_entry(self) -> bool:
        """Whether an entry may still be filled."""
        return any(one.order.side == "buy" and one.status == "open" for one in self.orders)

    def _holds(self, one: Booked) -> bool:
        return one.order.side == "sell" and one.status == "open"

    def move_to(self, now_ms: int) -> None:
        """Let time pass: the price moves, orders arrive and trade."""
        while self.now_ms < now_ms:
            step = min(1_000, now_ms - self.now_ms)
            self.now_ms += step
            self.price = max(50.0, self.price * (1 + self.random.gauss(0, 0.0006)))
            self._trade()
            self.unprotected_ms = self.unprotected_ms + step if self.is_exposed else 0
            self.longest_unprotected_ms = max(self.longest_unprotected_ms, self.unprotected_ms)

    def _trade(self) -> None:
        for one in self.orders:
            if one.status == "open" and one.arrives_ms <= self.now_ms:
                self._meet(one)

    def _meet(self, one: Booked) -> None:
        match one.order.way:
            case AtMarket():
                self._fill(one, self._part(one), self.price)
            case AtLimit(price=price) if self.price <= price:
                self._fill(one, self._part(one), price)
            case Pair(take_profit=level) if self.price >= level:
                one.level = "take_profit"
                self._fill(one, self._part(one), level)
            case Pair(stop_loss=level) | Stop(price=level) if self.price <= level:
                one.level = "stop_loss"
                self._fill(one, self._part(one), self.price)
            case _:
                pass

    def _part(self, one: Booked) -> float:
        rest = one.order.quantity - one.quantity
        if one.stays and one.quantity:
            return 0.0
        return rest if one.parts == 1 else min(rest, max(STEP, cut_quantity(one.order.quantity / one.parts, STEP)))

    def _fill(self, one: Booked, quantity: float, price: float) -> None:
        quantity = min(quantity, one.order.quantity - one.quantity)
        one.quantity, one.value = round(one.quantity + quantity, 6), one.value + quantity * price
        one.fee = one.quantity * FEE if one.order.side == "buy" else 0.0
        if one.quantity >= one.order.quantity - 1e-9:
            one.status = "filled"


@dataclass(slots=True, eq=False)
class Lost:
    """A store that forgets nothing but what it could not write."""

    random: Random
    rate: float
    bodies: dict[str, object] = field(default_factory=dict)
    saves: int = 0

    def save(self, _kind: str, key: str, body: object) -> None:
        """Keep a body."""
        self.saves += 1
        if self.random.random() < self.rate:
            raise StateError(Problem("state-not-saved", "the disk is full"))
        self.bodies[key] = body


@dataclass(slots=True)
class Run:
    """What became of one errand."""

    seed: int
    book: Book
    errand: Errand | None
    crashes: int
    troubles: list[BacktestkitError]
    kinds: set[str]
    silences: int = 0


def task_of(random: Random) -> Task:
    """A long, at the market or at a limit."""
    is_market = random.random() < 0.5
    price = 100.0 if is_market else 99.9
    signal = Signal(
        id=f"id of {random.random()}",
        strategy=KEY[0],
        symbol=KEY[1],
        position=Position.LONG,
        price_open=price,
        price_take_profit=100.6,
        price_stop_loss=99.3,
        lifetime_minutes=30,
        decided_at=0,
        quantity=round(random.uniform(0.5, 5), 3),
    )
    wait_ms = 20_000 if is_market else random.choice([60_000, 600_000])
    return Task(
        signal=signal, is_market=is_market, wait_until_ms=START_MS + wait_ms, quantity_step=STEP, least_value=5.0
    )


class Left(Carrying):
    """A session that is left; no stream learns of it."""

    def _learn(self) -> Iterator[Learnt]:
        return iter(())


@dataclass(slots=True, eq=False)
class Computer:
    """What carries out the errand of a run: a desk that may crash, with a clock that somebody may set."""

    run: Run
    random: Random
    store: Lost
    crash_rate: float
    jump_rate: float
    wall: Wall = field(init=False)
    desk: Desk = field(init=False)

    def __post_init__(self) -> None:
        self.wall = Wall(self.run.book)
        self.run.book.on_call = self._perhaps_crash
        self._start()

    async def work(self, *, is_stopped: bool, is_closed: bool) -> bool:
        """Do what is to be done now; whether it came through."""
        try:
            if is_stopped:
                self.desk.change(KEY, given_up(self.desk.errands[KEY], CancelReason.STOPPED, self.wall.now_ms()))
            if is_closed:
                self.desk.change(KEY, closed(self.desk.errands[KEY], CloseReason.TIME_EXPIRED))
            await self.desk.work()
        except CrashError:
            self.run.crashes += 1
            self._away(20_000)
            return False
        return True

    async def leave(self) -> None:
        """Leave the session and come back; what is left behind unwatched without a word is a silence."""
        known, book = len(self.run.troubles), self.run.book
        try:
            await Left(self.desk, OrderThread(), {}).leave()
        except CrashError:
            self.run.crashes += 1
        else:
            book.met["left"] += 1
            is_told = len(self.run.troubles) > known or isinstance(self.desk.errands[KEY], Disputed)
            self.run.silences += not is_told and (book.has_open_entry or book.is_exposed)
        self._away(600_000)

    def _away(self, longest_ms: int) -> None:
        """Nobody is there for a while; then a new session takes over what is kept."""
        self.run.book.move_to(self.run.book.now_ms + self.random.randint(1, longest_ms))
        self.perhaps_set_the_clock()
        self._start()
        self.desk.take_over(KEY, errand_of(dict(self.store.bodies["{} {}".format(*KEY)]), "it"))  # type: ignore[call-overload]

    def wait(self) -> None:
        """Let time pass until something is due, or a little longer or shorter."""
        book, due_ms = self.run.book, self.desk.due_ms()
        assert due_ms is not None
        due_ms -= self.wall.set_ms
        self.perhaps_set_the_clock()
        book.move_to(max(book.now_ms + 500, min(due_ms, book.now_ms + 15_000)))

    def perhaps_set_the_clock(self) -> None:
        """Somebody sets it, at times."""
        if self.random.random() < self.jump_rate:
            self.wall.set_ms += self.random.choice(JUMPS_MS)
            self.run.book.met["clock set"] += 1

    def _start(self) -> None:
        state = OrderState(self.store)  # type: ignore[arg-type]  # it is loaded by hand
        told = self.run.troubles
        self.desk = Desk(self.run.book, state, self.wall, self._call, lambda _, error: told.append(error))

    async def _call(self, question: Callable[[], Answer]) -> Answer:
        answer = question()
        self.perhaps_set_the_clock()
        return answer

    def _perhaps_crash(self, _where: str) -> None:
        if self.random.random() < self.crash_rate:
            raise CrashError


def run_errand(seed: int, *, harms_exits: bool = True) -> Run:
    """Carry out one errand of a seed, whatever goes wrong, until it is over or disputed."""
    return asyncio.run(_run(seed, harms_exits=harms_exits))


async def _run(seed: int, *, harms_exits: bool) -> Run:
    random = Random(seed)
    book = Book(random, rate=random.choice([0.0, 0.2, 0.4]), harms_exits=harms_exits)
    if random.random() < 0.2:
        deaf_ms = random.randint(0, 60_000)
        book.deaf = range(deaf_ms, deaf_ms + random.randint(1, 180_000))
    run = Run(seed, book, None, 0, [], set())
    store = Lost(random, rate=random.choice([0.0, 0.0, 0.1]))
    computer = Computer(run, random, store, random.choice([0.0, 0.05]), random.choice([0.0, 0.0, 0.1]))
    try:
        computer.desk.begin(KEY, task_of(random))
    except StateError:
        return run
    wish_ms, stop_ms = random.choice([30_000, 300_000, 1_800_000]), random.choice([10_000, 10**9])
    leave_ms = random.choice([random.randint(0, 30_000), random.randint(0, 600_000), 10**9])
    while book.now_ms < 3 * 3_600_000:
        if book.now_ms >= leave_ms:
            leave_ms = 10**9
            await computer.leave()
        if not await computer.work(is_stopped=book.now_ms >= stop_ms, is_closed=book.now_ms >= wish_ms):
            continue
        errand = computer.desk.errands[KEY]
        run.kinds.add(errand.kind)
        if is_over(errand) or isinstance(errand, Disputed):
            break
        computer.wait()
    run.errand = computer.desk.errands[KEY]
    book.rate, book.on_call = 0.0, lambda _: None
    book.move_to(book.now_ms + 60_000)
    return run


def rest_of(run: Run) -> float:
    """What is left of the position at the exchange."""
    return run.book.bought - run.book.sold


def is_forgotten(run: Run) -> bool:
    """Whether the exchange has something that nobody looks after."""
    has_open = any(one.status == "open" for one in run.book.orders)
    match run.errand:
        case None:
            return bool(run.book.orders)
        case Disputed():
            return False
        case GivenUp():
            return has_open or run.book.bought > 0
        case Ended():
            dust = run.errand.task.least_value / 90
            return has_open or not -1e-9 <= rest_of(run) <= dust
        case _:
            return True
