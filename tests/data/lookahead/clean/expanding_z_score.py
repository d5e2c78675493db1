"""A z-score with mean and deviation of everything up to the row, from cumulative sums."""

import polars as pl


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    change = pl.col("close").pct_change(4).fill_null(0.0)
    count = pl.int_range(1, pl.len() + 1)
    mean = change.cum_sum() / count
    deviation = ((change**2).cum_sum() / count - mean**2).sqrt()
    score = (change - mean) / deviation
    return candles.filter((score < -2) & score.is_finite() & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=pl.col("price") * 1.01,
        price_stop_loss=pl.col("price") * 0.99,
        lifetime_minutes=pl.lit(180),
    )
