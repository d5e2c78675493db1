"""Buy swing lows in the row of the low itself, which only the rows after it make a swing low."""

import numpy as np
import polars as pl


def call(candles: pl.LazyFrame, *, reach: int = 3) -> pl.DataFrame:
    rows = candles.collect()
    low = rows["low"].to_numpy()
    found = []
    for row in range(reach, len(low) - reach):
        around = low[row - reach : row + reach + 1]
        if low[row] == around.min() and np.sum(around == low[row]) == 1:
            found.append(row)
    return (
        rows[found]
        .filter(pl.col("price").is_not_null())
        .select(
            "time",
            position=pl.lit("long"),
            price_take_profit=pl.col("price") * 1.009,
            price_stop_loss=pl.col("low") * 0.98,
            lifetime_minutes=pl.lit(300),
        )
    )
