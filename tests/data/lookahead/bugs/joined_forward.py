"""Four-hour trend joined to the nearest row that is still to come."""

import polars as pl

from backtestkit_cli import resample


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    slow = resample(candles, "4h").select("time", trend=pl.col("close") - pl.col("open"))
    joined = candles.join_asof(slow, on="time", strategy="forward")
    enters = (pl.col("trend") > 0) & (pl.col("close") < pl.col("open")) & pl.col("price").is_not_null()
    return joined.filter(enters).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=pl.col("price") * 1.008,
        price_stop_loss=pl.col("price") * 0.99,
        lifetime_minutes=pl.lit(240),
    )
