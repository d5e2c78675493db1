"""The range of the candles before this one: shifted the right way."""

import polars as pl


def call(candles: pl.LazyFrame, *, channel: int = 48) -> pl.LazyFrame:
    highest = pl.col("high").rolling_max(channel).shift(1)
    return candles.filter((pl.col("close") > highest) & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=pl.col("price") * 1.012,
        price_stop_loss=pl.col("price") * 0.99,
        lifetime_minutes=pl.lit(480),
    )
