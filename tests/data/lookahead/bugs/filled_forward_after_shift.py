"""Looks causal for the forward fill at its end, but what is filled came from the row after."""

import polars as pl


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    jump = pl.col("close").pct_change().abs()
    trend = pl.when(jump > 0.004).then(pl.col("close").diff().sign()).shift(-1).forward_fill()
    changed = trend != trend.shift(1)
    return candles.filter(changed & pl.col("price").is_not_null()).select(
        "time",
        position=pl.when(trend > 0).then(pl.lit("long")).otherwise(pl.lit("short")),
        price_take_profit=pl.col("price") * (1 + trend * 0.01),
        price_stop_loss=pl.col("price") * (1 - trend * 0.01),
        lifetime_minutes=pl.lit(240),
    )
