"""Reversed, shifted by minus one and reversed again: a positive shift in disguise."""

import polars as pl


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    before = pl.col("close").reverse().shift(-1).reverse()
    falls = pl.col("close") < before * 0.997
    return candles.filter(falls & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=pl.max_horizontal(before, pl.col("price") * 1.006),
        price_stop_loss=pl.col("price") * 0.985,
        lifetime_minutes=pl.lit(180),
    )
