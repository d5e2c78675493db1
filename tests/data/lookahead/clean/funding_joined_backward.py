"""Another series from a file of the project, joined by the time at which it was known."""

from pathlib import Path

import polars as pl

FUNDING = Path(__file__).parent.parent / "data" / "funding.csv"


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    funding = pl.scan_csv(FUNDING).select("time", "rate")
    joined = candles.join_asof(funding, on="time", strategy="backward")
    return joined.filter((pl.col("rate") > 0.0001) & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("short"),
        price_take_profit=pl.col("price") * 0.99,
        price_stop_loss=pl.col("price") * 1.01,
        lifetime_minutes=pl.lit(240),
    )
