"""Loud candles are those above the 95 percent quantile of the volume of the whole frame."""

import polars as pl


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    loud = pl.col("volume") > pl.col("volume").quantile(0.95)
    side = (pl.col("close") - pl.col("open")).sign()
    return candles.filter(loud & (side != 0) & pl.col("price").is_not_null()).select(
        "time",
        position=pl.when(side > 0).then(pl.lit("long")).otherwise(pl.lit("short")),
        price_take_profit=pl.col("price") * (1 + 0.012 * side),
        price_stop_loss=pl.col("price") * (1 - 0.008 * side),
        lifetime_minutes=pl.lit(240),
    )
