"""A vectorised strategy: one call gets every closed candle and returns a row for every draft."""

import polars as pl


def breakout(candles: pl.LazyFrame, *, channel: int = 48) -> pl.LazyFrame:
    """Enter when the close leaves the range of the `channel` candles before it."""
    highest = pl.col("high").rolling_max(channel).shift(1)
    lowest = pl.col("low").rolling_min(channel).shift(1)
    side = pl.when(pl.col("close") > highest).then(1).when(pl.col("close") < lowest).then(-1)
    return (
        candles.with_columns(side=side)
        .filter(pl.col("side").is_not_null() & pl.col("price").is_not_null())
        .select(
            "time",
            position=pl.when(pl.col("side") > 0).then(pl.lit("long")).otherwise(pl.lit("short")),
            price_take_profit=pl.col("price") * (1 + pl.col("side") * 0.015),
            price_stop_loss=pl.col("price") * (1 - pl.col("side") * 0.01),
            lifetime_minutes=pl.lit(720),
        )
    )
