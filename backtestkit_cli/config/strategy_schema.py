"""How a strategy decides: by exactly one of rules, a function or a file of signals; expressions are only texts here."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from backtestkit_cli.config.fields import (
    Address,
    Broken,
    Callback,
    DistinctEntries,
    Duration,
    Expression,
    FilePath,
    Identifier,
    Name,
    NamedSchema,
    Params,
    PluginReference,
    Schema,
    StrategyInterval,
    Text,
    WarmUp,
    expression_text,
    text_or,
)
from backtestkit_cli.config.problems import missing_key, refusal
from backtestkit_cli.config.varied import Varied
from backtestkit_cli.model.time import Interval, minutes_of


class SidesSchema(Schema):
    """Absolute prices, one expression for each side."""

    long: Expression | None = None
    short: Expression | None = None


Level = Annotated[
    str | SidesSchema,
    BeforeValidator(
        text_or(SidesSchema, 'a distance such as 2 * atr(14) or "1%", or {long: …, short: …}', expression_text)
    ),
]


class LimitEntrySchema(Schema):
    """An entry that waits for a better price."""

    limit: Level
    wait: Duration | None = None

    @property
    def wait_minutes(self) -> int | None:
        """How long the entry waits; None means `limits.schedule_await_minutes`."""
        return None if self.wait is None else minutes_of(self.wait)


def _market(value: Any) -> Any:
    if value != "market":
        raise refusal("bad-choice", "no such entry", expected="market, or {limit: …, wait: …}")
    return value


Entry = Annotated[
    Literal["market"] | LimitEntrySchema,
    BeforeValidator(text_or(LimitEntrySchema, "market, or {limit: …, wait: …}", _market)),
]


class RulesSchema(Schema):
    """A strategy in the rule language; the expressions are compiled later."""

    candles: StrategyInterval | None = None
    let: dict[Identifier, Expression] = Field(default_factory=dict)
    long: Expression | None = None
    short: Expression | None = None
    entry: Entry = "market"
    take_profit: Level
    stop_loss: Level
    lifetime: Duration
    note: Text | None = None

    @classmethod
    def broken_rules(cls, given: Mapping[str, Any]) -> Iterator[Broken]:
        """Yield rules that never open, and levels without a price for a side that does."""
        sides = [side for side in ("long", "short") if given.get(side) is not None]
        if not sides:
            expected = 'one or both, such as long: "close > open"'
            yield (), dict(given), refusal("missing-side", "neither long nor short is given", expected=expected)
        entry = given.get("entry")
        levels = {(key,): given.get(key) for key in ("take_profit", "stop_loss")}
        levels[("entry", "limit")] = entry.get("limit") if isinstance(entry, Mapping) else None  # type: ignore[index]
        for keys, level in levels.items():
            for side in sides:
                if isinstance(level, Mapping) and level.get(side) is None:
                    yield (*keys, side), dict(level), missing_key(side)

    @property
    def lifetime_minutes(self) -> int:
        """How long a position lives at most."""
        return minutes_of(self.lifetime)


class StrategyCallbacks(Schema):
    """Functions told of what becomes of signals."""

    on_tick: Callback = None
    on_open: Callback = None
    on_active: Callback = None
    on_idle: Callback = None
    on_close: Callback = None
    on_schedule: Callback = None
    on_cancel: Callback = None
    on_write: Callback = None
    on_partial_profit: Callback = None
    on_partial_loss: Callback = None


OF_A_MODEL = ("model", "text", "provider", "base_url", "api_key", "answers")
"""The keys that only a strategy with `use: llm` has."""


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class StrategySchema(NamedSchema):
    """A strategy: YAML rules, a function, a file of signals, or a language model."""

    interval: StrategyInterval
    rules: RulesSchema | None = None
    use: PluginReference | None = None
    signals: FilePath | None = None
    candles: StrategyInterval | None = None
    params: Params = Field(default_factory=dict)
    search: dict[Identifier, Varied] = Field(default_factory=dict)
    warm_up: WarmUp | None = None
    risk: Annotated[DistinctEntries[Name], BeforeValidator(_one_or_more)] | None = None
    sizing: Name | None = None
    model: Text | None = None
    text: Text | None = None
    provider: PluginReference | None = None
    base_url: Address | None = None
    api_key: Text | None = None
    answers: FilePath | None = None
    callbacks: StrategyCallbacks = StrategyCallbacks()

    @classmethod
    def broken_rules(cls, given: Mapping[str, Any]) -> Iterator[Broken]:
        """Yield a strategy without or with several forms, and keys its form has no use for."""
        forms = [key for key in ("rules", "use", "signals") if given.get(key) is not None]
        if len(forms) != 1:
            what = f"{' and '.join(forms)} are both given" if forms else "none of rules, use and signals is given"
            keys = (forms[-1],) if forms else ()
            yield keys, None, refusal("conflict", what, expected="exactly one of rules, use and signals")
            return
        form = "llm" if given.get("use") == "llm" else forms[0]
        for key in cls._unused_keys(form):
            if given.get(key) is not None:
                yield (key,), given[key], refusal("unused-key", f"{key} has no effect beside {form}", hint="remove it")
        if form == "llm":
            for key in ("model", "text"):
                if given.get(key) is None:
                    yield (key,), dict(given), missing_key(key)
        rules = given.get("rules")
        if "candles" in given and isinstance(rules, Mapping) and "candles" in rules:
            why = refusal("conflict", "candles is given here and inside rules", expected="one of the two")
            yield ("candles",), given["candles"], why

    @staticmethod
    def _unused_keys(form: str) -> tuple[str, ...]:
        return {
            "rules": ("warm_up", *OF_A_MODEL),
            "use": OF_A_MODEL,
            "signals": ("candles", "params", "search", "warm_up", *OF_A_MODEL),
            "llm": ("candles", "params", "search", "warm_up"),
        }[form]

    @property
    def candles_interval(self) -> Interval:
        """The interval of the rows a strategy computes."""
        inside = self.rules.candles if self.rules else None
        return inside or self.candles or self.interval

    @property
    def warm_up_minutes(self) -> int:
        """The history a strategy asks for before its first decision."""
        return 0 if self.warm_up is None else minutes_of(self.warm_up)

    @property
    def risk_names(self) -> tuple[str, ...]:
        """The risk profiles, in the order they are asked."""
        return self.risk or ()
