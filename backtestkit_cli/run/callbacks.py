"""The `callbacks:` of the config as listeners of one run.

* A callback gets one argument, the event; what it returns is not looked at.
* `on_write` is told of what a live run writes down: positions that were opened and closed.
* Callbacks of what a run does not use are not loaded; those that are, are found before any candle is read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType, UnionType
from typing import Any, NamedTuple

from backtestkit_cli.config.merge import Config
from backtestkit_cli.errors import ConfigError
from backtestkit_cli.model.event import (
    Active,
    Cancelled,
    CandlesLoaded,
    Closed,
    DraftsMade,
    FrameStarted,
    Idle,
    LevelReached,
    Opened,
    ProjectMade,
    ProjectWritten,
    QuantityCalculated,
    RiskAllowed,
    RiskRefused,
    Scheduled,
    SignalEvent,
    SourceRead,
    StrategyDone,
    StrategyFailed,
    StrategyStarted,
    WalkerDone,
)
from backtestkit_cli.plugins.reference import resolve
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.run.listen import Listeners


class Hook(NamedTuple):
    """What a callback is told of: a class of events, and those whose attributes have certain values."""

    event_type: type | UnionType
    values: Mapping[str, str] = MappingProxyType({})


HOOKS: Mapping[str, Mapping[str, Hook]] = {
    "strategies": {
        "on_tick": Hook(SignalEvent),
        "on_open": Hook(Opened),
        "on_active": Hook(Active),
        "on_idle": Hook(Idle),
        "on_close": Hook(Closed),
        "on_schedule": Hook(Scheduled),
        "on_cancel": Hook(Cancelled),
        "on_write": Hook(Opened | Closed),
        "on_partial_profit": Hook(LevelReached, {"side": "profit"}),
        "on_partial_loss": Hook(LevelReached, {"side": "loss"}),
    },
    "exchanges": {"on_candle_data": Hook(CandlesLoaded)},
    "frames": {"on_timeframe": Hook(FrameStarted)},
    "sizings": {"on_calculate": Hook(QuantityCalculated)},
    "risks": {"on_rejected": Hook(RiskRefused), "on_allowed": Hook(RiskAllowed)},
    "walkers": {
        "on_strategy_start": Hook(StrategyStarted),
        "on_strategy_complete": Hook(StrategyDone),
        "on_strategy_error": Hook(StrategyFailed),
        "on_complete": Hook(WalkerDone),
    },
    "optimizers": {
        "on_source_data": Hook(SourceRead),
        "on_data": Hook(DraftsMade),
        "on_code": Hook(ProjectMade),
        "on_dump": Hook(ProjectWritten),
    },
}
"""By kind of schema: what each callback of a backtest, a walker or an optimizer is told of."""


def callbacks_of(
    config: Config, registry: Registry, *, strategies: Sequence[str], exchange: str, frame: str | None
) -> Listeners:
    """Subscribe the callbacks of everything a run uses; `frame` is None for a range.

    Raises:
        ConfigError: a reference leads nowhere, or its function cannot be called with one argument.
        StrategyError: its file raised while it was loaded.
    """
    risks = {risk for name in strategies for risk in config.strategies[name].risk_names}
    used = [("frames", frame)] if frame is not None else []
    sizings = {sizing for name in strategies if (sizing := config.strategies[name].sizing)}
    used += [("exchanges", exchange), *(("sizings", name) for name in sorted(sizings))]
    used += [("risks", name) for name in sorted(risks)]
    used += [("strategies", name) for name in sorted(strategies)]
    return _subscribed(config, registry, used)


def walker_callbacks_of(config: Config, registry: Registry, walker: str) -> Listeners:
    """Subscribe the callbacks of a walker itself.

    Raises:
        ConfigError, StrategyError: as `callbacks_of`.
    """
    return _subscribed(config, registry, [("walkers", walker)])


def optimizer_callbacks_of(config: Config, registry: Registry, optimizer: str) -> Listeners:
    """Subscribe the callbacks of an optimizer.

    Raises:
        ConfigError, StrategyError: as `callbacks_of`.
    """
    return _subscribed(config, registry, [("optimizers", optimizer)])


def _subscribed(config: Config, registry: Registry, used: Sequence[tuple[str, str]]) -> Listeners:
    listeners = Listeners()
    for kind, name in used:
        for key, hook in HOOKS[kind].items():
            text = getattr(getattr(config, kind)[name].callbacks, key)
            if text is not None:
                function = _function(config, registry, text, (kind, name, "callbacks", key))
                listeners.on(hook.event_type, function, where=_is_of(kind, name, hook))
    return listeners


def _function(config: Config, registry: Registry, text: str, path: tuple[str, ...]) -> Callable[[Any], object]:
    try:
        return resolve(text, "callback", config.project, registry).bind({})
    except ConfigError as error:
        where = config.where(*path)
        raise ConfigError(*(replace(problem, where=where) for problem in error.problems)) from error


def _is_of(kind: str, name: str, hook: Hook) -> Callable[[Any], bool]:
    """Whether an event belongs to an entry of the config."""

    def is_of(event: Any) -> bool:
        return owner_of(event, kind) == name and all(getattr(event, key) == one for key, one in hook.values.items())

    return is_of


def owner_of(event: Any, kind: str) -> str:
    """The name of the entry of a kind that an event belongs to."""
    match kind:
        case "strategies":
            owner = event.strategy if isinstance(event, Idle) else event.signal.strategy
        case "risks":
            owner = event.profile
        case "sizings":
            owner = event.sizing
        case "exchanges":
            owner = event.exchange
        case "walkers":
            owner = event.walker
        case "optimizers":
            owner = event.optimizer
        case _:
            owner = event.frame
    return str(owner)
