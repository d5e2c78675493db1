"""A strategy that is asked at every decision: follow the move of the last candles."""

from backtestkit_cli import Market, SignalDraft


def momentum(market: Market, *, window: int, threshold_percent: float) -> SignalDraft | None:
    """Enter in the direction of a move of at least `threshold_percent`."""
    close = market.candles("5m", window).close
    change_percent = 100 * (close[-1] / close[0] - 1)
    if abs(change_percent) < threshold_percent:
        return None
    sign = 1 if change_percent > 0 else -1
    return SignalDraft(
        position="long" if sign > 0 else "short",
        price_take_profit=market.price * (1 + sign * 0.009),
        price_stop_loss=market.price * (1 - sign * 0.007),
        lifetime_minutes=60,
    )
