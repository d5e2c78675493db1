"""What the original told of a backtest, as our events and as counts of our funnel.

* Risk is asked before validation, so that a draft may be refused by either. An immediate draft is asked about twice and
  counted once.
* What goes away without an event is counted all the same: an activation that risk refused, a waiting entry that
  reached its stop at a tick, and what is still held when the ticks are over (`end_of_data`).
* An activation inside a followed list is told by no event; its close is.
* Ambiguous are a minute that holds both levels and was read as the take profit, and an activating minute that holds the
  take profit and was not looked at.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.decide import Answer, Failed, Unusable, count_answer
from backtestkit_cli.engine.reference.desks import signal_of
from backtestkit_cli.engine.reference.events import (
    CheckRaised,
    OfferRejected,
    ReferenceEvent,
    SignalResult,
    StepFailed,
    Told,
)
from backtestkit_cli.engine.reference.stream import ReferenceStream
from backtestkit_cli.model.event import (
    Cancelled,
    CancelReason,
    Closed,
    CloseReason,
    DecisionFailed,
    DraftRefused,
    Event,
    Idle,
    LevelReached,
    Opened,
    RiskRefused,
    Scheduled,
)
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.signal import Signal, SignalDraft
from backtestkit_cli.model.trade import pnl_percent

REFUSED_ACTIVATION = "no_pending_after_activation"
EXPECTED = frozenset({"no_candles", REFUSED_ACTIVATION})
"""Why steps fail without being a fault: no price, and a refused activation; both are counted in the funnel."""


@dataclass(slots=True, kw_only=True, eq=False)
class Teller:
    """Tells of one stream, and counts.

    `failed_steps` counts by cause the steps that could not be done against expectation; `own_waits` the limit entries
    whose own wait was not looked at; `stop_ms` is when a stop acted.
    """

    candles: Candles
    stream: ReferenceStream
    funnel: Funnel = field(default_factory=Funnel)
    failed_steps: Counter[str] = field(default_factory=Counter)
    own_waits: int = 0
    stop_ms: int | None = None
    _answer: Answer | None = None
    _waiting: Signal | None = None
    _is_refused: bool = False
    _followed_ms: int | None = None

    def answered(self, answer: Answer) -> None:
        """Count what the strategy answered."""
        self._answer = answer
        count_answer(self.funnel, answer)

    def told(self) -> Iterator[Event]:
        """What happened since the last call."""
        tape = self.stream.tape
        entries, tape.entries = tape.entries, []
        for entry in entries:
            if isinstance(entry, Told):
                yield from self._ours(*entry)

    def end(self) -> None:
        """Count what is still held when the ticks are over."""
        if self.stream.scheduled is not None:
            self._let_go(CancelReason.END_OF_DATA)
        if self.stream.pending is not None:
            self.funnel.closed[CloseReason.END_OF_DATA] += 1

    def _ours(self, when_ms: int | None, event: ReferenceEvent) -> Iterator[Event]:
        match event:
            case OfferRejected():
                yield from self._refused(event)
            case StepFailed():
                yield from self._failed(event)
            case CheckRaised(what=what):
                raise RuntimeError(what)  # our profiles answer, whatever user code does
            case DraftRefused(rules=rules):
                self.funnel.refuse(rules)
                yield event
            case LevelReached():
                yield event
            case Closed():
                yield self._looked_at(event) if when_ms == self._followed_ms else event
                self._count(when_ms, event)
            case _:
                self._count(when_ms, event)
                yield event

    def _count(self, when_ms: int | None, result: SignalResult) -> None:
        funnel = self.funnel
        match result:
            case Scheduled(signal=signal):
                funnel.scheduled += 1
                self._followed_ms, self._waiting, self._is_refused = when_ms, signal, False
                wait = self._answer.wait_minutes if isinstance(self._answer, SignalDraft) else None
                self.own_waits += wait not in (None, self.stream.terms.limits.schedule_await_minutes)
            case Opened():
                funnel.opened_at_decision += self._waiting is None
                self._followed_ms = when_ms
                self._entered()
            case Closed(reason=reason):
                funnel.closed[reason] += 1
                self._entered()
            case Cancelled(reason=cancel_reason):
                self._let_go(cancel_reason)
            case Idle(time_ms=time_ms):
                is_stopped = self.stop_ms is not None and time_ms >= self.stop_ms
                self._let_go(CancelReason.STOPPED if is_stopped else CancelReason.STOP_LEVEL)
            case _:
                pass

    def _entered(self) -> None:
        """A waiting entry, if there was one, has become a position."""
        self.funnel.activated += self._waiting is not None
        self._waiting = None

    def _let_go(self, reason: CancelReason) -> None:
        """A waiting entry, if there was one, is there no more."""
        if self._waiting is not None:
            self.funnel.cancelled[CancelReason.RISK if self._is_refused else reason] += 1
            self._waiting = None

    def _refused(self, rejected: OfferRejected) -> Iterator[Event]:
        time_ms, price, profile = rejected.time_ms, rejected.price, rejected.profile
        stage: Literal["decision", "activation"] = "decision" if self._waiting is None else "activation"
        if stage == "activation":
            self._is_refused = True
        else:
            self.funnel.risk += 1
            self.funnel.risk_by_profile[profile] += 1
        yield RiskRefused(
            time_ms=time_ms,
            signal=signal_of(rejected.offer, rejected.strategy, rejected.symbol, time_ms, price),
            stage=stage,
            price=price,
            profile=profile,
            rule=rejected.rejection_id or "",
            open_positions=rejected.open_positions,
            why=rejected.note or "",
        )

    def _failed(self, failed: StepFailed) -> Iterator[Event]:
        terms, time_ms = self.stream.terms, failed.time_ms
        if time_ms is None:
            if failed.code not in EXPECTED:
                self.failed_steps[failed.code] += 1
            if failed.code == REFUSED_ACTIVATION:
                self._let_go(CancelReason.RISK)
            elif self.stop_ms is not None:
                self._let_go(CancelReason.STOPPED)
            return
        answer, self._answer = self._answer, None
        match answer:
            case Failed(what):
                yield DecisionFailed(time_ms=time_ms, strategy=terms.strategy, symbol=terms.symbol, what=what)
            case Unusable(rules):
                self.funnel.refuse(rules)
                yield DraftRefused(time_ms=time_ms, strategy=terms.strategy, symbol=terms.symbol, rules=rules)
            case _:
                self.funnel.no_price += 1

    def _looked_at(self, closed: Closed) -> Closed:
        """With its minutes that leave the order of events open, and whether it rests on filled-in ones."""
        candles, signal = self.candles, closed.signal
        opened, ended = candles.row(closed.opened_at), candles.row(closed.time_ms)
        is_profit = closed.reason is CloseReason.TAKE_PROFIT
        is_entry_ambiguous = self._waiting is not None and _holds_profit(candles, opened, signal)
        ambiguous = int(is_entry_ambiguous) + int(is_profit and _holds_stop(candles, ended, signal))
        best = pnl_percent(signal.is_long, signal.price_open, signal.price_take_profit, self.stream.terms.costs)
        return replace(
            closed,
            ambiguous_minutes=ambiguous,
            profit_at_stake_percent=best - closed.pnl_percent if ambiguous else 0.0,
            is_bridged=candles.is_bridged(opened) or candles.is_bridged(ended),
        )


def _holds_profit(candles: Candles, row: int, signal: Signal) -> bool:
    level = signal.price_take_profit
    return bool(candles.high[row] >= level if signal.is_long else candles.low[row] <= level)


def _holds_stop(candles: Candles, row: int, signal: Signal) -> bool:
    level = signal.price_stop_loss
    return bool(candles.low[row] <= level if signal.is_long else candles.high[row] >= level)
