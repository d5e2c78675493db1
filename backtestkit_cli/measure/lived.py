"""The two sides of a comparison: what a live session tells of itself, and what became of each signal on a side."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.event import (
    Cancelled,
    CancelReason,
    Closed,
    CloseReason,
    Event,
    Opened,
    RiskRefused,
    Scheduled,
    key_of,
)
from backtestkit_cli.model.signal import Signal
from backtestkit_cli.model.time import MINUTE_MS, iso

Key: TypeAlias = tuple[str, str]
"""A stream: strategy and symbol."""


class CandleDifference(NamedTuple):
    """A minute of a market that is not the same on both sides: a field of its candle, None where it has none."""

    time_ms: int
    field: str
    live: float | None
    backtest: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """What the journal of a session tells.

    `gates`: where each decision time ended, by stream. `awake_ms`: when the session gave a sign of life, ascending.
    `candles` by market and minute, with the time at which each was learnt of. `expected_ms`: spans of minutes, by
    market, that the session asked for one by one. `stopped_ms`: spans in which a stream decided nothing because it
    was asked to stop. `is_carried`: an exchange carried its orders out.
    """

    events: Sequence[Event]
    gates: Mapping[tuple[Key, int], str] = field(default_factory=dict)
    awake_ms: Sequence[int] = ()
    candles: Mapping[str, Mapping[int, tuple[Candle, int]]] = field(default_factory=dict)
    expected_ms: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)
    stopped_ms: Mapping[Key, Sequence[tuple[int, int]]] = field(default_factory=dict)
    is_carried: bool = False

    def was_awake(self, time_ms: int) -> bool:
        """Whether the session gave a sign of life in the minute after an instant."""
        place = bisect_left(self.awake_ms, time_ms)
        return place < len(self.awake_ms) and self.awake_ms[place] < time_ms + MINUTE_MS

    def silence_around(self, time_ms: int) -> tuple[int | None, int | None]:
        """The last sign of life before an instant, and the first after it."""
        place = bisect_left(self.awake_ms, time_ms)
        before = self.awake_ms[place - 1] if place else None
        return before, self.awake_ms[place] if place < len(self.awake_ms) else None


@dataclass(slots=True)
class SignalLife:
    """What became of one signal on one side."""

    signal: Signal
    opened_ms: int | None = None
    closed: Closed | None = None
    cancelled: Cancelled | None = None
    refused: RiskRefused | None = None

    @property
    def end_ms(self) -> int | None:
        """When it ended; None while it is open."""
        end = self.closed or self.cancelled
        return None if end is None else end.time_ms

    @property
    def was_stopped(self) -> bool:
        """Whether a stop request, or the kill switch, gave it up."""
        return self.cancelled is not None and self.cancelled.reason == CancelReason.STOPPED

    def covers(self, time_ms: int) -> bool:
        """Whether its stream was busy with it before an instant."""
        return self.signal.decided_at < time_ms and (self.end_ms is None or self.end_ms > time_ms)

    def facts(self) -> dict[str, Any]:
        """Everything that has to be the same, in words that name it."""
        signal, closed, cancelled = self.signal, self.closed, self.cancelled
        return {
            "id": signal.id,
            "side": str(signal.position),
            "entry price": signal.price_open,
            "take profit": signal.price_take_profit,
            "stop": signal.price_stop_loss,
            "lifetime": signal.lifetime_minutes,
            "quantity": signal.quantity,
            "opened": self.opened_ms and iso(self.opened_ms),
            "cancelled": cancelled and f"{iso(cancelled.time_ms)} ({cancelled.reason})",
            "closed": closed and f"{iso(closed.time_ms)} ({closed.reason})",
            "exit price": closed and closed.price,
            "PnL percent": closed and closed.pnl_percent,
        }


def candle_differences(lived: Lived, symbol: str, market: Mapping[int, Candle]) -> Iterator[CandleDifference]:
    """Every minute that the session saw otherwise, oldest first."""
    known = lived.candles.get(symbol, {})
    missing = {
        time_ms
        for start_ms, end_ms in lived.expected_ms.get(symbol, ())
        for time_ms in range(start_ms, end_ms, MINUTE_MS)
        if time_ms in market and time_ms not in known
    }
    for time_ms in sorted({*known, *missing}):
        live, there = known[time_ms][0] if time_ms in known else None, market.get(time_ms)
        if live is None or there is None:
            volumes = live and live.volume, there and there.volume
            yield CandleDifference(time_ms, "candle", *volumes)
            continue
        for name in ("open", "high", "low", "close", "volume"):
            if getattr(live, name) != getattr(there, name):
                yield CandleDifference(time_ms, name, getattr(live, name), getattr(there, name))
                break


def lives_of(events: Sequence[Event], ends_ms: Mapping[str, int]) -> dict[tuple[Key, int], SignalLife]:
    """Each signal that was scheduled or opened before the end, by stream and decision time; the end of data is none."""
    found: dict[tuple[Key, int], SignalLife] = {}
    for event in events:
        if not isinstance(event, Scheduled | Opened | Closed | Cancelled | RiskRefused):
            continue
        end_ms = ends_ms.get(event.signal.symbol, 0)
        if event.time_ms > end_ms:
            continue
        place = key_of(event), event.signal.decided_at
        if isinstance(event, Scheduled | Opened) and event.signal.decided_at < end_ms:
            found.setdefault(place, SignalLife(event.signal))
        if place in found:
            _take(found[place], event)
    return found


def _take(life: SignalLife, event: Scheduled | Opened | Closed | Cancelled | RiskRefused) -> None:
    match event:
        case Opened():
            life.signal, life.opened_ms = event.signal, event.time_ms
        case Closed() if event.reason != CloseReason.END_OF_DATA:
            life.closed = event
        case Cancelled() if event.reason != CancelReason.END_OF_DATA:
            life.cancelled = event
        case RiskRefused():
            life.refused = event
        case _:
            pass
