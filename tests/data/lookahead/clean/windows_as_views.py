"""numpy's sliding windows, padded in front so that each row sees the rows before it."""

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view


def call(candles: pl.LazyFrame, *, length: int = 32) -> pl.DataFrame:
    rows = candles.collect()
    close = rows["close"].to_numpy()
    padded = np.concatenate([np.full(length - 1, close[0]), close])
    windows = sliding_window_view(padded, length)
    place = (close - windows.min(axis=1)) / np.maximum(windows.max(axis=1) - windows.min(axis=1), 1e-9)
    crosses = (place > 0.1) & (np.concatenate([[1.0], place[:-1]]) <= 0.1)
    return rows.filter(pl.Series(crosses) & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=pl.col("price") * 1.01,
        price_stop_loss=pl.col("price") * 0.99,
        lifetime_minutes=pl.lit(240),
    )
