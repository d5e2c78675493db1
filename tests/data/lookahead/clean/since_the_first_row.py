"""Sorted, numbered and measured from the first row: all of it known from the start."""

import polars as pl


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    numbered = candles.sort("time").with_row_index("row").with_columns(since=pl.col("close") / pl.col("close").first())
    is_turn = (pl.col("row") % 8 == 0) & (pl.col("since") < pl.col("since").rolling_mean(40))
    return numbered.filter(is_turn & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("short"),
        price_take_profit=pl.col("price") * 0.99,
        price_stop_loss=pl.col("price") * 1.01,
        lifetime_minutes=pl.lit(240),
    )
