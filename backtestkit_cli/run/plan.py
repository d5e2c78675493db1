"""What a command runs: names and options become streams, an exchange and a frame, before anything is loaded.

What is not given comes from `settings.defaults`, else from the only schema of its kind, else it is an error that
lists what there is.
"""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backtestkit_cli.config.market_schema import FilesExchange
from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.strategy_schema import StrategySchema
from backtestkit_cli.engine.reference.exchange import frame_ticks
from backtestkit_cli.errors import ConfigError, Problem, Source, UsageError
from backtestkit_cli.model.policy import Costs, FillPolicy, Policy, ReferencePolicy
from backtestkit_cli.model.time import MINUTE_MS, Interval, TimeRange, parse_time
from backtestkit_cli.run.clock import WallClock
from backtestkit_cli.run.fit import known_present_ms, refuse_unfit
from backtestkit_cli.run.real import broker_named, refuse_unready
from backtestkit_cli.run.request import Request, refuse_wrong_kinds

_LONGEST_SYMBOL = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is going to run. Names are in order of code points, under `reference` in the order given.

    `warnings` names frames that meet a grid in part. `present_ms` is the time of the plan, as far as a run over its
    range can tell: it never lies after the last candle that could be asked for. `request` is what was planned.
    """

    strategies: tuple[str, ...]
    symbols: tuple[str, ...]
    exchange: str
    frame: str
    range: TimeRange
    tick: Interval
    policy: Policy
    costs: Costs
    groups: tuple["Group", ...]
    warnings: Mapping[str, tuple[str, ...]]
    present_ms: int
    request: Request

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """Strategy and symbol of each stream."""
        return tuple((strategy, symbol) for strategy in self.strategies for symbol in self.symbols)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Streams that run together: strategies on symbols. `is_shared` streams see each other's positions."""

    strategies: tuple[str, ...]
    symbols: tuple[str, ...]
    is_shared: bool


def plan_backtest(config: Config, request: Request, now_ms: int | None = None) -> Plan:
    """Choose what runs; `now_ms` is the present, by default that of the wall clock.

    Raises:
        UsageError: a name is unknown, or something is neither given nor the only one of its kind.
        ConfigError: a strategy needs something that this version cannot do, or never meets the frame.
    """
    refuse_wrong_kinds(request)
    policy = config.settings.policy()
    in_order = _as_given if isinstance(policy, ReferencePolicy) else _by_code_point
    strategies = in_order(_strategies(config, request.strategies))
    exchange = _one(config.exchanges, "exchange", request.exchange or config.settings.defaults.exchange, "--exchange")
    frame, within, tick = _frame(config, request)
    symbols = in_order(_symbols(config, request))
    present_ms = known_present_ms(config, within, WallClock().now_ms() if now_ms is None else now_ms)
    if isinstance(policy, ReferencePolicy):
        refuse_unfit(config, strategies, within, present_ms)
    _refuse_wrong_columns(config)
    return Plan(
        strategies=strategies,
        symbols=symbols,
        exchange=exchange,
        frame=frame,
        range=within,
        tick=tick,
        policy=policy,
        costs=config.settings.costs_model(),
        groups=_groups(config, strategies, symbols),
        warnings={
            name: (*_grid_warnings(config, name, within, tick, policy), *_memory_warnings(config, name))
            for name in strategies
        },
        present_ms=present_ms,
        request=request,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePlan:
    """What a live session runs; names are in order of code points."""

    strategies: tuple[str, ...]
    symbols: tuple[str, ...]
    exchange: str
    policy: FillPolicy
    costs: Costs
    broker: str = "paper"

    @property
    def is_real(self) -> bool:
        """Whether orders are sent."""
        return self.broker != "paper"

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """Strategy and symbol of each stream."""
        return tuple((strategy, symbol) for strategy in self.strategies for symbol in self.symbols)


def plan_live(config: Config, request: Request, *, broker: str | None = None, is_real: bool = False) -> LivePlan:
    """Choose what runs live, and who carries its orders out.

    Raises:
        UsageError: a name is unknown, or something is neither given nor the only one of its kind.
        ConfigError: something cannot be had live, or not by this version.
    """
    refuse_wrong_kinds(request)
    policy = config.settings.policy()
    if isinstance(policy, ReferencePolicy):
        what, where = "fill: reference is for backtests", config.where("settings", "fill")
        raise ConfigError(Problem("not-available", what, where, hint="choose honest, touch or vwap to run live"))
    strategies = _by_code_point(_strategies(config, request.strategies))
    exchange = _one(config.exchanges, "exchange", request.exchange or config.settings.defaults.exchange, "--exchange")
    if isinstance(config.exchanges[exchange], FilesExchange):
        what, where = f"exchange {exchange} is made of files, which have no running market", Source(key="--exchange")
        raise UsageError(Problem("no-live-market", what, where, hint="take an exchange of use: ccxt or sample"))
    _refuse_wrong_columns(config)
    broker = broker_named(config, broker, is_real=is_real)
    if broker != "paper":
        _refuse_real_models(config, strategies)
        refuse_unready(config, exchange, strategies)
    return LivePlan(
        broker=broker,
        strategies=strategies,
        symbols=_by_code_point(_symbols(config, request)),
        exchange=exchange,
        policy=policy,
        costs=config.settings.costs_model(),
    )


def ticks_of(plan: Plan) -> range:
    """The instants of the frame; under `reference` with its end, and never after the last midnight."""
    within, tick = plan.range, plan.tick
    if isinstance(plan.policy, ReferencePolicy):
        return frame_ticks(within.start_ms, within.end_ms, tick, plan.present_ms)
    return range(within.start_ms, within.end_ms, tick.ms)


def _as_given(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _by_code_point(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def _groups(config: Config, strategies: Sequence[str], symbols: Sequence[str]) -> tuple[Group, ...]:
    """Strategies that share nothing by symbol; those that share, directly or through others, on all symbols."""
    shared = {name: _shared(config.strategies[name]) for name in strategies}
    alone = tuple(name for name in strategies if not shared[name])
    linked: list[tuple[set[str], set[str]]] = []
    for name in strategies:
        names, things = {name}, shared[name]
        if things:
            for other in [one for one in linked if one[1] & things]:
                linked.remove(other)
                names, things = names | other[0], things | other[1]
            linked.append((names, things))
    ordered = [tuple(name for name in strategies if name in names) for names, _ in linked]
    together = [Group(strategies=names, symbols=tuple(symbols), is_shared=True) for names in ordered]
    apart = [Group(strategies=alone, symbols=(symbol,), is_shared=False) for symbol in symbols if alone]
    return (*apart, *together)


def _shared(strategy: StrategySchema) -> set[str]:
    """What a strategy shares with others: its risk profiles, and the balance where it is sized."""
    return {f"risk {name}" for name in strategy.risk_names} | ({"balance"} if strategy.sizing else set())


def read_range(text: str) -> TimeRange:
    """Read `A..B` as a half-open range of whole minutes.

    Raises:
        UsageError: it is none.
    """
    parts = text.split("..")
    if len(parts) != 2:
        raise UsageError(Problem("bad-range", f"{text!r} is no range", expected="2023-03-01..2023-03-22"))
    try:
        start_ms, end_ms = (parse_time(part.strip()) for part in parts)
    except (ValueError, OverflowError) as error:
        raise UsageError(Problem("bad-range", str(error), expected="2023-03-01..2023-03-22")) from None
    if start_ms % MINUTE_MS or end_ms <= start_ms:
        what = "the range starts inside a minute" if start_ms % MINUTE_MS else "the range ends before it starts"
        raise UsageError(Problem("bad-range", what, found=text, expected="2023-03-01..2023-03-22"))
    return TimeRange(start_ms, end_ms)


def checked_symbol(symbol: str) -> str:
    """Give back a symbol as it can stand in reports and file names.

    Raises:
        UsageError: it is empty, too long, or has blanks or characters that cannot be seen.
    """
    if not 1 <= len(symbol) <= _LONGEST_SYMBOL or " " in symbol or not symbol.isprintable():
        expected = f"a symbol such as BTCUSDT, up to {_LONGEST_SYMBOL} characters without blanks"
        raise UsageError(Problem("bad-symbol", f"{symbol!r} is no symbol", expected=expected))
    return symbol


def _strategies(config: Config, names: Sequence[str]) -> Sequence[str]:
    if not config.strategies:
        raise UsageError(Problem("no-strategy", "the config has no strategy", hint="add one under strategies:"))
    for name in names:
        if name not in config.strategies:
            raise UsageError(unknown_name("strategy", name, config.strategies))
    return names or [name for name, schema in config.strategies.items() if schema.use != "llm"]


def unknown_name(kind: str, name: str, known: Mapping[str, object]) -> Problem:
    """Say that a name is not in the config, with the nearest that is."""
    near = difflib.get_close_matches(name, known, n=1)
    return Problem(
        f"unknown-{kind}",
        f"there is no {kind} {name}",
        found=name,
        expected=", ".join(known) or f"none: the config has no {kind}",
        hint=f"did you mean {near[0]}?" if near else None,
    )


def _one(known: Mapping[str, object], kind: str, name: str | None, option: str) -> str:
    if name is not None:
        if name not in known:
            raise UsageError(unknown_name(kind, name, known))
        return name
    if len(known) == 1:
        return next(iter(known))
    what = f"no {kind} is given" if known else f"the config has no {kind}"
    hint = f"choose one with {option}, or in settings.defaults" if known else f"add one under {kind}s:"
    raise UsageError(Problem(f"no-{kind}", what, expected=", ".join(known) or None, hint=hint))


def _symbols(config: Config, request: Request) -> list[str]:
    symbols = [checked_symbol(one) for one in request.symbols or config.settings.defaults.symbols or ()]
    if not symbols:
        hint = "name one with --symbol, or in settings.defaults.symbols"
        raise UsageError(Problem("no-symbol", "no symbol is given", hint=hint))
    return symbols


def _frame(config: Config, request: Request) -> tuple[str, TimeRange, Interval]:
    if request.range is not None:
        if request.frame is not None:
            raise UsageError(Problem("conflict", "--frame and --range are both given", hint="give one of the two"))
        return request.range, read_range(request.range), Interval.M1
    name = _one(config.frames, "frame", request.frame or config.settings.defaults.frame, "--frame or --range A..B")
    schema = config.frames[name]
    return name, TimeRange(parse_time(schema.start), parse_time(schema.end)), schema.interval


def _refuse_wrong_columns(config: Config) -> None:
    """Nothing in a config is silently left out of a run.

    Raises:
        ConfigError: the settings choose columns that no report has.
    """
    if config.is_given("settings", "columns"):
        from backtestkit_cli.run.columns import column_problems

        if problems := tuple(column_problems(config)):
            raise ConfigError(*problems)


def _refuse_real_models(config: Config, strategies: Sequence[str]) -> None:
    """A language model trades on paper only.

    Raises:
        ConfigError: one would send real orders.
    """
    for name in strategies:
        if config.strategies[name].use == "llm":
            what, where = f"{name} asks a language model, which trades on paper only", config.where("strategies", name)
            raise ConfigError(Problem("not-available", what, where, hint="leave it out to trade with real orders"))


def _memory_warnings(config: Config, name: str) -> tuple[str, ...]:
    if config.strategies[name].use != "llm":
        return ()
    return (f"a language model decided for {name}: what it remembers of this time looks like skill",)


def _grid_warnings(config: Config, name: str, within: TimeRange, tick: Interval, policy: Policy) -> tuple[str, ...]:
    """Whether the ticks of the frame meet the strategy's UTC grid; under `reference` there is none.

    Raises:
        ConfigError: they never do.
    """
    if isinstance(policy, ReferencePolicy):
        return ()
    interval = config.strategies[name].interval
    grid = -(-within.end_ms // interval.ms) - -(-within.start_ms // interval.ms)
    first = within.start_ms
    step = tick.ms
    period = math.lcm(step, interval.ms)
    met_first = next((t for t in range(first, first + period, step) if t % interval.ms == 0), None)
    met = 0 if met_first is None or met_first >= within.end_ms else -(-(within.end_ms - met_first) // period)
    if not met:
        what = f"the frame never meets a decision time of strategy {name} (interval {interval}, ticks every {tick})"
        hint = "start the frame on the strategy's UTC grid, or take ticks of 1m"
        raise ConfigError(Problem("frame-off-grid", what, config.where("strategies", name, "interval"), hint=hint))
    if met < grid:
        share = 100 * met / grid
        return (f"the frame meets {met} of {grid} decision times of {name} ({share:.3g} %); ticks of 1m meet all",)
    return ()
