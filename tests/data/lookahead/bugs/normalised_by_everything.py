"""A z-score with the mean and deviation of the whole column."""

import polars as pl


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    change = pl.col("close").pct_change(4)
    score = (change - change.mean()) / change.std()
    return candles.filter((score.abs() > 2) & pl.col("price").is_not_null()).select(
        "time",
        position=pl.when(score < 0).then(pl.lit("long")).otherwise(pl.lit("short")),
        price_take_profit=pl.col("price") * pl.when(score < 0).then(1.01).otherwise(0.99),
        price_stop_loss=pl.col("price") * pl.when(score < 0).then(0.99).otherwise(1.01),
        lifetime_minutes=pl.lit(180),
    )
