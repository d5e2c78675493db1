"""How strategies are compared, or drafted: walkers and optimizers."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from backtestkit_cli.config.fields import (
    Address,
    Broken,
    Callback,
    DistinctEntries,
    Entries,
    Expression,
    FilePath,
    Identifier,
    Metric,
    Name,
    NamedSchema,
    Params,
    PluginReference,
    Schema,
    StrategyInterval,
    Symbol,
    Text,
    time_or_none,
)
from backtestkit_cli.config.market_schema import RangeSchema
from backtestkit_cli.config.problems import missing_key, refusal
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
    """What a language model is shown: candles with indicators, a CSV file, or the rows of a function.

    `user_message` and `assistant_message` are texts of its own in the place of those of `templates`.
    """

    name: Name | None = None
    candles: StrategyInterval | None = None
    indicators: dict[Identifier, Expression] = Field(default_factory=dict)
    csv: FilePath | None = None
    use: PluginReference | None = None
    params: Params = Field(default_factory=dict)
    user_message: Text | None = None
    assistant_message: Text | None = None

    @classmethod
    def broken_rules(cls, given: Mapping[str, Any]) -> Iterator[Broken]:
        """Yield a source that is not exactly one thing, and keys of another one."""
        forms = [key for key in ("candles", "csv", "use") if given.get(key) is not None]
        if len(forms) != 1:
            why = refusal("conflict", "a source is one thing", expected="exactly one of candles, csv and use")
            yield (), dict(given), why
            return
        for key, form in (("indicators", "candles"), ("params", "use")):
            if given.get(key) is not None and forms != [form]:
                yield (key,), given[key], refusal("unused-key", f"{key} has no effect beside {forms[0]}")


class TemplatesSchema(Schema):
    """The texts of a conversation; `{symbol}`, `{name}`, `{rows}`, `{number}` and `{count}` are filled in."""

    system: Text | None = None
    user_message: Text | None = None
    assistant_message: Text | None = None
    task: Text | None = None


class OptimizerSchema(NamedSchema):
    """Drafts of strategies by a language model, tested on candles it has not seen."""

    use: PluginReference
    model: Text
    base_url: Address | None = None
    api_key: Text | None = None
    transcript: FilePath | None = None
    drafts: Annotated[int, Field(ge=1, le=100)] = 1
    exchange: Name
    symbol: Symbol
    metric: Metric = "sharpe_ratio"
    train: Entries[RangeSchema]
    test: RangeSchema
    sources: Entries[SourceSchema]
    hide: DistinctEntries[Text] | None = None
    templates: TemplatesSchema = TemplatesSchema()
    callbacks: OptimizerCallbacks = OptimizerCallbacks()

    @classmethod
    def broken_rules(cls, given: Mapping[str, Any]) -> Iterator[Broken]:
        """Yield training ranges that overlap the test, and what a provider lacks or has no use for."""
        test, train = _bounds(given.get("test")), given.get("train")
        for index, one in enumerate(train if isinstance(train, list) else []):
            bounds = _bounds(one)
            if test and bounds and bounds[0] < test[1] and test[0] < bounds[1]:
                why = refusal("conflict", "this range overlaps the test", expected="ranges without common time")
                yield ("train", index), one, why
        use = given.get("use")
        needed = {"openai": "base_url", "replay": "transcript"}.get(use) if isinstance(use, str) else None
        if needed and given.get(needed) is None:
            yield (needed,), dict(given), missing_key(needed)
        unused = ("base_url", "api_key") if use == "replay" else ("transcript",) if use in ("ollama", "openai") else ()
        for key in unused:
            if given.get(key) is not None:
                yield (key,), given[key], refusal("unused-key", f"{key} has no effect with {use}", hint="remove it")


def _bounds(given: Any) -> tuple[int, int] | None:
    if not isinstance(given, Mapping):
        return None
    start, end = time_or_none(given.get("start")), time_or_none(given.get("end"))
    return None if start is None or end is None else (start, end)
