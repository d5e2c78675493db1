"""A vectorised strategy: fade a close outside the channel, where something was traded."""

import polars as pl


def fade(candles: pl.LazyFrame, *, channel: int) -> pl.LazyFrame:
    """Sell above the highest close of the `channel` candles before, buy below the lowest."""
    highest = pl.col("close").rolling_max(channel).shift(1)
    lowest = pl.col("close").rolling_min(channel).shift(1)
    sign = pl.when(pl.col("close") < lowest).then(1).when(pl.col("close") > highest).then(-1)
    return candles.with_columns(sign=pl.when(pl.col("volume") > 0).then(sign)).select(
        "time",
        position=pl.when(pl.col("sign") > 0).then(pl.lit("long")).when(pl.col("sign") < 0).then(pl.lit("short")),
        price_take_profit=pl.col("price") * (1 + pl.col("sign") * 0.008),
        price_stop_loss=pl.col("price") * (1 - pl.col("sign") * 0.0085),
        lifetime_minutes=pl.lit(45),
    )
