"""A walk that is watched: what happened at one instant of a stream, seen from outside.

The step function, the decider and the ledger are asked by the walk itself; nothing is decided here. Which gate ended a
decision time is read off the funnel, which counts each of them once.
"""

from dataclasses import dataclass, fields, replace

from backtestkit_cli.engine.decide import Answer, Decider
from backtestkit_cli.engine.step import Quote
from backtestkit_cli.engine.walk import StreamWalk
from backtestkit_cli.model.event import Event
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.signal import SignalState

_NO_GATES = frozenset({"ticks", "drafts", "short_history", "activated", "off_grid", "late"})
GATES = tuple(one.name for one in fields(Funnel) if one.type is int and one.name not in _NO_GATES)
"""Where a decision time can end, by the field of the funnel that counts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision time as the walk went through it.

    `state` is the one it found, `quote` the market there (None without a fresh price), `answer` what the strategy said
    (None where it was not asked), `gate` where it ended, `events` what came of it at once.
    """

    state: SignalState
    quote: Quote | None
    answer: Answer | None
    gate: str
    events: tuple[Event, ...]
    is_short_history: bool


class ListeningDecider:
    """A decider whose answer at one instant is kept."""

    def __init__(self, inner: Decider, moment_ms: int) -> None:
        self._inner = inner
        self._moment_ms = moment_ms
        self.answer: Answer | None = None
        self.has_row = inner.has_row
        self.is_short_history = inner.is_short_history

    def decide(self, time_ms: int, price: float) -> Answer:
        """Ask the decider."""
        answer = self._inner.decide(time_ms, price)
        if time_ms == self._moment_ms:
            self.answer = answer
        return answer


@dataclass(slots=True)
class WatchedWalk(StreamWalk):
    """A stream on its way; `decided` is what came of the decision at the moment, None where there was none."""

    moment_ms: int = 0
    decided: Decided | None = None

    def decide(self, time_ms: int) -> tuple[Event, ...]:
        """The decision, noted where it is the one that is watched."""
        if time_ms != self.moment_ms:
            return tuple(StreamWalk.decide(self, time_ms))
        before, counted = self.state, replace(self.funnel)
        events = tuple(StreamWalk.decide(self, time_ms))
        gate = gate_between(counted, self.funnel)
        if gate is not None:
            self.decided = Decided(
                state=before,
                quote=self._quote(time_ms) if time_ms < self.candles.end_ms else None,
                answer=self.decider.answer if isinstance(self.decider, ListeningDecider) else None,
                gate=gate,
                events=events,
                is_short_history=self.funnel.short_history > counted.short_history,
            )
        return events


def watched(walk: StreamWalk, moment_ms: int) -> WatchedWalk:
    """Watch a walk that has not begun."""
    own = {one.name: getattr(walk, one.name) for one in fields(StreamWalk) if one.init}
    own["decider"] = ListeningDecider(walk.decider, moment_ms)
    return WatchedWalk(**own, moment_ms=moment_ms)


def gate_between(before: Funnel, after: Funnel) -> str | None:
    """The gate that counted between two states of a funnel; None where no decision time passed."""
    return next((gate for gate in GATES if getattr(after, gate) > getattr(before, gate)), None)
