"""What a world came across: each row of the table of fill rules as a name, counted, so that a law is shown to be met.

A name is counted once per event that it describes. `OF_ONE_STREAM` are the names that random worlds of one stream
have to reach; what needs a shared ledger is counted by the laws of risk.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from worlds import World

from backtestkit_cli.engine.candles import Floats
from backtestkit_cli.engine.vwap import vwap_all
from backtestkit_cli.model.event import (
    Cancelled,
    CancelReason,
    Closed,
    CloseReason,
    DraftRefused,
    Event,
    LevelReached,
    Opened,
    Scheduled,
)
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.signal import Signal
from backtestkit_cli.model.time import MINUTE_MS

NEEDS_A_LEDGER = {"risk", "no_quantity"}
OF_ONE_STREAM = (
    "market entry at the VWAP",
    "market entry at the last close",
    "market entry, the given price was already beaten",
    "entry at the given price, already beaten",
    "decision at the instant of a close",
    "decision at the instant of a cancellation",
    "limit entry by touch",
    "limit entry by price",
    "limit entry in the last minute of its wait",
    "limit touched, but the price stays away",
    *(f"closed {reason}" for reason in CloseReason),
    "closed by the first minute after the entry",
    "both levels in one minute, stop first",
    "both levels in one minute, profit first",
    "gap through stop",
    "gap through take profit",
    "exact touch",
    "take profit at its level",
    "take profit at a worse close",
    "stop at its level",
    "stop at the VWAP",
    "stop at the last close",
    "stop at the open after a gap",
    "stopped in the activating minute",
    "level at the last minute of the lifetime",
    "level after the lifetime ended in a hole",
    "expired after the lifetime ended in a hole",
    "limit entry that expired",
    "exit at the VWAP",
    "exit at the last close",
    "activating minute that holds the take profit",
    "zero-volume window",
    "hole inside a position",
    "bridged trade",
    "followed after a stop request",
    *(f"cancelled {reason}" for reason in CancelReason if reason.value not in NEEDS_A_LEDGER),
    "stop level in the last minute of the wait",
    "wait over after a hole",
    "stop request inside a minute",
    "partial profit",
    "partial loss",
    "several levels in one minute",
    "refused",
    "refused for a distance",
    "refused for its wait",
)
OF_THE_FUNNEL = ("stopped", "busy", "no_price", "warm_up", "short_history", "ambiguous", "off_grid", "late")


@dataclass(frozen=True, slots=True)
class Place:
    """A world with the price at the end of each minute."""

    world: World
    price: Floats

    def seen(self, time_ms: int) -> tuple[float, float, float, float, float]:
        """VWAP, open, high, low and close at the end of a minute."""
        candles, row = self.world.candles, self.world.candles.row(time_ms) - 1
        return tuple(float(one[row]) for one in (self.price, candles.open, candles.high, candles.low, candles.close))  # type: ignore[return-value]  # five columns

    def wait_until(self, signal: Signal) -> int:
        """When a waiting entry is given up."""
        rows = self.world.rows
        wait = rows.wait_minutes[int(np.searchsorted(rows.time_ms, signal.decided_at))]
        minutes = self.world.terms.limits.schedule_await_minutes if np.isnan(wait) else int(wait)
        return signal.decided_at + minutes * MINUTE_MS

    def has_hole(self, start_ms: int, end_ms: int) -> bool:
        """Whether a minute is missing in `[start, end)`."""
        candles = self.world.candles
        if candles.present is None:
            return False
        return not candles.present[candles.row(start_ms) : candles.row(end_ms)].all()


def reach(world: World, events: Sequence[Event], funnel: Funnel) -> Counter[str]:
    """Count what the events, and the funnel, of one stream came across."""
    place = Place(world, vwap_all(world.candles, world.terms.limits.average_price_candles))
    met: Counter[str] = Counter()
    before: Event | None = None
    scheduled: set[str] = set()
    for event in events:
        match event:
            case Scheduled(signal=signal):
                scheduled.add(signal.id)
            case Opened():
                met.update(_named(_opened(place, event, before, is_limit=event.signal.id in scheduled)))
            case Closed():
                met.update(_named(_closed(place, event)))
            case Cancelled():
                met.update(_named(_cancelled(place, event)))
            case LevelReached():
                together = isinstance(before, LevelReached) and before.time_ms == event.time_ms
                met.update(_named({f"partial {event.side}": True, "several levels in one minute": together}))
            case DraftRefused(rules=rules):
                met.update(("refused",))
                waits, distances = "wait_not_allowed" in rules, "take_profit_distance" in rules
                met.update(_named({"refused for its wait": waits, "refused for a distance": distances}))
            case _:
                pass
        before = event
    met.update({name: getattr(funnel, name) for name in OF_THE_FUNNEL})
    return met


def _named(described: Mapping[str, bool]) -> Iterator[str]:
    return (name for name, applies in described.items() if applies)


def _opened(place: Place, event: Opened, before: Event | None, *, is_limit: bool) -> dict[str, bool]:
    signal, rows, terms = event.signal, place.world.rows, place.world.terms
    vwap, _, _, _, close = place.seen(event.time_ms)
    row = int(np.searchsorted(rows.time_ms, signal.decided_at))
    beaten = bool(rows.has_price_open[row]) and not is_limit
    at_market = not is_limit and not (beaten and terms.policy.better_entry == "given")
    at_once = before is not None and before.time_ms == event.time_ms and not is_limit
    return {
        "market entry at the VWAP": at_market and signal.price_open == vwap != close,
        "market entry at the last close": at_market and signal.price_open == close != vwap,
        "market entry, the given price was already beaten": at_market and beaten,
        "entry at the given price, already beaten": beaten and not at_market,
        "decision at the instant of a close": at_once and isinstance(before, Closed),
        "decision at the instant of a cancellation": at_once and isinstance(before, Cancelled),
        "limit entry by touch": is_limit and terms.policy.entry == "touch",
        "limit entry by price": is_limit and terms.policy.entry == "vwap",
        "limit entry in the last minute of its wait": is_limit and event.time_ms == place.wait_until(signal),
        "limit touched, but the price stays away": is_limit and _stayed_away(place, signal, event.time_ms),
    }


def _stayed_away(place: Place, signal: Signal, until_ms: int) -> bool:
    """Whether a minute before touched the limit without its price coming that far."""
    candles = place.world.candles
    before = slice(candles.row(signal.decided_at), candles.row(until_ms) - 1)
    touched = candles.low[before] <= signal.price_open if signal.is_long else candles.high[before] >= signal.price_open
    price = place.price[before]
    return bool((touched & (price > signal.price_open if signal.is_long else price < signal.price_open)).any())


def _closed(place: Place, event: Closed) -> dict[str, bool]:
    signal, reason, world, time_ms = event.signal, event.reason, place.world, event.time_ms
    vwap, opened, high, low, close = place.seen(time_ms)
    profit, stop, policy = signal.price_take_profit, signal.price_stop_loss, world.terms.policy
    by_profit, by_stop = reason is CloseReason.TAKE_PROFIT, reason is CloseReason.STOP_LOSS
    by_level, sign = by_profit or by_stop, 1 if signal.is_long else -1
    in_market, at_once = not by_level, time_ms == event.opened_at
    both = low <= min(profit, stop) and high >= max(profit, stop) and policy.exit == "touch" and not at_once
    expires = event.opened_at + signal.lifetime_minutes * MINUTE_MS
    first = world.candles.row(event.opened_at)
    volumes = world.candles.volume[max(0, first - world.terms.limits.average_price_candles) : first]
    return {
        f"closed {reason}": True,
        "closed by the first minute after the entry": by_level and time_ms == event.opened_at + MINUTE_MS,
        "both levels in one minute, stop first": both and by_stop,
        "both levels in one minute, profit first": both and by_profit,
        "gap through stop": by_stop and sign * opened < sign * stop,
        "gap through take profit": by_profit and sign * opened > sign * profit,
        "exact touch": by_level
        and (profit if by_profit else stop) in ({vwap} if policy.exit == "vwap" else {high, low}),
        "take profit at its level": by_profit and event.price == profit,
        "take profit at a worse close": by_profit and event.price != profit,
        "stop at its level": by_stop and event.price == stop,
        "stop at the VWAP": by_stop and policy.exit == "vwap" and event.price == vwap != close,
        "stop at the last close": by_stop and policy.exit == "vwap" and event.price == close not in (vwap, stop),
        "stop at the open after a gap": by_stop and policy.exit == "touch" and event.price == opened != stop,
        "stopped in the activating minute": by_stop and at_once,
        "level at the last minute of the lifetime": by_level and time_ms == expires,
        "level after the lifetime ended in a hole": by_level and time_ms > expires,
        "expired after the lifetime ended in a hole": reason is CloseReason.TIME_EXPIRED and time_ms > expires,
        "limit entry that expired": reason is CloseReason.TIME_EXPIRED and event.opened_at > signal.decided_at,
        "exit at the VWAP": in_market and event.price == vwap != close,
        "exit at the last close": in_market and event.price == close != vwap,
        "activating minute that holds the take profit": event.ambiguous_minutes > both,
        "zero-volume window": bool(np.nansum(volumes) == 0),
        "hole inside a position": place.has_hole(event.opened_at, time_ms),
        "bridged trade": event.is_bridged,
        "followed after a stop request": world.stop_ms is not None and time_ms > world.stop_ms,
    }


def _cancelled(place: Place, event: Cancelled) -> dict[str, bool]:
    last = place.wait_until(event.signal)
    by_level, is_over = event.reason is CancelReason.STOP_LEVEL, event.reason is CancelReason.WAIT_OVER
    return {
        f"cancelled {event.reason}": True,
        "stop level in the last minute of the wait": by_level and event.time_ms == last,
        "wait over after a hole": is_over and event.time_ms > last,
        "stop request inside a minute": event.reason is CancelReason.STOPPED and event.time_ms % MINUTE_MS != 0,
    }
