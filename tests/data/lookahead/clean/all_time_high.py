"""New highs since the start of history: an expanding maximum."""

import polars as pl


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    record = pl.col("high").cum_max().shift(1)
    return candles.filter((pl.col("close") > record * 0.998) & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=pl.max_horizontal(record * 1.01, pl.col("price") * 1.006),
        price_stop_loss=pl.col("price") * 0.985,
        lifetime_minutes=pl.lit(480),
    )
