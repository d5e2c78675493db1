"""Risk as the original asks it: checks in order, the first refusal ends, one map of positions per profile.

* A check's answer decides by its form: nothing, an empty text, `False` or zero passes; a text or a mapping refuses; a
  check that raises refuses too. Any other answer passes.
* Positions are keyed by strategy and symbol; they are added after the check, and removed at the close.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from backtestkit_cli.engine.reference.events import Called, CallName, CheckRaised, Offer, OfferRejected, Tape


class HeldPosition(NamedTuple):
    """Who holds a position."""

    strategy: str
    symbol: str


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
    """A named list of checks and the positions held under it."""

    name: str
    checks: Sequence[ReferenceCheck]
    held: dict[HeldPosition, None] = field(default_factory=dict)

    def allows(self, question: Question, tape: Tape) -> bool:
        """Ask the checks, tell a refusal."""
        question = question._replace(positions=tuple(self.held))
        for check in self.checks:
            refusal = _refusal(self.name, check, question, tape)
            if refusal is not None:
                tape.tell(question.time_ms, refusal)
                self._call("risk_rejected", question, tape)
                return False
        self._call("risk_allowed", question, tape)
        return True

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

    def hold(self, strategy: str, symbol: str) -> None:
        """A position was opened."""
        for profile in self.profiles:
            profile.held[HeldPosition(strategy, symbol)] = None

    def release(self, strategy: str, symbol: str) -> None:
        """A position was closed."""
        for profile in self.profiles:
            profile.held.pop(HeldPosition(strategy, symbol), None)

    def clear(self) -> None:
        """Forget all positions, those of other strategies too, as a starting run does."""
        for profile in self.profiles:
            profile.held.clear()


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
