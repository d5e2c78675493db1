"""How strategies are compared, or drafted: walkers and optimizers."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from backtestkit_cli.config.fields import (
    AnyInterval,
    Broken,
    Callback,
    Count,
    DistinctEntries,
    Entries,
    FilePath,
    Identifier,
    Metric,
    Name,
    NamedSchema,
    PluginReference,
    Schema,
    Symbol,
    Text,
    time_or_none,
)
from backtestkit_cli.config.market_schema import RangeSchema
from backtestkit_cli.config.problems import refusal
from backtestkit_cli.config.varied import Varied


class WalkerCallbacks(Schema):
    """Functions told of the progress of a comparison."""

    on_strategy_start: Callback = None
    on_strategy_complete: Callback = None
    on_strategy_error: Callback = None
    on_complete: Callback = None


class WalkerSchema(NamedSchema):
    """A ranked comparison of strategies on the same candles."""

    exchange: Name
    frame: Name
    strategies: DistinctEntries[Name]
    metric: Metric = "sharpe_ratio"
    vary: dict[Name, dict[Identifier, Varied]] = Field(default_factory=dict)
    callbacks: WalkerCallbacks = WalkerCallbacks()


class OptimizerCallbacks(Schema):
    """Functions told of the progress of a search."""

    on_source_data: Callback = None
    on_data: Callback = None
    on_code: Callback = None
    on_dump: Callback = None


class SourceSchema(Schema):
    """What a language model is shown: candles, a CSV file or the answer of a function."""

    candles: AnyInterval | None = None
    csv: FilePath | None = None
    use: PluginReference | None = None

    @classmethod
    def broken_rules(cls, given: Mapping[str, Any]) -> Iterator[Broken]:
        """Yield a source that is not exactly one thing."""
        if len([key for key in cls.model_fields if given.get(key) is not None]) != 1:
            why = refusal("conflict", "a source is one thing", expected="exactly one of candles, csv and use")
            yield (), dict(given), why


class OptimizerSchema(NamedSchema):
    """Drafts of strategies by a language model, tested on candles it has not seen."""

    use: PluginReference
    model: Text
    drafts: Count = 1
    exchange: Name
    symbol: Symbol
    metric: Metric = "sharpe_ratio"
    train: Entries[RangeSchema]
    test: RangeSchema
    sources: Entries[SourceSchema]
    callbacks: OptimizerCallbacks = OptimizerCallbacks()

    @classmethod
    def broken_rules(cls, given: Mapping[str, Any]) -> Iterator[Broken]:
        """Yield training ranges that overlap the test."""
        test, train = _bounds(given.get("test")), given.get("train")
        for index, one in enumerate(train if isinstance(train, list) else []):
            bounds = _bounds(one)
            if test and bounds and bounds[0] < test[1] and test[0] < bounds[1]:
                why = refusal("conflict", "this range overlaps the test", expected="ranges without common time")
                yield ("train", index), one, why


def _bounds(given: Any) -> tuple[int, int] | None:
    if not isinstance(given, Mapping):
        return None
    start, end = time_or_none(given.get("start")), time_or_none(given.get("end"))
    return None if start is None or end is None else (start, end)
