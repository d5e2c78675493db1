"""Our risk profiles, as the original asks them: with offers that nobody has validated yet.

* One check per profile asks all its limits and checks in our order; what it refuses by is the id of the rejection.
* An offer that is no signal at all (no side, no number where one must be) is not asked about: it is refused as
  invalid right after.
* The positions of a profile are the signals that its streams hold.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from backtestkit_cli.engine.gate import RiskProfile, RiskQuestion
from backtestkit_cli.engine.note import plain_text, signal_id
from backtestkit_cli.engine.reference.events import Offer, Row
from backtestkit_cli.engine.reference.risk import Question, ReferenceCheck, ReferenceProfile, RiskDesk
from backtestkit_cli.engine.reference.stream import ReferenceStream
from backtestkit_cli.model.signal import Position, Signal

SIDES = tuple(side.value for side in Position)


@dataclass(frozen=True, slots=True, eq=False)
class Desks:
    """The profiles that streams share; `profiles` names those of each strategy, in order, `streams` who holds."""

    profiles: Mapping[str, Sequence[RiskProfile]]
    streams: dict[tuple[str, str], ReferenceStream] = field(default_factory=dict)
    _known: dict[str, ReferenceProfile] = field(default_factory=dict)

    def of(self, strategy: str) -> RiskDesk:
        """The desk of a strategy; its profiles are the same ones at every desk."""
        return RiskDesk([self._profile(profile) for profile in self.profiles.get(strategy, ())])

    def _profile(self, profile: RiskProfile) -> ReferenceProfile:
        known = self._known.get(profile.name)
        if known is None:
            check = ReferenceCheck(ask=partial(self._ask, profile))
            known = self._known[profile.name] = ReferenceProfile(profile.name, [check])
        return known

    def _ask(self, profile: RiskProfile, question: Question) -> Mapping[str, str] | None:
        time_ms, strategy, symbol, offer, price, _ = question
        if not is_signal(offer, price):
            return None
        pending = [self.streams[held.strategy, held.symbol].pending for held in question.positions]
        held = tuple(row for row in pending if row is not None)
        signal = signal_of(offer, strategy, symbol, time_ms, price)
        found = profile.refusal(RiskQuestion(time_ms, signal, price, held))
        return None if found is None else {"id": found[0], "note": found[1]}


def is_signal(offer: Offer, price: float) -> bool:
    """Whether an offer could be a signal at all."""
    entry = price if offer.price_open is None else offer.price_open
    levels = (entry, offer.price_take_profit, offer.price_stop_loss)
    has_form = offer.position in SIDES and math.isfinite(offer.lifetime_minutes) and entry != offer.price_stop_loss
    return has_form and all(math.isfinite(level) and level > 0 for level in levels)


def signal_of(offer: Offer, strategy: str, symbol: str, time_ms: int, price: float) -> Signal:
    """The signal that an offer would be."""
    if isinstance(offer, Row):
        return offer
    return Signal(
        id=offer.id or signal_id(strategy, symbol, time_ms),
        strategy=strategy,
        symbol=symbol,
        position=Position(offer.position),
        price_open=price if offer.price_open is None else offer.price_open,
        price_take_profit=offer.price_take_profit,
        price_stop_loss=offer.price_stop_loss,
        lifetime_minutes=int(offer.lifetime_minutes),
        decided_at=time_ms,
        note=plain_text(offer.note),
    )
