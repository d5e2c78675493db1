"""Our candles and strategies, as the original would have met them.

* Larger candles are whole when a request is answered, so that one that opened just now shows its future.
* A strategy's market hands out windows of that kind. Fewer candles than asked for are no error.
* A decider of ours answers as always; what it could not answer ends the decision.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.decide import Decider, Failed, NoDraft
from backtestkit_cli.engine.market import CandleWindow
from backtestkit_cli.engine.reference.exchange import CandleList, Exchange
from backtestkit_cli.engine.reference.stream import DecisionRaised
from backtestkit_cli.engine.resample import Resampled
from backtestkit_cli.model.candle import Candle, MarketSteps
from backtestkit_cli.model.rounding import write_price, write_quantity
from backtestkit_cli.model.signal import SignalDraft
from backtestkit_cli.model.time import Interval


@dataclass(frozen=True, slots=True)
class CandleHistory:
    """A source over dense candles of ours; larger ones are built when first asked for."""

    candles: Candles
    _known: dict[Interval, CandleList] = field(default_factory=dict)

    def __call__(self, interval: Interval, since_ms: int, limit: int) -> Sequence[Candle]:
        """Answer a request."""
        known = self._known.get(interval)
        if known is None:
            known = self._known[interval] = CandleList.of(_rows(self.candles, interval))
        return known(interval, since_ms, limit)


class ReferenceMarket:
    """One symbol at one instant, with the original's windows. Who asks moves `now` and `price`."""

    __slots__ = ("_exchange", "_steps", "mode", "now", "price", "symbol")

    def __init__(
        self,
        symbol: str,
        exchange: Exchange,
        steps: MarketSteps,
        mode: Literal["backtest", "paper", "live"] = "backtest",
    ) -> None:
        self.symbol = symbol
        self.mode = mode
        self.now = 0
        self.price = float("nan")
        self._exchange = exchange
        self._steps = steps

    def candles(self, interval: str, limit: int) -> CandleWindow:
        """The last `limit` candles of an interval, the one that opens now included.

        Raises:
            ValueError: an unknown interval.
            RequestFailed: a limit of one, or a broken candle.
        """
        rows = self._exchange.candles(self.now, Interval(interval), limit)
        time, *columns = zip(*rows, strict=True) if rows else [()] * 6
        return CandleWindow(np.array(time, dtype=np.int64), *(np.array(column, dtype=np.float64) for column in columns))

    def format_price(self, price: float) -> str:
        """Write a price on the market's price step; in full precision when the step is not known."""
        return write_price(price, self._steps.price)

    def format_quantity(self, quantity: float) -> str:
        """Write a quantity, cut to the market's quantity step; in full precision when the step is not known."""
        return write_quantity(quantity, self._steps.quantity)


@dataclass(frozen=True, slots=True)
class OurDecider:
    """Asks a decider of ours: one that calls a function, or one that replays rows."""

    decider: Decider

    def __call__(self, when_ms: int, price: float) -> SignalDraft | None:
        """Its draft at a time.

        Raises:
            DecisionRaised: the call failed, or a distance could not be used.
        """
        answer = self.decider.decide(when_ms, price)
        match answer:
            case SignalDraft():
                return answer
            case NoDraft():
                return None
            case Failed():
                raise DecisionRaised(answer.what)
            case _:
                raise DecisionRaised(", ".join(answer.rules))


def _rows(candles: Candles, interval: Interval) -> list[Candle]:
    """All candles of an interval that exist, oldest first."""
    if interval is Interval.M1:
        times = candles.start_ms + interval.ms * np.arange(len(candles), dtype=np.int64)
        there = candles.present
        columns = [candles.open, candles.high, candles.low, candles.close, candles.volume]
    else:
        larger = Resampled(candles, interval.minutes)
        times = larger.close_ms - interval.ms
        there = None if larger.is_whole else larger.exists
        columns = [larger.open, larger.high, larger.low, larger.close, larger.volume]
    lists = [(column if there is None else column[there]).tolist() for column in (times, *columns)]
    return [Candle(*row) for row in zip(*lists, strict=True)]
