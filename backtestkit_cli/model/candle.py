"""A candle: names, order and units of its columns.

A candle is stamped with its open time and is closed, and visible, at `time + interval`.
"""

from dataclasses import dataclass
from typing import NamedTuple

PRICE_COLUMNS = ("open", "high", "low", "close")
CANDLE_COLUMNS = ("time", *PRICE_COLUMNS, "volume")


class Candle(NamedTuple):
    """One candle. `time` is the open time in UTC ms, prices in quote currency, volume in base currency."""

    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketSteps:
    """The smallest price and quantity steps of a market; None where the exchange does not say."""

    price: float | None = None
    quantity: float | None = None
