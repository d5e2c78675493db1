"""The forms of a strategy, made ready to decide one symbol at a time.

YAML rules, vectorised Python and CSV signals become rows; Python per decision becomes a decider that is asked. What
is wrong with a strategy is found here, before any candle is loaded.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import polars as pl

from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.strategy_schema import LimitEntrySchema, RulesSchema, SidesSchema, StrategySchema
from backtestkit_cli.data.signals import SignalRow, draft_columns, read_signals
from backtestkit_cli.engine.cache import NOTHING_KEPT, Cache
from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.decide import Answer, Failed, NoDraft
from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.engine.market import MarketView, TooFewCandles
from backtestkit_cli.engine.reference.market import ReferenceMarket
from backtestkit_cli.engine.resample import Resampled
from backtestkit_cli.engine.rules.compile import RuleProblems, RuleSpec, compile_rules
from backtestkit_cli.engine.rules.decide import CompiledRules
from backtestkit_cli.engine.vwap import price_at
from backtestkit_cli.errors import ConfigError, Problem, StrategyError
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.time import MINUTE_MS, Interval, TimeRange, iso, minutes_of
from backtestkit_cli.plugins.answers import AnswerProblem, draft_from, frame_from
from backtestkit_cli.plugins.parameters import parameters_of
from backtestkit_cli.plugins.reference import Plugin, Reference, resolve
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.run.asked import Asked
from backtestkit_cli.run.asked_model import HISTORY_MINUTES, Unanswerable, asked_model
from backtestkit_cli.run.deadline import CallTimedOut, Deadline

MOST_TIMEOUTS = 3
"""Calls of one strategy that may time out in a row before the run ends."""

Form: TypeAlias = Literal["rules", "decision", "vector", "signals"]


class RowStrategy(Protocol):
    """A strategy whose decisions are rows."""

    @property
    def form(self) -> Form: ...

    @property
    def history_minutes(self) -> int:
        """How long before the frame history begins, the window of the price aside."""
        ...

    def rows(self, symbol: str, candles: Candles, within: TimeRange, deadline: Deadline) -> DraftColumns:
        """Everything it says at times in `within`, both ends included."""
        ...


@dataclass(frozen=True, slots=True)
class RulesStrategy:
    """A strategy in the rule language."""

    compiled: CompiledRules
    limits: Limits
    cache: Cache = NOTHING_KEPT
    form: Form = "rules"

    @property
    def history_minutes(self) -> int:
        """Until the slowest indicator has settled."""
        return self.compiled.settled_minutes

    def rows(self, symbol: str, candles: Candles, within: TimeRange, deadline: Deadline) -> DraftColumns:  # noqa: ARG002
        """Evaluate the rules on all closed candles."""
        price = partial(price_at, candles, count=self.limits.average_price_candles)
        return self.compiled.decide(candles, within.start_ms, within.end_ms, price, self.cache)


@dataclass(frozen=True, slots=True)
class SignalsStrategy:
    """A CSV of signals."""

    signals: tuple[SignalRow, ...]
    form: Form = "signals"
    history_minutes: int = 0

    def rows(self, symbol: str, candles: Candles, within: TimeRange, deadline: Deadline) -> DraftColumns:  # noqa: ARG002
        """The rows of the symbol."""
        return draft_columns(self.signals, symbol)


@dataclass(frozen=True, slots=True)
class VectorStrategy:
    """A vectorised Python function."""

    name: str
    plugin: Plugin
    function: Callable[[pl.LazyFrame], Any]
    interval: Interval
    history_minutes: int
    limits: Limits
    form: Form = "vector"

    def rows(self, symbol: str, candles: Candles, within: TimeRange, deadline: Deadline) -> DraftColumns:
        """Call the function once with every closed candle and read its answer.

        Raises:
            StrategyError: it raised, hung, or answered something that is no frame of drafts.
        """
        given = frame_of(candles, self.interval, within.end_ms, self.limits.average_price_candles)
        times = given["time"].to_numpy()
        try:
            answer = deadline.run(f"strategy {self.name}", self._call, given, times)
        except CallTimedOut as error:
            raise StrategyError(error.problem) from error
        except AnswerProblem as error:
            what = f"strategy {self.name} answered no frame of drafts for {symbol}: {error}"
            raise StrategyError(Problem("bad-answer", what, self.plugin.place)) from error
        except (KeyboardInterrupt, StrategyError):  # of a drafted one its process has told
            raise
        except BaseException as error:  # `sys.exit` too: user code does not end the program
            raise StrategyError(_raised(self.name, self.plugin, error)) from error
        return self._columns(answer, candles.start_ms)

    def _call(self, given: pl.DataFrame, times: Any) -> pl.DataFrame:
        return frame_from(self.function(given.lazy()), times)

    def _columns(self, answer: pl.DataFrame, start_ms: int) -> DraftColumns:
        none = np.zeros(len(answer), dtype=bool)
        times = answer["time"].to_numpy()
        return DraftColumns(
            time_ms=times,
            side=np.where(answer["position"].to_numpy() == "long", 1, -1).astype(np.int8),
            ambiguous=none,
            warm_up=none,
            short_history=times - start_ms < self.history_minutes * MINUTE_MS,
            price_open=answer["price_open"].fill_null(np.nan).to_numpy(),
            has_price_open=answer["price_open"].is_not_null().to_numpy(),
            price_take_profit=answer["price_take_profit"].to_numpy(),
            price_stop_loss=answer["price_stop_loss"].to_numpy(),
            lifetime_minutes=answer["lifetime_minutes"].to_numpy(),
            wait_minutes=answer["wait_minutes"].fill_null(np.nan).to_numpy(),
            distance_problem=np.zeros(len(answer), dtype=np.int8),
            notes=tuple(answer["note"].fill_null("").to_list()),
        )


def frame_of(candles: Candles, interval: Interval, last_ms: int, price_candles: int) -> pl.DataFrame:
    """What a vectorised strategy is given: one row per candle of an interval that has closed by a time."""
    larger = Resampled(candles, interval.minutes)
    kept = larger.exists & (larger.close_ms <= last_ms)
    names = ("open", "high", "low", "close", "volume", "vwap")
    times = larger.close_ms[kept]
    price = price_at(candles, times, price_candles)
    return pl.DataFrame(
        {"time": times, **{name: getattr(larger, name)[kept] for name in names}, "price": price},
        nan_to_null=True,
    )


@dataclass(frozen=True, slots=True)
class DecisionStrategy:
    """A Python function that is asked at every free decision time."""

    name: str
    plugin: Plugin
    function: Callable[[MarketView | ReferenceMarket], Any]
    history_minutes: int
    form: Form = "decision"

    def decider(
        self, symbol: str, candles: Candles, steps: MarketSteps, deadline: Deadline, on_time: Callable[[int], None]
    ) -> "CallingDecider":
        """A decider for one symbol; `on_time` is told of every decision time."""
        return self.decider_on(MarketView(symbol, candles, steps), candles.start_ms, deadline, on_time)

    def decider_on(
        self, market: MarketView | ReferenceMarket, start_ms: int, deadline: Deadline, on_time: Callable[[int], None]
    ) -> "CallingDecider":
        """A decider for one market, whose history starts at `start_ms`."""
        return CallingDecider(self, market, start_ms, deadline, on_time)


@dataclass(slots=True)
class CallingDecider:
    """Asks the function; keeps what its failures were, and some of its answers."""

    strategy: DecisionStrategy
    market: MarketView | ReferenceMarket
    start_ms: int
    deadline: Deadline
    on_time: Callable[[int], None]
    failures: list[str] = field(default_factory=list)
    timeouts: int = 0
    asked: Asked = field(default_factory=Asked)

    def decide(self, time_ms: int, price: float) -> Answer:
        """Call the function; whatever it raises is an answer too."""
        self.on_time(time_ms)
        market, strategy = self.market, self.strategy
        market.now, market.price = time_ms, price
        try:
            draft = draft_from(self.deadline.run(strategy.name, strategy.function, market))
            self.timeouts = 0
        except TooFewCandles:
            self.asked.add(time_ms, NoDraft.WARM_UP)
            return NoDraft.WARM_UP
        except CallTimedOut as error:
            self.timeouts += 1
            if self.timeouts == MOST_TIMEOUTS:  # it would take its whole time at every decision
                raise StrategyError(error.problem) from error
            return self._failed(time_ms, str(error))
        except AnswerProblem as error:
            return self._failed(time_ms, f"strategy {strategy.name} answered no draft: {error}")
        except Unanswerable as error:
            raise error.error from None
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # user code, `sys.exit` too: counted, told, and the run goes on
            return self._failed(time_ms, _raised(strategy.name, strategy.plugin, error).what)
        answer = NoDraft.NONE if draft is None else draft
        self.asked.add(time_ms, answer)
        return answer

    def has_row(self, time_ms: int) -> bool:  # noqa: ARG002  # it is asked, it has no rows
        """Nothing is computed beforehand."""
        return False

    def is_short_history(self, time_ms: int) -> bool:
        """Whether less than its warm-up has passed since history began."""
        return time_ms - self.start_ms < self.strategy.history_minutes * MINUTE_MS

    def _failed(self, time_ms: int, what: str) -> Failed:
        self.failures.append(f"{iso(time_ms)}: {what}")
        return Failed(what)


Strategy: TypeAlias = RulesStrategy | SignalsStrategy | VectorStrategy | DecisionStrategy


def prepare(
    config: Config, name: str, registry: Registry, cache: Cache = NOTHING_KEPT, *, is_recording: bool = False
) -> Strategy:
    """Make one strategy of the config ready; rules take from the cache what others on the same candles computed.

    With `is_recording` a language model is asked where no answer of it is known.

    Raises:
        ConfigError: its rules, its params or its reference are wrong.
        DataError: its file of signals is.
        StrategyError: its code raised while it was loaded.
    """
    schema = config.strategies[name]
    if schema.rules is not None:
        return _rules(config, schema, schema.rules, cache)
    if schema.signals is not None:
        # the original has no grid of its own: it asks so long after the last call
        grid = Interval.M1 if config.settings.fill == "reference" else schema.interval
        return SignalsStrategy(read_signals(config.project / schema.signals, grid))
    if schema.use == "llm":
        return _model(config, name, registry, is_recording=is_recording)
    return _python(config, schema, schema.use or "", registry)


def _model(config: Config, name: str, registry: Registry, *, is_recording: bool) -> DecisionStrategy:
    asked = asked_model(config, name, registry, is_recording=is_recording)
    plugin = Plugin(
        function=asked,
        reference=Reference(text="llm", kind="strategy"),
        file=None,
        line=None,
        parameters=parameters_of(asked, given=1),
        project=config.project,
        form="decision",
    )
    return DecisionStrategy(name, plugin, asked, HISTORY_MINUTES)


def _rules(config: Config, schema: StrategySchema, rules: RulesSchema, cache: Cache) -> RulesStrategy:
    limit, wait = None, None
    if isinstance(rules.entry, LimitEntrySchema):
        limit, wait = _level(rules.entry.limit), rules.entry.wait_minutes
    spec = RuleSpec(
        candles_minutes=schema.candles_interval.minutes,
        let=rules.let,
        long=rules.long,
        short=rules.short,
        entry_limit=limit,
        wait_minutes=wait,
        take_profit=_level(rules.take_profit),
        stop_loss=_level(rules.stop_loss),
        lifetime_minutes=minutes_of(rules.lifetime),
        note=rules.note or "",
    )
    unread = [name for name in schema.params if name not in _names_in(rules)]
    if unread:
        raise ConfigError(*(_unread(config, schema, rules, name) for name in unread))
    try:
        return RulesStrategy(compile_rules(spec, schema.params), config.settings.limits_model(), cache)
    except RuleProblems as found:
        raise ConfigError(
            *(
                Problem(
                    code="bad-rule",
                    what=problem.what,
                    where=config.where("strategies", schema.name, "rules", *key.split(".")),
                    hint=problem.hint,
                )
                for key, problem in found.problems
            )
        ) from found


def _names_in(rules: RulesSchema) -> set[str]:
    """Every name that the texts of the rules use."""
    return set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", repr(rules.model_dump(mode="json", exclude={"note"}))))


def _unread(config: Config, schema: StrategySchema, rules: RulesSchema, name: str) -> Problem:
    where = config.where("strategies", schema.name, "params", name)
    near = difflib.get_close_matches(name, _names_in(rules), n=1)
    hint = f"did you mean {near[0]}?" if near else "remove it, or use it in an expression"
    return Problem("unread-param", f"no expression of {schema.name} reads the param {name}", where, hint=hint)


def _level(level: str | SidesSchema) -> str | Mapping[str, str]:
    if isinstance(level, str):
        return level
    return {side: text for side, text in (("long", level.long), ("short", level.short)) if text is not None}


def _python(config: Config, schema: StrategySchema, use: str, registry: Registry) -> VectorStrategy | DecisionStrategy:
    plugin = resolve(use, "strategy", config.project, registry)
    problems = plugin.check(schema.params)
    if problems:
        raise ConfigError(*(_at_param(config, schema.name, problem) for problem in problems))
    function = plugin.bind(schema.params)
    if plugin.form == "decision":
        return DecisionStrategy(schema.name, plugin, function, schema.warm_up_minutes)
    return VectorStrategy(
        schema.name,
        plugin,
        function,
        schema.candles_interval,
        schema.warm_up_minutes,
        config.settings.limits_model(),
    )


def _at_param(config: Config, name: str, problem: Problem) -> Problem:
    key = problem.where.key if problem.where else None
    keys = ("params", key) if key and key in config.strategies[name].params else ("params",)
    return Problem(
        problem.code,
        problem.what,
        config.where("strategies", name, *keys),
        found=problem.found,
        expected=problem.expected,
        hint=problem.hint,
    )


def _raised(name: str, plugin: Plugin, error: BaseException) -> Problem:
    """What user code raised, with its line in the user's own file."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if plugin.file and Path(trace.tb_frame.f_code.co_filename) == Path(plugin.file):
            line = trace.tb_lineno
        trace = trace.tb_next
    place = f"{plugin.file}, line {line or plugin.line}"
    text = " ".join(str(error).split())[:300]
    what = f"strategy {name} raised {type(error).__name__}{f': {text}' if text else ''} ({place})"
    return Problem("strategy-raised", what, plugin.place)
