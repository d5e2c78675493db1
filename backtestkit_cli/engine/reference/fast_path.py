"""A backtest follows a signal over one list of candles to its end.

* The list starts `average_price_candles - 1` minutes before the tick. That many candles are skipped by index, so that
  with holes the entry candle, or all of them, may be skipped.
* Waiting: wait over, stop level, entry, in this order, by high and low. What remains after the activation is a list of
  its own, whose first candles are skipped again.
* Open: expiry, take profit, stop, by high and low, at the level; where the list ends the position expires.
* A refused activation fails the step. On the last candle it nevertheless closes what never was opened.
"""

from collections.abc import Generator, Sequence
from typing import NamedTuple, TypeAlias

from backtestkit_cli.engine.reference.events import Row, SignalResult
from backtestkit_cli.engine.reference.exchange import RequestFailed, average_price
from backtestkit_cli.engine.reference.stream import (
    ReferenceStream,
    activate,
    active,
    cancel,
    close,
    follow,
    is_wait_over,
)
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.event import CancelReason, CloseReason
from backtestkit_cli.model.time import MINUTE_MS


class Wake(NamedTuple):
    """When a stream wants to go on, and whether it is to close a position then."""

    time_ms: int
    is_close: bool = False


Followed: TypeAlias = Generator[Wake, None, SignalResult]


def requested_candles(stream: ReferenceStream, row: Row) -> int:
    """How many candles the list has, from `average_price_candles - 1` minutes before the tick on."""
    limits = stream.terms.limits
    before = limits.average_price_candles - 1
    waiting = limits.schedule_await_minutes + 1 if row.is_scheduled else 0
    return before + waiting + row.lifetime_minutes


def follow_signal(stream: ReferenceStream, when_ms: int, candles: Sequence[Candle]) -> Followed:
    """Follow what the tick at `when_ms` scheduled or opened, and tell its result.

    Raises:
        RequestFailed: the activation was refused.
    """
    result = yield from _followed(stream, when_ms, candles)
    stream.tape.tell(when_ms, result)
    return result


def _followed(stream: ReferenceStream, when_ms: int, candles: Sequence[Candle]) -> Followed:
    waiting = stream.scheduled
    if waiting is not None:
        found = _entry(stream, waiting, candles)
        if found is None:
            return _never_entered(stream, waiting, when_ms, candles)
        index, reason = found
        candle = candles[index]
        yield Wake(candle.time)
        if reason is not None:
            return cancel(stream, waiting, when_ms, candle.time, _price(stream, candles, index), reason)
        activate(stream, waiting, when_ms, candle.time)
        if index == len(candles) - 1:
            yield Wake(candle.time, is_close=True)
            price = _price(stream, candles, index)
            return close(stream, waiting, when_ms, candle.time, price, CloseReason.TIME_EXPIRED)
        candles = candles[index + 1 :]
    if stream.pending is None:
        raise RequestFailed("no_pending_after_activation")
    return (yield from _held(stream, stream.pending, when_ms, candles))


def _entry(stream: ReferenceStream, row: Row, candles: Sequence[Candle]) -> tuple[int, CancelReason | None] | None:
    """The candle that decides a waiting entry, and why it is cancelled there (None: activated)."""
    for index in range(_skipped(stream), len(candles)):
        candle = candles[index]
        if is_wait_over(stream, row, candle.time):
            return index, CancelReason.WAIT_OVER
        if _touches(row, candle, row.price_stop_loss):
            return index, CancelReason.STOP_LEVEL
        if _touches(row, candle, row.price_open):
            return index, None
    return None


def _never_entered(stream: ReferenceStream, row: Row, when_ms: int, candles: Sequence[Candle]) -> SignalResult:
    last = candles[-1]
    price = _price(stream, candles, len(candles) - 1)
    if is_wait_over(stream, row, last.time):
        return cancel(stream, row, when_ms, last.time, price, CancelReason.WAIT_OVER)
    return active(row, when_ms, price)


def _held(stream: ReferenceStream, row: Row, when_ms: int, candles: Sequence[Candle]) -> Followed:
    expires_ms = row.pending_at + row.lifetime_minutes * MINUTE_MS
    for index in range(_skipped(stream), len(candles)):
        candle = candles[index]
        price = _price(stream, candles, index)
        end = _end(row, candle, price, expires_ms)
        if end is not None:
            yield Wake(candle.time, is_close=True)
            return close(stream, row, when_ms, candle.time, *end)
        follow(stream, row, when_ms, candle.time, price)
    last = candles[-1]
    yield Wake(last.time, is_close=True)
    price = _price(stream, candles, len(candles) - 1)
    return close(stream, row, when_ms, last.time, price, CloseReason.TIME_EXPIRED)


def _end(row: Row, candle: Candle, price: float, expires_ms: int) -> tuple[float, CloseReason] | None:
    """The price and reason of a close in this candle, or None."""
    if candle.time >= expires_ms:
        return price, CloseReason.TIME_EXPIRED
    if candle.high >= row.price_take_profit if row.is_long else candle.low <= row.price_take_profit:
        return row.price_take_profit, CloseReason.TAKE_PROFIT
    if _touches(row, candle, row.price_stop_loss):
        return row.price_stop_loss, CloseReason.STOP_LOSS
    return None


def _touches(row: Row, candle: Candle, level: float) -> bool:
    """Whether a candle reaches a level on the losing side."""
    return candle.low <= level if row.is_long else candle.high >= level


def _skipped(stream: ReferenceStream) -> int:
    return stream.terms.limits.average_price_candles - 1


def _price(stream: ReferenceStream, candles: Sequence[Candle], index: int) -> float:
    """The price of the candles up to `index`, by index."""
    return average_price(candles[max(0, index - _skipped(stream)) : index + 1])
