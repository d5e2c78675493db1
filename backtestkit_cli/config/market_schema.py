"""Where candles come from, and which of them a backtest walks: exchanges and frames."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from backtestkit_cli.config.fields import (
    Address,
    AnyInterval,
    Broken,
    Callback,
    FilePath,
    Name,
    NamedSchema,
    Params,
    PluginReference,
    Positive,
    Schema,
    StartTime,
    Symbol,
    Text,
    Time,
    WholeNumber,
    time_or_none,
)
from backtestkit_cli.config.problems import refusal
from backtestkit_cli.model.time import Interval, iso


class ExchangeCallbacks(Schema):
    """Functions told of candles."""

    on_candle_data: Callback = None


class ExchangeSchema(NamedSchema):
    """Where candles come from."""

    use: PluginReference
    callbacks: ExchangeCallbacks = ExchangeCallbacks()
    market: Literal["spot"] | None = None


class SampleExchange(ExchangeSchema):
    """The deterministic market without network."""

    seed: WholeNumber = 7


class StepsSchema(Schema):
    """The smallest price and quantity steps of a market."""

    price: Positive | None = None
    quantity: Positive | None = None


def _with_symbol(path: Any) -> Any:
    if isinstance(path, str) and path.replace("{symbol}", "").count("{") + ("{symbol}" not in path):
        raise refusal("bad-value", "the path does not say where the symbol stands", expected="data/{symbol}_1m.parquet")
    return path


class FilesExchange(ExchangeSchema):
    """Candles of parquet or CSV files, one for each symbol."""

    path: Annotated[FilePath, BeforeValidator(_with_symbol)]
    steps: dict[Symbol, StepsSchema] = Field(default_factory=dict)


class CcxtExchange(ExchangeSchema):
    """A real exchange."""

    id: Name
    api_key: Text | None = None
    secret: Text | None = None
    base_url: Address | None = None


class PluginExchange(ExchangeSchema):
    """An exchange of a plugin."""

    params: Params = Field(default_factory=dict)


class FrameCallbacks(Schema):
    """Functions told of the times of a frame."""

    on_timeframe: Callback = None


def _end_after_start(given: Mapping[str, Any]) -> Iterator[Broken]:
    start, end = (time_or_none(given.get(key)) for key in ("start", "end"))
    if start is not None and end is not None and end <= start:
        why = refusal("conflict", "the end is not after the start", expected=f"a time after {iso(start)}")
        yield ("end",), given["end"], why


class RangeSchema(Schema):
    """A half-open range of time, `[start, end)`."""

    start: StartTime
    end: Time

    @classmethod
    def broken_rules(cls, given: Mapping[str, Any]) -> Iterator[Broken]:
        """Yield an end that is not after the start."""
        return _end_after_start(given)


class FrameSchema(NamedSchema):
    """The period and step a backtest walks, `[start, end)`."""

    start: StartTime
    end: Time
    interval: AnyInterval = Interval.M1
    callbacks: FrameCallbacks = FrameCallbacks()

    @classmethod
    def broken_rules(cls, given: Mapping[str, Any]) -> Iterator[Broken]:
        """Yield an end that is not after the start."""
        return _end_after_start(given)
