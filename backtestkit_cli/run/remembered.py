"""Candles that are loaded once for many runs over the same windows, and other markets that are drawn from them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from backtestkit_cli.data.border import Anomaly
from backtestkit_cli.data.load import Gap, LocalSource, load_candles
from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.measure.drawn_market import drawn_market


@dataclass(slots=True)
class Remembered:
    """Stands in the place of `load_candles`, and loads nothing twice."""

    known: dict[tuple[str, int, int], Candles] = field(default_factory=dict)

    def __call__(
        self, source: LocalSource, symbol: str, start_ms: int, end_ms: int, gap: Gap, anomaly: Anomaly
    ) -> Candles:
        """Give the candles of a window.

        Raises:
            DataError: there are none, or they are refused.
        """
        key = symbol, start_ms, end_ms
        if key not in self.known:
            self.known[key] = load_candles(source, symbol, start_ms, end_ms, gap, anomaly)
        return self.known[key]

    def of(self, symbol: str) -> Candles:
        """The longest candles of a symbol that were asked for."""
        return min((one for key, one in self.known.items() if key[0] == symbol), key=lambda one: one.start_ms)

    def market(self, *seed: int) -> Callable[..., Candles]:
        """The same with markets that are drawn from the candles."""

        @cache
        def drawn(key: tuple[str, int, int]) -> Candles:
            return drawn_market(self.known[key], seed)

        return lambda _source, symbol, start_ms, end_ms, *_: drawn((symbol, start_ms, end_ms))
