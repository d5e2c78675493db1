"""One workload as `backtest` prepares it: its rules, its candles in memory, its decision times."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backtestkit_cli.config.merge import Config
from backtestkit_cli.engine.candles import Candles, Ints
from backtestkit_cli.engine.columns import run_columns
from backtestkit_cli.engine.decide import decision_ticks
from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.engine.result import StreamResult
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.kit import Kit
from backtestkit_cli.model.time import MINUTE_MS, TimeRange
from backtestkit_cli.run.backtest import Backtest
from backtestkit_cli.run.deadline import Deadline
from backtestkit_cli.run.strategies import RulesStrategy, prepare
from benchmarks.market import START_MS, SYMBOLS, Table, load


@dataclass(frozen=True, slots=True)
class Stream:
    """One strategy on one symbol, with all that stays the same between its runs."""

    config: Config
    plan: Backtest
    name: str
    strategy: RulesStrategy
    candles: Candles
    ticks: Ints
    terms: Terms
    deadline: Deadline

    def rows(self) -> DraftColumns:
        """Decide."""
        within = TimeRange(self.plan.plan.range.start_ms, int(self.ticks[-1]))
        return self.strategy.rows(self.terms.symbol, self.candles, within, self.deadline)

    def result(self) -> StreamResult:
        """Decide and run."""
        return run_columns(self.candles, self.rows(), self.ticks, self.terms)

    def run(self) -> int:
        """Run up to the frame of trades."""
        return len(self.result().trades.frame())


def candles_of(table: Table) -> Candles:
    """Lay a table of the market out as candles."""
    times = START_MS + MINUTE_MS * np.arange(table.shape[1], dtype=np.int64)
    return Candles.from_rows(times, *table)


def stream(folder: Path, name: str, policy: str, symbol: str = SYMBOLS[0]) -> Stream:
    """Prepare a workload of rules."""
    kit = Kit.load(folder / "configs", overrides=(f"settings.fill={policy}",))
    backtest = kit.backtest(name, symbols=(symbol,))
    strategy = prepare(kit.config, name, kit.registry)
    if not isinstance(strategy, RulesStrategy):
        raise TypeError(f"{name} has no rules")
    return Stream(
        config=kit.config,
        plan=backtest,
        name=name,
        strategy=strategy,
        candles=candles_of(load(folder, symbol)),
        ticks=ticks_of(backtest, kit.config.strategies[name].interval.ms),
        terms=terms_of(backtest, name, symbol),
        deadline=Deadline(60.0, lambda _message: None),
    )


def ticks_of(backtest: Backtest, interval_ms: int) -> Ints:
    """The decision times of a plan."""
    within = backtest.plan.range
    return decision_ticks(within.start_ms, within.end_ms, backtest.plan.tick.ms, interval_ms)


def terms_of(backtest: Backtest, name: str, symbol: str) -> Terms:
    """The rules one strategy runs under on one symbol."""
    plan, limits = backtest.plan, backtest.config.settings.limits_model()
    return Terms(strategy=name, symbol=symbol, policy=plan.policy.nearest, costs=plan.costs, limits=limits)
