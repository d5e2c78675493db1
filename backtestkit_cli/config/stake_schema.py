"""How much a signal stakes, and the limits that positions share: sizings and risk profiles."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from backtestkit_cli.config.fields import (
    Broken,
    Callback,
    Count,
    Entries,
    Expression,
    FunctionReference,
    NamedSchema,
    Params,
    Positive,
    Schema,
    Text,
    WholeNumber,
    expression_text,
    text_or,
)
from backtestkit_cli.config.problems import refusal


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
