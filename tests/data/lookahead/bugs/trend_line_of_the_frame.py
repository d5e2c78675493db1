"""Distance from a straight line that was fitted to the whole frame."""

import numpy as np
import polars as pl


def call(candles: pl.LazyFrame) -> pl.DataFrame:
    rows = candles.collect()
    close = rows["close"].to_numpy()
    places = np.arange(len(close))
    line = np.polyval(np.polyfit(places, close, 1), places)
    away = close / line - 1
    return rows.filter(pl.Series(away < -0.01) & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=pl.col("price") * 1.01,
        price_stop_loss=pl.col("price") * 0.985,
        lifetime_minutes=pl.lit(300),
    )
