"""The seven kinds of schema a config defines, and the model of an entry.

Rules: every entry has a name and may have a note and callbacks. The model of an exchange is chosen by its `use`,
that of a sizing by its `method`. A key with the value null counts as not given.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import ConfigDict

from backtestkit_cli.config.contest_schema import OptimizerSchema, WalkerSchema
from backtestkit_cli.config.fields import Broken, NamedSchema
from backtestkit_cli.config.market_schema import (
    CcxtExchange,
    ExchangeSchema,
    FilesExchange,
    FrameSchema,
    PluginExchange,
    SampleExchange,
)
from backtestkit_cli.config.problems import did_you_mean, key_meant, missing_key, refusal, unknown_key
from backtestkit_cli.config.stake_schema import (
    AtrBasedSizing,
    FixedPercentageSizing,
    KellySizing,
    PluginSizing,
    RiskSchema,
    SizingSchema,
)
from backtestkit_cli.config.strategy_schema import StrategySchema

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
