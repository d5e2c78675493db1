"""A position on its way through an exchange, from its entry to its end: which order is worked on, and what follows.

* Entering: the entry is filled, or over. What was filled counts. The rest is cancelled when the wait is over, or
  `PARTIAL_MS` after the first part, because until then there is no stop.
* What the exchange kept as its fee is waited for `FEE_MS`; then a fee is assumed, because until then there is no stop.
* Protecting: take profit and stop as a pair, a stop alone where the exchange refuses the pair. Where none stands within
  `UNPROTECTED_MS` of the first part that was seen, the position is closed at the market.
* Guarded: the exchange holds the levels. What is left of one that was filled in part is sold like the rest.
* Closing: first the guard is cancelled and asked what it sold, then the rest is sold at the market.
* Disputed: the exchange says something that our orders do not explain. Nothing more is asked; a person says what is
  true.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, assert_never

from backtestkit_cli.engine.orders.tracked import (
    Accepted,
    Cancelled,
    Filled,
    Intended,
    Lost,
    Rejected,
    Sent,
    Tracked,
    Unknown,
    asked_anew,
    tracked,
    unwanted,
)
from backtestkit_cli.engine.orders.tracked import due_ms as order_due_ms
from backtestkit_cli.model.event import CancelReason, CloseReason
from backtestkit_cli.model.order import AtLimit, AtMarket, Level, Order, Pair, Report, Stop, client_id
from backtestkit_cli.model.rounding import average_price, cut_quantity, difference, total
from backtestkit_cli.model.signal import Signal

PARTIAL_MS = 20_000
FEE_MS = 30_000
MARKET_MS = 20_000
"""How long a market order may take to be filled; what is left of it then is cancelled."""
UNPROTECTED_MS = 60_000
CLOSE_TRIES = 5
CLOSE_GAP_MS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be carried out: a long signal with its quantity, and `price_open` as the fill policy has it.

    `wait_until_ms` is when what is not filled of the entry is given up. `least_value` is what an order must be worth,
    in quote currency, and `fee_percent` what the exchange may keep of what is bought, where it does not say.
    """

    signal: Signal
    is_market: bool
    wait_until_ms: int
    quantity_step: float | None
    least_value: float
    fee_percent: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sold:
    """A part that was sold, and at which level, if at one."""

    quantity: float
    value: float
    level: Level | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What was bought: `quantity` at the average `price`, `to_sell` of it after fees, and what was sold of that.

    With `is_fee_assumed` nobody knows what the exchange kept as its fee.
    """

    quantity: float
    price: float
    to_sell: float
    opened_ms: int
    sold: tuple[Sold, ...] = ()
    exits: int = 0
    is_fee_assumed: bool = False

    @property
    def rest(self) -> float:
        """What is still held."""
        return difference(self.to_sell, *(one.quantity for one in self.sold))

    @property
    def sold_share(self) -> float:
        """How much of what could be sold was, 0 to 1."""
        return 1.0 if self.rest <= 0 else 1.0 - self.rest / self.to_sell

    @property
    def last_price(self) -> float:
        """The last price that is known of it."""
        return average_price(self.sold[-1].value, self.sold[-1].quantity) if self.sold else self.price


@dataclass(frozen=True, slots=True, kw_only=True)
class Entering:
    """The entry is on its way. `reason` is why it is given up, once it is."""

    task: Task
    entry: Tracked
    reason: CancelReason | None = None
    first_part_ms: int | None = None
    kind: Literal["entering"] = "entering"


@dataclass(frozen=True, slots=True, kw_only=True)
class Protecting:
    """Held without a stop since `since_ms`."""

    task: Task
    held: Held
    guard: Tracked
    since_ms: int
    kind: Literal["protecting"] = "protecting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """Held, and the exchange has the stop."""

    task: Task
    held: Held
    guard: Tracked
    first_part_ms: int | None = None
    kind: Literal["guarded"] = "guarded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """What is held is being sold. `guard` until it is known what it sold, `until_ms` is for the order that sells the
    rest; `why` where this was not the plan.
    """

    task: Task
    held: Held
    reason: CloseReason
    guard: Tracked | None
    close: Tracked | None = None
    until_ms: int = 0
    tries: int = 0
    why: str = ""
    kind: Literal["closing"] = "closing"


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """Nothing was bought; `why` where the exchange said so."""

    task: Task
    reason: CancelReason
    why: str
    time_ms: int
    kind: Literal["given_up"] = "given_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """All that can be sold was sold, at the average `price`; `why` where this was not the plan."""

    task: Task
    held: Held
    reason: CloseReason
    price: float
    time_ms: int
    why: str = ""
    kind: Literal["ended"] = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disputed:
    """Nobody here knows what is true."""

    task: Task
    held: Held | None
    what: str
    kind: Literal["disputed"] = "disputed"


Errand: TypeAlias = Entering | Protecting | Guarded | Closing | GivenUp | Ended | Disputed


def begun(task: Task) -> Entering:
    """A position that is wanted; nothing has left yet."""
    signal = task.signal
    order = Order(
        client_id=client_id(signal, "e"),
        symbol=signal.symbol,
        side="buy",
        quantity=signal.quantity or 0.0,
        way=AtMarket() if task.is_market else AtLimit(price=signal.price_open),
    )
    return Entering(task=task, entry=tracked(order, resends=False))


def order_of(errand: Errand) -> Tracked | None:
    """The order that is worked on, if one is."""
    match errand:
        case Entering():
            return errand.entry
        case Protecting() | Guarded():
            return errand.guard
        case Closing():
            return errand.guard or errand.close
        case GivenUp() | Ended() | Disputed():
            return None
        case _:
            assert_never(errand)


def with_order(errand: Errand, order: Tracked) -> Errand:
    """The errand with another state of the order that is worked on."""
    match errand:
        case Entering():
            return replace(errand, entry=order)
        case Protecting() | Guarded():
            return replace(errand, guard=order)
        case Closing(guard=None):
            return replace(errand, close=order)
        case Closing():
            return replace(errand, guard=order)
        case _:
            return errand


def given_up(errand: Errand, reason: CancelReason, now_ms: int) -> Errand:
    """The entry is not wanted any more; what it filled until then counts."""
    if isinstance(errand, Entering) and errand.reason is None:
        return replace(errand, reason=reason, entry=unwanted(errand.entry, now_ms))
    return errand


def closed(errand: Errand, reason: CloseReason) -> Errand:
    """The position is to be closed at the market."""
    if isinstance(errand, Protecting | Guarded):
        return Closing(task=errand.task, held=errand.held, reason=reason, guard=errand.guard)
    return errand


def is_over(errand: Errand) -> bool:
    """Whether nothing is on its way any more."""
    return isinstance(errand, GivenUp | Ended)


def may_be_there(errand: Errand) -> bool:
    """Whether the exchange may have something of it."""
    is_unsent = isinstance(errand, Entering) and isinstance(errand.entry.state, Intended)
    return not (is_unsent or is_over(errand))


def due_ms(errand: Errand) -> int | None:
    """When something is to be done; None when nothing ever is."""
    order = order_of(errand)
    times = [None if order is None else order_due_ms(order)]
    match errand:
        case Entering(entry=Tracked(state=Accepted(report=report))) if report.status != "open":
            times += [None if errand.first_part_ms is None else errand.first_part_ms + FEE_MS]
        case Entering(reason=None):
            times += [errand.task.wait_until_ms]
            times += [None if errand.first_part_ms is None else errand.first_part_ms + PARTIAL_MS]
        case Protecting():
            times += [errand.since_ms + UNPROTECTED_MS]
        case Guarded():
            times += [None if errand.first_part_ms is None else errand.first_part_ms + PARTIAL_MS]
        case Closing(guard=None, close=Tracked(is_unwanted=False, state=Accepted())):
            times += [errand.until_ms]
        case _:
            pass
    return min((time for time in times if time is not None), default=None)


def retimed(errand: Errand, by_ms: int | None, now_ms: int) -> Errand:
    """The errand after the clock was set by so much, None where nobody knows: what is due is due now, what lasts goes
    on.
    """
    order = order_of(errand)
    errand = errand if order is None else with_order(errand, asked_anew(order, by_ms, now_ms))
    by_ms = by_ms or 0
    match errand:
        case Entering(first_part_ms=part_ms, task=task):
            # forward it may have been asleep, and an entry waits no longer for that
            task = replace(task, wait_until_ms=task.wait_until_ms + min(0, by_ms))
            return replace(errand, task=task, first_part_ms=_since(part_ms, by_ms, now_ms))
        case Protecting(since_ms=since_ms):
            return replace(errand, since_ms=min(since_ms + by_ms, now_ms))
        case Guarded(first_part_ms=part_ms):
            return replace(errand, first_part_ms=_since(part_ms, by_ms, now_ms))
        case Closing(until_ms=until_ms):
            return replace(errand, until_ms=min(until_ms + by_ms, now_ms + MARKET_MS))
        case _:
            return errand


def _since(time_ms: int | None, by_ms: int, now_ms: int) -> int | None:
    return None if time_ms is None else min(time_ms + by_ms, now_ms)


def moved(errand: Errand, now_ms: int) -> Errand:
    """The errand as far as it comes without an answer."""
    while (after := _step(errand, now_ms)) != errand:
        errand = after
    return errand


def _step(errand: Errand, now_ms: int) -> Errand:
    match errand:
        case Entering():
            return _entering(errand, now_ms)
        case Protecting():
            return _protecting(errand, now_ms)
        case Guarded():
            return _guarded(errand, now_ms)
        case Closing():
            return _closing(errand, now_ms)
        case GivenUp() | Ended() | Disputed():
            return errand
        case _:
            assert_never(errand)


def _entering(errand: Entering, now_ms: int) -> Errand:
    task, reason = errand.task, errand.reason or CancelReason.RISK
    match errand.entry.state:
        case Filled(report=report) | Cancelled(report=report) if report.quantity > 0:
            return _bought(errand, report, now_ms)
        case Filled() | Cancelled():
            why = "" if errand.reason else "the exchange gave the order up"
            return GivenUp(task=task, reason=reason, why=why, time_ms=now_ms)
        case Rejected(why=why):
            return GivenUp(task=task, reason=reason, why="" if errand.reason else why, time_ms=now_ms)
        case Lost():
            return Disputed(task=task, held=None, what="the exchange does not know the entry any more")
        case Accepted(report=report) if report.quantity > 0 and errand.first_part_ms is None:
            return replace(errand, first_part_ms=now_ms)
        case Accepted(report=report) if report.status != "open":
            is_late = errand.first_part_ms is not None and now_ms >= errand.first_part_ms + FEE_MS
            return _bought(errand, report, now_ms) if is_late else errand
        case Accepted() | Intended() | Unknown() | Sent():
            part_ms = errand.first_part_ms
            is_over = now_ms >= task.wait_until_ms or (part_ms is not None and now_ms >= part_ms + PARTIAL_MS)
            return given_up(errand, CancelReason.WAIT_OVER, now_ms) if is_over else errand
        case _:
            assert_never(errand.entry.state)


def _bought(errand: Entering, report: Report, now_ms: int) -> Errand:
    task, fee = errand.task, report.fee_quantity
    kept = report.quantity * task.fee_percent / 100 if fee is None else fee
    to_sell = cut_quantity(difference(report.quantity, kept), task.quantity_step)
    price = average_price(report.value, report.quantity)
    held = Held(quantity=report.quantity, price=price, to_sell=to_sell, opened_ms=now_ms, is_fee_assumed=fee is None)
    if to_sell <= 0 or to_sell * price < task.least_value:
        what = f"{report.quantity:g} was bought, which is too little to be sold again"
        return Disputed(task=task, held=held, what=what)
    since_ms = now_ms if errand.first_part_ms is None else errand.first_part_ms
    return _protect(task, held, since_ms, is_pair=True)


def _protect(task: Task, held: Held, since_ms: int, *, is_pair: bool) -> Protecting:
    signal, number = task.signal, held.exits + 1
    pair = Pair(
        take_profit=signal.price_take_profit,
        stop_loss=signal.price_stop_loss,
        take_profit_id=client_id(signal, "t", number),
        stop_loss_id=client_id(signal, "s", number),
    )
    order = Order(
        client_id=client_id(signal, "g" if is_pair else "s", number),
        symbol=signal.symbol,
        side="sell",
        quantity=held.to_sell,
        way=pair if is_pair else Stop(price=signal.price_stop_loss),
    )
    guard = tracked(order, resends=True)
    return Protecting(task=task, held=replace(held, exits=number), guard=guard, since_ms=since_ms)


def _protecting(errand: Protecting, now_ms: int) -> Errand:
    guard, is_pair = errand.guard, isinstance(errand.guard.order.way, Pair)
    match guard.state:
        case Rejected() if is_pair:
            return _protect(errand.task, errand.held, errand.since_ms, is_pair=False)
        case Rejected(why=why):
            return _unprotected(errand, f"the exchange refused its stop: {why}")
        case Accepted() | Filled() | Cancelled() | Lost():
            return Guarded(task=errand.task, held=errand.held, guard=guard)
        case Intended() | Sent() | Unknown():
            if now_ms < errand.since_ms + UNPROTECTED_MS:
                return errand
            return _unprotected(errand, f"no stop stood within {UNPROTECTED_MS // 1000} s")
        case _:
            assert_never(guard.state)


def _unprotected(errand: Protecting, why: str) -> Closing:
    return Closing(
        task=errand.task,
        held=errand.held,
        reason=CloseReason.STOP_LOSS,
        guard=errand.guard,
        why=f"closed, because {why}",
    )


def _guarded(errand: Guarded, now_ms: int) -> Errand:
    match errand.guard.state:
        case Filled(report=report):
            return _sold_at_level(errand, report)
        case Cancelled(report=report) if report.quantity > 0:
            return _sold_at_level(errand, report)
        case Cancelled():
            return Disputed(task=errand.task, held=errand.held, what="its stop was cancelled at the exchange")
        case Rejected() | Lost():
            what = "the exchange does not know its stop any more"
            return Disputed(task=errand.task, held=errand.held, what=what)
        case Accepted(report=report) if report.quantity > 0:
            if errand.first_part_ms is None:
                return replace(errand, first_part_ms=now_ms)
            if now_ms >= errand.first_part_ms + PARTIAL_MS:
                return _sold_at_level(errand, report)
            return errand
        case Accepted() | Intended() | Sent() | Unknown():
            return errand
        case _:
            assert_never(errand.guard.state)


def _sold_at_level(errand: Guarded, report: Report) -> Closing:
    """A level was reached: what its order did not sell is sold at the market."""
    reason = CloseReason.TAKE_PROFIT if report.level == "take_profit" else CloseReason.STOP_LOSS
    return Closing(task=errand.task, held=errand.held, reason=reason, guard=errand.guard)


def _closing(errand: Closing, now_ms: int) -> Errand:
    if errand.guard is not None:
        return _guard_taken(errand, errand.guard, now_ms)
    held, close = errand.held, errand.close
    if close is None:
        rest = cut_quantity(max(0.0, held.rest), errand.task.quantity_step)
        is_dust = rest <= 0 or (held.sold and rest * held.price < errand.task.least_value)
        return _ended(errand, now_ms) if is_dust else _sell(errand, rest, now_ms)
    match close.state:
        case Filled(report=report) | Cancelled(report=report) if report.quantity > 0:
            return replace(errand, held=_with_sold(held, report), close=None)
        case Filled() | Cancelled():
            return _not_sold(errand, "the exchange gave the order up")
        case Rejected(why=why):
            is_dust = held.sold and held.rest * held.last_price < errand.task.least_value
            return _ended(errand, now_ms) if is_dust else _not_sold(errand, why)
        case Lost():
            return Disputed(task=errand.task, held=held, what="the exchange does not know its closing order any more")
        case Accepted() if now_ms >= errand.until_ms and not close.is_unwanted:
            return replace(errand, close=unwanted(close, now_ms))
        case Intended() | Sent() | Unknown() | Accepted():
            return errand
        case _:
            assert_never(close.state)


def _guard_taken(errand: Closing, guard: Tracked, now_ms: int) -> Errand:
    match guard.state:
        case Filled(report=report) | Cancelled(report=report):
            return replace(errand, guard=None, held=_with_sold(errand.held, report))
        case Rejected():
            return replace(errand, guard=None)
        case Lost():
            what = "the exchange does not know its stop any more"
            return Disputed(task=errand.task, held=errand.held, what=what)
        case Intended() | Sent() | Unknown() | Accepted():
            return errand if guard.is_unwanted else replace(errand, guard=unwanted(guard, now_ms))
        case _:
            assert_never(guard.state)


def _with_sold(held: Held, report: Report) -> Held:
    if report.quantity <= 0:
        return held
    sold = Sold(quantity=report.quantity, value=report.value, level=report.level)
    return replace(held, sold=(*held.sold, sold))


def _sell(errand: Closing, rest: float, now_ms: int) -> Closing:
    signal, held = errand.task.signal, replace(errand.held, exits=errand.held.exits + 1)
    order = Order(
        client_id=client_id(signal, "c", held.exits),
        symbol=signal.symbol,
        side="sell",
        quantity=rest,
        way=AtMarket(),
    )
    not_before_ms = now_ms + (CLOSE_GAP_MS if errand.tries else 0)
    close = tracked(order, resends=True, not_before_ms=not_before_ms)
    return replace(errand, held=held, close=close, until_ms=not_before_ms + MARKET_MS)


def _not_sold(errand: Closing, why: str) -> Errand:
    """A closing order that sold nothing is followed by another one, with an id of its own, a few times."""
    if errand.tries + 1 >= CLOSE_TRIES:
        return Disputed(task=errand.task, held=errand.held, what=f"it could not be sold: {why}")
    return replace(errand, close=None, tries=errand.tries + 1)


def _ended(errand: Closing, now_ms: int) -> Ended:
    sold = errand.held.sold
    quantity, value = total(*(one.quantity for one in sold)), total(*(one.value for one in sold))
    at_level = max(sold, key=lambda one: one.quantity).level
    levels = {"take_profit": CloseReason.TAKE_PROFIT, "stop_loss": CloseReason.STOP_LOSS}
    return Ended(
        task=errand.task,
        held=errand.held,
        reason=levels[at_level] if at_level else errand.reason,
        price=average_price(value, quantity),
        time_ms=now_ms,
        why=errand.why,
    )
