"""The walker: every strategy of it, and every variant, on the same candles, ranked as far as it came.

* Each contestant is a backtest of its own, by the driver of every backtest, and is heard like one; nothing is kept of
  it that grows with its trades. Candles are loaded once.
* Results come in the order of the config, however many processes work.
* A contestant whose code fails is told and left out; the rest goes on.
* A request to stop acts before the next contestant.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, get_args

from backtestkit_cli.config.merge import Config
from backtestkit_cli.engine.result import RunStatus
from backtestkit_cli.measure.contest import NOBODY, Best, Contest, Contestant, Failed, Outcome, better
from backtestkit_cli.model.event import Event, Notice, SearchEvent, WalkerEvent
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.run.backtest import end_quietly
from backtestkit_cli.run.callbacks import callbacks_of, walker_callbacks_of
from backtestkit_cli.run.contestant import Ended, Tester
from backtestkit_cli.run.contestants import WalkerPlan, longest_history
from backtestkit_cli.run.finished_contest import FinishedContest
from backtestkit_cli.run.identity import contest_id
from backtestkit_cli.run.jobs import Job, Runs, begin
from backtestkit_cli.run.kept_results import KeptResults, TakenOver
from backtestkit_cli.run.listen import Audience, Listeners
from backtestkit_cli.run.loaded import LoadedOnce, load_for_all
from backtestkit_cli.run.notices import failure
from backtestkit_cli.run.shared_run import shared_run
from backtestkit_cli.run.spilled import Spill
from backtestkit_cli.run.standing import Standing
from backtestkit_cli.run.trials import TrialLedger, trial_of
from backtestkit_cli.run.walker_notices import ended, failed, finished, progress, started
from backtestkit_cli.run.workforce import Setting, Stage, Task, Workforce

RUN_TOPICS = frozenset(get_args(Event | Notice)) - frozenset(get_args(WalkerEvent | SearchEvent))
"""What is told of the backtests of contestants."""


class WalkerStep(NamedTuple):
    """How far a walker is: contestants done with, of how many, who is tested now, and the best so far."""

    done: float
    total: int
    contestant: Contestant
    best: Best


def nobody(_step: WalkerStep) -> None:
    """Nobody listens."""


def nobody_failed(_failed: Failed) -> None:
    """Nobody is told at once."""


def nobody_resumed(_taken: TakenOver) -> None:
    """Nobody is told what was taken over."""


@dataclass(slots=True, kw_only=True)
class Walker:
    """One comparison: `outcomes` and `failed` grow while it runs, so that an interruption keeps what is finished.

    `cluster` is the address of a Dask cluster that tests. With `is_resumed` results that an earlier run of the same
    kept are taken over. `runs` are those of a kit; `standing` is for who asks about this one.
    """

    config: Config
    plan: WalkerPlan
    registry: Registry
    logs: Path
    jobs: int = 1
    cluster: str | None = None
    is_resumed: bool = False
    on_progress: Callable[[WalkerStep], None] = nobody
    on_failure: Callable[[Failed], None] = nobody_failed
    on_resume: Callable[[TakenOver], None] = nobody_resumed
    on_abandon: Callable[[str], None] = end_quietly
    listeners: Listeners = field(default_factory=Listeners)
    runs: Runs = field(default_factory=Runs)
    standing: Standing = field(default_factory=Standing)
    ends_process: bool = True
    outcomes: list[Outcome] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    best: Best = NOBODY
    fingerprint: str = ""
    audience: Audience = field(init=False)
    _spill: Spill = field(default_factory=Spill)

    def __post_init__(self) -> None:
        self.audience = self._audience()

    def __iter__(self) -> Iterator[WalkerEvent]:
        """Run, and tell how it goes: who begins, what came of it, how far it is, and the end.

        Whoever ends the loop early ends the run; `result("interrupted")` tells what was finished.
        """
        return self._happen()

    def run(self) -> FinishedContest:
        """Test every contestant.

        Raises:
            ConfigError, DataError: something of a contestant, or the candles of all, is wrong.
            KeyboardInterrupt: the user stopped it; `result("interrupted")` tells what was finished.
        """
        for _ in self._happen():
            pass
        return self.result()

    def background(self) -> Job[FinishedContest]:
        """Run in a thread of its own; the answer is its handle.

        Raises:
            UsageError: a job with one of these streams is running.
        """
        return begin(self)

    def stop(self) -> None:
        """Test no more contestants; the one under way comes to its end."""
        for key in self.plan.keys:
            self.standing.ask_stop(key)

    @property
    def done(self) -> int:
        """How many contestants are done with, failed ones too."""
        return len(self.outcomes) + len(self.failed)

    @property
    def percent_done(self) -> float:
        """How many contestants are done with, 0 to 100."""
        return 100 * self.done / len(self.plan.contestants)

    def result(self, status: RunStatus = "complete") -> FinishedContest:
        """What is known so far; a walker that was stopped before all were tested is no complete one."""
        is_whole = self.done == len(self.plan.contestants)
        told: RunStatus = status if is_whole or status != "complete" else "stopped"
        contest = Contest(
            walker=self.plan.walker,
            metric=self.plan.metric,
            symbols=self.plan.shared.symbols,
            contestants=self.plan.contestants,
            outcomes=tuple(self.outcomes),
            failed=tuple(self.failed),
            run=shared_run(self.config, self.plan.shared, tuple(self.plan.plans), told, self.audience.warnings),
            fingerprint=self.fingerprint,
            note=self.config.walkers[self.plan.walker].note or "",
        )
        run = replace(contest.run, run_id=contest_id(contest))
        return FinishedContest(contest=replace(contest, run=run), logs=self.logs)

    def spilled(self, outcome: Outcome) -> Outcome:
        """An outcome that takes little memory."""
        own = self.plan.contestants[min(self.done, len(self.plan.contestants) - 1)]
        return self._spill.spilled(outcome, own if own == outcome.contestant else outcome.contestant)

    def tell_failure(self, error: Exception) -> None:
        """Tell that the walker ends with an error."""
        self.audience.tell(failure(self.plan.shared, self.plan.range.start_ms, error))

    def _happen(self) -> Generator[WalkerEvent, None, None]:
        self.outcomes.clear()
        self.failed.clear()
        self.best = NOBODY
        self.standing.reset()
        self.runs.running.append(self)
        try:
            self.audience = self._audience(walker_callbacks_of(self.config, self.registry, self.plan.walker))
            for event in self._compare():
                self.audience.tell(event)
                yield event
        finally:
            self.runs.running.remove(self)

    def _compare(self) -> Iterator[WalkerEvent]:
        plan = self.plan
        history, loaded = self._prepared()
        self.fingerprint = loaded.fingerprint(plan.shared.symbols)
        tester = self._tester(loaded)
        with ExitStack() as stack:
            kept = stack.enter_context(KeptResults.of(self))
            ledger = TrialLedger.of(self.config, plan.shared.exchange, plan.shared.symbols, plan.shared.range)
            trials = stack.enter_context(ledger)
            if self.is_resumed:
                self.on_resume(kept.taken_over)
            waiting = [Task(0, one) for one in plan.contestants if kept.known(one) is None]
            results = stack.enter_context(self._workforce(tester, waiting, history)).results(waiting)
            for contestant in plan.contestants:
                if any(self.standing.is_stop_asked(key) for key in plan.keys):
                    break
                yield started(plan, contestant)
                self._progressed(contestant)
                known = kept.known(contestant)
                one = next(results) if known is None else known
                if known is None:
                    kept.add(one)
                if isinstance(one, Outcome):
                    trials.add(trial_of(one))
                yield self._taken(one)
                yield progress(plan, self.done)
        yield ended(plan, self.best, len(self.outcomes))

    def _prepared(self) -> tuple[int, LoadedOnce]:
        """Make everybody ready and load the candles; the minutes of history that they need come first."""
        try:
            history = longest_history(self.config, self.plan, self.registry.child())
            return history, load_for_all(self.config, self.plan.shared, self.registry, history)
        except Exception as error:
            self.tell_failure(error)
            raise

    def _taken(self, one: Ended) -> WalkerEvent:
        if isinstance(one, Failed):
            self.failed.append(one)
            self.on_failure(one)
        else:
            one = self.spilled(one)
            self.outcomes.append(one)
            self.best = better(self.best, one, self.plan.metric)
        self._progressed(one.contestant)
        if isinstance(one, Failed):
            return failed(self.plan, one)
        return finished(self.plan, one, self.best, len(self.outcomes))

    def _tester(self, loaded: LoadedOnce) -> Tester:
        return Tester(
            config=self.config,
            plan=self.plan,
            registry=self.registry,
            logs=self.logs,
            loaded=loaded,
            on_progress=self._minutes_passed,
            on_abandon=self.on_abandon,
            listeners=self.listeners if self._is_heard else Listeners(),
            ends_process=self.ends_process,
        )

    def _workforce(self, tester: Tester, waiting: Sequence[Task], history: int) -> Workforce:
        """Who tests: other processes only where this one alone is heard by nobody and has no function of its own."""
        shared = self.plan.shared
        frame = shared.frame if shared.frame in self.config.frames else None
        strategies = tuple(self.plan.plans)
        given = callbacks_of(self.config, self.registry, strategies=strategies, exchange=shared.exchange, frame=frame)
        is_alone = self._is_heard or self.registry.has_given or len(given) > 0
        elsewhere = None if is_alone else Setting.of(tester, [Stage(self.plan)], shared, history)
        jobs = min(self.jobs, max(1, len(waiting)))
        return Workforce(
            here=[tester],
            total=len(waiting),
            jobs=jobs,
            elsewhere=elsewhere,
            cluster=self.cluster,
            fingerprint=self.fingerprint,
        )

    def _minutes_passed(self, strategy: str, symbol: str, minutes: int) -> None:
        self.standing.reach((strategy, symbol), self.plan.range.start_ms)
        symbols = self.plan.shared.symbols
        part = (symbols.index(symbol) + minutes / self.plan.range.minutes) / len(symbols)
        self._progressed(self.plan.contestants[min(self.done, len(self.plan.contestants) - 1)], part)

    def _progressed(self, contestant: Contestant, part: float = 0.0) -> None:
        self.on_progress(WalkerStep(self.done + part, len(self.plan.contestants), contestant, self.best))

    @property
    def _is_heard(self) -> bool:
        """Whether anybody hears the backtests of the contestants."""
        return any(self.listeners.of(topic, "backtest") for topic in RUN_TOPICS)

    def _audience(self, callbacks: Listeners | None = None) -> Audience:
        shared, first = self.plan.shared, Listeners() if callbacks is None else callbacks
        return Audience("backtest", first, self.listeners, exchange=shared.exchange, frame=shared.frame)
