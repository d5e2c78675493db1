"""One step of the original in time: the tick.

Order: a stopped strategy is idle, whatever it holds; an open position (expiry, take profit, stop loss, progress); a
waiting entry (wait over, stop level, entry), which therefore waits on while a position is open; a free decision. All
prices are that of the tick.
"""

from backtestkit_cli.engine.note import plain_text, signal_id
from backtestkit_cli.engine.reference.events import Row, SignalResult
from backtestkit_cli.engine.reference.exchange import RequestFailed
from backtestkit_cli.engine.reference.signals import broken_rules, number
from backtestkit_cli.engine.reference.stream import (
    DecisionRaised,
    ReferenceStream,
    activate,
    active,
    cancel,
    close,
    follow,
    is_wait_over,
    open_position,
)
from backtestkit_cli.model.event import CancelReason, CloseReason, DraftRefused, Idle, Opened, Scheduled
from backtestkit_cli.model.signal import Position, SignalDraft
from backtestkit_cli.model.time import MINUTE_MS


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
    if stream.pending is not None:
        return _hold(stream, stream.pending, when_ms)
    if stream.scheduled is not None:
        return _wait(stream, stream.scheduled, when_ms)
    row = _generated(stream, when_ms)
    return _idle(stream, when_ms) if row is None else _admitted(stream, row, when_ms)


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
        id=draft.id or signal_id(terms.strategy, terms.symbol, when_ms),
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
        stream.keep_scheduled(when_ms, row)
        price = stream.exchange.price(when_ms)
        stream.call(when_ms, "scheduled", row, price)
        return Scheduled(time_ms=when_ms, signal=row, price=price)
    stream.keep_pending(when_ms, row)
    if not stream.allows(when_ms, row, row.price_open):
        stream.keep_pending(when_ms, None)
        return _idle(stream, when_ms)
    return open_position(stream, row, when_ms)


def _wait(stream: ReferenceStream, row: Row, when_ms: int) -> SignalResult:
    price = stream.exchange.price(when_ms)
    if is_wait_over(stream, row, when_ms):
        return cancel(stream, row, when_ms, when_ms, price, CancelReason.WAIT_OVER)
    if _is_beyond(row, price, row.price_stop_loss):
        stream.keep_scheduled(when_ms, None)
        return Idle(time_ms=when_ms, strategy=row.strategy, symbol=row.symbol, price=price)
    if not _is_beyond(row, price, row.price_open):
        return active(row, when_ms, price)
    if not activate(stream, row, when_ms, when_ms):
        return Idle(time_ms=when_ms, strategy=row.strategy, symbol=row.symbol, price=price)
    return Opened(time_ms=when_ms, signal=stream.pending or row)


def _is_beyond(row: Row, price: float, level: float) -> bool:
    """Whether a price is at or beyond a level on the losing side."""
    return price <= level if row.is_long else price >= level


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


def _is_beyond_profit(row: Row, price: float) -> bool:
    return price >= row.price_take_profit if row.is_long else price <= row.price_take_profit
