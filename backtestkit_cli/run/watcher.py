"""Listening to a run for the sake of one instant: which of its walks are watched, and what is kept of what they tell.

Only what belongs to a signal decided at the instant is kept, so that memory does not grow with the run.
"""

import math
from dataclasses import dataclass, field, replace

from backtestkit_cli.engine.account import Account
from backtestkit_cli.engine.gate import RiskProfile, RiskQuestion, entry_value, reward_risk
from backtestkit_cli.engine.walk import StreamWalk
from backtestkit_cli.engine.watch import WatchedWalk, watched
from backtestkit_cli.measure.story import Heard, LimitSeen, ProfileSeen, SizeSeen
from backtestkit_cli.model.event import Active, Idle, QuantityCalculated, QuantityRefused, RiskAllowed, RiskRefused
from backtestkit_cli.model.signal import Signal
from backtestkit_cli.run.listen import Listeners

Stream = tuple[str, str]


@dataclass(slots=True)
class Watched:
    """One stream that is watched: its walk, and what was heard of the signal decided at the instant."""

    walk: WatchedWalk
    path: list[Active] = field(default_factory=list)
    sizes: list[SizeSeen] = field(default_factory=list)
    profiles: list[ProfileSeen] = field(default_factory=list)

    @property
    def heard(self) -> Heard:
        """All that was heard."""
        return Heard(path=self.path, sizes=self.sizes, profiles=self.profiles)


class Watcher:
    """Watches some streams of a run at one instant."""

    def __init__(self, moment_ms: int, streams: tuple[Stream, ...]) -> None:
        self._moment_ms = moment_ms
        self._streams = streams
        self.watched: dict[Stream, Watched] = {}

    def watch(self, walk: StreamWalk) -> StreamWalk:
        """Put an observer in the place of a walk that is asked about."""
        stream = walk.terms.strategy, walk.terms.symbol
        if stream not in self._streams:
            return walk
        self.watched[stream] = Watched(watched(walk, self._moment_ms))
        return self.watched[stream].walk

    def listeners(self) -> Listeners:
        """Who has to be told; idle and active events are only told by a walk, so all streams are walked."""
        listeners = Listeners()
        listeners.on(Idle | Active, self._walked)
        listeners.on(QuantityCalculated | QuantityRefused, self._sized)
        listeners.on(RiskAllowed | RiskRefused, self._asked)
        return listeners

    def _walked(self, event: Idle | Active) -> None:
        if isinstance(event, Active) and self._is_watched(event.signal):
            self.watched[event.signal.strategy, event.signal.symbol].path.append(event)

    def _sized(self, event: QuantityCalculated | QuantityRefused) -> None:
        signal = event.signal
        if not self._is_watched(signal):
            return
        sizes = self.watched[signal.strategy, signal.symbol].sizes
        if isinstance(event, QuantityRefused):
            sizes[-1:] = [replace(one, rule=event.rule, why=event.why) for one in sizes[-1:]]
            return
        sizes.append(
            SizeSeen(
                time_ms=event.time_ms,
                stage="decision" if event.time_ms == signal.decided_at else "activation",
                sizing=event.sizing,
                equity=event.equity,
                quantity=event.quantity,
            )
        )

    def _asked(self, event: RiskAllowed | RiskRefused) -> None:
        signal = event.signal
        if not self._is_watched(signal):
            return
        own = self.watched[signal.strategy, signal.symbol]
        ledger = own.walk.ledger
        profile = next(one for one in ledger.profiles[signal.strategy] if one.name == event.profile)
        held = tuple(ledger.positions.get(event.profile, {}).values())
        own.profiles.append(
            ProfileSeen(
                time_ms=event.time_ms,
                stage="decision" if event.time_ms == signal.decided_at else "activation",
                profile=event.profile,
                held=held,
                limits=limits_of(profile, RiskQuestion(event.time_ms, signal, event.price, held), ledger.account),
                rule=event.rule if isinstance(event, RiskRefused) else None,
                why=event.why if isinstance(event, RiskRefused) else "",
            )
        )

    def _is_watched(self, signal: Signal) -> bool:
        return signal.decided_at == self._moment_ms and (signal.strategy, signal.symbol) in self.watched


def limits_of(profile: RiskProfile, question: RiskQuestion, account: Account | None) -> tuple[LimitSeen, ...]:
    """The limits that a profile has for a signal, each with what it found."""
    signal, held = question.signal, question.positions
    found: list[tuple[str, float | None, float]] = list(profile.counts(signal, held))
    if account is not None:
        worth = entry_value(signal) + sum(entry_value(one) for one in held if one.symbol == signal.symbol)
        exposure = worth * 100 / account.equity if account.equity else math.inf
        found += [
            ("max_exposure_percent", profile.max_exposure_percent, exposure),
            ("max_daily_loss_percent", profile.max_daily_loss_percent, account.day_loss_percent(question.time_ms)),
            ("max_drawdown_percent", profile.max_drawdown_percent, account.drawdown_percent),
        ]
    found.append(("min_reward_risk", profile.min_reward_risk, reward_risk(signal)))
    return tuple(LimitSeen(rule=rule, limit=limit, found=one) for rule, limit, one in found if limit is not None)
