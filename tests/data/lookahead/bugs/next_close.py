"""Follow the move of the candle that comes next: the classic shift in the wrong direction."""

import polars as pl


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    move = pl.col("close").shift(-1) / pl.col("close") - 1
    return candles.filter(pl.col("price").is_not_null() & (move.abs() > 0.002)).select(
        "time",
        position=pl.when(move > 0).then(pl.lit("long")).otherwise(pl.lit("short")),
        price_take_profit=pl.col("price") * pl.when(move > 0).then(1.01).otherwise(0.99),
        price_stop_loss=pl.col("price") * pl.when(move > 0).then(0.99).otherwise(1.01),
        lifetime_minutes=pl.lit(120),
    )
