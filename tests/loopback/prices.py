"""Where the price is: candles read as a price now and as moves of it.

Rules: the price now is the open of the forming candle, as klines show it. A minute is two moves: at its first
millisecond to its open, and by its last over all of its range.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from loopback.market import MINUTE_MS, Candles
from loopback.order import Move, RefusedError

_DAY_MINUTES = 1440


@dataclass(frozen=True, slots=True)
class Prices:
    """Exact prices of all markets."""

    candles: Candles

    def at(self, symbol: str, time_ms: int) -> Decimal:
        """The price at a time; in a minute without a candle the last close of a day.

        Raises:
            RefusedError: no candle for a day.
        """
        minute_ms = time_ms // MINUTE_MS * MINUTE_MS
        for back in range(_DAY_MINUTES):
            row = self.candles.minute(symbol, minute_ms - back * MINUTE_MS)
            if row is not None:
                return _exact(row[4 if back else 1])
        raise RefusedError(-1013, "Market is closed.")

    def moves(self, symbol: str, minute_ms: int) -> Iterator[Move]:
        """What the price does in a minute."""
        row = self.candles.minute(symbol, minute_ms)
        if row is not None:
            yield Move(minute_ms, _exact(row[1]), _exact(row[1]))
            yield Move(minute_ms + MINUTE_MS - 1, _exact(row[3]), _exact(row[2]))


def _exact(price: float) -> Decimal:
    return Decimal(repr(price))
