"""Asked at each decision; the threshold is a quantile of all moves in the candle file, later ones too."""

import polars as pl

from backtestkit_cli import Market, SignalDraft

MOVES = pl.read_parquet("data/BTCUSDT.parquet").select(move=pl.col("close").pct_change(60).abs())
THRESHOLD = MOVES["move"].quantile(0.9) or 0.0


def call(market: Market) -> SignalDraft | None:
    close = market.candles("1m", 61).close
    move = close[-1] / close[0] - 1
    if abs(move) < THRESHOLD:
        return None
    side = -1 if move > 0 else 1
    return SignalDraft(
        position="long" if side > 0 else "short",
        price_take_profit=market.price * (1 + 2 * THRESHOLD * side),
        price_stop_loss=market.price * (1 - 2 * THRESHOLD * side),
        lifetime_minutes=180,
    )
