"""Risk as the original asks it: checks in order, the first refusal ends, one map of positions per profile.

* A check's answer decides by its form: nothing, an empty text, `False` or zero passes; a text or a mapping refuses; a
  check that raises refuses too. Any other answer passes.
* Positions are keyed by strategy and symbol; they are added after the check, and removed at the close. With stores,
  they are read before the first of these and written after each change, removed or not.
* Positions that were stored count whoever they are of; they are written back as they were.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from backtestkit_cli.engine.reference.events import Called, CallName, CheckRaised, Offer, OfferRejected, Tape
from backtestkit_cli.engine.reference.stores import Document, Stores

POSITIONS = "positions"


class HeldPosition(NamedTuple):
    """Who holds a position; `document` is what was stored of it, None for one added in this run."""

    strategy: str
    symbol: str
    document: Document | None = None


class Question(NamedTuple):
    """What a check is asked about: the offer, the price it would have, and the profile's positions."""

    time_ms: int
    strategy: str
    symbol: str
    offer: Offer
    price: float
    positions: tuple[HeldPosition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceCheck:
    """One check. `note` is the reason given when it raises; None takes the original's own text."""

    ask: Callable[[Question], object]
    note: str | None = None


@dataclass(slots=True)
class ReferenceProfile:
    """A named list of checks and the positions held under it, by strategy and symbol."""

    name: str
    checks: Sequence[ReferenceCheck]
    held: dict[str, HeldPosition] = field(default_factory=dict)
    stores: Stores | None = None
    _is_read: bool = False

    def allows(self, question: Question, tape: Tape) -> bool:
        """Ask the checks, tell a refusal."""
        self._read()
        question = question._replace(positions=tuple(self.held.values()))
        for check in self.checks:
            refusal = _refusal(self.name, check, question, tape)
            if refusal is not None:
                tape.tell(question.time_ms, refusal)
                self._call("risk_rejected", question, tape)
                return False
        self._call("risk_allowed", question, tape)
        return True

    def hold(self, when_ms: int, strategy: str, symbol: str) -> None:
        """Add a position."""
        self._read()
        self.held[f"{strategy}:{symbol}"] = HeldPosition(strategy, symbol)
        self._write(when_ms)

    def release(self, when_ms: int, strategy: str, symbol: str) -> None:
        """Remove a position, if it is there."""
        self._read()
        self.held.pop(f"{strategy}:{symbol}", None)
        self._write(when_ms)

    @property
    def lookups(self) -> int:
        """How many look-ups come before its next write: whether positions are stored, then which."""
        if self.stores is None or self._is_read:
            return 0
        return 1 if self._stored() is None else 2

    def _stored(self) -> Any:
        return None if self.stores is None else self.stores.read("risk", self.name, POSITIONS)

    def _read(self) -> None:
        if not self._is_read:
            self._is_read = True
            self.held.update((key, _held(key, document)) for key, document in self._stored() or ())

    def _write(self, when_ms: int) -> None:
        if self.stores is not None:
            positions = [[key, _document(held, self.stores.now_ms)] for key, held in self.held.items()]
            self.stores.write("risk", when_ms, self.name, POSITIONS, positions)

    def _call(self, name: CallName, question: Question, tape: Tape) -> None:
        tape.entries.append(
            Called(
                when_ms=question.time_ms,
                name=name,
                strategy=question.strategy,
                symbol=question.symbol,
                offer=question.offer,
                price=question.price,
                profile=self.name,
            )
        )


@dataclass(frozen=True, slots=True)
class RiskDesk:
    """The profiles of one strategy: asked in order, a refusal ends; all of them hold its positions."""

    profiles: Sequence[ReferenceProfile] = ()

    def allows(self, question: Question, tape: Tape) -> bool:
        """Whether no profile refuses."""
        return all(profile.allows(question, tape) for profile in self.profiles)

    def hold(self, when_ms: int, strategy: str, symbol: str) -> None:
        """A position was opened."""
        for profile in self._in_order_of_writing():
            profile.hold(when_ms, strategy, symbol)

    def release(self, when_ms: int, strategy: str, symbol: str) -> None:
        """A position was closed."""
        for profile in self._in_order_of_writing():
            profile.release(when_ms, strategy, symbol)

    def _in_order_of_writing(self) -> Sequence[ReferenceProfile]:
        """The original changes all at once; who has more to look up writes later."""
        return sorted(self.profiles, key=lambda profile: profile.lookups)

    def clear(self) -> None:
        """Forget all positions, those of other strategies too, as a starting run does."""
        for profile in self.profiles:
            profile.held.clear()


def _held(key: str, document: Document) -> HeldPosition:
    strategy = str(document.get("strategyName"))
    return HeldPosition(strategy, key.removeprefix(f"{strategy}:"), document)


def _document(held: HeldPosition, now_ms: int) -> Document:
    if held.document is not None:
        return held.document
    return {"signal": None, "strategyName": held.strategy, "exchangeName": "", "openTimestamp": now_ms}


def _refusal(profile: str, check: ReferenceCheck, question: Question, tape: Tape) -> OfferRejected | None:
    try:
        answer = check.ask(question)
    except Exception as error:  # noqa: BLE001  # user code may raise anything; it counts as a refusal
        tape.tell(question.time_ms, CheckRaised(time_ms=question.time_ms, what=str(error)))
        return _rejected(profile, question, None, check.note, "raised")
    if isinstance(answer, str) and answer:
        return _rejected(profile, question, None, answer, "text")
    if isinstance(answer, Mapping):
        return _rejected(profile, question, _text(answer.get("id")), _text(answer.get("note")), "object")
    return None


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _rejected(profile: str, question: Question, rejection_id: str | None, note: str | None, by: str) -> OfferRejected:
    return OfferRejected(
        time_ms=question.time_ms,
        strategy=question.strategy,
        symbol=question.symbol,
        offer=question.offer,
        profile=profile,
        price=question.price,
        open_positions=len(question.positions),
        rejection_id=rejection_id,
        note=note,
        by=by,  # type: ignore[arg-type]  # one of three constants
    )
