"""The settings of a project: defaults, costs, fills, limits, and where state and messages go.

Rules between limits hold together with the ones of each key: a take profit must be able to pay the costs of a round
trip, the smallest stop is below the largest, and a default wait is a legal one.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from backtestkit_cli.config.fields import (
    Broken,
    Count,
    DistinctEntries,
    Entries,
    FilePath,
    Metric,
    Name,
    NotNegative,
    NumberFormat,
    Params,
    PeopleAddress,
    PluginReference,
    Port,
    Positive,
    Schema,
    Symbol,
    Text,
    WholeNumber,
    as_tuple,
    choices,
    raw_number,
    text_or,
)
from backtestkit_cli.config.problems import did_you_mean, missing_key, refusal
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import (
    PRESETS,
    BetterEntry,
    Costs,
    MarketBooks,
    Order,
    Policy,
    ReferencePolicy,
    StopAt,
    Test,
    policy_from,
)

FillName = Literal["honest", "touch", "vwap", "reference"]
EventName = Literal[
    "idle",
    "scheduled",
    "opened",
    "active",
    "closed",
    "cancelled",
    "partial_profit",
    "partial_loss",
    "risk",
    "rejected",
    "error",
    "stopped",
]

SERVERS = ("redis", "postgres", "mongo")


def _unused(given: Mapping[str, Any], keys: tuple[str, ...], use: Any) -> Iterator[Broken]:
    for key in keys:
        if given.get(key) is not None:
            yield (key,), given[key], refusal("unused-key", f"{key} has no effect with {use}", hint="remove it")


class DefaultsSchema(Schema):
    """What a command takes when it is not told."""

    symbols: DistinctEntries[Symbol] | None = None
    exchange: Name | None = None
    frame: Name | None = None


class CostsSchema(Schema):
    """Fee and slippage in percent, per side."""

    fee_percent: NotNegative = 0.1
    slippage_percent: NotNegative = 0.1


class FillSchema(Schema):
    """A fill policy by its keys; keys not given are those of `base`."""

    base: Literal["honest", "touch"] = "honest"
    market_books: MarketBooks | None = None
    exit: Test | None = None
    entry: Test | None = None
    order: Order | None = None
    stop_at: StopAt | None = None
    better_entry: BetterEntry | None = None


class LimitsSchema(Schema):
    """Limits of drafts, prices and candle requests."""

    average_price_candles: Count = 5
    schedule_await_minutes: Count = 120
    max_wait_minutes: Count = 1440
    min_take_profit_percent: Positive = 0.5
    min_stop_loss_percent: Positive = 0.5
    max_stop_loss_percent: Positive = 20.0
    max_lifetime_minutes: Count = 1440
    signal_seconds: Count = 180
    candle_retries: WholeNumber = 3
    candle_retry_delay_ms: WholeNumber = 5000
    anomaly_factor: Count = 1000
    anomaly_median_candles: Count = 5

    @classmethod
    def broken_rules(cls, given: Mapping[str, Any]) -> Iterator[Broken]:
        """Yield stop limits that exclude each other, and a default wait that is too long."""
        least, most = raw_number(cls, given, "min_stop_loss_percent"), raw_number(cls, given, "max_stop_loss_percent")
        if least is not None and most is not None and least >= most:
            what = "min_stop_loss_percent must be below max_stop_loss_percent"
            why = refusal("conflict", what, expected=f"below {most:g}")
            yield ("min_stop_loss_percent",), least, why
        wait, longest = raw_number(cls, given, "schedule_await_minutes"), raw_number(cls, given, "max_wait_minutes")
        if wait is not None and longest is not None and wait > longest:
            what = "schedule_await_minutes is longer than max_wait_minutes"
            yield ("schedule_await_minutes",), wait, refusal("conflict", what, expected=f"at most {longest:g}")


class StateSchema(Schema):
    """Where live state is kept."""

    use: PluginReference = "files"
    path: FilePath = "state"
    url: Text | None = None
    params: Params = Field(default_factory=dict)

    @classmethod
    def broken_rules(cls, given: Mapping[str, Any]) -> Iterator[Broken]:
        """Yield keys that a built-in store has no use for, and a server without its address."""
        use = given.get("use", "files")
        unused = {"files": ("url", "params"), "sqlite": ("url", "params")}.get(use, ()) if isinstance(use, str) else ()
        if use in SERVERS:
            unused = ("path", "params")
            if given.get("url") is None:
                yield ("url",), dict(given), missing_key("url")
        yield from _unused(given, unused, use)


class BrokerSchema(Schema):
    """Who carries out orders."""

    use: PluginReference = "paper"
    params: Params = Field(default_factory=dict)

    @classmethod
    def broken_rules(cls, given: Mapping[str, Any]) -> Iterator[Broken]:
        """Yield params of a built-in broker."""
        use = given.get("use", "paper")
        yield from _unused(given, ("params",) if use in ("paper", "ccxt") else (), use)


class NotifySchema(Schema):
    """An address that is told of events."""

    url: PeopleAddress
    events: DistinctEntries[EventName] = ("opened", "closed", "error")


class MetricsSchema(Schema):
    """The page of a live session's figures for Prometheus, on this computer alone."""

    port: Port | None = None


class ColumnSchema(Schema):
    """A column of a report table; `format` is a number format such as +.2f."""

    key: Metric
    label: Text | None = None
    format: NumberFormat | None = None
    unit: str | None = None


class ColumnsSchema(Schema):
    """The columns of each report kind."""

    backtest: Entries[ColumnSchema] | None = None
    live: Entries[ColumnSchema] | None = None
    walker: Entries[ColumnSchema] | None = None
    heat: Entries[ColumnSchema] | None = None
    schedule: Entries[ColumnSchema] | None = None
    partial: Entries[ColumnSchema] | None = None
    risk: Entries[ColumnSchema] | None = None
    performance: Entries[ColumnSchema] | None = None
    optimizer: Entries[ColumnSchema] | None = None


def _fill_name(value: Any) -> Any:
    names = choices(FillName)
    if value not in names:
        hint = did_you_mean(str(value), names)
        raise refusal("bad-choice", "no such fill policy", expected=", ".join(names) + ", or a mapping", hint=hint)
    return value


Fill = Annotated[
    FillName | FillSchema,
    BeforeValidator(text_or(FillSchema, "a name such as honest, or a mapping", _fill_name)),
]


class Settings(Schema):
    """Everything that is not one of the seven kinds."""

    defaults: DefaultsSchema = DefaultsSchema()
    costs: CostsSchema = CostsSchema()
    fill: Fill = "honest"
    gap: Literal["skip", "bridge", "fail"] = "skip"
    balance: Positive | None = None
    limits: LimitsSchema = LimitsSchema()
    state: StateSchema = StateSchema()
    broker: BrokerSchema = BrokerSchema()
    notify: Annotated[tuple[NotifySchema, ...], BeforeValidator(as_tuple)] = ()
    metrics: MetricsSchema = MetricsSchema()
    columns: ColumnsSchema = ColumnsSchema()
    report_show_note: bool = False

    @classmethod
    def broken_rules(cls, given: Mapping[str, Any]) -> Iterator[Broken]:
        """Yield a least take profit that does not pay the costs of both sides."""
        costs, limits = given.get("costs", {}), given.get("limits", {})
        fee, slippage = (
            raw_number(CostsSchema, costs, "fee_percent"),
            raw_number(CostsSchema, costs, "slippage_percent"),
        )
        least = raw_number(LimitsSchema, limits, "min_take_profit_percent")
        if fee is None or slippage is None or least is None or least <= 0:
            return
        # the order of these terms is that of the original, so that equality holds for the same values
        floor = 2 * slippage + 2 * fee
        if least < floor:
            what = f"min_take_profit_percent is {least:g}, the costs of both sides are {floor:g}"
            why = refusal("below-costs", what, expected=f"at least {floor:g}", hint="raise it, or lower settings.costs")
            yield ("limits", "min_take_profit_percent"), least, why

    def policy(self) -> Policy:
        """Give the fill policy."""
        if isinstance(self.fill, FillSchema):
            keys = self.fill.model_dump(exclude={"base"}, exclude_none=True)
            return policy_from(keys, self.fill.base)
        return ReferencePolicy() if self.fill == "reference" else PRESETS[self.fill]

    def costs_model(self) -> Costs:
        """Give fee and slippage per side."""
        return Costs(fee_percent=self.costs.fee_percent, slippage_percent=self.costs.slippage_percent)

    def limits_model(self) -> Limits:
        """Give the engine's limits."""
        values = self.limits
        return Limits(
            average_price_candles=values.average_price_candles,
            schedule_await_minutes=values.schedule_await_minutes,
            max_wait_minutes=values.max_wait_minutes,
            min_take_profit_percent=values.min_take_profit_percent,
            min_stop_loss_percent=values.min_stop_loss_percent,
            max_stop_loss_percent=values.max_stop_loss_percent,
            max_lifetime_minutes=values.max_lifetime_minutes,
            signal_seconds=values.signal_seconds,
        )
