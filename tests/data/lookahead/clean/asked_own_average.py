"""Asked at each decision; averages of several intervals, and no draft until all of them exist."""

from backtestkit_cli import Market, SignalDraft


def call(market: Market, *, lengths: tuple[int, ...] = (8, 16, 32)) -> SignalDraft | None:
    means = [float(market.candles("15m", length).close.mean()) for length in lengths]
    slow = market.candles("4h", 4).close
    if sorted(means) != means or slow[-1] > slow[0]:
        return None
    distance = max(market.price * 0.008, 3 * float(market.candles("15m", 14).close.std()))
    return SignalDraft(
        position="short",
        price_take_profit=market.price - distance,
        price_stop_loss=market.price + distance,
        lifetime_minutes=360,
    )
