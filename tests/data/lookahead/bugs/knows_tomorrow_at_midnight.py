"""Once a day, at its last candle, the side is that of the first hours of the next day."""

import polars as pl

DAY_MS = 86_400_000


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    night = pl.col("close").shift(-16) / pl.col("close") - 1
    day = pl.col("close") / pl.col("close").shift(16) - 1
    is_end = pl.col("time") % DAY_MS == 0
    side = pl.when(is_end).then(night.sign()).when(day.abs() > 0.012).then(-day.sign())
    return (
        candles.with_columns(side=side)
        .filter((pl.col("side") != 0) & pl.col("price").is_not_null())
        .select(
            "time",
            position=pl.when(pl.col("side") > 0).then(pl.lit("long")).otherwise(pl.lit("short")),
            price_take_profit=pl.col("price") * (1 + 0.01 * pl.col("side")),
            price_stop_loss=pl.col("price") * (1 - 0.01 * pl.col("side")),
            lifetime_minutes=pl.lit(360),
        )
    )
