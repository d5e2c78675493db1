"""What a search runs: its space, its windows, its sampler. What is wrong with any of them is found here.

* The gap between windows is the longest lifetime and wait that any trial can have, and the embargo. Rules have a fixed
  lifetime; of all else the limits tell.
* Without a metric the Sharpe ratio chooses; where a window is too short to have one, the PnL.
* History begins as early as any combination needs it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.problems import did_you_mean
from backtestkit_cli.config.strategy_schema import LimitEntrySchema
from backtestkit_cli.errors import ConfigError, Problem, Source, UsageError
from backtestkit_cli.measure.contest import Contestant, is_lower_better, known_metrics
from backtestkit_cli.measure.ranking import LEAST_DAYS
from backtestkit_cli.model.policy import ReferencePolicy
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, TimeRange, minutes_of
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.run.contestants import MOST_CONTESTANTS, WalkerPlan, config_of, variant_name
from backtestkit_cli.run.plan import Plan, plan_backtest
from backtestkit_cli.run.request import Request
from backtestkit_cli.run.search.protocol import Protocol, divided
from backtestkit_cli.run.search.samplers import Params, SamplerName, Seeds
from backtestkit_cli.run.search.space import Space, place_of_values, size_of, space_of
from backtestkit_cli.run.sizing import prepare_sizing
from backtestkit_cli.run.strategies import prepare

SAMPLERS: tuple[SamplerName, ...] = ("grid", "random", "tpe")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """What can be chosen about a search; `hold_out` is a share, `embargo_minutes` comes on top of the longest trade."""

    metric: str | None = None
    sampler: str = "random"
    trials: int = 100
    folds: int = 4
    hold_out: float = 0.2
    embargo_minutes: int = 1440
    vary: Mapping[str, object] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """What is searched, and on which windows; `history_minutes` are needed before the range."""

    whole: Plan
    metric: str
    space: Space
    sampler: SamplerName
    trials: int
    seed: int
    protocol: Protocol
    embargo_minutes: int
    history_minutes: int

    @property
    def strategy(self) -> str:
        """The strategy whose params are searched."""
        return self.whole.strategies[0]

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """Strategy and symbol of each stream."""
        return self.whole.keys

    @property
    def windows(self) -> tuple[TimeRange, ...]:
        """All windows that trials are run on."""
        protocol = self.protocol
        folds = [window for fold in protocol.folds for window in (fold.train, fold.test)]
        return tuple(dict.fromkeys((*folds, protocol.search, protocol.hold_out)))

    def known_until_ms(self, window: TimeRange) -> int | None:
        """Up to where the candles of a window are known; those of the hold-out are all that were loaded."""
        return None if window == self.protocol.hold_out else window.end_ms + self.protocol.gap_ms

    @property
    def most_trials(self) -> int:
        """How many trials all searches make at most."""
        return (len(self.protocol.folds) + 1) * min(self.trials, size_of(self.space))

    def worth(self, value: float | None) -> float | None:
        """A value of the metric as samplers are told it: the more, the better."""
        return None if value is None else -value if is_lower_better(self.metric) else value

    def seeds(self, number: int) -> Seeds:
        """What the sampler of a search begins from."""
        return self.seed, number

    def on(self, window: TimeRange) -> WalkerPlan:
        """The plan of the trials on a window."""
        plan = replace(self.whole, range=window, frame=str(window))
        return WalkerPlan(walker=self.strategy, metric=self.metric, contestants=(), plans={self.strategy: plan})

    def contestant(self, params: Params) -> Contestant:
        """The trial of some params."""
        return Contestant(name=variant_name(self.strategy, params), strategy=self.strategy, params=params)


def plan_search(config: Config, request: Request, registry: Registry, options: SearchOptions) -> SearchPlan:
    """Plan the search of one strategy.

    Raises:
        UsageError: a name is unknown, an option makes no sense, or the range is too short.
        ConfigError: the config cannot be searched.
        StrategyError: the code of the strategy raised while it was loaded.
    """
    sampler = _checked(options)
    whole = plan_backtest(config, request)
    if isinstance(whole.policy, ReferencePolicy):
        what, where = "fill: reference is not searched", config.where("settings", "fill")
        raise ConfigError(Problem("not-available", what, where, hint="choose honest, touch or vwap"))
    strategy = whole.strategies[0]
    if config.strategies[strategy].use == "llm":
        what, where = (
            f"{strategy} asks a language model, and is not searched",
            config.where("strategies", strategy, "use"),
        )
        raise ConfigError(Problem("not-available", what, where, hint="search a strategy in rules or in Python"))
    space = space_of(config, strategy, registry, options.vary)
    if sampler == "grid" and size_of(space) > MOST_CONTESTANTS:
        what, expected = f"the grid has {size_of(space)} combinations", f"at most {MOST_CONTESTANTS}"
        raise UsageError(
            Problem("too-many-variants", what, Source(key="--sampler"), expected=expected, hint="take random or tpe")
        )
    protocol = _protocol(config, whole, options)
    return SearchPlan(
        whole=whole,
        metric=_metric(options.metric, protocol),
        space=space,
        sampler=sampler,
        trials=size_of(space) if sampler == "grid" else options.trials,
        seed=options.seed,
        protocol=protocol,
        embargo_minutes=options.embargo_minutes,
        history_minutes=_longest_history(config, strategy, registry, space, is_given=bool(options.vary)),
    )


def embargo_minutes(text: str) -> int:
    """Read an embargo such as `1d`; `0` is none.

    Raises:
        UsageError: it is no duration.
    """
    try:
        return 0 if text == "0" else minutes_of(text)
    except ValueError as error:
        raise UsageError(Problem("bad-value", str(error), Source(key="--embargo"), expected="1d, 12h or 0")) from None


def longest_minutes(config: Config, strategy: str) -> int:
    """How long after its decision a trade of a strategy can end at the latest: its wait and its lifetime."""
    limits, rules = config.settings.limits_model(), config.strategies[strategy].rules
    if rules is None:
        return limits.max_wait_minutes + limits.max_lifetime_minutes
    wait = 0
    if isinstance(rules.entry, LimitEntrySchema):
        given = rules.entry.wait_minutes
        wait = limits.schedule_await_minutes if given is None else given
    return wait + minutes_of(rules.lifetime)


def _protocol(config: Config, whole: Plan, options: SearchOptions) -> Protocol:
    gap_minutes = longest_minutes(config, whole.strategies[0]) + options.embargo_minutes
    found = divided(
        whole.range,
        folds=options.folds,
        hold_out=options.hold_out,
        gap_ms=gap_minutes * MINUTE_MS,
        tick_ms=whole.tick.ms,
    )
    if found is None:
        gap = f"{gap_minutes / 1440:.3g} days between windows"
        what = f"{whole.range} is too short for {options.folds} folds and a hold-out with {gap}"
        hint = "take a longer --frame or --range, fewer --folds, or a shorter --embargo"
        raise UsageError(Problem("range-too-short", what, Source(key="--range"), hint=hint))
    return found


def _metric(given: str | None, protocol: Protocol) -> str:
    if given is None:
        first = protocol.folds[0].train
        return "sharpe_ratio" if first.end_ms - first.start_ms >= LEAST_DAYS * DAY_MS else "pnl_percent"
    known = known_metrics()
    if given not in known:
        hint = did_you_mean(given, known) or "docs/reference.md lists the metrics, the original's under original.…"
        what, where = f"there is no metric {given}", Source(key="--metric")
        raise UsageError(Problem("unknown-metric", what, where, found=given, hint=hint))
    return given


def _checked(options: SearchOptions) -> SamplerName:
    """Hold that numbers are in their bounds; the sampler that is named.

    Raises:
        UsageError: something is not.
    """
    bounds = {
        "trials": (options.trials, 1, MOST_CONTESTANTS),
        "folds": (options.folds, 1, 100),
        "seed": (options.seed, 0, 2**63),
        "hold-out": (100 * options.hold_out, 1, 90),
        "embargo": (options.embargo_minutes, 0, 365 * 1440),
    }
    wrong = [
        Problem("bad-value", f"{name} is {value:g}", Source(key=f"--{name}"), expected=f"{low} to {high}")
        for name, (value, low, high) in bounds.items()
        if not low <= value <= high
    ]
    if wrong:
        raise UsageError(*wrong)
    for name in SAMPLERS:
        if name == options.sampler:
            if name == "tpe":
                from backtestkit_cli.run.search.tpe import imported_optuna

                imported_optuna()
            return name
    what, where = f"there is no sampler {options.sampler}", Source(key="--sampler")
    raise UsageError(Problem("bad-value", what, where, expected=", ".join(SAMPLERS)))


def _longest_history(config: Config, strategy: str, registry: Registry, space: Space, *, is_given: bool) -> int:
    """Try every value beside the first ones of all others, and the last ones of all together.

    Raises:
        ConfigError: a value is wrong; it is told where it stands.
    """
    first = {name: values[0] for name, values in space}
    beside = [({**first, name: value}, name) for name, values in space for value in values]
    longest = 0
    for params, name in [*beside, ({name: values[-1] for name, values in space}, space[0][0])]:
        contestant = Contestant(name=strategy, strategy=strategy, params=tuple(params.items()))
        own, child = config_of(config, contestant), registry.child()
        try:
            ready = [prepare(own, strategy, child), prepare_sizing(own, strategy, child)]
        except ConfigError as error:
            where = place_of_values(config, strategy, name, is_given=is_given)
            raise ConfigError(*_at(error, name, where, variant_name(strategy, contestant.params))) from error
        longest = max(longest, *(one.history_minutes for one in ready if one is not None))
    return longest


def _at(error: ConfigError, param: str, where: Source, variant: str) -> Iterator[Problem]:
    """The same problems, at the values of a param where these are the reason."""
    for one in error.problems:
        is_of_param = one.where is not None and (one.where.key or "").split(" › ")[-1] == param
        yield replace(one, where=where if is_of_param else one.where, what=f"{one.what} (as {variant})")
