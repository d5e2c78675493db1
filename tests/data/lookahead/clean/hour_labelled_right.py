"""Hourly candles of one's own, labelled by their close, so that an unfinished one joins nothing."""

import polars as pl


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    stamped = candles.with_columns(at=pl.from_epoch("time", time_unit="ms"))
    hourly = stamped.group_by_dynamic("at", every="1h", closed="right", label="right").agg(
        rise=pl.col("close").last() / pl.col("open").first() - 1
    )
    joined = stamped.join_asof(hourly, on="at", strategy="backward")
    return joined.filter((pl.col("rise") > 0.003) & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("short"),
        price_take_profit=pl.col("price") * 0.99,
        price_stop_loss=pl.col("price") * 1.01,
        lifetime_minutes=pl.lit(120),
    )
