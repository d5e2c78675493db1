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
from backtestkit_cli.engine.market import CandleWindow, known_candles
from backtestkit_cli.engine.reference.exchange import Exchange
from backtestkit_cli.engine.reference.stream import DecisionRaised
from backtestkit_cli.model.candle import Candle, MarketSteps
from backtestkit_cli.model.rounding import write_price, write_quantity
from backtestkit_cli.model.signal import SignalDraft
from backtestkit_cli.model.time import Interval


@dataclass(frozen=True, slots=True)
class CandleHistory:
    """A source over dense candles of ours; larger ones are built when first asked for."""

    candles: Candles
    _known: dict[Interval, CandleWindow] = field(default_factory=dict)

    def __call__(self, interval: Interval, since_ms: int, limit: int) -> Sequence[Candle]:
        """Answer a request."""
        known = self._known.get(interval)
        if known is None:
            known = self._known[interval] = known_candles(self.candles, interval)
        first = int(known.time.searchsorted(since_ms))
        columns = (known.time, known.open, known.high, known.low, known.close, known.volume)
        return list(map(Candle, *(column[first : first + limit].tolist() for column in columns)))


class ReferenceMarket:
    """One symbol at one instant, with the original's windows. Who asks moves `now` and `price`.

    `short_windows` counts the windows that held fewer candles than were asked for.
    """

    __slots__ = ("_exchange", "_steps", "mode", "now", "price", "short_windows", "symbol")

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
        self.short_windows = 0
        self._exchange = exchange
        self._steps = steps

    def candles(self, interval: str, limit: int) -> CandleWindow:
        """The last `limit` candles of an interval, the one that opens now included.

        Raises:
            ValueError: an unknown interval.
            RequestFailed: a limit of one, or a broken candle.
        """
        rows = self._exchange.candles(self.now, Interval(interval), limit)
        self.short_windows += len(rows) < limit
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
