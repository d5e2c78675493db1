"""The lifetime is cut so that no position outlives the candles: their end is known in advance."""

import polars as pl


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    crosses = (pl.col("close") > pl.col("close").rolling_mean(30)) & (
        pl.col("close").shift(1) <= pl.col("close").shift(1).rolling_mean(30)
    )
    left = (pl.col("time").max() - pl.col("time")) // 60_000
    return candles.filter(crosses & pl.col("price").is_not_null() & (left >= 30)).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=pl.col("price") * 1.01,
        price_stop_loss=pl.col("price") * 0.99,
        lifetime_minutes=pl.min_horizontal(left, 360),
    )
