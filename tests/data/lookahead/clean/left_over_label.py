"""The label of a study is still computed with a negative shift, but decides nothing."""

import polars as pl


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    studied = candles.with_columns(
        future_return=pl.col("close").shift(-8) / pl.col("close") - 1,
        strength=pl.col("close").diff().clip(lower_bound=0).ewm_mean(alpha=1 / 14)
        / pl.col("close").diff().abs().ewm_mean(alpha=1 / 14),
    )
    return studied.filter((pl.col("strength") < 0.25) & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=pl.col("price") * 1.01,
        price_stop_loss=pl.col("price") * 0.99,
        lifetime_minutes=pl.lit(240),
    )
