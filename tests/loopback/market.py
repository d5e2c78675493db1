"""What the loopback exchange trades: markets, and candles as a pure function of symbol, open time and seed.

The candle that is still forming differs from what it becomes, so a test sees it when it leaks.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import TypeAlias

MINUTE_MS = 60_000
LISTED_MS = 1_502_942_400_000  # 2017-08-17, as on the real exchange
INTERVALS = {
    "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360, "8h": 480,
    "12h": 720, "1d": 1440, "3d": 4320,
}  # fmt: skip

Row: TypeAlias = tuple[int, float, float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One spot market. Steps are texts, as on the wire; candles exist in `[listed_ms, delisted_ms)`."""

    id: str
    base: str
    quote: str
    price_step: str
    quantity_step: str
    level: float
    smallest_cost: str = "5.00000000"
    listed_ms: int = LISTED_MS
    delisted_ms: int | None = None

    def as_json(self) -> dict[str, object]:
        """The market as `/api/v3/exchangeInfo` shows it."""
        places = 8
        return {
            "symbol": self.id,
            "status": "TRADING" if self.delisted_ms is None else "BREAK",
            "baseAsset": self.base,
            "baseAssetPrecision": places,
            "quoteAsset": self.quote,
            "quotePrecision": places,
            "quoteAssetPrecision": places,
            "orderTypes": [
                "LIMIT",
                "LIMIT_MAKER",
                "MARKET",
                "STOP_LOSS",
                "STOP_LOSS_LIMIT",
                "TAKE_PROFIT",
                "TAKE_PROFIT_LIMIT",
            ],
            "ocoAllowed": True,
            "quoteOrderQtyMarketAllowed": True,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "permissions": ["SPOT"],
            "filters": [
                {
                    "filterType": "PRICE_FILTER",
                    "minPrice": self.price_step,
                    "maxPrice": "1000000.00000000",
                    "tickSize": self.price_step,
                },
                {
                    "filterType": "LOT_SIZE",
                    "minQty": self.quantity_step,
                    "maxQty": "9000000.00000000",
                    "stepSize": self.quantity_step,
                },
                {"filterType": "NOTIONAL", "minNotional": self.smallest_cost},
            ],
        }


MARKETS = (
    Market(id="BTCUSDT", base="BTC", quote="USDT", price_step="0.01", quantity_step="0.00001", level=30_000.0),
    Market(id="ETHUSDT", base="ETH", quote="USDT", price_step="0.05", quantity_step="0.001", level=2_000.0),
    Market(
        id="DOGEBTC",
        base="DOGE",
        quote="BTC",
        price_step="0.00000001",
        quantity_step="1",
        level=0.00000350,
        smallest_cost="0.00010000",
    ),
)


@dataclass(slots=True)
class Candles:
    """Candles of all markets. `rows` replaces the made ones of a symbol, `missing` leaves minutes out."""

    seed: int = 7
    markets: dict[str, Market] = field(default_factory=lambda: {market.id: market for market in MARKETS})
    rows: Mapping[str, Mapping[int, Row]] = field(default_factory=dict)
    missing: Mapping[str, set[int]] = field(default_factory=dict)

    def minute(self, symbol: str, time_ms: int) -> Row | None:
        """The finished 1m candle that opens at `time_ms`."""
        market = self.markets[symbol]
        if time_ms in self.missing.get(symbol, ()) or time_ms < market.listed_ms:
            return None
        if market.delisted_ms is not None and time_ms >= market.delisted_ms:
            return None
        if symbol in self.rows:
            return self.rows[symbol].get(time_ms)
        return made_minute(self.seed, market, time_ms)

    def klines(
        self, symbol: str, interval: str, *, now_ms: int, limit: int, start_ms: int | None, end_ms: int | None
    ) -> list[Row]:
        """What the exchange answers: ascending, the forming candle included, at most `limit` rows."""
        length_ms = INTERVALS[interval] * MINUTE_MS
        last = min(now_ms, end_ms if end_ms is not None else now_ms) // length_ms * length_ms
        if start_ms is not None:
            times = range(self._first(symbol, -(-start_ms // length_ms) * length_ms, length_ms), last + 1, length_ms)
        else:
            market = self.markets[symbol]
            newest = last if market.delisted_ms is None else min(last, market.delisted_ms - length_ms)
            times = range(newest, market.listed_ms - 1, -length_ms)
        found: list[Row] = []
        for time_ms in times:
            row = self._candle(symbol, time_ms, length_ms, now_ms)
            if row is not None:
                found.append(row)
            if len(found) == limit:
                break
        return sorted(found)

    def _first(self, symbol: str, start_ms: int, length_ms: int) -> int:
        listed_ms = self.markets[symbol].listed_ms
        if self.rows.get(symbol):
            listed_ms = max(listed_ms, min(self.rows[symbol]))
        return max(start_ms, listed_ms // length_ms * length_ms)

    def _candle(self, symbol: str, time_ms: int, length_ms: int, now_ms: int) -> Row | None:
        minutes = [self.minute(symbol, at) for at in range(time_ms, min(time_ms + length_ms, now_ms + 1), MINUTE_MS)]
        rows = [row for row in minutes if row is not None]
        if not rows:
            return None
        opened, volume = rows[0][1], sum(row[5] for row in rows)
        if time_ms + length_ms > now_ms:
            return (time_ms, opened, opened, opened, opened, round(volume / 3, 5))
        high, low = max(row[2] for row in rows), min(row[3] for row in rows)
        return (time_ms, opened, high, low, rows[-1][4], round(volume, 5))


@lru_cache(maxsize=50_000)
def made_minute(seed: int, market: Market, time_ms: int) -> Row:
    """The made candle of one minute; it opens at the close of the minute before."""
    opened, closed = _price(seed, market, time_ms - MINUTE_MS), _price(seed, market, time_ms)
    up, down, size = _noise(seed, market, time_ms, "range", 3)
    step = float(market.price_step)
    high = max(opened, closed, _on_step(max(opened, closed) * (1 + 0.0005 * up), step))
    low = min(opened, closed, _on_step(min(opened, closed) * (1 - 0.0005 * down), step))
    return (time_ms, opened, high, low, closed, round(1 + 20 * size, 5))


def _price(seed: int, market: Market, time_ms: int) -> float:
    (noise,) = _noise(seed, market, time_ms, "close", 1)
    day = math.sin(2 * math.pi * time_ms / 86_400_000)
    return _on_step(market.level * (1 + 0.03 * day + 0.002 * (noise - 0.5)), float(market.price_step))


def _noise(seed: int, market: Market, time_ms: int, kind: str, count: int) -> tuple[float, ...]:
    digest = blake2b(f"{seed} {market.id} {time_ms} {kind}".encode(), digest_size=8 * count).digest()
    return tuple(int.from_bytes(digest[8 * i : 8 * i + 8]) / 2**64 for i in range(count))


def on_wire(row: Row, length_ms: int) -> list[object]:
    """A row as the exchange sends it: 12 items, numbers as texts."""
    time_ms, *values = row
    opened, high, low, closed, volume = (_text(value) for value in values)
    quote = _text(row[4] * row[5])
    return [time_ms, opened, high, low, closed, volume, time_ms + length_ms - 1, quote, 42, "0.5", "0.5", "0"]


def _text(value: float) -> str:
    return f"{Decimal(repr(value)):.8f}"


def _on_step(price: float, step: float) -> float:
    return round(max(1, round(price / step)) * step, 8)
