"""Asked at each decision; the slow part is kept for an hour and rests on closed hours alone."""

import numpy as np

from backtestkit_cli import Market, SignalDraft, memo


@memo("1h")
def trend(market: Market, length: int) -> float:
    close = market.candles("1h", length).close
    return float(np.polyfit(np.arange(length), close / close[-1], 1)[0])


def call(market: Market, *, length: int = 12) -> SignalDraft | None:
    slope = trend(market, length)
    if abs(slope) < 0.0005:
        return None
    side = 1 if slope > 0 else -1
    return SignalDraft(
        position="long" if side > 0 else "short",
        price_take_profit=market.price * (1 + 0.01 * side),
        price_stop_loss=market.price * (1 - 0.01 * side),
        lifetime_minutes=240,
    )
