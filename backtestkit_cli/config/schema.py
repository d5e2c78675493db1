"""The seven kinds of schema a config defines: exchange, frame, sizing, risk, strategy, walker, optimizer.

Rules: every entry has a name and may have a note and callbacks. The model of an exchange is chosen by its `use`,
that of a sizing by its `method`; a strategy has exactly one of `rules`, `use` and `signals`. A key with the value
null counts as not given. Rule expressions are only texts here.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Field

from backtestkit_cli.config.fields import (
    Address,
    AnyInterval,
    Broken,
    Count,
    DistinctEntries,
    Duration,
    Entries,
    Expression,
    FilePath,
    FunctionReference,
    Identifier,
    Metric,
    Name,
    Params,
    ParamValue,
    PluginReference,
    Positive,
    Schema,
    StartTime,
    StrategyInterval,
    Symbol,
    Text,
    Time,
    WarmUp,
    WholeNumber,
    expression_text,
    text_or,
    time_or_none,
)
from backtestkit_cli.config.problems import did_you_mean, key_meant, missing_key, refusal, unknown_key
from backtestkit_cli.config.settings import Settings
from backtestkit_cli.model.time import Interval, iso, minutes_of

Callback: TypeAlias = FunctionReference | None


class NamedSchema(Schema):
    """What every kind has."""

    name: Name
    note: Text | None = None


class ExchangeCallbacks(Schema):
    """Functions told of candles."""

    on_candle_data: Callback = None


class ExchangeSchema(NamedSchema):
    """Where candles come from."""

    use: PluginReference
    callbacks: ExchangeCallbacks = ExchangeCallbacks()
    market: Literal["spot"] = "spot"


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


class SizingCallbacks(Schema):
    """Functions told of quantities."""

    on_calculate: Callback = None


class SizingSchema(NamedSchema):
    """How much to trade."""

    method: str
    callbacks: SizingCallbacks = SizingCallbacks()
    min_quantity: Positive | None = None
    max_quantity: Positive | None = None
    max_position_percentage: Positive | None = None

    @classmethod
    def broken_rules(cls, given: Mapping[str, Any]) -> Iterator[Broken]:
        """Yield quantity limits that exclude each other."""
        least, most = given.get("min_quantity"), given.get("max_quantity")
        if isinstance(least, int | float) and isinstance(most, int | float) and least > most:
            why = refusal("conflict", "min_quantity is above max_quantity", expected=f"at most {most:g}")
            yield ("min_quantity",), least, why


class FixedPercentageSizing(SizingSchema):
    """Risk a share of the balance on the distance to the stop."""

    method: Literal["fixed-percentage"]
    risk_percentage: Positive


class AtrBasedSizing(SizingSchema):
    """Risk a share of the balance on a multiple of the average true range."""

    method: Literal["atr-based"]
    risk_percentage: Positive
    atr_multiplier: Positive = 2.0
    atr: Expression = "atr(14)"


class KellySizing(SizingSchema):
    """Size by the Kelly criterion, from given odds or from the last closed trades."""

    method: Literal["kelly-criterion"]
    kelly_multiplier: Positive = 0.25
    win_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    win_loss_ratio: Positive | None = None
    from_trades: Count | None = None

    @classmethod
    def broken_rules(cls, given: Mapping[str, Any]) -> Iterator[Broken]:
        """Yield odds that are given twice, half, or not at all."""
        yield from super().broken_rules(given)
        odds = [key for key in ("win_rate", "win_loss_ratio") if given.get(key) is not None]
        expected = "either win_rate and win_loss_ratio, or from_trades"
        if given.get("from_trades") is not None and odds:
            yield (odds[0],), given[odds[0]], refusal("conflict", "the odds are given twice", expected=expected)
        elif given.get("from_trades") is None and len(odds) < 2:
            yield (), dict(given), refusal("missing-odds", "the odds are missing", expected=expected)


class PluginSizing(SizingSchema):
    """Size by a function of the user."""

    method: FunctionReference
    params: Params = Field(default_factory=dict)


class AllowSchema(Schema):
    """A risk check written as an expression."""

    allow: Expression
    note: Text | None = None


def _check_reference(value: Any) -> str:
    text = expression_text(value)
    if ":" not in text:
        expected = 'path.py:name, or {allow: "reward_risk >= 1.5", note: …}'
        raise refusal("bad-reference", "this names no check", expected=expected)
    return text


Check = Annotated[
    FunctionReference | AllowSchema,
    BeforeValidator(text_or(AllowSchema, "path.py:name, or {allow: …, note: …}", _check_reference)),
]


class RiskCallbacks(Schema):
    """Functions told of decisions of a risk profile."""

    on_rejected: Callback = None
    on_allowed: Callback = None


class RiskSchema(NamedSchema):
    """Limits that positions share."""

    BALANCE_KEYS: ClassVar = ("max_exposure_percent", "max_daily_loss_percent", "max_drawdown_percent")

    callbacks: RiskCallbacks = RiskCallbacks()
    max_positions: Count | None = None
    max_per_symbol: Count | None = None
    max_per_strategy: Count | None = None
    max_long: WholeNumber | None = None
    max_short: WholeNumber | None = None
    max_exposure_percent: Positive | None = None
    max_daily_loss_percent: Positive | None = None
    max_drawdown_percent: Positive | None = None
    min_reward_risk: Positive | None = None
    checks: Entries[Check] | None = None

    @property
    def needs_balance(self) -> tuple[str, ...]:
        """The given limits that are a share of equity."""
        return tuple(key for key in self.BALANCE_KEYS if getattr(self, key) is not None)


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
    warm_up: WarmUp | None = None
    risk: Annotated[DistinctEntries[Name], BeforeValidator(_one_or_more)] | None = None
    sizing: Name | None = None
    model: Text | None = None
    text: Text | None = None
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
            "rules": ("warm_up", "model", "text"),
            "use": ("model", "text"),
            "signals": ("candles", "params", "warm_up", "model", "text"),
            "llm": (),
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
    vary: dict[Name, dict[Identifier, DistinctEntries[ParamValue]]] = Field(default_factory=dict)
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


EXCHANGES: dict[str, type[ExchangeSchema]] = {"sample": SampleExchange, "files": FilesExchange, "ccxt": CcxtExchange}
SIZINGS: dict[str, type[SizingSchema]] = {
    "fixed-percentage": FixedPercentageSizing,
    "atr-based": AtrBasedSizing,
    "kelly-criterion": KellySizing,
}


class UndecidedSchema(NamedSchema):
    """An entry whose choosing key is missing or wrong: only that is reported, since its other keys depend on it."""

    model_config = ConfigDict(extra="allow")

    CHOOSER: ClassVar[str]
    CHOICES: ClassVar[tuple[str, ...]]

    @classmethod
    def broken_rules(cls, given: Mapping[str, Any]) -> Iterator[Broken]:
        """Yield the choosing key: missing, misspelt or with an unknown value."""
        value, expected = given.get(cls.CHOOSER), ", ".join(cls.CHOICES) + " or path.py:name"
        if cls.CHOOSER in given:
            hint = did_you_mean(value, cls.CHOICES) if isinstance(value, str) else None
            yield (cls.CHOOSER,), value, refusal("bad-choice", "no such choice", expected=expected, hint=hint)
            return
        known = ["name", cls.CHOOSER, "note", "callbacks"]
        misspelt = [key for key in given if key not in known and key_meant(str(key), known, given) == cls.CHOOSER]
        for key in misspelt:
            yield (key,), given[key], unknown_key(str(key), known, given)
        if not misspelt:
            yield (cls.CHOOSER,), dict(given), missing_key(cls.CHOOSER)


class UndecidedExchange(UndecidedSchema):
    """An exchange without a usable `use`."""

    CHOOSER = "use"
    CHOICES = tuple(EXCHANGES)


class UndecidedSizing(UndecidedSchema):
    """A sizing without a usable `method`."""

    CHOOSER = "method"
    CHOICES = tuple(SIZINGS)


KINDS: dict[str, type[NamedSchema]] = {
    "exchanges": ExchangeSchema,
    "frames": FrameSchema,
    "sizings": SizingSchema,
    "risks": RiskSchema,
    "strategies": StrategySchema,
    "walkers": WalkerSchema,
    "optimizers": OptimizerSchema,
}
SECTIONS = ("settings", *KINDS)


def model_of(kind: str, given: Any) -> type[NamedSchema]:
    """Choose the model of an entry: exchanges by `use`, sizings by `method`."""
    if kind not in ("exchanges", "sizings") or not isinstance(given, Mapping):
        return KINDS[kind]
    if kind == "exchanges":
        use = given.get("use")
        return EXCHANGES.get(use, PluginExchange) if isinstance(use, str) else UndecidedExchange
    method = given.get("method")
    if isinstance(method, str) and ":" in method:
        return PluginSizing
    return SIZINGS.get(method, UndecidedSizing) if isinstance(method, str) else UndecidedSizing


__all__ = ["KINDS", "SECTIONS", "Settings", "model_of"]
