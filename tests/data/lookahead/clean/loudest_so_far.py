"""As loud as half of the loudest candle since the start of history: an expanding maximum."""

import polars as pl


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    record = pl.col("volume").cum_max().shift(1)
    top = pl.col("high").cum_max()
    return candles.filter((pl.col("volume") > record * 0.5) & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=pl.max_horizontal(top, pl.col("price") * 1.006),
        price_stop_loss=pl.col("price") * 0.985,
        lifetime_minutes=pl.lit(480),
    )
