"""A strategy on a symbol as the original keeps it, and what changes it: shared by live ticks and backtests.

At most one of a waiting entry and an open position is there, unless both were stored. A change tells user code first
what happened, then what is pending now. With stores, each change is written when it is made.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from backtestkit_cli.engine.reference.documents import document_of, levels_document, levels_of
from backtestkit_cli.engine.reference.events import Called, CallName, Offer, Row, StepFailed, Tape
from backtestkit_cli.engine.reference.exchange import Exchange
from backtestkit_cli.engine.reference.progress import SeenLevels, new_levels, way
from backtestkit_cli.engine.reference.risk import Question, RiskDesk
from backtestkit_cli.engine.reference.stores import StoreKind, Stores
from backtestkit_cli.model.event import Active, Cancelled, CancelReason, Closed, CloseReason, Opened
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import Costs
from backtestkit_cli.model.signal import SignalDraft
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
    """What stays the same for a stream; `interval_ms` is the least time between two calls of the strategy.

    `exchange_name` is what stored documents must carry to be taken up.
    """

    strategy: str
    symbol: str
    interval_ms: int
    limits: Limits
    costs: Costs
    exchange_name: str = ""


@dataclass(slots=True, kw_only=True)
class ReferenceStream:
    """The state of a strategy on a symbol: what is `pending` (open) and what is `scheduled` (waiting).

    `levels` holds, for each signal that is followed, the levels seen of all signals that were stored when that began;
    streams that share it share the levels of signals with one id. `stores` is None where nothing is kept.
    """

    terms: ReferenceTerms
    exchange: Exchange
    decide: ReferenceDecider
    desk: RiskDesk = field(default_factory=RiskDesk)
    tape: Tape = field(default_factory=Tape)
    pending: Row | None = None
    scheduled: Row | None = None
    is_stopped: bool = False
    last_call_ms: int | None = None
    levels: dict[str, dict[str, SeenLevels]] = field(default_factory=dict)
    stores: Stores | None = None
    is_restored: bool = False
    restore_failure: str | None = None

    def stop(self, when_ms: int) -> None:
        """Decide no more; a waiting entry is dropped, an open position stays as it is."""
        self.is_stopped = True
        if self.scheduled is not None:
            self.keep_scheduled(when_ms, None)

    def keep_pending(self, when_ms: int, row: Row | None) -> None:
        """Set what is open, with a call, and write it."""
        self.pending = row
        self.call(when_ms, "written", row)
        self.write(when_ms, "signal", None if row is None else document_of(row, self.terms.exchange_name))

    def keep_scheduled(self, when_ms: int, row: Row | None) -> None:
        """Set what waits, and write it."""
        self.scheduled = row
        self.write(when_ms, "schedule", None if row is None else document_of(row, self.terms.exchange_name))

    def stored(self, kind: StoreKind) -> Any:
        """The document of this stream; None where there is none."""
        return None if self.stores is None else self.stores.read(kind, *self._place(kind))

    def write(self, when_ms: int, kind: StoreKind, value: object) -> None:
        """Write the document of this stream."""
        if self.stores is not None:
            self.stores.write(kind, when_ms, *self._place(kind), value)

    def _place(self, kind: StoreKind) -> tuple[str, str]:
        """The entity and the key of this stream."""
        symbol = self.terms.symbol
        return f"{symbol}_{self.terms.strategy}", "levels" if kind == "partial" else symbol

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
        self.tape.tell(time_ms, told)


def open_position(stream: ReferenceStream, row: Row, when_ms: int) -> Opened:
    """Hold a position under its risk profiles, with a call."""
    stream.desk.hold(when_ms, row.strategy, row.symbol)
    stream.call(when_ms, "opened", row, row.price_open)
    return Opened(time_ms=when_ms, signal=row)


def is_wait_over(stream: ReferenceStream, row: Row, time_ms: int) -> bool:
    """Whether a waiting entry has waited its time."""
    return time_ms - row.decided_at >= stream.terms.limits.schedule_await_minutes * MINUTE_MS


def cancel(
    stream: ReferenceStream, row: Row, when_ms: int, time_ms: int, price: float, reason: CancelReason
) -> Cancelled:
    """Give a waiting entry up, with a call."""
    stream.keep_scheduled(when_ms, None)
    stream.call(when_ms, "cancelled", row, price)
    return Cancelled(time_ms=time_ms, signal=row, price=price, reason=reason)


def activate(stream: ReferenceStream, row: Row, when_ms: int, time_ms: int) -> bool:
    """Turn a waiting entry into a position at its price, unless stopped or refused; either way it waits no more."""
    is_allowed = not stream.is_stopped and stream.allows(time_ms, row, row.price_open)
    stream.keep_scheduled(when_ms, None)
    if not is_allowed:
        return False
    pending = replace(row, pending_at=time_ms, is_scheduled=False)
    stream.keep_pending(when_ms, pending)
    open_position(stream, pending, when_ms)
    return True


def follow(stream: ReferenceStream, row: Row, when_ms: int, time_ms: int, price: float) -> tuple[float, float]:
    """Tell new levels, then call with the way; percents of the way to take profit and stop."""
    moved = way(row, price)
    if moved is None:
        return 0.0, 0.0
    side, percent = moved
    kept = _kept_levels(stream, row)
    reached = list(new_levels(row, time_ms, price, side, percent, kept.setdefault(row.id, {"profit": [], "loss": []})))
    for level in reached:
        stream.tape.tell(when_ms, level)
    if reached:
        stream.write(when_ms, "partial", levels_document(kept))
    stream.call(when_ms, side, row, price, percent)
    return (percent, 0.0) if side == "profit" else (0.0, percent)


def _kept_levels(stream: ReferenceStream, row: Row) -> dict[str, SeenLevels]:
    """The levels that a signal keeps: its own, and those that were stored when it was first followed."""
    kept = stream.levels.get(row.id)
    if kept is None:
        kept = stream.levels[row.id] = levels_of(stream.stored("partial"))
    return kept


def _forget_levels(stream: ReferenceStream, row: Row, when_ms: int) -> None:
    kept = _kept_levels(stream, row)
    kept.pop(row.id, None)
    stream.write(when_ms, "partial", levels_document(kept))
    del stream.levels[row.id]


def active(row: Row, when_ms: int, price: float, profit: float = 0.0, loss: float = 0.0) -> Active:
    """The result of a step that changed nothing."""
    return Active(time_ms=when_ms, signal=row, price=price, take_profit_percent=profit, stop_loss_percent=loss)


def close(stream: ReferenceStream, row: Row, when_ms: int, time_ms: int, price: float, reason: CloseReason) -> Closed:
    """Close a position: its PnL, the call, and nothing is held any more."""
    pnl = pnl_percent(row.is_long, row.price_open, price, stream.terms.costs)
    stream.call(when_ms, "closed", row, price)
    _forget_levels(stream, row, when_ms)
    stream.desk.release(when_ms, row.strategy, row.symbol)
    stream.keep_pending(when_ms, None)
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
