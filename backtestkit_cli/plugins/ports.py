"""The ports: what a plugin of each kind must offer. As narrow as possible.

A strategy in Python has one of two forms, both usable in backtest and live without change; its first parameter tells
which: `market` for one call per decision, `candles` for one call per frame. What follows the first parameter are its
params.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.message import Message
from backtestkit_cli.model.order import Answer, Order
from backtestkit_cli.model.signal import SignalDraft

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import polars as pl

PluginKind: TypeAlias = Literal[
    "strategy", "exchange", "risk_check", "sizing", "store", "notifier", "broker", "source", "provider", "callback"
]
Mode: TypeAlias = Literal["backtest", "paper", "live"]
StrategyForm: TypeAlias = Literal["decision", "vector"]


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


class StateStore(Protocol):
    """Where live state is kept: bodies of plain JSON values by kind and key."""

    def keys(self, kind: str) -> tuple[str, ...]:
        """The keys of all records of a kind, in order."""
        ...

    def load(self, kind: str, key: str) -> dict[str, Any] | None:
        """The body of a record; None where there never was one."""
        ...

    def save(self, kind: str, key: str, body: Mapping[str, Any]) -> None:
        """Keep a body; once this returns it survives a power cut, before it is the old one or the new one."""
        ...


class Broker(Protocol):
    """Who carries out orders, all of them by their client id. No method raises: what went wrong is an answer.

    Opening, closing and closing in part are orders to buy or to sell some quantity. An answer that is not known is
    `Unanswered`; a broker sends nothing a second time by itself.
    """

    def place(self, order: Order) -> Answer:
        """Send an order, once, its quantity and prices brought to the market's steps."""
        ...

    def query(self, order: Order) -> Answer:
        """What became of an order: a `Report`, or `NotThere`."""
        ...

    def cancel(self, order: Order) -> Answer:
        """Ask for the end of an order; what it traded is asked afterwards."""
        ...


class Provider(Protocol):
    """Who answers for a language model."""

    def complete(self, messages: Sequence[Message], schema: Mapping[str, Any]) -> str:
        """What the model answers, asked for JSON of a schema; nobody promises that it is that.

        Raises an error of the family when there is no answer: `TransientError` where another try may help.
        """
        ...


@runtime_checkable
class ShowsTime(Protocol):
    """A candle source that knows what time it is at the exchange."""

    @property
    def ahead_ms(self) -> int | None:
        """How far the clock here was ahead of the exchange's at its last answer, behind below zero; None unknown."""
        ...


class CandleWindow(Protocol):
    """Closed candles as read-only columns of one length, oldest first.

    `time` is the open time in UTC ms, prices are in quote currency, volume in base currency.
    """

    @property
    def time(self) -> "npt.NDArray[np.int64]": ...
    @property
    def open(self) -> "npt.NDArray[np.float64]": ...
    @property
    def high(self) -> "npt.NDArray[np.float64]": ...
    @property
    def low(self) -> "npt.NDArray[np.float64]": ...
    @property
    def close(self) -> "npt.NDArray[np.float64]": ...
    @property
    def volume(self) -> "npt.NDArray[np.float64]": ...
    def __len__(self) -> int: ...


class Market(Protocol):
    """What a strategy sees at one decision: one symbol, one instant, nothing that closes later."""

    @property
    def symbol(self) -> str: ...

    @property
    def now(self) -> int:
        """The decision time in UTC ms."""
        ...

    @property
    def mode(self) -> Mode: ...

    @property
    def price(self) -> float:
        """The VWAP price at `now`."""
        ...

    def candles(self, interval: str, limit: int) -> CandleWindow:
        """The last `limit` candles of that interval that have closed by `now`.

        With fewer than `limit` since the start of history the decision ends here, counted `warm_up`.
        """
        ...

    def format_price(self, price: float) -> str:
        """Write a price as the exchange wants it."""
        ...

    def format_quantity(self, quantity: float) -> str:
        """Write a quantity as the exchange wants it."""
        ...


class DecisionStrategy(Protocol):
    """A strategy of the form per decision, its params bound."""

    def __call__(self, market: Market, /) -> SignalDraft | Mapping[str, object] | None: ...


class VectorStrategy(Protocol):
    """A vectorised strategy, its params bound.

    Given: one row per closed candle, columns time (Int64, its close in UTC ms), open, high, low, close, volume, vwap
    and price (Float64, null without a fresh one).
    Returned: the columns `plugins.answers.frame_from` checks.
    """

    def __call__(self, candles: "pl.LazyFrame", /) -> "pl.LazyFrame | pl.DataFrame": ...
