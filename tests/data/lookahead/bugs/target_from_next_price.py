"""An honest entry whose take profit is measured from the price of the next row."""

import polars as pl


def call(candles: pl.LazyFrame, *, length: int = 20) -> pl.LazyFrame:
    mean = pl.col("close").rolling_mean(length)
    spread = pl.col("close").rolling_std(length)
    entry = pl.col("price").shift(-1).fill_null(pl.col("price"))
    return candles.filter((pl.col("close") < mean - 2 * spread) & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=entry * 1.012,
        price_stop_loss=pl.col("price") * 0.985,
        lifetime_minutes=pl.lit(360),
    )
