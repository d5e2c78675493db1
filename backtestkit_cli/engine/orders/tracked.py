"""One order on its way: what is asked next, and what an answer makes of it.

* Before it is sent it is `Sent`, and kept so: whoever finds it there, after a crash too, asks before anything else.
* An unknown outcome is a state. It is asked for by client id; only when the exchange has said "no such order" at least
  `ABSENT_ASKS` times over `ABSENT_MS` it counts as never arrived. That is longer than an exchange accepts a request
  that is late (`RECEIVE_MS`), so what did not arrive by then never will.
* What never arrived is sent again under the same id where it `resends`; an entry is not.
* What fails is asked again after `AGAIN_MS`, twice that, and so on up to `SLOWEST_MS`, until there is an answer.
* A cancel is only a wish: what was filled is what the exchange says afterwards.
* Reports never go back: one with less than is known already is stale, and asked again.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, assert_never

from backtestkit_cli.model.order import Answer, AtMarket, NotSent, NotThere, Order, Refused, Report, Unanswered

RECEIVE_MS = 5_000
"""How late the exchange may get an order at most; afterwards it refuses it."""
ABSENT_MS = 20_000
ABSENT_ASKS = 4
AGAIN_MS = 1_000
"""How soon an unknown outcome is asked for again, and what was not sent is sent again."""
SLOWEST_MS = 8_000
"""How long is waited at most after one failure after the other."""
POLL_MS = 10_000
"""How often a resting order is asked for."""
NEVER_ARRIVED = "it never arrived at the exchange"

Ask: TypeAlias = Literal["place", "query", "cancel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intended:
    """Not at the exchange. `attempts` to send it so far."""

    attempts: int = 0
    not_before_ms: int = 0
    kind: Literal["intended"] = "intended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Kept before it leaves; who finds it so knows nothing of its outcome."""

    attempts: int
    kind: Literal["sent"] = "sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Sent, and nobody knows what became of it. `absent_ms`: since when the exchange says that it is not there."""

    attempts: int
    ask_ms: int
    absences: int = 0
    absent_ms: int | None = None
    kind: Literal["unknown"] = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """At the exchange, perhaps filled in part. With `is_cancel_sent` its cancel awaits its effect.

    It may be over there too, while what the exchange kept as its fee is not known yet.
    """

    report: Report
    ask_ms: int
    is_cancel_sent: bool = False
    absent_ms: int | None = None
    kind: Literal["accepted"] = "accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """Done, whole."""

    report: Report
    kind: Literal["filled"] = "filled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """Over, with what was filled before."""

    report: Report
    kind: Literal["cancelled"] = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Refused for good, or never arrived; nothing was filled."""

    why: str
    kind: Literal["rejected"] = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """It was at the exchange, and the exchange does not know it any more."""

    report: Report
    kind: Literal["lost"] = "lost"


OrderState: TypeAlias = Intended | Sent | Unknown | Accepted | Filled | Cancelled | Rejected | Lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """An order and what is known of it. `is_unwanted`: it is to be cancelled wherever it is.

    `failures` are the questions, one after the other, that brought nothing.
    """

    order: Order
    resends: bool
    state: OrderState
    is_unwanted: bool = False
    failures: int = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing becomes of it any more."""
        return isinstance(self.state, Filled | Cancelled | Rejected | Lost)


def tracked(order: Order, *, resends: bool, not_before_ms: int = 0) -> Tracked:
    """An order that is intended."""
    return Tracked(order=order, resends=resends, state=Intended(not_before_ms=not_before_ms))


def unwanted(one: Tracked, now_ms: int) -> Tracked:
    """The order, to be cancelled; at once where it is not at the exchange."""
    match one.state:
        case Intended():
            state: OrderState = Cancelled(report=Report(status="cancelled"))
        case Accepted():
            state = replace(one.state, ask_ms=now_ms)
        case _:
            state = one.state
    return replace(one, state=state, is_unwanted=True)


def asked_anew(one: Tracked, by_ms: int | None, now_ms: int) -> Tracked:
    """The order after the clock was set by so much, None where nobody knows: it is asked for now."""
    match one.state:
        case Intended():
            state: OrderState = replace(one.state, not_before_ms=min(one.state.not_before_ms, now_ms))
        case Unknown():
            absences = 0 if by_ms is None else one.state.absences
            absent_ms = _moved_ms(one.state.absent_ms, by_ms)
            state = replace(one.state, ask_ms=now_ms, absences=absences, absent_ms=absent_ms)
        case Accepted():
            state = replace(one.state, ask_ms=now_ms, absent_ms=_moved_ms(one.state.absent_ms, by_ms))
        case _:
            state = one.state
    return replace(one, state=state)


def _moved_ms(time_ms: int | None, by_ms: int | None) -> int | None:
    return None if time_ms is None or by_ms is None else time_ms + by_ms


def due_ms(one: Tracked) -> int | None:
    """When something is to be asked; None when nothing ever is."""
    match one.state:
        case Intended():
            return one.state.not_before_ms
        case Sent():
            return 0
        case Unknown() | Accepted():
            return one.state.ask_ms
        case Filled() | Cancelled() | Rejected() | Lost():
            return None
        case _:
            assert_never(one.state)


def ask_of(one: Tracked, now_ms: int) -> Ask | None:
    """What is to be asked now, if anything."""
    due = due_ms(one)
    if due is None or now_ms < due:
        return None
    match one.state:
        case Intended():
            return "place"
        case Accepted(report=report) if one.is_unwanted and report.status == "open" and not one.state.is_cancel_sent:
            return "cancel"
        case _:
            return "query"


def sending(one: Tracked) -> Tracked:
    """The order as it is kept before it leaves."""
    attempts = one.state.attempts if isinstance(one.state, Intended) else 0
    return replace(one, state=Sent(attempts=attempts + 1))


def heard(one: Tracked, ask: Ask, answer: Answer, now_ms: int) -> Tracked:
    """The order after an answer."""
    one = replace(one, failures=_failures(one, ask, answer))
    match one.state:
        case Sent() | Unknown():
            known = one.state if isinstance(one.state, Unknown) else Unknown(attempts=one.state.attempts, ask_ms=now_ms)
            state = _placed(one, known, answer, now_ms) if ask == "place" else _found(one, known, answer, now_ms)
        case Accepted() if ask == "cancel":
            state = replace(one.state, is_cancel_sent=True, ask_ms=now_ms)
        case Accepted():
            state = _seen(one, one.state, answer, now_ms)
        case _:
            state = one.state
    after = replace(one, state=state)
    return unwanted(after, now_ms) if one.is_unwanted and isinstance(state, Intended) else after


def _placed(one: Tracked, known: Unknown, answer: Answer, now_ms: int) -> OrderState:
    match answer:
        case Report():
            return _reported(one, answer, now_ms)
        case Refused():
            return Rejected(why=answer.why)
        case NotSent():
            return Intended(attempts=known.attempts, not_before_ms=_later_ms(one, now_ms))
        case NotThere() | Unanswered():
            return replace(known, ask_ms=now_ms)
        case _:
            assert_never(answer)


def _found(one: Tracked, known: Unknown, answer: Answer, now_ms: int) -> OrderState:
    """What a question says of an order whose outcome is not known."""
    match answer:
        case Report():
            return _reported(one, answer, now_ms)
        case NotThere():
            since_ms = now_ms if known.absent_ms is None else known.absent_ms
            soon = replace(known, ask_ms=now_ms + AGAIN_MS)
            absent = replace(soon, absences=known.absences + 1, absent_ms=since_ms)
            return _given_up(one, absent) if _is_absent(absent, now_ms) else absent
        case Refused() | NotSent() | Unanswered():
            return replace(known, ask_ms=_later_ms(one, now_ms))
        case _:
            assert_never(answer)


def _is_absent(known: Unknown, now_ms: int) -> bool:
    since_ms = now_ms if known.absent_ms is None else known.absent_ms
    return known.absences >= ABSENT_ASKS and now_ms - since_ms >= ABSENT_MS


def _given_up(one: Tracked, known: Unknown) -> OrderState:
    return Intended(attempts=known.attempts) if one.resends or one.is_unwanted else Rejected(why=NEVER_ARRIVED)


def _seen(one: Tracked, known: Accepted, answer: Answer, now_ms: int) -> OrderState:
    """What a question says of an order that is at the exchange."""
    soon = replace(known, ask_ms=now_ms + AGAIN_MS)
    match answer:
        case Report() if answer.quantity < known.report.quantity:
            return soon
        case Report():
            return _reported(one, answer, now_ms)
        case NotThere():
            since_ms = now_ms if known.absent_ms is None else known.absent_ms
            is_lost = now_ms - since_ms >= ABSENT_MS
            return Lost(report=known.report) if is_lost else replace(soon, absent_ms=since_ms)
        case Refused() | NotSent() | Unanswered():
            return replace(known, ask_ms=_later_ms(one, now_ms))
        case _:
            assert_never(answer)


def _reported(one: Tracked, report: Report, now_ms: int) -> OrderState:
    match report.status:
        case "filled" | "cancelled" if report.quantity and report.fee_quantity is None:
            return Accepted(report=report, ask_ms=_later_ms(one, now_ms))
        case "filled":
            return Filled(report=report)
        case "cancelled":
            return Cancelled(report=report)
        case "open":
            is_soon = one.is_unwanted or isinstance(one.order.way, AtMarket)
            return Accepted(report=report, ask_ms=_later_ms(one, now_ms) if is_soon else now_ms + POLL_MS)
        case _:
            assert_never(report.status)


def _failures(one: Tracked, ask: Ask, answer: Answer) -> int:
    """How often it was asked in vain, one time after the other; whether a cancel was, the next report says."""
    match answer:
        case Report(status="open"):
            return one.failures + 1 if isinstance(one.state, Accepted) and one.state.is_cancel_sent else 0
        case Report(fee_quantity=None) | NotSent() | Unanswered():
            return one.failures if ask == "cancel" else one.failures + 1
        case Refused() if ask == "query":
            return one.failures + 1
        case _:
            return one.failures if ask == "cancel" else 0


def _later_ms(one: Tracked, now_ms: int) -> int:
    return now_ms + min(AGAIN_MS << min(max(0, one.failures - 1), 10), SLOWEST_MS)
