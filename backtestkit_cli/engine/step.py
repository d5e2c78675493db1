"""The step function: the only place where a signal changes.

`advance(state, input, terms)` returns the new state and the events that happened. It calls nothing, reads no clock
and keeps nothing. What is learnt from a minute happens at its end. A pair of state and input that has nothing to do
with each other changes nothing.
"""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from backtestkit_cli.engine.draft import broken_rules
from backtestkit_cli.engine.gate import Gate, OpenGate, Refusal
from backtestkit_cli.engine.note import plain_text, signal_id
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.event import (
    Cancelled,
    CancelReason,
    Closed,
    CloseReason,
    DraftRefused,
    Event,
    LevelReached,
    Opened,
    QuantityRefused,
    RiskRefused,
    Scheduled,
)
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import Costs, FillPolicy
from backtestkit_cli.model.signal import Flat, OpenPosition, Position, Signal, SignalDraft, SignalState, WaitingEntry
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.model.trade import pnl_percent, pnl_quote

LEVELS = range(10, 101, 10)
Side: TypeAlias = Literal["profit", "loss"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What stays the same for one stream: one strategy on one symbol, and the rules it runs under."""

    strategy: str
    symbol: str
    policy: FillPolicy
    costs: Costs
    limits: Limits


class Quote(NamedTuple):
    """The market at an instant: VWAP, close of the last minute, and whether that minute was filled in."""

    vwap: float
    close: float
    is_bridged: bool


class CandleClosed(NamedTuple):
    """The minute that ended at `time_ms`, and the market there."""

    time_ms: int
    candle: Candle
    quote: Quote


class DraftOffered(NamedTuple):
    """A strategy's draft at a decision time, and the market there."""

    time_ms: int
    draft: SignalDraft
    quote: Quote


class StopRequested(NamedTuple):
    """No new positions from now on; `price` is None without a fresh one."""

    time_ms: int
    price: float | None


class Entry(NamedTuple):
    """The entry of a draft.

    `is_market`: now, not waiting; `at_market`: booked at what the market gives, not at a given price that it beats.
    `wait` is in minutes, and counts for a waiting entry only.
    """

    price: float
    is_market: bool
    at_market: bool
    wait: float


class DataEnded(NamedTuple):
    """There is no further candle."""

    time_ms: int
    quote: Quote


Input: TypeAlias = CandleClosed | DraftOffered | StopRequested | DataEnded
Step: TypeAlias = tuple[SignalState, tuple[Event, ...]]

FLAT = Flat()
OPEN_GATE = OpenGate()
SIDES = tuple(side.value for side in Position)


def advance(state: SignalState, happened: Input, terms: Terms, gate: Gate = OPEN_GATE) -> Step:
    """Apply one input to the state of a stream; `gate` is asked before anything becomes a position."""
    match state, happened:
        case OpenPosition(), CandleClosed():
            return _hold(state, happened, terms)
        case WaitingEntry(), CandleClosed():
            return _wait(state, happened, terms, gate)
        case Flat(), DraftOffered():
            return _offer(happened, terms, gate)
        case WaitingEntry(), StopRequested():
            return FLAT, (_cancelled(state, happened.time_ms, happened.price, CancelReason.STOPPED),)
        case WaitingEntry(), DataEnded():
            return FLAT, (_cancelled(state, happened.time_ms, happened.quote.vwap, CancelReason.END_OF_DATA),)
        case OpenPosition(), DataEnded():
            price = market_price(not state.signal.is_long, happened.quote, terms.policy)
            return _close(state, happened.time_ms, price, CloseReason.END_OF_DATA, happened.quote, terms)
        case _:
            return state, ()


def market_price(is_buy: bool, quote: Quote, policy: FillPolicy) -> float:
    """What a market order books: the worse of VWAP and last close, or the VWAP."""
    if policy.market_books == "vwap":
        return quote.vwap
    return max(quote.vwap, quote.close) if is_buy else min(quote.vwap, quote.close)


def _offer(offered: DraftOffered, terms: Terms, gate: Gate) -> Step:
    draft, quote, limits = offered.draft, offered.quote, terms.limits
    is_long = draft.position == Position.LONG
    entry, is_market, at_market, wait = entry_of(draft, quote, terms)
    rules = broken_rules_of(draft, quote.vwap, entry, wait, not is_market, limits)
    if rules:
        refused = DraftRefused(time_ms=offered.time_ms, strategy=terms.strategy, symbol=terms.symbol, rules=rules)
        return FLAT, (refused,)
    signal = Signal(
        id=draft.id or signal_id(terms.strategy, terms.symbol, offered.time_ms),
        strategy=terms.strategy,
        symbol=terms.symbol,
        position=Position(draft.position),
        price_open=entry,
        price_take_profit=draft.price_take_profit,
        price_stop_loss=draft.price_stop_loss,
        lifetime_minutes=int(draft.lifetime_minutes),
        decided_at=offered.time_ms,
        note=plain_text(draft.note),
    )
    sized = gate.size(offered.time_ms, signal) if is_market else None
    if sized is not None:
        if not sized.quantity:
            return FLAT, (
                QuantityRefused(
                    time_ms=offered.time_ms, signal=signal, stage="decision", rule=sized.rule, why=sized.why
                ),
            )
        signal = replace(signal, quantity=sized.quantity)
    refusal = gate.refuses(offered.time_ms, signal, quote.vwap)
    if refusal is not None:
        return FLAT, (_risk_refused(offered.time_ms, signal, "decision", quote.vwap, refusal),)
    if not is_market:
        waiting = WaitingEntry(signal=signal, wait_until=offered.time_ms + int(wait) * MINUTE_MS)
        return waiting, (Scheduled(time_ms=offered.time_ms, signal=signal, price=quote.vwap),)
    position = OpenPosition(
        signal=signal,
        opened_at=offered.time_ms,
        expires_at=offered.time_ms + signal.lifetime_minutes * MINUTE_MS,
        entry_vwap=quote.vwap if at_market else entry,
        entry_worse=_worse(is_long, quote) if at_market else entry,
        is_bridged=quote.is_bridged,
    )
    return position, (Opened(time_ms=offered.time_ms, signal=signal),)


def entry_of(draft: SignalDraft, quote: Quote, terms: Terms) -> Entry:
    """Where a draft would enter: the market now, or its given price, waiting."""
    is_long, given = draft.position == Position.LONG, draft.price_open
    market = market_price(is_long, quote, terms.policy)
    is_market = given is None or (market <= given if is_long else market >= given)
    at_market = given is None or (is_market and terms.policy.better_entry == "market")
    wait = terms.limits.schedule_await_minutes if draft.wait_minutes is None else draft.wait_minutes
    return Entry(market if given is None or at_market else given, is_market, at_market, wait)


def broken_rules_of(
    draft: SignalDraft, price: float, entry: float, wait: float, is_scheduled: bool, limits: Limits
) -> tuple[str, ...]:
    """The codes of all validation rules that one draft breaks."""
    rules = broken_rules(
        is_long=np.array([draft.position == Position.LONG]),
        is_scheduled=np.array([is_scheduled]),
        price=np.array([price]),
        price_open=np.array([entry]),
        take_profit=np.array([draft.price_take_profit], dtype=np.float64),
        stop_loss=np.array([draft.price_stop_loss], dtype=np.float64),
        lifetime=np.array([draft.lifetime_minutes], dtype=np.float64),
        wait=np.array([wait], dtype=np.float64),
        limits=limits,
    )
    broken = tuple(rule for rule, is_broken in rules if is_broken[0])
    if draft.position in SIDES:
        return broken
    return ("position_invalid", *(rule for rule in broken if not rule.startswith(SIDES)))


def _wait(state: WaitingEntry, closed: CandleClosed, terms: Terms, gate: Gate) -> Step:
    """Stop level, entry, end of wait: in this order."""
    signal, candle, price = state.signal, closed.candle, closed.quote.vwap
    if closed.time_ms <= state.wait_until:
        touched = candle.low <= signal.price_open if signal.is_long else candle.high >= signal.price_open
        if touched and terms.policy.entry == "touch":
            return _activate_by_touch(state, closed, terms, gate)
        if touched and (price <= signal.price_stop_loss if signal.is_long else price >= signal.price_stop_loss):
            return FLAT, (_cancelled(state, closed.time_ms, price, CancelReason.STOP_LEVEL),)
        if touched and (price <= signal.price_open if signal.is_long else price >= signal.price_open):
            admitted = _admitted(state, closed, gate)
            return _activated(admitted, closed, is_ambiguous=False) if isinstance(admitted, Signal) else admitted
    if closed.time_ms >= state.wait_until:
        return FLAT, (_cancelled(state, closed.time_ms, price, CancelReason.WAIT_OVER),)
    return state, ()


def _activated(signal: Signal, closed: CandleClosed, *, is_ambiguous: bool) -> tuple[OpenPosition, tuple[Event, ...]]:
    position = OpenPosition(
        signal=signal,
        opened_at=closed.time_ms,
        expires_at=closed.time_ms + signal.lifetime_minutes * MINUTE_MS,
        entry_vwap=signal.price_open,
        entry_worse=signal.price_open,
        is_bridged=closed.quote.is_bridged,
        is_entry_ambiguous=is_ambiguous,
    )
    return position, (Opened(time_ms=closed.time_ms, signal=signal),)


def _activate_by_touch(state: WaitingEntry, closed: CandleClosed, terms: Terms, gate: Gate) -> Step:
    """A resting order is filled; in its own minute only the stop counts, because the order of prices is unknown."""
    signal, candle = _admitted(state, closed, gate), closed.candle
    if not isinstance(signal, Signal):
        return signal
    favourable, adverse = (candle.high, candle.low) if signal.is_long else (candle.low, candle.high)
    holds_profit = reaches_profit(signal, favourable)
    position, events = _activated(signal, closed, is_ambiguous=holds_profit)
    if not reaches_stop(signal, adverse):
        return position, events
    price = _stop_by_touch(signal, candle, terms.policy)
    flat, more = _close(position, closed.time_ms, price, CloseReason.STOP_LOSS, closed.quote, terms)
    return flat, events + more


def _admitted(state: WaitingEntry, closed: CandleClosed, gate: Gate) -> Signal | Step:
    """The signal with its quantity, or the step that gives it up."""
    signal, time_ms, price = state.signal, closed.time_ms, closed.quote.vwap
    sized = gate.size(time_ms, signal)
    if sized is not None:
        if not sized.quantity:
            unsized = QuantityRefused(
                time_ms=time_ms, signal=signal, stage="activation", rule=sized.rule, why=sized.why
            )
            return FLAT, (unsized, _cancelled(state, time_ms, price, CancelReason.NO_QUANTITY))
        signal = replace(signal, quantity=sized.quantity)
    refusal = gate.refuses(time_ms, signal, signal.price_open)
    if refusal is None:
        return signal
    told = _risk_refused(time_ms, signal, "activation", signal.price_open, refusal)
    return FLAT, (told, _cancelled(state, time_ms, price, CancelReason.RISK))


def _risk_refused(
    time_ms: int, signal: Signal, stage: Literal["decision", "activation"], price: float, refusal: Refusal
) -> RiskRefused:
    return RiskRefused(
        time_ms=time_ms,
        signal=signal,
        stage=stage,
        price=price,
        profile=refusal.profile,
        rule=refusal.rule,
        open_positions=refusal.open_positions,
        why=refusal.why,
    )


def reaches_profit(signal: Signal, price: float) -> bool:
    """Whether a price is at or beyond the take profit."""
    return price >= signal.price_take_profit if signal.is_long else price <= signal.price_take_profit


def reaches_stop(signal: Signal, price: float) -> bool:
    """Whether a price is at or beyond the stop."""
    return price <= signal.price_stop_loss if signal.is_long else price >= signal.price_stop_loss


def _hold(state: OpenPosition, closed: CandleClosed, terms: Terms) -> Step:
    """Levels before expiry."""
    signal, candle, quote, policy = state.signal, closed.candle, closed.quote, terms.policy
    if policy.exit == "vwap":
        favourable = adverse = quote.vwap
    else:
        favourable, adverse = (candle.high, candle.low) if signal.is_long else (candle.low, candle.high)
    profit, stop = reaches_profit(signal, favourable), reaches_stop(signal, adverse)
    if stop and not (profit and policy.order == "profit_first"):
        price = (
            _stop_by_touch(signal, candle, policy) if policy.exit == "touch" else _stop_by_vwap(signal, quote, policy)
        )
        return _close(state, closed.time_ms, price, CloseReason.STOP_LOSS, quote, terms, both=profit)
    if profit:
        price = _profit_price(signal, candle, policy)
        return _close(state, closed.time_ms, price, CloseReason.TAKE_PROFIT, quote, terms, both=stop)
    if closed.time_ms >= state.expires_at:
        price = market_price(not signal.is_long, quote, policy)
        return _close(state, closed.time_ms, price, CloseReason.TIME_EXPIRED, quote, terms)
    return _levels(state, closed.time_ms, quote.vwap)


def _profit_price(signal: Signal, candle: Candle, policy: FillPolicy) -> float:
    level = signal.price_take_profit
    if policy.exit == "touch" or policy.market_books == "vwap":
        return level
    return min(level, candle.close) if signal.is_long else max(level, candle.close)


def _stop_by_touch(signal: Signal, candle: Candle, policy: FillPolicy) -> float:
    level = signal.price_stop_loss
    if policy.stop_at == "level":
        return level
    return min(level, candle.open) if signal.is_long else max(level, candle.open)


def _stop_by_vwap(signal: Signal, quote: Quote, policy: FillPolicy) -> float:
    level = signal.price_stop_loss
    if policy.stop_at == "level":
        return level
    if policy.market_books == "vwap":
        return quote.vwap
    worst = min if signal.is_long else max
    return worst(level, quote.vwap, quote.close)


def _levels(state: OpenPosition, time_ms: int, price: float) -> Step:
    """Each ten percent of the way to take profit or stop is told once, with the first price that reaches it."""
    signal = state.signal
    side, percent = progress(signal, price)
    last = state.profit_level if side == "profit" else state.loss_level
    if percent < last + 10:
        return state, ()
    reached = [level for level in LEVELS if last < level <= percent]
    events = tuple(
        LevelReached(time_ms=time_ms, signal=signal, side=side, level=level, price=price) for level in reached
    )
    if side == "profit":
        return replace(state, profit_level=reached[-1]), events
    return replace(state, loss_level=reached[-1]), events


def progress(signal: Signal, price: float) -> tuple[Side, float]:
    """How far the price has come: towards the take profit or the stop, in percent of that way, at most 100."""
    gain = price - signal.price_open if signal.is_long else signal.price_open - price
    if gain > 0:
        return "profit", min(gain / abs(signal.price_take_profit - signal.price_open) * 100, 100.0)
    return "loss", min(abs(gain) / abs(signal.price_open - signal.price_stop_loss) * 100, 100.0)


def _worse(is_buy: bool, quote: Quote) -> float:
    return max(quote.vwap, quote.close) if is_buy else min(quote.vwap, quote.close)


def _cancelled(state: WaitingEntry, time_ms: int, price: float | None, reason: CancelReason) -> Cancelled:
    return Cancelled(time_ms=time_ms, signal=state.signal, price=price, reason=reason)


def _close(
    state: OpenPosition,
    time_ms: int,
    price: float,
    reason: CloseReason,
    quote: Quote,
    terms: Terms,
    *,
    both: bool = False,
) -> Step:
    signal, costs = state.signal, terms.costs
    is_long = signal.is_long
    pnl = pnl_percent(is_long, signal.price_open, price, costs)
    ambiguous = int(state.is_entry_ambiguous) + int(both)
    at_stake = 0.0
    if ambiguous:
        at_stake = pnl_percent(is_long, signal.price_open, signal.price_take_profit, costs) - pnl
    is_market_exit = reason in (CloseReason.TIME_EXPIRED, CloseReason.END_OF_DATA)
    exit_vwap = quote.vwap if is_market_exit else price
    exit_worse = _worse(not is_long, quote) if is_market_exit else price
    lag = pnl_percent(is_long, state.entry_vwap, exit_vwap, costs) - pnl_percent(
        is_long, state.entry_worse, exit_worse, costs
    )
    closed = Closed(
        time_ms=time_ms,
        signal=signal,
        opened_at=state.opened_at,
        price=price,
        reason=reason,
        pnl_percent=pnl,
        ambiguous_minutes=ambiguous,
        profit_at_stake_percent=at_stake,
        vwap_lag_percent=lag,
        is_bridged=state.is_bridged or quote.is_bridged,
        pnl_quote=None if signal.quantity is None else pnl_quote(signal.quantity, signal.price_open, pnl),
    )
    return FLAT, (closed,)
