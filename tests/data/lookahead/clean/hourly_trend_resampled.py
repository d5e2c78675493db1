"""The hourly trend by the package's resample and a backward join."""

import polars as pl

from backtestkit_cli import resample


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    slow = resample(candles, "1h").select("time", mean=pl.col("close").ewm_mean(span=12, adjust=False))
    joined = candles.join_asof(slow, on="time", strategy="backward")
    crosses = (pl.col("close") > pl.col("mean")) & (pl.col("close").shift(1) <= pl.col("mean").shift(1))
    return joined.filter(crosses & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=pl.col("price") * 1.01,
        price_stop_loss=pl.col("price") * 0.99,
        lifetime_minutes=pl.lit(240),
    )
