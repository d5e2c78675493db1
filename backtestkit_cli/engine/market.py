"""The market as a strategy sees it at one decision: closed candles, and nothing that closes later.

There is no parameter through which the future can be asked for. Larger candles are built once per interval and run;
a call hands out read-only views.
"""

from dataclasses import dataclass
from typing import Literal

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
        self._known: dict[str, CandleWindow] = {}

    def candles(self, interval: str, limit: int) -> CandleWindow:
        """The last `limit` closed candles of an interval.

        Raises:
            ValueError: an unknown interval, or a limit below one.
            TooFewCandles: history has fewer; the decision ends as `warm_up`.
        """
        known = self._known.get(interval)
        if known is None:
            known = self._known[interval] = known_candles(self._candles, interval)
        if limit < 1:
            raise ValueError(f"limit is {limit}; ask for at least one candle")
        closed = int(known.time.searchsorted(self.now - Interval(interval).ms, side="right"))
        if closed < limit:
            raise TooFewCandles
        part = slice(closed - limit, closed)
        return CandleWindow(
            known.time[part], known.open[part], known.high[part], known.low[part], known.close[part], known.volume[part]
        )

    def format_price(self, price: float) -> str:
        """Write a price on the market's price step; in full precision when the step is not known."""
        return write_price(price, self._steps.price)

    def format_quantity(self, quantity: float) -> str:
        """Write a quantity, cut to the market's quantity step; in full precision when the step is not known."""
        return write_quantity(quantity, self._steps.quantity)


def known_candles(candles: Candles, interval: str) -> CandleWindow:
    """All candles of an interval that exist, oldest first.

    Raises:
        ValueError: an unknown interval.
    """
    if interval not in {one.value for one in Interval if one is not Interval.D3}:
        raise ValueError(f"{interval!r} is no interval of candles")
    larger = Resampled(candles, Interval(interval).minutes)
    exists = slice(None) if larger.is_whole else larger.exists
    known = CandleWindow(
        larger.close_ms[exists] - Interval(interval).ms,
        larger.open[exists],
        larger.high[exists],
        larger.low[exists],
        larger.close[exists],
        larger.volume[exists],
    )
    for column in (known.time, known.open, known.high, known.low, known.close, known.volume):
        column.flags.writeable = False
    return known
