"""A strategy made to decide again: its file run anew, with candles and a project folder of our choice.

* Nothing it remembered is left: module, `memo` and context are new each time, and gone afterwards. With a registry of
  its own for many evaluations the module is one of its own too, but new only once.
* Nobody hears it: what it prints and logs while it is probed has been told once already, by the run.
* The time limit of calls holds as in a run.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np

from backtestkit_cli.config.merge import Config
from backtestkit_cli.engine.candles import Candles, Ints
from backtestkit_cli.engine.columns import run_columns
from backtestkit_cli.engine.decide import Answer, decision_ticks
from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.engine.leap import leap
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.trades import Trades, trades_of
from backtestkit_cli.engine.vwap import price_at, vwap_all
from backtestkit_cli.engine.walk import StreamWalk
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.event import Event
from backtestkit_cli.model.time import TimeRange
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.run.checks.decisions import Decisions
from backtestkit_cli.run.context import Context, inside
from backtestkit_cli.run.deadline import Deadline
from backtestkit_cli.run.hush import hushed
from backtestkit_cli.run.plan import Plan, ticks_of
from backtestkit_cli.run.strategies import CallingDecider, DecisionStrategy, RowStrategy, Strategy, prepare


@dataclass(frozen=True, slots=True)
class Walked:
    """What a strategy that is asked answered on its way: (time, answer) of each decision, and its trades."""

    answers: tuple[tuple[int, Answer], ...]
    trades: Trades

    @property
    def decisions(self) -> Decisions:
        """The drafts."""
        return Decisions.of_answers(self.answers)


@dataclass(slots=True)
class _Listening:
    """A decider whose answers are kept."""

    decider: CallingDecider
    answers: list[tuple[int, Answer]] = field(default_factory=list)

    def decide(self, time_ms: int, price: float) -> Answer:
        answer = self.decider.decide(time_ms, price)
        self.answers.append((time_ms, answer))
        return answer

    def has_row(self, time_ms: int) -> bool:
        return self.decider.has_row(time_ms)

    def is_short_history(self, time_ms: int) -> bool:
        return self.decider.is_short_history(time_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Afresh:
    """One strategy on one symbol, to be asked again and again.

    `own` keeps its module over evaluations; without it each has a new one. `tell` hears of each evaluation.
    """

    config: Config
    plan: Plan
    name: str
    symbol: str
    registry: Registry
    deadline: Deadline
    steps: MarketSteps
    own: Registry | None = None
    tell: Callable[[], None] = lambda: None

    @property
    def ticks(self) -> Ints:
        """The decision times of the frame; all its ticks where it may miss the grid, as under `reference`."""
        within, interval = self.plan.range, self.config.strategies[self.name].interval
        met = decision_ticks(within.start_ms, within.end_ms, self.plan.tick.ms, interval.ms)
        return met if len(met) else np.array(ticks_of(self.plan), dtype=np.int64)

    def terms(self) -> Terms:
        """The terms of its trades."""
        limits = self.config.limits(self.plan.exchange)
        policy = self.plan.policy.nearest
        return Terms(strategy=self.name, symbol=self.symbol, policy=policy, costs=self.plan.costs, limits=limits)

    def rows(self, candles: Candles, last_ms: int, project: Path | None = None) -> Decisions:
        """Everything it says in rows up to a time, from these candles alone."""
        with self.made(project) as strategy:
            return self.rows_of(strategy, candles, last_ms)

    def rows_of(self, strategy: Strategy, candles: Candles, last_ms: int) -> Decisions:
        """The same of a strategy that was made already."""
        return Decisions.of_rows(self._rows(strategy, candles, last_ms))

    def traded(self, candles: Candles) -> Trades:
        """The trades of its rows."""
        with self.made() as strategy:
            rows = self._rows(strategy, candles, int(self.ticks[-1]))
        return run_columns(candles, rows, self.ticks, self.terms()).trades

    def alone(self, candles: Candles, time_ms: int, project: Path | None = None) -> Decisions:
        """What it answers at one time when it was never asked before."""
        with self.made(project) as strategy:
            return self.alone_of(strategy, candles, time_ms)

    def alone_of(self, strategy: Strategy, candles: Candles, time_ms: int) -> Decisions:
        """The same of a strategy that was made already."""
        price = float(price_at(candles, np.array([time_ms]), self.terms().limits.average_price_candles)[0])
        if np.isnan(price):
            return Decisions.of_answers(())
        return Decisions.of_answers([(time_ms, self._decider(strategy, candles).decide(time_ms, price))])

    def _rows(self, strategy: Strategy, candles: Candles, last_ms: int) -> DraftColumns:
        within = TimeRange(min(self.plan.range.start_ms, last_ms), last_ms)
        return cast("RowStrategy", strategy).rows(self.symbol, candles, within, self.deadline)

    def walked(self, candles: Candles, last_ms: int, project: Path | None = None) -> Walked:
        """What it answers when it is asked from the start of the frame up to a time, as in a run."""
        ticks = self.ticks
        with self.made(project) as strategy:
            heard = _Listening(self._decider(strategy, candles))
            terms = self.terms()
            walk = StreamWalk(
                candles=candles,
                price=vwap_all(candles, terms.limits.average_price_candles),
                ticks=ticks[ticks <= last_ms],
                decider=heard,
                terms=terms,
            )
            events: list[Event] = list(leap(walk))
        return Walked(tuple(heard.answers), trades_of(events))

    def _decider(self, strategy: Strategy, candles: Candles) -> CallingDecider:
        return cast("DecisionStrategy", strategy).decider(
            self.symbol, candles, self.steps, self.deadline, lambda _time_ms: None
        )

    @contextmanager
    def made(self, project: Path | None = None) -> Iterator[Strategy]:
        """The strategy, its file run anew, in a context of its own."""
        self.tell()
        config = self.config if project is None else replace(self.config, project=project)
        registry = self.own or self.registry.child()
        place = Context(exchange=self.plan.exchange, frame=self.plan.frame, strategy=self.name, symbol=self.symbol)
        with ExitStack() as stack:
            if project is not None:
                stack.enter_context(_working_in(self.config.project, project))
            stack.enter_context(hushed())
            stack.enter_context(inside(place))
            try:
                yield prepare(config, self.name, registry)
            finally:
                if registry is not self.own:
                    forget(registry)


def forget(registry: Registry) -> None:
    """Take the modules that were loaded from files for a registry out of the process."""
    for module in registry.files.values():
        sys.modules.pop(module.__name__, None)


@contextmanager
def _working_in(project: Path, copy: Path) -> Iterator[None]:
    """Work in the same folder of the copy, where the working folder lies in the project."""
    here = Path.cwd().resolve()
    inner = here.relative_to(project.resolve()) if here.is_relative_to(project.resolve()) else None
    if inner is None or not (copy / inner).is_dir():
        yield
        return
    with chdir(copy / inner):
        yield
