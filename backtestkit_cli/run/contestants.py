"""Who takes part in a walker: each strategy, or each combination of the values that it is varied by, on one plan.

* A strategy with `vary` takes part with every combination of its values, in the order written, the last param fastest.
* What is wrong with a metric, a param or a strategy is found here, before anything is tested.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from backtestkit_cli.config.contest_schema import WalkerSchema
from backtestkit_cli.config.edit import unknown_entry
from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.problems import did_you_mean
from backtestkit_cli.errors import ConfigError, Problem, Source, StrategyError, UsageError
from backtestkit_cli.measure.contest import Contestant, known_metrics
from backtestkit_cli.model.time import TimeRange
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.run.clock import WallClock
from backtestkit_cli.run.plan import Plan, plan_backtest
from backtestkit_cli.run.request import Request
from backtestkit_cli.run.sizing import prepare_sizing
from backtestkit_cli.run.strategies import prepare

MOST_CONTESTANTS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkerPlan:
    """What a walker compares, and the plan of each of its strategies; all of them test the same candles."""

    walker: str
    metric: str
    contestants: tuple[Contestant, ...]
    plans: Mapping[str, Plan]

    @property
    def shared(self) -> Plan:
        """A plan, for what all have in common: exchange, frame, range, symbols, policy."""
        return next(iter(self.plans.values()))

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """Strategy and symbol of each stream; variants of a strategy count once."""
        return tuple(key for plan in self.plans.values() for key in plan.keys)

    @property
    def range(self) -> TimeRange:
        """The range that is tested."""
        return self.shared.range


def plan_walker(
    config: Config, name: str, symbols: Sequence[str] = (), metric: str | None = None, frame: str | None = None
) -> WalkerPlan:
    """Choose what a walker compares; `metric` and `frame` take the place of those in the config.

    Raises:
        UsageError: there is no such walker, metric, frame or symbol.
        ConfigError: something does not fit, or asks for what this version cannot do.
    """
    if name not in config.walkers:
        raise UsageError(unknown_entry(config.walkers, "walkers", name))
    schema, now_ms = config.walkers[name], WallClock().now_ms()
    plans = {}
    for strategy in schema.strategies:
        request = Request(
            strategies=(strategy,), symbols=symbols, exchange=schema.exchange, frame=frame or schema.frame
        )
        plans[strategy] = plan_backtest(config, request, now_ms)
    return WalkerPlan(
        walker=name,
        metric=_metric(config, schema, metric),
        contestants=tuple(_contestants(config, schema)),
        plans=plans,
    )


def config_of(config: Config, contestant: Contestant) -> Config:
    """The config in which a strategy has the params of a contestant."""
    if not contestant.params:
        return config
    schema = config.strategies[contestant.strategy]
    changed = schema.model_copy(update={"params": {**schema.params, **dict(contestant.params)}})
    return replace(config, strategies={**config.strategies, contestant.strategy: changed})


def longest_history(config: Config, plan: WalkerPlan, registry: Registry) -> int:
    """How long before the frame the earliest history begins; each contestant is made ready for it, once.

    Raises:
        ConfigError: a param of a contestant is wrong.
    """
    longest = 0
    for contestant in plan.contestants:
        own = config_of(config, contestant)
        try:
            ready = [prepare(own, contestant.strategy, registry), prepare_sizing(own, contestant.strategy, registry)]
        except ConfigError as error:
            raise ConfigError(*_at_vary(config, plan.walker, contestant, error)) from error
        except StrategyError:
            continue  # it fails alone, when its turn comes
        longest = max(longest, *(one.history_minutes for one in ready if one is not None))
    return longest


def _metric(config: Config, schema: WalkerSchema, given: str | None) -> str:
    metric, known = schema.metric if given is None else given, known_metrics()
    if metric not in known:
        is_told = given is None and config.is_given("walkers", schema.name, "metric")
        where = config.where("walkers", schema.name, "metric") if is_told else Source(key="--metric")
        hint = did_you_mean(metric, known) or "docs/reference.md lists the metrics, the original's under original.…"
        error = UsageError if given is not None else ConfigError
        raise error(Problem("unknown-metric", f"there is no metric {metric}", where, found=metric, hint=hint))
    return metric


def _contestants(config: Config, schema: WalkerSchema) -> Iterator[Contestant]:
    counts = [math.prod(len(values) for values in varied.values()) for varied in schema.vary.values()]
    if sum(counts) > MOST_CONTESTANTS:
        what, where = f"{schema.name} has {sum(counts)} variants", config.where("walkers", schema.name, "vary")
        expected = f"at most {MOST_CONTESTANTS}"
        raise ConfigError(Problem("too-many-variants", what, where, expected=expected, hint="vary less at once"))
    for strategy in schema.strategies:
        varied = schema.vary.get(strategy, {})
        for values in product(*varied.values()):
            params = tuple(zip(varied, values, strict=True))
            yield Contestant(name=variant_name(strategy, params), strategy=strategy, params=params)


def variant_name(strategy: str, params: Sequence[tuple[str, object]]) -> str:
    """A strategy by its varied params."""
    told = ", ".join(f"{key}={_written(value)}" for key, value in params)
    return f"{strategy}({told})" if told else strategy


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _at_vary(config: Config, walker: str, contestant: Contestant, error: ConfigError) -> Iterator[Problem]:
    """What is wrong with a contestant, at the values that it is made of, where they are the reason."""
    for problem in error.problems:
        key = problem.where.key if problem.where else None
        param = next((name for name, _ in contestant.params if key and key.split(" › ")[-1] == name), None)
        if param is None:
            yield replace(problem, what=f"{problem.what} (as {contestant.name})")
        else:
            where = config.where("walkers", walker, "vary", contestant.strategy, param)
            yield replace(problem, where=where, what=f"{problem.what} (as {contestant.name})")
