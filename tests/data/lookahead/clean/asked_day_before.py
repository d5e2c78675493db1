"""Asked at each decision; the range of the last whole day, with levels on the price step."""

from backtestkit_cli import Market, SignalDraft


def call(market: Market) -> SignalDraft | None:
    day = market.candles("1d", 1)
    close = market.candles("15m", 2).close
    if not close[0] <= day.high[-1] < close[-1]:
        return None
    return SignalDraft(
        position="long",
        price_take_profit=float(market.format_price(market.price * 1.012)),
        price_stop_loss=float(market.format_price(market.price * 0.99)),
        lifetime_minutes=600,
        note=f"above {day.high[-1]:.2f}",
    )
