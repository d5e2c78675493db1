"""The take profit lies at the high of the day, the whole of it."""

import polars as pl

DAY_MS = 86_400_000


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    day = (pl.col("time") - 1) // DAY_MS
    highest = pl.col("high").max().over(day)
    is_dip = pl.col("close") < pl.col("close").rolling_min(16).shift(1)
    return candles.filter(is_dip & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=pl.max_horizontal(highest, pl.col("price") * 1.006),
        price_stop_loss=pl.col("price") * 0.98,
        lifetime_minutes=pl.lit(600),
    )
