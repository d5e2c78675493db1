"""One strategy on one symbol as the original runs it, and its step at a time: the tick.

Order in a tick: a stopped strategy is idle, whatever it holds; a waiting entry (wait over, stop level, entry); a free
decision; an open position (expiry, take profit, stop loss, progress). All prices are that of the tick.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from backtestkit_cli.engine.note import plain_text
from backtestkit_cli.engine.reference.events import Called, CallName, Offer, Row, SignalResult, StepFailed, Tape
from backtestkit_cli.engine.reference.exchange import Exchange, RequestFailed
from backtestkit_cli.engine.reference.progress import SeenLevels, new_levels, way
from backtestkit_cli.engine.reference.risk import Question, RiskDesk
from backtestkit_cli.engine.reference.signals import broken_rules, number
from backtestkit_cli.model.event import (
    Active,
    Cancelled,
    CancelReason,
    Closed,
    CloseReason,
    DraftRefused,
    Idle,
    Opened,
    Scheduled,
)
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import Costs
from backtestkit_cli.model.signal import Position, SignalDraft
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.model.trade import pnl_percent


class DecisionRaised(Exception):  # noqa: N818  # told as an event; the tick goes on
    """A decision failed; the argument says why."""


class ReferenceDecider(Protocol):
    """The strategy: one answer per call."""

    def __call__(self, when_ms: int, price: float) -> SignalDraft | None:
        """Answer at a time.

        Raises:
            DecisionRaised: user code raised or answered nonsense.
            RequestFailed: it asked for candles that cannot be had.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceTerms:
    """What stays the same for a stream; `interval_ms` is the least time between two calls of the strategy."""

    strategy: str
    symbol: str
    interval_ms: int
    limits: Limits
    costs: Costs


@dataclass(slots=True, kw_only=True)
class ReferenceStream:
    """The state of a strategy on a symbol. At most one of `pending` (open) and `scheduled` (waiting) is there."""

    terms: ReferenceTerms
    exchange: Exchange
    decide: ReferenceDecider
    new_id: Callable[[], str]
    desk: RiskDesk = field(default_factory=RiskDesk)
    tape: Tape = field(default_factory=Tape)
    pending: Row | None = None
    scheduled: Row | None = None
    is_stopped: bool = False
    last_call_ms: int | None = None
    levels: dict[str, SeenLevels] = field(default_factory=dict)

    def stop(self) -> None:
        """Decide no more; a waiting entry is dropped, an open position stays as it is."""
        self.is_stopped = True
        self.scheduled = None

    def call(
        self,
        when_ms: int,
        name: CallName,
        offer: Offer | None,
        price: float | None = None,
        percent: float | None = None,
    ) -> None:
        """Note a call of the strategy's user code."""
        terms = self.terms
        self.tape.entries.append(
            Called(
                when_ms=when_ms,
                name=name,
                strategy=terms.strategy,
                symbol=terms.symbol,
                offer=offer,
                price=price,
                percent=percent,
            )
        )

    def allows(self, time_ms: int, offer: Offer, price: float) -> bool:
        """Ask the risk profiles."""
        terms = self.terms
        return self.desk.allows(Question(time_ms, terms.strategy, terms.symbol, offer, price, ()), self.tape)

    def fail(self, time_ms: int | None, code: str) -> None:
        """Tell that a step, or only its decision (with a time), could not be done."""
        terms = self.terms
        told = StepFailed(time_ms=time_ms, strategy=terms.strategy, symbol=terms.symbol, code=code)
        self.tape.tell(0 if time_ms is None else time_ms, told)


def tick(stream: ReferenceStream, when_ms: int) -> SignalResult:
    """Do one step and tell its result.

    Raises:
        RequestFailed: no price; nothing is told.
    """
    result = _step(stream, when_ms)
    stream.tape.tell(when_ms, result)
    return result


def _step(stream: ReferenceStream, when_ms: int) -> SignalResult:
    if stream.is_stopped:
        return _idle(stream, when_ms)
    if stream.scheduled is not None:
        return _wait(stream, stream.scheduled, when_ms)
    if stream.pending is None:
        row = _generated(stream, when_ms)
        return _idle(stream, when_ms) if row is None else _admitted(stream, row, when_ms)
    return _hold(stream, stream.pending, when_ms)


def _idle(stream: ReferenceStream, when_ms: int) -> Idle:
    price = stream.exchange.price(when_ms)
    return Idle(time_ms=when_ms, strategy=stream.terms.strategy, symbol=stream.terms.symbol, price=price)


def _generated(stream: ReferenceStream, when_ms: int) -> Row | None:
    """Ask the strategy, unless the last call is too recent; what goes wrong is told and gives nothing."""
    last, terms = stream.last_call_ms, stream.terms
    if last is not None and when_ms - last < terms.interval_ms:
        return None
    stream.last_call_ms = when_ms
    try:
        price = stream.exchange.price(when_ms)
        stream.tape.asked_at.append(when_ms)
        draft = stream.decide(when_ms, price)
    except RequestFailed as failure:
        stream.fail(when_ms, failure.code)
        return None
    except DecisionRaised as failure:
        stream.fail(when_ms, str(failure))
        return None
    if draft is None or stream.is_stopped or not stream.allows(when_ms, draft, price):
        return None
    return _accepted(stream, draft, when_ms, price)


def _accepted(stream: ReferenceStream, draft: SignalDraft, when_ms: int, price: float) -> Row | None:
    terms, given = stream.terms, draft.price_open
    is_scheduled = given is not None and not _is_reached(draft.position, given, price)
    entry = price if given is None else given
    rules = broken_rules(
        position=draft.position,
        price=price,
        price_open=entry,
        take_profit=draft.price_take_profit,
        stop_loss=draft.price_stop_loss,
        lifetime=draft.lifetime_minutes,
        is_scheduled=is_scheduled,
        limits=terms.limits,
    )
    if rules:
        refused = DraftRefused(time_ms=when_ms, strategy=terms.strategy, symbol=terms.symbol, rules=rules)
        stream.tape.tell(when_ms, refused)
        return None
    return Row(
        id=draft.id or stream.new_id(),
        strategy=terms.strategy,
        symbol=terms.symbol,
        position=Position(draft.position),
        price_open=entry,
        price_take_profit=draft.price_take_profit,
        price_stop_loss=draft.price_stop_loss,
        lifetime_minutes=int(draft.lifetime_minutes),
        decided_at=when_ms,
        note=plain_text(draft.note),
        pending_at=when_ms,
        is_scheduled=is_scheduled,
    )


def _is_reached(position: str, given: float, price: float) -> bool:
    entry = number(given)
    return (position == "long" and price <= entry) or (position == "short" and price >= entry)


def _admitted(stream: ReferenceStream, row: Row, when_ms: int) -> SignalResult:
    if row.is_scheduled:
        stream.scheduled = row
        price = stream.exchange.price(when_ms)
        stream.call(when_ms, "scheduled", row, price)
        return Scheduled(time_ms=when_ms, signal=row, price=price)
    stream.pending = row
    stream.call(when_ms, "written", row)
    if not stream.allows(when_ms, row, row.price_open):
        stream.pending = None
        stream.call(when_ms, "written", None)
        return _idle(stream, when_ms)
    return _opened(stream, row, when_ms)


def _opened(stream: ReferenceStream, row: Row, when_ms: int) -> Opened:
    stream.desk.hold(row.strategy, row.symbol)
    stream.call(when_ms, "opened", row, row.price_open)
    return Opened(time_ms=when_ms, signal=row)


def _wait(stream: ReferenceStream, row: Row, when_ms: int) -> SignalResult:
    price = stream.exchange.price(when_ms)
    if is_wait_over(stream, row, when_ms):
        return cancel(stream, row, when_ms, when_ms, price, CancelReason.WAIT_OVER)
    if _is_beyond(row, price, row.price_stop_loss):
        stream.scheduled = None
        return Idle(time_ms=when_ms, strategy=row.strategy, symbol=row.symbol, price=price)
    if not _is_beyond(row, price, row.price_open):
        return active(row, when_ms, price)
    if not activate(stream, row, when_ms, when_ms):
        return Idle(time_ms=when_ms, strategy=row.strategy, symbol=row.symbol, price=price)
    return Opened(time_ms=when_ms, signal=stream.pending or row)


def _is_beyond(row: Row, price: float, level: float) -> bool:
    """Whether a price is at or beyond a level on the losing side."""
    return price <= level if row.is_long else price >= level


def is_wait_over(stream: ReferenceStream, row: Row, time_ms: int) -> bool:
    """Whether a waiting entry has waited its time."""
    return time_ms - row.decided_at >= stream.terms.limits.schedule_await_minutes * MINUTE_MS


def cancel(
    stream: ReferenceStream, row: Row, when_ms: int, time_ms: int, price: float, reason: CancelReason
) -> Cancelled:
    """Give a waiting entry up, with a call."""
    stream.scheduled = None
    stream.call(when_ms, "cancelled", row, price)
    return Cancelled(time_ms=time_ms, signal=row, price=price, reason=reason)


def activate(stream: ReferenceStream, row: Row, when_ms: int, time_ms: int) -> bool:
    """Turn a waiting entry into a position at its price, unless stopped or refused; either way it waits no more."""
    if stream.is_stopped or not stream.allows(time_ms, row, row.price_open):
        stream.scheduled = None
        return False
    pending = replace(row, pending_at=time_ms, is_scheduled=False)
    stream.scheduled, stream.pending = None, pending
    stream.call(when_ms, "written", pending)
    _opened(stream, pending, when_ms)
    return True


def _hold(stream: ReferenceStream, row: Row, when_ms: int) -> SignalResult:
    price = stream.exchange.price(when_ms)
    if when_ms - row.pending_at >= row.lifetime_minutes * MINUTE_MS:
        return close(stream, row, when_ms, when_ms, price, CloseReason.TIME_EXPIRED)
    if _is_beyond_profit(row, price):
        return close(stream, row, when_ms, when_ms, row.price_take_profit, CloseReason.TAKE_PROFIT)
    if _is_beyond(row, price, row.price_stop_loss):
        return close(stream, row, when_ms, when_ms, row.price_stop_loss, CloseReason.STOP_LOSS)
    profit, loss = follow(stream, row, when_ms, when_ms, price)
    return active(row, when_ms, price, profit, loss)


def follow(stream: ReferenceStream, row: Row, when_ms: int, time_ms: int, price: float) -> tuple[float, float]:
    """Tell new levels, then call with the way; percents of the way to take profit and stop."""
    moved = way(row, price)
    if moved is None:
        return 0.0, 0.0
    side, percent = moved
    for level in new_levels(row, time_ms, price, side, percent, stream.levels.setdefault(row.id, set())):
        stream.tape.tell(when_ms, level)
    stream.call(when_ms, side, row, price, percent)
    return (percent, 0.0) if side == "profit" else (0.0, percent)


def _is_beyond_profit(row: Row, price: float) -> bool:
    return price >= row.price_take_profit if row.is_long else price <= row.price_take_profit


def active(row: Row, when_ms: int, price: float, profit: float = 0.0, loss: float = 0.0) -> Active:
    """The result of a step that changed nothing."""
    return Active(time_ms=when_ms, signal=row, price=price, take_profit_percent=profit, stop_loss_percent=loss)


def close(stream: ReferenceStream, row: Row, when_ms: int, time_ms: int, price: float, reason: CloseReason) -> Closed:
    """Close a position: its PnL, the call, and nothing is held any more."""
    pnl = pnl_percent(row.is_long, row.price_open, price, stream.terms.costs)
    stream.call(when_ms, "closed", row, price)
    stream.levels.pop(row.id, None)
    stream.desk.release(row.strategy, row.symbol)
    stream.pending = None
    stream.call(when_ms, "written", None)
    return Closed(
        time_ms=time_ms,
        signal=row,
        opened_at=row.pending_at,
        price=price,
        reason=reason,
        pnl_percent=pnl,
        ambiguous_minutes=0,
        profit_at_stake_percent=0.0,
        vwap_lag_percent=0.0,
        is_bridged=False,
    )
