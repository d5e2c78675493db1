"""A state machine in a plain loop over rows: it remembers only what has been."""

import numpy as np
import polars as pl


def call(candles: pl.LazyFrame) -> pl.DataFrame:
    rows = candles.collect()
    close = rows["close"].to_numpy()
    armed, anchor, found = False, close[0], []
    for row, value in enumerate(close):
        anchor = max(anchor, value)
        if not armed and value < anchor * 0.992:
            armed = True
        elif armed and value > anchor * 0.994:
            armed, anchor = False, value
            found.append(row)
    chosen = np.array(found, dtype=np.int64)
    return (
        rows[chosen]
        .filter(pl.col("price").is_not_null())
        .select(
            "time",
            position=pl.lit("long"),
            price_take_profit=pl.col("price") * 1.01,
            price_stop_loss=pl.col("price") * 0.985,
            lifetime_minutes=pl.lit(360),
        )
    )
