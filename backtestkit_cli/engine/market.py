"""The market as a strategy sees it at one decision: closed candles, and nothing that closes later.

There is no parameter through which the future can be asked for. Larger candles are built once per interval and run;
a call hands out read-only views.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from backtestkit_cli.engine.candles import Candles, Floats, Ints
from backtestkit_cli.engine.resample import Resampled
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.rounding import write_price, write_quantity
from backtestkit_cli.model.time import Interval


class TooFewCandles(Exception):  # noqa: N818  # no error: it ends a decision as warm-up
    """Raised inside a strategy call that asks for more candles than history has."""


@dataclass(frozen=True, slots=True)
class CandleWindow:
    """Closed candles as read-only columns, oldest first. `time` is the open time in UTC ms."""

    time: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        return len(self.time)


class MarketView:
    """One symbol at one instant. The engine moves `now` and `price`; a strategy only reads.

    `mode` is backtest, paper or live; `price` the VWAP at `now`.
    """

    __slots__ = ("_candles", "_known", "_steps", "mode", "now", "price", "symbol")

    def __init__(
        self, symbol: str, candles: Candles, steps: MarketSteps, mode: Literal["backtest", "paper", "live"] = "backtest"
    ) -> None:
        self.symbol = symbol
        self.mode = mode
        self.now = candles.start_ms
        self.price = float("nan")
        self._candles = candles
        self._steps = steps
        self._known: dict[str, _Known] = {}

    def candles(self, interval: str, limit: int) -> CandleWindow:
        """The last `limit` closed candles of an interval.

        Raises:
            ValueError: an unknown interval, or a limit below one.
            TooFewCandles: history has fewer; the decision ends as `warm_up`.
        """
        known = self._known.get(interval)
        if known is None:
            known = self._known[interval] = _Known.of(self._candles, interval)
        if limit < 1:
            raise ValueError(f"limit is {limit}; ask for at least one candle")
        stop = int(known.close_ms.searchsorted(self.now, side="right"))
        if stop < limit:
            raise TooFewCandles
        part = slice(stop - limit, stop)
        return CandleWindow(*(column[part] for column in known.columns))

    def format_price(self, price: float) -> str:
        """Write a price on the market's price step; in full precision when the step is not known."""
        return write_price(price, self._steps.price)

    def format_quantity(self, quantity: float) -> str:
        """Write a quantity, cut to the market's quantity step; in full precision when the step is not known."""
        return write_quantity(quantity, self._steps.quantity)


@dataclass(frozen=True, slots=True)
class _Known:
    """All candles of an interval that exist, and when each is closed."""

    close_ms: Ints
    columns: tuple[Ints | Floats, ...]

    @classmethod
    def of(cls, candles: Candles, interval: str) -> "_Known":
        if interval not in {one.value for one in Interval if one is not Interval.D3}:
            raise ValueError(f"{interval!r} is no interval of candles")
        larger = Resampled(candles, Interval(interval).minutes)
        open_ms = larger.close_ms - Interval(interval).ms
        columns = (open_ms, larger.open, larger.high, larger.low, larger.close, larger.volume)
        if not larger.is_whole:
            columns = tuple(column[larger.exists] for column in columns)  # type: ignore[assignment]  # six stay six
        for column in columns:
            column.flags.writeable = False
        return cls(columns[0] + Interval(interval).ms, columns)
