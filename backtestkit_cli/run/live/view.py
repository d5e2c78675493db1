"""What a live session looks like just now: one plain row per stream, for the screen."""

from dataclasses import dataclass, replace
from math import isnan
from typing import TYPE_CHECKING, assert_never

from backtestkit_cli.model.signal import Flat, OpenPosition, WaitingEntry
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.model.trade import pnl_percent

if TYPE_CHECKING:
    from backtestkit_cli.run.live.stream import LiveStream


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamView:
    """One stream. Prices in quote currency; percents of the price, PnL net of costs; None where there is none.

    `until_ms` is when the wait or the lifetime is over; `next_decision_ms` None while it is stopped or not flat.
    """

    strategy: str
    symbol: str
    price: float | None
    trades: int
    state: str = "flat"
    entry: float | None = None
    to_take_profit_percent: float | None = None
    to_stop_loss_percent: float | None = None
    pnl_percent: float | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    next_decision_ms: int | None = None


def view_of(stream: "LiveStream", now_ms: int) -> StreamView:
    """Look at a stream."""
    walk, (strategy, symbol) = stream.walk, stream.key
    known = float(stream.market.price[stream.market.candles.row(stream.market.known_ms) - 1])
    price = None if isnan(known) else known
    view = StreamView(strategy=strategy, symbol=symbol, price=price, trades=walk.funnel.closed.total())
    match walk.state:
        case Flat():
            return replace(
                view, next_decision_ms=None if walk.stop_ms is not None else _next_decision_ms(stream, now_ms)
            )
        case WaitingEntry(signal=signal) as waiting:
            return replace(
                view,
                state=f"waits {signal.position}",
                entry=signal.price_open,
                since_ms=signal.decided_at,
                until_ms=waiting.wait_until,
            )
        case OpenPosition(signal=signal) as held:
            way, costs = (1 if signal.is_long else -1), walk.terms.costs
            return replace(
                view,
                state=str(signal.position),
                entry=signal.price_open,
                to_take_profit_percent=price and way * (signal.price_take_profit - price) / price * 100,
                to_stop_loss_percent=price and way * (price - signal.price_stop_loss) / price * 100,
                pnl_percent=price and pnl_percent(signal.is_long, signal.price_open, price, costs),
                since_ms=held.opened_at,
                until_ms=held.expires_at,
            )
        case _:
            assert_never(walk.state)


def _next_decision_ms(stream: "LiveStream", now_ms: int) -> int:
    upcoming_ms = max(stream.first_ms, now_ms - now_ms % MINUTE_MS + MINUTE_MS)
    return -(-upcoming_ms // stream.interval_ms) * stream.interval_ms
