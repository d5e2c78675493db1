"""One strategy in each form."""

import polars as pl

from backtestkit_cli.model.signal import SignalDraft
from backtestkit_cli.plugins.ports import Market


def momentum(market: Market, *, window: int = 20, threshold: float, note: str = "") -> SignalDraft | None:
    """Buy what has risen over the window."""
    closes = market.candles("1m", window).close
    if closes[-1] <= closes[0] * (1 + threshold):
        return None
    price = market.price
    return SignalDraft(
        position="long",
        price_take_profit=price * 1.02,
        price_stop_loss=price * 0.98,
        lifetime_minutes=60,
        note=note,
    )


def crossing(candles: pl.LazyFrame, fast: int = 12, slow: int = 26) -> pl.LazyFrame:
    """Buy when the fast mean is above the slow one."""
    is_above = pl.col("close").rolling_mean(fast) > pl.col("close").rolling_mean(slow)
    return candles.select(
        "time",
        position=pl.when(is_above).then(pl.lit("long")),
        price_take_profit=pl.col("close") * 1.02,
        price_stop_loss=pl.col("close") * 0.98,
        lifetime_minutes=60,
    )
