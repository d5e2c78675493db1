"""Asked at each decision; a coin that is tossed anew from the decision time: the same at every run."""

from random import Random

from backtestkit_cli import Market, SignalDraft


def call(market: Market) -> SignalDraft | None:
    coin = Random(f"{market.symbol} {market.now}")
    if coin.random() > 0.2:
        return None
    side = coin.choice((1, -1))
    return SignalDraft(
        position="long" if side > 0 else "short",
        price_take_profit=market.price * (1 + 0.01 * side),
        price_stop_loss=market.price * (1 - 0.01 * side),
        lifetime_minutes=180,
    )
