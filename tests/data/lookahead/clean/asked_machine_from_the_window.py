"""Asked at each decision; a state machine that is run over the window again each time."""

from backtestkit_cli import Market, SignalDraft


def call(market: Market) -> SignalDraft | None:
    window = market.candles("15m", 64)
    state, low = "calm", float(window.low[0])
    for close, lowest in zip(window.close.tolist(), window.low.tolist(), strict=True):
        if state == "calm" and lowest < low:
            state = "fallen"
        elif state == "fallen" and close > low * 1.004:
            state = "risen"
        elif state == "risen" and close < low:
            state = "calm"
        low = min(low, lowest)
    if state != "risen":
        return None
    return SignalDraft(
        position="long",
        price_take_profit=market.price * 1.01,
        price_stop_loss=min(low, market.price * 0.99),
        lifetime_minutes=300,
    )
