"""Sizings of the config, made ready: how much a stream may trade at an instant.

* A method that answers nothing above zero makes no position, whatever `min_quantity` says; nor does a spent account.
* What it answers is brought within the limits, then cut to the market's quantity step.
* Kelly's odds `from_trades` need trades: until there are enough, `min_quantity` is traded where it is given. Odds that
  allow nothing never change again, because only trades change them: that is told.
* The average true range is that of the last closed candle of the strategy's interval, known once it has its history.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import inf, isfinite
from typing import Any

import numpy as np

from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.stake_schema import (
    AtrBasedSizing,
    FixedPercentageSizing,
    KellySizing,
    PluginSizing,
    SizingSchema,
)
from backtestkit_cli.engine.candles import Candles, Floats, Ints
from backtestkit_cli.engine.gate import Sized, Sizer, SizingQuestion
from backtestkit_cli.engine.rules.evaluate import Evaluation
from backtestkit_cli.engine.rules.expression import Expression
from backtestkit_cli.engine.rules.history import Reach, longest_minutes, reaches
from backtestkit_cli.engine.rules.parse import RuleProblem, Scope, parse
from backtestkit_cli.engine.sizing import (
    QuantityLimits,
    SizingError,
    atr_based,
    fixed_percentage,
    kelly_criterion,
    odds_of,
)
from backtestkit_cli.engine.vwap import price_at
from backtestkit_cli.errors import ConfigError, Problem
from backtestkit_cli.model.event import Event, QuantityCalculated, QuantityRefused
from backtestkit_cli.model.rounding import cut_quantity
from backtestkit_cli.model.time import iso
from backtestkit_cli.plugins.reference import Plugin, resolve
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.run.context import inside
from backtestkit_cli.run.failures import Watched, failure_text, unwatched
from backtestkit_cli.run.listen import Audience
from backtestkit_cli.run.strategies import Strategy

Method = Callable[[SizingQuestion], float]
MethodOf = Callable[[Candles], Method]
"""Makes the method of one stream, from its candles."""

_ODDS_RULES = ("odds_unknown", "odds_against")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """A sizing for the streams of one strategy. `history_minutes`: how long before the frame its candles begin."""

    name: str
    method_of: MethodOf
    limits: QuantityLimits
    history_minutes: int = 0

    def sizer(self, candles: Candles, quantity_step: float | None, audience: Audience) -> Sizer:
        """The sizer of one stream."""
        return partial(_told, self, self.method_of(candles), quantity_step, audience)


def ended_by_odds(events: Iterable[Event]) -> Iterator[str]:
    """Tell since when the odds of its own trades allow a stream nothing more, if they do."""
    refused = [event for event in events if isinstance(event, QuantityRefused) and event.rule in _ODDS_RULES]
    if refused:
        first = refused[0]
        signals = "1 signal got" if len(refused) == 1 else f"{len(refused)} signals got"
        yield (
            f"it trades no more from {iso(first.time_ms)} on, {signals} no quantity: {first.why}, its sizing takes its "
            "odds from them, and only trades change them; a larger from_trades, or given odds, may go on"
        )


def prepare_sizing(config: Config, strategy: str, registry: Registry, watched: Watched = unwatched) -> Sizing | None:
    """Make the sizing of a strategy ready; None where it has none. One in Python is `watched`.

    Raises:
        ConfigError: its expression, its params or its reference are wrong.
        StrategyError: its code raised while it was loaded.
    """
    name = config.strategies[strategy].sizing
    if name is None:
        return None
    schema = config.sizings[name]
    limits = QuantityLimits(
        max_position_percentage=schema.max_position_percentage,
        min_quantity=schema.min_quantity,
        max_quantity=schema.max_quantity,
    )
    if isinstance(schema, AtrBasedSizing):
        line = _AtrLine.of(config, schema, strategy)
        return Sizing(name=name, method_of=line.method_of, limits=limits, history_minutes=line.history_minutes)
    method = _method(config, schema, registry, watched)
    return Sizing(name=name, method_of=lambda _: method, limits=limits)


def _method(config: Config, schema: SizingSchema, registry: Registry, watched: Watched) -> Method:
    match schema:
        case FixedPercentageSizing():
            return partial(_by_risk, schema.risk_percentage)
        case KellySizing():
            return partial(_by_kelly, schema)
        case PluginSizing():
            plugin = resolve(schema.method, "sizing", config.project, registry)
            problems = plugin.check(schema.params)
            if problems:
                where = config.where("sizings", schema.name, "params")
                raise ConfigError(*(replace(one, where=where) for one in problems))
            function = watched(f"sizing {schema.name}", plugin.bind(schema.params))
            return partial(_asked, plugin, function)
        case _:
            raise TypeError(f"{schema.method} is no method of sizing")


def _by_risk(risk_percentage: float, question: SizingQuestion) -> float:
    signal = question.signal
    return fixed_percentage(question.equity, signal.price_open, signal.price_stop_loss, risk_percentage=risk_percentage)


def _by_kelly(schema: KellySizing, question: SizingQuestion) -> float:
    if schema.win_rate is not None and schema.win_loss_ratio is not None:
        odds = schema.win_rate, schema.win_loss_ratio
    else:
        odds = odds_of(question.closed_percents, schema.from_trades or 0)
    price_open, multiplier = question.signal.price_open, schema.kelly_multiplier
    quantity = kelly_criterion(question.equity, price_open, *odds, kelly_multiplier=multiplier)
    if not quantity and schema.from_trades is not None:
        raise SizingError("odds-against", f"the odds of the last {schema.from_trades} trades advise against trading")
    return quantity


def _asked(plugin: Plugin, function: Callable[[SizingQuestion], Any], question: SizingQuestion) -> float:
    """A sizing in Python: a number, None for no position; what raises opens none either."""
    text = plugin.reference.text
    try:
        answer = function(question)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # `sys.exit` too: user code does not end the program
        what = failure_text(error, plugin.place, f"in the sizing {text}")
        raise SizingError("sizing-raised", what) from error
    if answer is None:
        return 0.0
    if isinstance(answer, bool) or not isinstance(answer, int | float | np.integer | np.floating):
        raise SizingError("sizing-answer", f"sizing {text} answered no number: {answer!r:.60}")
    try:
        return float(answer)
    except OverflowError:
        return inf


@dataclass(frozen=True, slots=True, kw_only=True)
class _AtrLine:
    """The average true range at any instant."""

    schema: AtrBasedSizing
    expression: Expression
    history: frozenset[Reach]
    interval_minutes: int
    price_candles: int

    @classmethod
    def of(cls, config: Config, schema: AtrBasedSizing, strategy: str) -> "_AtrLine":
        try:
            expression = parse(schema.atr, Scope(), kind="number")
        except RuleProblem as problem:
            where = config.where("sizings", schema.name, "atr")
            raise ConfigError(Problem("bad-rule", problem.what, where, hint=problem.hint)) from problem
        return cls(
            schema=schema,
            expression=expression,
            history=reaches(expression, {}),
            interval_minutes=config.strategies[strategy].interval.minutes,
            price_candles=config.settings.limits.average_price_candles,
        )

    @property
    def history_minutes(self) -> int:
        return longest_minutes(self.history, self.interval_minutes, settled=True)

    def method_of(self, candles: Candles) -> Method:
        evaluation = Evaluation(candles, self.interval_minutes, partial(price_at, candles, count=self.price_candles))
        with np.errstate(all="ignore"):
            values = evaluation.numbers(self.expression).copy()
        values[~evaluation.has_history(self.history, slice(None), settled=False)] = np.nan
        return partial(self._size, evaluation.larger.close_ms, values)

    def _size(self, times_ms: Ints, values: Floats, question: SizingQuestion) -> float:
        row = int(np.searchsorted(times_ms, question.time_ms, side="right")) - 1
        atr = float(values[row]) if row >= 0 else np.nan
        if np.isnan(atr):
            raise SizingError("atr-unknown", f"{self.schema.atr} is not known yet")
        return atr_based(
            question.equity, atr, risk_percentage=self.schema.risk_percentage, atr_multiplier=self.schema.atr_multiplier
        )


def _told(
    sizing: Sizing, method: Method, quantity_step: float | None, audience: Audience, question: SizingQuestion
) -> Sized:
    """Size, and tell who listens."""
    time_ms, signal, equity, _ = question
    with inside(audience.context(signal.strategy, signal.symbol), time_ms):
        sized = _sized(sizing.limits, method, quantity_step, question)
    if audience.wants(QuantityCalculated):
        audience.tell(
            QuantityCalculated(
                time_ms=time_ms, signal=signal, sizing=sizing.name, equity=equity, quantity=sized.quantity
            )
        )
    return sized


def _sized(limits: QuantityLimits, method: Method, step: float | None, question: SizingQuestion) -> Sized:
    equity, entry = question.equity, question.signal.price_open
    if equity <= 0:
        return Sized(0.0, "equity_spent", "the equity is spent")
    try:
        wanted = method(question)
    except SizingError as error:
        if error.code != "too-few-trades" or limits.min_quantity is None:
            return Sized(0.0, error.code.replace("-", "_"), str(error))
        wanted = limits.min_quantity  # the smallest size, until there are trades to take the odds from
    if not isfinite(wanted):
        return Sized(0.0, "sizing_answer", f"the sizing answered {wanted}")
    if wanted <= 0:
        return Sized(0.0, "advised_against", f"the sizing answered {wanted:g}")
    limited = limits.apply(wanted, equity, entry)
    quantity = cut_quantity(limited, step)
    return (
        Sized(quantity)
        if quantity
        else Sized(0.0, "below_step", f"{limited:.6g} is less than the quantity step {step:g}")
    )


def history_minutes(strategies: Mapping[str, Strategy], sizings: Mapping[str, Sizing | None]) -> dict[str, int]:
    """How long before the frame the candles of each strategy begin, the window of the price aside."""
    needed = {name: sizing.history_minutes if sizing else 0 for name, sizing in sizings.items()}
    return {name: max(strategy.history_minutes, needed[name]) for name, strategy in strategies.items()}
