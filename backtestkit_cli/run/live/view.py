"""What a live session looks like just now: one plain row per stream, for the screen and for `session status`."""

from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, assert_never

from backtestkit_cli.model.policy import Costs
from backtestkit_cli.model.signal import Flat, OpenPosition, Signal, SignalState, WaitingEntry
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.model.trade import pnl_percent

if TYPE_CHECKING:
    from backtestkit_cli.run.live.stream import LiveStream


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamView:
    """One stream. Prices in quote currency; percents of the price, PnL net of costs; None where there is none.

    `until_ms` is when the wait or the lifetime is over; `next_decision_ms` None while it is stopped.
    """

    strategy: str
    symbol: str
    price: float | None
    state: str
    entry: float | None = None
    to_take_profit_percent: float | None = None
    to_stop_loss_percent: float | None = None
    pnl_percent: float | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    next_decision_ms: int | None = None
    trades: int = 0


def view_of(stream: "LiveStream", now_ms: int) -> StreamView:
    """Look at a stream."""
    row = stream.market.candles.row(stream.market.known_ms) - 1
    price = float(stream.market.price[row])
    strategy, symbol = stream.key
    interval_ms = stream.interval_ms
    upcoming_ms = max(stream.first_ms, now_ms - now_ms % MINUTE_MS + MINUTE_MS)
    next_ms = -(-upcoming_ms // interval_ms) * interval_ms
    return state_view(
        strategy,
        symbol,
        stream.walk.state,
        None if isnan(price) else price,
        stream.walk.terms.costs,
        next_ms=None if stream.walk.stop_ms is not None else next_ms,
        trades=stream.walk.funnel.closed.total(),
    )


def state_view(
    strategy: str,
    symbol: str,
    state: SignalState,
    price: float | None,
    costs: Costs | None = None,
    *,
    next_ms: int | None = None,
    trades: int = 0,
) -> StreamView:
    """Look at a state, with the market's price and costs where they are known."""
    match state:
        case Flat():
            return StreamView(
                strategy=strategy, symbol=symbol, price=price, state="flat", next_decision_ms=next_ms, trades=trades
            )
        case WaitingEntry(signal=signal):
            return StreamView(
                strategy=strategy,
                symbol=symbol,
                price=price,
                state=f"waits {signal.position}",
                entry=signal.price_open,
                since_ms=signal.decided_at,
                until_ms=state.wait_until,
                trades=trades,
            )
        case OpenPosition(signal=signal):
            way = 1 if signal.is_long else -1
            return StreamView(
                strategy=strategy,
                symbol=symbol,
                price=price,
                state=str(signal.position),
                entry=signal.price_open,
                to_take_profit_percent=price and way * (signal.price_take_profit - price) / price * 100,
                to_stop_loss_percent=price and way * (price - signal.price_stop_loss) / price * 100,
                pnl_percent=None if price is None or costs is None else _pnl(signal, price, costs),
                since_ms=state.opened_at,
                until_ms=state.expires_at,
                trades=trades,
            )
        case _:
            assert_never(state)


def _pnl(signal: Signal, price: float, costs: Costs) -> float:
    return pnl_percent(signal.is_long, signal.price_open, price, costs)
