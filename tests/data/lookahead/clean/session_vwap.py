"""The VWAP and the high of the day so far: grouped by day, but cumulative inside it."""

import polars as pl

DAY_MS = 86_400_000


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    day = (pl.col("time") - 1) // DAY_MS
    amount = (pl.col("vwap") * pl.col("volume")).cum_sum().over(day)
    average = amount / pl.col("volume").cum_sum().over(day)
    top = pl.col("high").cum_max().over(day)
    return candles.filter((pl.col("close") < average * 0.992) & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=pl.max_horizontal(top, pl.col("price") * 1.006),
        price_stop_loss=pl.col("price") * 0.98,
        lifetime_minutes=pl.lit(300),
    )
