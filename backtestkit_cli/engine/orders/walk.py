"""A stream whose fills are those of an exchange: what the fill policy would do is a wish, what the exchange did counts.

* A draft passes validation, sizing and risk as ever; then it waits until the exchange has filled it. Limit entries are
  sized, checked and held in the ledger when they are sent, because they may be filled at any moment.
* An open position ends when the exchange has sold it. A level or a lifetime that the policy sees as reached is the wish
  to close: whatever the exchange has not sold by then is sold at the market.
* The minute in which a position was entered is judged for its lifetime alone; its range is older than the position.
* PnL is that of the true prices, with the fee of the settings and no slippage, of what was sold. What could not be
  sold, because it is worth less than the exchange trades, is in no figure.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from backtestkit_cli.engine.orders.errand import Closing, Disputed, Ended, Errand, GivenUp, Guarded, Held, Protecting
from backtestkit_cli.engine.step import (
    FLAT,
    CandleClosed,
    DraftOffered,
    Input,
    StopRequested,
    advance,
    market_price,
)
from backtestkit_cli.engine.walk import StreamWalk
from backtestkit_cli.model.event import (
    Cancelled,
    CancelReason,
    Closed,
    CloseReason,
    Event,
    Opened,
    QuantityRefused,
    RiskRefused,
    Scheduled,
)
from backtestkit_cli.model.signal import Flat, OpenPosition, Signal, SignalState, WaitingEntry
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.model.trade import pnl_percent, pnl_quote

EXCHANGE = "exchange"
"""The profile that is named where the exchange refused, or did not fill, an entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enter:
    """A position is wanted; a limit entry until `wait_until_ms`."""

    signal: Signal
    is_market: bool
    wait_until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """An entry is not wanted any more."""

    reason: CancelReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """A position is to be closed; the policy would book `price`."""

    reason: CloseReason
    price: float


Wish: TypeAlias = Enter | GiveUp | Exit


@dataclass(slots=True)
class CarriedWalk(StreamWalk):
    """A stream that an exchange carries out. `wishes` wait to be taken; an order must be worth `least_value`."""

    least_value: float = 0.0
    wishes: list[Wish] = field(default_factory=list)
    _policy_exit: float | None = None

    def learn(self, errand: Errand) -> Iterator[Event]:
        """What the exchange has made of the signal of this stream."""
        signal = errand.task.signal
        match self.state, errand:
            case WaitingEntry() as waiting, GivenUp() if waiting.signal.id == signal.id:
                self.state = FLAT
                self.ledger.let_go(signal)
                yield from self._counted(waiting, _not_entered(errand))
            case WaitingEntry(), Protecting(held=held) | Guarded(held=held) | Closing(held=held) | Ended(held=held) if (
                self.state.signal.id == signal.id
            ):
                yield from self._enter(errand, held)
            case WaitingEntry(), Disputed(held=Held() as held) if self.state.signal.id == signal.id:
                yield from self._enter(errand, held)
            case OpenPosition() as position, Ended() if position.signal.id == signal.id:
                closed = self._closed(position, errand)
                self.state, self._policy_exit = FLAT, None
                yield from self._counted(position, (closed,))
            case _:
                pass

    def _apply(self, happened: Input) -> Iterator[Event]:
        match self.state, happened:
            case Flat(), DraftOffered():
                yield from self._offer(happened)
            case WaitingEntry(), StopRequested():
                self.wishes.append(GiveUp(reason=CancelReason.STOPPED))
            case OpenPosition(), CandleClosed():
                yield from self._look(self.state, happened)
            case _:
                pass

    def _offer(self, offered: DraftOffered) -> Iterator[Event]:
        wanted, events = advance(FLAT, offered, self.terms, self.ledger)
        if isinstance(wanted, Flat):
            yield from self._counted(FLAT, events)
            return
        is_market, time_ms = isinstance(wanted, OpenPosition), offered.time_ms
        signal, refused = self._admitted(wanted.signal, offered)
        if refused is not None:
            yield from self._counted(FLAT, (refused,))
            return
        wait_until_ms = wanted.wait_until if isinstance(wanted, WaitingEntry) else time_ms
        self.state = WaitingEntry(signal=signal, wait_until=wait_until_ms)
        self.ledger.hold(signal)
        self.wishes.append(Enter(signal=signal, is_market=is_market, wait_until_ms=wait_until_ms))
        self.funnel.opened_at_decision += is_market
        if not is_market:
            yield from self._counted(FLAT, (Scheduled(time_ms=time_ms, signal=signal, price=offered.quote.vwap),))

    def _admitted(self, signal: Signal, offered: DraftOffered) -> tuple[Signal, Event | None]:
        """The signal with its quantity, and why it is refused, if it is."""
        time_ms = offered.time_ms
        if signal.quantity is None:
            sized = self.ledger.size(time_ms, signal)
            quantity, rule, why = (0.0, "", "") if sized is None else sized
            if not quantity:
                return signal, _unsized(time_ms, signal, rule, why)
            signal = replace(signal, quantity=quantity)
            refusal = self.ledger.refuses(time_ms, signal, offered.quote.vwap)
            if refusal is not None:
                return signal, RiskRefused(
                    time_ms=time_ms,
                    signal=signal,
                    stage="decision",
                    price=offered.quote.vwap,
                    profile=refusal.profile,
                    rule=refusal.rule,
                    open_positions=refusal.open_positions,
                    why=refusal.why,
                )
        if (signal.quantity or 0.0) * signal.price_stop_loss < self.least_value:
            why = f"at its stop it would be worth less than the {self.least_value:g} that the exchange trades"
            return signal, _unsized(time_ms, signal, "below_least_value", why)
        return signal, None

    def _look(self, state: OpenPosition, closed: CandleClosed) -> Iterator[Event]:
        """What the policy makes of a minute of an open position."""
        if closed.candle.time < state.opened_at:
            if closed.time_ms >= state.expires_at:
                self._wish_exit(
                    CloseReason.TIME_EXPIRED, market_price(is_buy=False, quote=closed.quote, policy=self.terms.policy)
                )
            return
        after, events = advance(state, closed, self.terms, self.ledger)
        ends = [event for event in events if isinstance(event, Closed)]
        if ends:
            self._wish_exit(ends[0].reason, ends[0].price)
            return
        self.state = after
        yield from self._counted(state, events)

    def _wish_exit(self, reason: CloseReason, price: float) -> None:
        self._policy_exit = price if self._policy_exit is None else self._policy_exit
        self.wishes.append(Exit(reason=reason, price=price))

    def _enter(self, errand: Errand, held: Held) -> Iterator[Event]:
        """The entry is filled; the position may have ended meanwhile."""
        task, before = errand.task, self.state
        signal = replace(task.signal, price_open=held.price, quantity=held.quantity)
        minute_ms = -(-held.opened_ms // MINUTE_MS) * MINUTE_MS
        entered_ms = signal.decided_at if task.is_market else minute_ms
        self.state = OpenPosition(
            signal=signal,
            opened_at=held.opened_ms,
            expires_at=entered_ms + signal.lifetime_minutes * MINUTE_MS,
            entry_vwap=held.price,
            entry_worse=held.price,
        )
        opened = Opened(time_ms=held.opened_ms, signal=signal, policy_price=task.signal.price_open)
        yield from self._counted(before, (opened,))
        yield from self.learn(errand)

    def _closed(self, state: OpenPosition, ended: Ended) -> Closed:
        signal, costs = state.signal, replace(self.terms.costs, slippage_percent=0.0)
        pnl = pnl_percent(signal.is_long, signal.price_open, ended.price, costs)
        levels = {
            CloseReason.TAKE_PROFIT: signal.price_take_profit,
            CloseReason.STOP_LOSS: signal.price_stop_loss,
        }
        policy_price = levels.get(ended.reason) if self._policy_exit is None else self._policy_exit
        return Closed(
            time_ms=ended.time_ms,
            signal=signal,
            opened_at=state.opened_at,
            price=ended.price,
            reason=ended.reason,
            pnl_percent=pnl,
            ambiguous_minutes=0,
            profit_at_stake_percent=0.0,
            vwap_lag_percent=0.0,
            is_bridged=False,
            pnl_quote=pnl_quote((signal.quantity or 0.0) * ended.held.sold_share, signal.price_open, pnl),
            policy_price=policy_price,
        )

    def _counted(self, before: SignalState, events: tuple[Event, ...]) -> Iterator[Event]:
        for event in events:
            self._count(before, event)
            if isinstance(before, WaitingEntry) and before.wait_until == before.signal.decided_at:
                # a market entry counted as opened when it was decided
                self.funnel.activated -= isinstance(event, Opened)
                self.funnel.opened_at_decision -= isinstance(event, RiskRefused)
            yield event


def _unsized(time_ms: int, signal: Signal, rule: str, why: str) -> QuantityRefused:
    return QuantityRefused(time_ms=time_ms, signal=signal, stage="decision", rule=rule, why=why)


def _not_entered(errand: GivenUp) -> tuple[Event, ...]:
    """A market entry that was not filled is refused; a limit entry is cancelled, with why if the exchange said so."""
    task, signal = errand.task, errand.task.signal
    refused = RiskRefused(
        time_ms=signal.decided_at if task.is_market else errand.time_ms,
        signal=signal,
        stage="decision" if task.is_market else "activation",
        price=signal.price_open,
        profile=EXCHANGE,
        rule="order_refused" if errand.why else "not_filled",
        open_positions=0,
        why=errand.why,
    )
    if task.is_market:
        return (refused,)
    cancelled = Cancelled(time_ms=errand.time_ms, signal=signal, price=None, reason=errand.reason)
    return (refused, cancelled) if errand.why else (cancelled,)
