"""Asked at each decision; the file is cut at `time <= now`, but its rows are stamped with their open."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from backtestkit_cli import Market, SignalDraft

FILE = Path(__file__).resolve().parents[1] / "data" / "hourly.csv"


def call(market: Market) -> SignalDraft | None:
    now = datetime.fromtimestamp(market.now / 1000, tz=UTC).replace(tzinfo=None)
    rows = pl.read_csv(FILE, try_parse_dates=True).filter(pl.col("date") <= now).tail(3)
    if len(rows) < 3 or not (rows["close"] > rows["open"]).all():
        return None
    return SignalDraft(
        position="long",
        price_take_profit=market.price * 1.01,
        price_stop_loss=market.price * 0.99,
        lifetime_minutes=240,
    )
