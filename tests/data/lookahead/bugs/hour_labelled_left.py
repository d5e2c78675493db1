"""Hourly candles joined by the time they open: at 10:15 the close of 11:00 is known."""

import polars as pl


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    opened = candles.with_columns(at=pl.from_epoch(pl.col("time") - 15 * 60_000, time_unit="ms"))
    hourly = (
        opened.group_by_dynamic("at", every="1h")
        .agg(hour_close=pl.col("close").last(), hour_open=pl.col("open").first())
        .with_columns(rises=pl.col("hour_close") > pl.col("hour_open") * 1.001)
    )
    joined = opened.join_asof(hourly, on="at", strategy="backward")
    return joined.filter(pl.col("rises") & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=pl.col("price") * 1.008,
        price_stop_loss=pl.col("price") * 0.992,
        lifetime_minutes=pl.lit(60),
    )
