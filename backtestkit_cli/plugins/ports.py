"""The ports: what a plugin of each kind must offer. As narrow as possible."""

from typing import TYPE_CHECKING, Protocol

from backtestkit_cli.model.candle import MarketSteps

if TYPE_CHECKING:
    import polars as pl


class CandleSource(Protocol):
    """Where 1m candles of an exchange come from."""

    def candles(self, symbol: str, start_ms: int, end_ms: int) -> "pl.DataFrame":
        """Closed 1m candles that open in `[start_ms, end_ms)`, oldest first.

        Columns: time (Int64, open time in UTC ms), open, high, low, close, volume (Float64).
        An answer without rows means that there are no candles in that window.
        """
        ...

    def steps(self, symbol: str) -> MarketSteps:
        """Price and quantity steps of the market."""
        ...
