"""A strategy that is asked at every decision time while it is flat: return a draft, or None."""

from backtestkit_cli import Market, SignalDraft


def momentum(market: Market, *, window: int = 24, threshold_percent: float = 0.6) -> SignalDraft | None:
    """Follow a move of `threshold_percent` over the last `window` five-minute candles."""
    close = market.candles("5m", window).close
    change_percent = 100 * (close[-1] / close[0] - 1)
    if abs(change_percent) < threshold_percent:
        return None
    side = 1 if change_percent > 0 else -1
    return SignalDraft(
        position="long" if side > 0 else "short",
        price_take_profit=market.price * (1 + side * 0.012),
        price_stop_loss=market.price * (1 - side * 0.008),
        lifetime_minutes=8 * 60,
        note=f"{change_percent:+.2f} % in {window} candles",
    )
