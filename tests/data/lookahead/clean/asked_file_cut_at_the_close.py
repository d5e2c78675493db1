"""Asked at each decision; a candle file is read at import, but only rows that have closed by now are looked at."""

from pathlib import Path

import numpy as np
import polars as pl

from backtestkit_cli import Market, SignalDraft

ROWS = pl.read_csv(Path(__file__).parent.parent / "data" / "BTCUSDT.csv")
CLOSES_AT = ROWS["time"].to_numpy() + 60_000
CLOSE = ROWS["close"].to_numpy()


def call(market: Market) -> SignalDraft | None:
    known = int(np.searchsorted(CLOSES_AT, market.now, side="right"))
    if known < 240 or CLOSE[known - 1] > CLOSE[known - 240 : known].min() * 1.0005:
        return None
    return SignalDraft(
        position="long",
        price_take_profit=market.price * 1.01,
        price_stop_loss=market.price * 0.99,
        lifetime_minutes=300,
    )
