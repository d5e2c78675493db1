"""What the state says of a stream, for who looks from another terminal: no market, no price of now."""

from dataclasses import dataclass, replace
from typing import assert_never

from backtestkit_cli.engine.orders.errand import Disputed, Ended, Errand, GivenUp
from backtestkit_cli.model.signal import Flat, OpenPosition, WaitingEntry
from backtestkit_cli.state.session import StreamRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStatus:
    """One stream as the state has it. Prices in quote currency, quantity in base currency; times are UTC ms.

    `state` is flat, waits long, waits short, long, short or damaged; `kept_ms` is the last instant at which its
    state was kept, 0 before the first. `orders` is how far its orders at an exchange are: entering, protecting,
    guarded, closing, or disputed and why; None where there are none.
    """

    strategy: str
    symbol: str
    state: str
    entry: float | None = None
    take_profit: float | None = None
    stop_loss: float | None = None
    quantity: float | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    kept_ms: int = 0
    orders: str | None = None

    @property
    def needs_word(self) -> bool:
        """Whether a person has to say what is true."""
        return self.state == "damaged" or (self.orders or "").startswith("disputed")


def orders_text(errand: Errand | None) -> str | None:
    """How far the orders of a stream are; None where nothing is on its way."""
    match errand:
        case None | GivenUp() | Ended():
            return None
        case Disputed(what=what):
            return f"disputed: {what}"
        case _:
            return errand.kind


def stream_status(record: StreamRecord) -> StreamStatus:
    """Look at a stream's record."""
    flat = StreamStatus(strategy=record.strategy, symbol=record.symbol, state="flat", kept_ms=record.at_ms)
    match record.state:
        case Flat():
            return flat
        case WaitingEntry(signal=signal):
            known = replace(
                flat, state=f"waits {signal.position}", since_ms=signal.decided_at, until_ms=record.state.wait_until
            )
        case OpenPosition(signal=signal):
            known = replace(
                flat,
                state=str(signal.position),
                since_ms=record.state.opened_at,
                until_ms=record.state.expires_at,
            )
        case _:
            assert_never(record.state)
    return replace(
        known,
        entry=signal.price_open,
        take_profit=signal.price_take_profit,
        stop_loss=signal.price_stop_loss,
        quantity=signal.quantity,
    )
