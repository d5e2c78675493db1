"""The seven kinds of a kit from Python: added, looked up, changed, listed, with one spelling for each kind.

The four methods do everything; `add_strategy(…)` is `add("strategy", …)`, and so on for every kind.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partialmethod
from threading import RLock
from typing import Any, ClassVar

from backtestkit_cli.config.contest_schema import OptimizerSchema, WalkerSchema
from backtestkit_cli.config.edit import kind_named, unknown_entry, with_changes, with_entry
from backtestkit_cli.config.fields import NamedSchema
from backtestkit_cli.config.given import Given
from backtestkit_cli.config.market_schema import ExchangeSchema, FrameSchema
from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.stake_schema import RiskSchema, SizingSchema
from backtestkit_cli.config.strategy_schema import StrategySchema
from backtestkit_cli.errors import UsageError
from backtestkit_cli.plugins.places import place_of_caller
from backtestkit_cli.plugins.registry import Registry


def entries_of(config: Config, kind: str) -> dict[str, NamedSchema]:
    """Give the entries of a kind by name, in the order in which they were given."""
    entries: dict[str, NamedSchema] = getattr(config, kind)
    return entries


@dataclass(slots=True, kw_only=True, eq=False)
class Entries:
    """The entries of a config that can be replaced; runs that have begun keep the one they began with."""

    config: Config
    registry: Registry
    turn: RLock = field(default_factory=RLock, repr=False)

    def add(self, kind: str, given: Mapping[str, Any] | None = None, /, **keys: Any) -> Any:
        """Add an entry of a kind with the keys that it has in a file; functions may stand where references do.

        Raises:
            ConfigError: it is wrong, or its name is taken.
            UsageError: there is no such kind.
        """
        known, where = kind_named(kind), place_of_caller()
        values = Given(known, self.registry, where).values(given, keys)
        with self.turn:
            self.config = with_entry(self.config, known, values, where)
        return self.get(known, values["name"])

    def override(self, kind: str, name: str, given: Mapping[str, Any] | None = None, /, **keys: Any) -> Any:
        """Change keys of an entry: mappings are merged, all else is replaced, None takes a key away.

        Raises:
            ConfigError: there is no such entry, or it would be wrong then; it stays as it was.
            UsageError: there is no such kind.
        """
        known, where = kind_named(kind), place_of_caller()
        values = Given(known, self.registry, where).values(given, keys)
        with self.turn:
            self.config = with_changes(self.config, known, name, values, where)
        return self.get(known, name)

    def get(self, kind: str, name: str) -> Any:
        """Give an entry of a kind.

        Raises:
            UsageError: there is no such entry, or no such kind.
        """
        known = kind_named(kind)
        entries = entries_of(self.config, known)
        if name not in entries:
            raise UsageError(unknown_entry(entries, known, name))
        return entries[name]

    def list(self, kind: str) -> tuple[Any, ...]:
        """Give all entries of a kind, in the order in which they were given.

        Raises:
            UsageError: there is no such kind.
        """
        return tuple(entries_of(self.config, kind_named(kind)).values())

    add_exchange: ClassVar[partialmethod[ExchangeSchema]] = partialmethod(add, "exchange")
    add_frame: ClassVar[partialmethod[FrameSchema]] = partialmethod(add, "frame")
    add_strategy: ClassVar[partialmethod[StrategySchema]] = partialmethod(add, "strategy")
    add_sizing: ClassVar[partialmethod[SizingSchema]] = partialmethod(add, "sizing")
    add_risk: ClassVar[partialmethod[RiskSchema]] = partialmethod(add, "risk")
    add_walker: ClassVar[partialmethod[WalkerSchema]] = partialmethod(add, "walker")
    add_optimizer: ClassVar[partialmethod[OptimizerSchema]] = partialmethod(add, "optimizer")

    get_exchange: ClassVar[partialmethod[ExchangeSchema]] = partialmethod(get, "exchange")
    get_frame: ClassVar[partialmethod[FrameSchema]] = partialmethod(get, "frame")
    get_strategy: ClassVar[partialmethod[StrategySchema]] = partialmethod(get, "strategy")
    get_sizing: ClassVar[partialmethod[SizingSchema]] = partialmethod(get, "sizing")
    get_risk: ClassVar[partialmethod[RiskSchema]] = partialmethod(get, "risk")
    get_walker: ClassVar[partialmethod[WalkerSchema]] = partialmethod(get, "walker")
    get_optimizer: ClassVar[partialmethod[OptimizerSchema]] = partialmethod(get, "optimizer")

    override_exchange: ClassVar[partialmethod[ExchangeSchema]] = partialmethod(override, "exchange")
    override_frame: ClassVar[partialmethod[FrameSchema]] = partialmethod(override, "frame")
    override_strategy: ClassVar[partialmethod[StrategySchema]] = partialmethod(override, "strategy")
    override_sizing: ClassVar[partialmethod[SizingSchema]] = partialmethod(override, "sizing")
    override_risk: ClassVar[partialmethod[RiskSchema]] = partialmethod(override, "risk")
    override_walker: ClassVar[partialmethod[WalkerSchema]] = partialmethod(override, "walker")
    override_optimizer: ClassVar[partialmethod[OptimizerSchema]] = partialmethod(override, "optimizer")

    list_exchanges: ClassVar[partialmethod[tuple[ExchangeSchema, ...]]] = partialmethod(list, "exchanges")
    list_frames: ClassVar[partialmethod[tuple[FrameSchema, ...]]] = partialmethod(list, "frames")
    list_strategies: ClassVar[partialmethod[tuple[StrategySchema, ...]]] = partialmethod(list, "strategies")
    list_sizings: ClassVar[partialmethod[tuple[SizingSchema, ...]]] = partialmethod(list, "sizings")
    list_risks: ClassVar[partialmethod[tuple[RiskSchema, ...]]] = partialmethod(list, "risks")
    list_walkers: ClassVar[partialmethod[tuple[WalkerSchema, ...]]] = partialmethod(list, "walkers")
    list_optimizers: ClassVar[partialmethod[tuple[OptimizerSchema, ...]]] = partialmethod(list, "optimizers")
