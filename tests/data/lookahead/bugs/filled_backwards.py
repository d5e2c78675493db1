"""A level that is set once in a while; before it is set, the next one is taken."""

import polars as pl


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    is_pivot = pl.col("volume") > 2 * pl.col("volume").rolling_mean(48)
    level = pl.when(is_pivot).then(pl.col("close")).backward_fill()
    return candles.filter((pl.col("close") < level * 0.997) & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=pl.col("price") * 1.01,
        price_stop_loss=pl.col("price") * 0.985,
        lifetime_minutes=pl.lit(300),
    )
