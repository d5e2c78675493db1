"""Making the story of an instant from a walk that was watched, its events, and what was heard of its signal."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.decide import Unusable
from backtestkit_cli.engine.rules.sight import SeenRules
from backtestkit_cli.engine.step import Entry, Quote, Terms, entry_of
from backtestkit_cli.engine.validation import Figure, figures_of
from backtestkit_cli.engine.watch import Decided, WatchedWalk
from backtestkit_cli.measure.booking import exit_prices, pnl_steps
from backtestkit_cli.measure.story import Decision, Ending, Heard, Held, Life, Nearest, PriceSeen, is_of, nearest_of
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.event import (
    Cancelled,
    Closed,
    CloseReason,
    DecisionFailed,
    DraftRefused,
    Event,
    LevelReached,
    Opened,
    QuantityRefused,
    RiskRefused,
    Scheduled,
)
from backtestkit_cli.model.signal import Signal, SignalDraft
from backtestkit_cli.model.time import MINUTE_MS

MADE = Scheduled | Opened | RiskRefused | QuantityRefused
"""What a decision that made a signal tells of it."""


def neighbours(ticks: Sequence[int], time_ms: int) -> tuple[int | None, int | None]:
    """The decision times just before and just after an instant."""
    before, after = bisect_left(ticks, time_ms), bisect_right(ticks, time_ms)
    return (ticks[before - 1] if before else None), (ticks[after] if after < len(ticks) else None)


def held_at(events: Sequence[Event], time_ms: int) -> Held | None:
    """What a stream held at an instant, before the decision of that instant, told by its events."""
    held: Held | None = None
    for event in events:
        if event.time_ms > time_ms or (event.time_ms == time_ms and is_after_decision(event)):
            break
        match event:
            case Scheduled(signal=signal) | Opened(signal=signal):
                is_waiting = isinstance(event, Scheduled)
                held = Held(signal=signal, since_ms=event.time_ms, is_waiting=is_waiting, ended=None)
            case Closed() | Cancelled():
                held = None
            case _:
                pass
    return held and replace(held, ended=_end_of(events, held))


def is_after_decision(event: Event) -> bool:
    """Whether an event comes from the decision of its instant, or from the end of data, which is later still."""
    if isinstance(event, Closed | Cancelled) and event.reason == CloseReason.END_OF_DATA:
        return True
    signal: Signal | None = getattr(event, "signal", None)
    return signal is None or signal.decided_at == event.time_ms


def _end_of(events: Sequence[Event], held: Held) -> Opened | Closed | Cancelled | None:
    for event in events:
        is_later = event.time_ms > held.since_ms
        if isinstance(event, Opened | Closed | Cancelled) and is_later and is_of(event, held.signal):
            return event
    return None


def price_seen(walk: WatchedWalk, time_ms: int) -> PriceSeen | None:
    """The price at an instant with the candles it is made from; None without a fresh one."""
    candles, row = walk.candles, walk.candles.row(time_ms) - 1
    if not candles.has(row):
        return None
    first = max(0, row + 1 - walk.terms.limits.average_price_candles)
    return PriceSeen(
        vwap=float(walk.price[row]),
        close=float(candles.close[row]),
        is_bridged=candles.is_bridged(row),
        window=tuple(candle_at(candles, one) for one in range(first, row + 1) if candles.has(one)),
    )


def candle_at(candles: Candles, row: int) -> Candle:
    """One minute."""
    columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
    return Candle(candles.time(row), *(float(column[row]) for column in columns))


def decision_of(walk: WatchedWalk, rules: SeenRules | None, heard: Heard) -> Decision | None:
    """The decision that was watched, gate by gate; None where the instant is none."""
    decided, time_ms = walk.decided, walk.moment_ms
    if decided is None:
        return None
    entry, figures = _drafted(decided, walk.terms)
    return Decision(
        gate=decided.gate,
        price=price_seen(walk, time_ms) if decided.quote else None,
        history_ms=walk.candles.start_ms,
        is_short_history=decided.is_short_history,
        answer=decided.answer,
        rules=rules if decided.answer is not None else None,
        entry=entry,
        figures=figures,
        broken_rules=_broken(decided),
        sizes=tuple(one for one in heard.sizes if one.stage == "decision"),
        profiles=tuple(one for one in heard.profiles if one.stage == "decision"),
        signal=_signal(decided),
        failure=next((one.what for one in decided.events if isinstance(one, DecisionFailed)), ""),
    )


def _drafted(decided: Decided, terms: Terms) -> tuple[Entry | None, tuple[Figure, ...]]:
    """The entry of a draft and its validation, by the functions that the step itself uses."""
    draft, quote = decided.answer, decided.quote
    if not isinstance(draft, SignalDraft) or quote is None:
        return None, ()
    entry = entry_of(draft, quote, terms)
    return entry, figures_of(draft, quote.vwap, entry, terms.limits)


def _broken(decided: Decided) -> tuple[str, ...]:
    if isinstance(decided.answer, Unusable):
        return decided.answer.rules
    return next((one.rules for one in decided.events if isinstance(one, DraftRefused)), ())


def _signal(decided: Decided) -> Signal | None:
    return next((one.signal for one in decided.events if isinstance(one, MADE)), None)


def life_of(walk: WatchedWalk, events: Sequence[Event], decision: Decision, heard: Heard) -> Life | None:
    """What became of the signal of a decision; None where it became nothing."""
    signal = decision.signal
    if signal is None or decision.gate not in ("scheduled", "opened_at_decision"):
        return None
    own = [event for event in events if getattr(event, "signal", None) is not None and is_of(event, signal)]
    scheduled = next((one for one in own if isinstance(one, Scheduled)), None)
    opened = next((one for one in own if isinstance(one, Opened)), None)
    closed = next((one for one in own if isinstance(one, Closed)), None)
    cancelled = next((one for one in own if isinstance(one, Cancelled)), None)
    wait_ms = int(decision.entry.wait) * MINUTE_MS if decision.entry else 0
    left_ms = cancelled.time_ms if cancelled else walk.candles.end_ms
    return Life(
        scheduled=scheduled,
        wait_until_ms=signal.decided_at + wait_ms if scheduled else None,
        nearest_entry=_nearest_entry(walk.candles, signal, left_ms) if scheduled and not opened else None,
        opened=opened,
        minutes=(closed.time_ms - opened.time_ms) // MINUTE_MS if opened and closed else 0,
        levels=tuple(one for one in own if isinstance(one, LevelReached)),
        nearest_profit=nearest_of(heard.path, "profit"),
        nearest_stop=nearest_of(heard.path, "loss"),
        closed=closed,
        ending=_ending(walk, closed) if closed else None,
        cancelled=cancelled,
        sizes=tuple(one for one in heard.sizes if one.stage == "activation"),
        profiles=tuple(one for one in heard.profiles if one.stage == "activation"),
    )


def _nearest_entry(candles: Candles, signal: Signal, until_ms: int) -> Nearest | None:
    """The low (of a long) or high (of a short) that came nearest to a waiting entry."""
    rows = slice(max(0, candles.row(signal.decided_at)), max(0, candles.row(until_ms)))
    reached = candles.low[rows] if signal.is_long else -candles.high[rows]
    if not len(reached) or np.isnan(reached).all():
        return None
    place = int(np.nanargmin(reached))
    price = float(abs(reached[place]))
    away = (price - signal.price_open) * (1 if signal.is_long else -1)
    time_ms = signal.decided_at + (place + 1) * MINUTE_MS
    return Nearest(time_ms=time_ms, price=price, percent=away / signal.price_open * 100)


def _ending(walk: WatchedWalk, closed: Closed) -> Ending:
    row = walk.candles.row(closed.time_ms) - 1
    candle = candle_at(walk.candles, row)
    quote = Quote(float(walk.price[row]), candle.close, walk.candles.is_bridged(row))
    return Ending(
        candle=candle,
        vwap=quote.vwap,
        counts=exit_prices(closed, candle, quote, walk.terms.policy),
        steps=pnl_steps(closed, walk.terms.costs),
    )
