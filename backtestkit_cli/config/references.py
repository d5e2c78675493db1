"""Checks that what one schema names exists, and that what works together is given together.

Rules: a name that is defined but wrong itself is not reported again here. Risk limits that are shares of equity, and
every sizing, need `settings.balance`; a strategy under such limits needs a sizing.
"""

from collections.abc import Iterator, Mapping
from itertools import chain

from backtestkit_cli.config.contest_schema import OptimizerSchema, WalkerSchema
from backtestkit_cli.config.draft import Draft
from backtestkit_cli.config.fields import NamedSchema
from backtestkit_cli.config.problems import did_you_mean
from backtestkit_cli.config.read import KeyPath
from backtestkit_cli.config.settings import Settings
from backtestkit_cli.config.stake_schema import RiskSchema
from backtestkit_cli.config.strategy_schema import StrategySchema
from backtestkit_cli.errors import Problem

Schemas = Mapping[tuple[str, str], NamedSchema]


def reference_problems(draft: Draft, settings: Settings | None, schemas: Schemas) -> list[Problem]:
    """Find names that nothing defines, and parts that miss their counterpart; wrong settings are left out."""
    checks = [_unknown_names(draft, settings, schemas), _wrong_variants(draft, schemas)]
    if settings is not None:
        checks.append(_missing_money(draft, settings, schemas))
    return list(chain.from_iterable(checks))


def _unknown_names(draft: Draft, settings: Settings | None, schemas: Schemas) -> Iterator[Problem]:
    named: list[tuple[str, str | None, KeyPath, str, str | None]] = []
    if settings is not None:
        named.append(("settings", None, ("defaults", "exchange"), "exchanges", settings.defaults.exchange))
        named.append(("settings", None, ("defaults", "frame"), "frames", settings.defaults.frame))
    for (kind, name), schema in schemas.items():
        named += [(kind, name, *one) for one in _names_in(draft, schema)]
    for kind, owner, keys, wanted, target in named:
        known = draft.named(wanted)
        if target is not None and target not in known:
            where = draft.where(kind, owner, keys)
            listed = ", ".join(known) or None
            hint = did_you_mean(target, known) or f"define it under {wanted}"
            yield Problem("unknown-name", f"no {target} in {wanted}", where, expected=listed, hint=hint)


def _names_in(draft: Draft, schema: NamedSchema) -> Iterator[tuple[KeyPath, str, str | None]]:
    """Yield the key path, the kind and the name of each reference of a schema."""
    match schema:
        case StrategySchema():
            is_list = isinstance(draft.named("strategies")[schema.name].values.get("risk"), list)
            for index, risk in enumerate(schema.risk_names):
                yield (("risk", index) if is_list else ("risk",)), "risks", risk
            yield ("sizing",), "sizings", schema.sizing
        case WalkerSchema():
            yield ("exchange",), "exchanges", schema.exchange
            yield ("frame",), "frames", schema.frame
            for index, strategy in enumerate(schema.strategies):
                yield ("strategies", index), "strategies", strategy
        case OptimizerSchema():
            yield ("exchange",), "exchanges", schema.exchange
        case _:
            return


def _missing_money(draft: Draft, settings: Settings, schemas: Schemas) -> Iterator[Problem]:
    for (kind, name), schema in schemas.items():
        if isinstance(schema, StrategySchema):
            yield from _missing_sizing(draft, settings, schema, schemas)
        elif isinstance(schema, RiskSchema) and schema.needs_balance and settings.balance is None:
            key = schema.needs_balance[0]
            where = draft.where(kind, name, (key,), "key")
            yield Problem("balance-missing", f"{key} needs a balance", where, hint="add settings.balance")


def _missing_sizing(draft: Draft, settings: Settings, strategy: StrategySchema, schemas: Schemas) -> Iterator[Problem]:
    if strategy.sizing is not None and settings.balance is None:
        where = draft.where("strategies", strategy.name, ("sizing",), "key")
        yield Problem("balance-missing", "a sizing needs a balance", where, hint="add settings.balance")
    for risk in strategy.risk_names:
        profile = schemas.get(("risks", risk))
        if strategy.sizing is None and isinstance(profile, RiskSchema) and profile.needs_balance:
            where = draft.where("strategies", strategy.name, ("risk",), "key")
            what = f"{profile.needs_balance[0]} of the risk profile {risk} needs a sizing"
            yield Problem("sizing-missing", what, where, hint="add `sizing: …` to the strategy")


def _wrong_variants(draft: Draft, schemas: Schemas) -> Iterator[Problem]:
    for schema in schemas.values():
        if isinstance(schema, WalkerSchema):
            yield from _wrong_variants_of(draft, schema, schemas)
        elif isinstance(schema, StrategySchema) and schema.rules is not None:
            yield from _unknown_params(draft, schema, schema.search, ("strategies", schema.name, "search"))


def _wrong_variants_of(draft: Draft, walker: WalkerSchema, schemas: Schemas) -> Iterator[Problem]:
    for name, params in walker.vary.items():
        where = draft.where("walkers", walker.name, ("vary", name), "key")
        if name not in walker.strategies:
            listed, hint = ", ".join(walker.strategies), did_you_mean(name, walker.strategies)
            yield Problem("unknown-name", f"{name} is not compared here", where, expected=listed, hint=hint)
            continue
        strategy = schemas.get(("strategies", name))
        if not isinstance(strategy, StrategySchema) or strategy.rules is None:
            continue
        yield from _unknown_params(draft, strategy, params, ("walkers", walker.name, "vary", name))


def _unknown_params(
    draft: Draft, strategy: StrategySchema, varied: Mapping[str, object], place: tuple[str, ...]
) -> Iterator[Problem]:
    """Varied params that the rules of a strategy do not have; they stand below `place`."""
    kind, name, *keys = place
    for param in varied:
        if param not in strategy.params:
            where = draft.where(kind, name, (*keys, param), "key")
            listed, hint = ", ".join(strategy.params) or "none", did_you_mean(param, strategy.params)
            yield Problem("unknown-name", f"{strategy.name} has no param {param}", where, expected=listed, hint=hint)
