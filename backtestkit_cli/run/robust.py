"""`robust`: do a stored run again under what could have been otherwise, and say what it withstands.

* The config is the one of the bundle; the run must come out as it was, or nothing is tested.
* Trades and days are drawn from what the run made; entries are tried on its candles, each stream by itself. Costs and
  markets are runs again, whole, for risk and sizing may depend on them.
* Every draw follows from the run id: the same run gives the same figures.
* Parts are done in one order, the dearest last, and kept as they come: an interruption keeps what is done.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from backtestkit_cli.engine.candles import Candles, Floats
from backtestkit_cli.engine.result import RunResult, RunStatus, StreamRun
from backtestkit_cli.errors import DataError, Problem, Source, UsageError
from backtestkit_cli.measure.equity import run_equity
from backtestkit_cli.measure.metrics import merged, total
from backtestkit_cli.measure.other_entries import DRAWS, RandomEntries, delayed, p_value
from backtestkit_cli.measure.resampled import resampled_days, shuffled_trades, spread_of
from backtestkit_cli.measure.robust import (
    DELAYS,
    FACTORS,
    UNIT,
    CostStep,
    DelayStep,
    DrawnMarket,
    EntryLuck,
    Robustness,
    Test,
    break_even,
    scaled,
)
from backtestkit_cli.measure.statistics import LEAST_DAYS, daily_drawdown, sharpe_ratio
from backtestkit_cli.model.policy import Costs, ReferencePolicy
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.run.backtest import end_quietly
from backtestkit_cli.run.checks.afresh import forget
from backtestkit_cli.run.finished_robust import FinishedRobust
from backtestkit_cli.run.remembered import Remembered
from backtestkit_cli.run.repeat import read_manifest, repeat

WORLDS = 50


class RobustStep(NamedTuple):
    """How far the tests are: steps done, of about how many, and what is done now."""

    done: float
    total: int
    what: str


def nobody(_step: RobustStep) -> None:
    """Nobody listens."""


@dataclass(slots=True, kw_only=True)
class Robust:
    """The tests of one stored run; `found` grows while they run, from when the run was done again.

    `worlds` is the number of other markets. `logs` is where the reports go.
    """

    bundle: Path
    project: Path
    registry: Registry
    logs: Path
    worlds: int = WORLDS
    on_step: Callable[[RobustStep], None] = nobody
    on_abandon: Callable[[str], None] = end_quietly
    found: Robustness = field(init=False)
    is_begun: bool = False
    candles: Remembered = field(default_factory=Remembered)
    _manifest: dict[str, Any] = field(default_factory=dict)
    _made: dict[float, CostStep] = field(default_factory=dict)
    _done: int = 0
    _what: str = ""

    def run(self) -> FinishedRobust:
        """Test everything.

        Raises:
            UsageError, DataError: the run cannot be done again, or comes out otherwise now.
            ConfigError, StrategyError: its code or candles cannot be used any more.
            KeyboardInterrupt: the user stopped it; `result("interrupted")` tells what was done.
        """
        self._manifest = read_manifest(self.bundle)
        with tempfile.TemporaryDirectory(prefix="backtestkit-") as folder:
            run = self._as_it_was(Path(folder))
            self.found = Robustness(
                run=run, status="interrupted", pnl_percent=_made(run), trades=_trades(run), reasons=self._reasons(run)
            )
            self.is_begun = True
            self._keep(
                order=shuffled_trades(merged([one.result.trades for one in run.streams]), self._seed),
                days=resampled_days(run_equity(run).changes, self._seed),
            )
            if _trades(run):
                self._keep(entries=self._entries(run))
                self._keep(delays=tuple(self._delay(run, minutes) for minutes in DELAYS))
            self._test_costs(run, Path(folder))
            if "markets" not in self.found.reasons:
                self._test_markets(Path(folder))
        return self.result()

    def result(self, status: RunStatus = "complete") -> FinishedRobust:
        """What is known so far, once it has begun."""
        return FinishedRobust(found=replace(self.found, status=status), logs=self.logs)

    @property
    def _seed(self) -> int:
        return int(self.bundle.name, 16)

    def _keep(self, **parts: Any) -> None:
        self.found = replace(self.found, **parts)

    def _as_it_was(self, folder: Path) -> RunResult:
        job = repeat(self._manifest, self.project, self.registry, folder)
        if isinstance(job.plan.policy, ReferencePolicy):
            what = f"run {self.bundle.name} was filled as the original does, by an engine that cannot be tested so"
            hint = "run the backtest with another fill policy, and test that"
            raise UsageError(Problem("not-testable", what, Source(file=str(self.bundle)), hint=hint))
        run = self._again("the run itself", folder, load=self.candles)
        if run.run_id != self.bundle.name:
            what = f"run {self.bundle.name} comes out otherwise now: code, candles or program have changed"
            hint = f"`backtestkit run verify {self.bundle.name}` says what; run the backtest again, and test that"
            raise DataError(Problem("run-changed", what, Source(file=str(self.bundle)), hint=hint))
        return run

    def _again(
        self, what: str, folder: Path, *, load: Callable[..., Candles] | None = None, costs: Costs | None = None
    ) -> RunResult:
        """Do the run again, at other costs or in other markets."""
        self._what = what
        job = repeat(self._manifest, self.project, self.registry.child(), folder)
        job.load, job.on_abandon = load or self.candles, self.on_abandon
        job.plan = replace(job.plan, costs=costs or job.plan.costs)
        job.on_progress = lambda *_: self._tell(job.percent_done / 100)
        try:
            run = job.run()
        finally:
            forget(job.registry)
        self._stepped()
        return run

    # ---- entries

    def _entries(self, run: RunResult) -> tuple[EntryLuck, ...]:
        self._what = "random entries"
        with_trades = [one for one in run.streams if len(one.result.trades)]
        drawn = [self._drawn(one, run, place) for place, one in enumerate(with_trades)]
        self._stepped()
        whole = _luck(np.sum(drawn, axis=0), _pnl(run), _trades(run))
        if len(run.streams) == 1:
            return (whole,)
        return (whole, *map(_luck_alone, with_trades, drawn))

    def _drawn(self, stream: StreamRun, run: RunResult, place: int) -> Floats:
        entries = RandomEntries(
            candles=self.candles.of(stream.symbol),
            terms=stream.result.terms,
            within=run.range,
            trades=stream.result.trades,
        )
        count = 0

        def told() -> None:
            nonlocal count
            count += 1
            self._tell(count / len(stream.result.trades))

        return entries.draw(self._seed + place, DRAWS, told)

    def _delay(self, run: RunResult, minutes: int) -> DelayStep:
        found = [
            delayed(self.candles.of(one.symbol), one.result.terms, one.result.trades, minutes) for one in run.streams
        ]
        trades = sum(map(len, found))
        return DelayStep(
            minutes=minutes,
            pnl_percent=sum(total(one.pnl_percent) for one in found),
            trades=trades,
            left_out=_trades(run) - trades,
        )

    # ---- costs and markets

    def _test_costs(self, run: RunResult, folder: Path) -> None:
        unit = run.costs if run.costs.fee_percent or run.costs.slippage_percent else UNIT

        def step(factor: float) -> CostStep:
            if factor not in self._made:
                costs = scaled(unit, factor)
                made = run if costs == run.costs else self._again(f"costs ×{factor:.3g}", folder, costs=costs)
                self._made[factor] = CostStep(factor=factor, costs=costs, pnl_percent=_made(made), trades=_trades(made))
            return self._made[factor]

        self._keep(costs=tuple(map(step, FACTORS)))
        if _trades(run):
            factor = break_even(lambda one: step(one).pnl_percent)
            self._keep(break_even=None if factor is None else step(factor))

    def _test_markets(self, folder: Path) -> None:
        made: list[DrawnMarket] = []
        for number in range(self.worlds):
            load = self.candles.market(self._seed, number)
            run = self._again(f"market {number + 1} of {self.worlds}", folder, load=load)
            equity = run_equity(run)
            made.append(
                DrawnMarket(
                    pnl_percent=_made(run),
                    trades=_trades(run),
                    sharpe=sharpe_ratio(equity.changes),
                    drawdown_percent=daily_drawdown(equity).depth_percent,
                )
            )
            self._keep(markets=tuple(made))

    def _reasons(self, run: RunResult) -> dict[Test, str]:
        """What cannot be tested, and why."""
        reasons: dict[Test, str] = {}
        if _trades(run) < 2:
            reasons["order"] = "fewer than 2 trades"
        if len(run_equity(run).changes) < LEAST_DAYS:
            reasons["days"] = f"fewer than {LEAST_DAYS} days"
        if not _trades(run):
            reasons |= {"entries": "no trade", "delay": "no trade", "costs": "no trade"}
        if not self.worlds:
            reasons["markets"] = "left out"
        elif any(stream.form == "signals" for stream in run.streams):
            reasons["markets"] = "signals of a file are of one market only"
        elif any(one.get("use") == "llm" for one in self._manifest["rerun"]["config"]["strategies"]):
            reasons["markets"] = "answers of a language model were recorded in one market only"
        return reasons

    # ---- progress

    def _stepped(self) -> None:
        self._done += 1
        self._tell(0.0)

    def _tell(self, part: float) -> None:
        # the run itself, the entries, costs and about as many steps to the break-even
        total_steps = 2 + 2 * len(FACTORS) + self.worlds
        self.on_step(RobustStep(min(self._done + part, total_steps), total_steps, self._what))


def _luck(draws: Floats, made: float, trades: int) -> EntryLuck:
    return EntryLuck(trades=trades, pnl_percent=made, draws=spread_of(draws), p_value=p_value(made, draws))


def _luck_alone(stream: StreamRun, draws: Floats) -> EntryLuck:
    trades = stream.result.trades
    luck = _luck(draws, total(trades.pnl_percent), len(trades))
    return replace(luck, strategy=stream.strategy, symbol=stream.symbol)


def _made(run: RunResult) -> float:
    """What a run brought in percent of its balance; of one stake where it has none."""
    if run.balance is None:
        return _pnl(run)
    quotes = [one.result.trades.pnl_quote for one in run.streams]
    return 100 * sum(total(one[~np.isnan(one)]) for one in quotes) / run.balance


def _pnl(run: RunResult) -> float:
    """What it brought in percent of one stake."""
    return sum(total(one.result.trades.pnl_percent) for one in run.streams)


def _trades(run: RunResult) -> int:
    return sum(len(one.result.trades) for one in run.streams)
