"""A search of params: in each fold on its own past, then on all of it, then the chosen ones on what was kept away.

* Every trial is a backtest by the driver of every backtest. Candles are loaded once; a window ends where its positions
  have ended, and nothing after that is seen.
* Samplers are told of trials in the order they asked for them, however many processes work.
* A trial whose code fails, or whose params make no strategy, is told and left out; the rest goes on.
* A request to stop acts before the next trial.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from backtestkit_cli.config.merge import Config
from backtestkit_cli.engine.result import RunStatus
from backtestkit_cli.measure.contest import NOBODY, Best, Contest, Failed, Outcome, best_of, better, value_of
from backtestkit_cli.measure.study import Fold, Study
from backtestkit_cli.model.event import SearchEvent
from backtestkit_cli.model.time import MINUTE_MS, TimeRange
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.report.study_files import study_folder
from backtestkit_cli.run.backtest import end_quietly
from backtestkit_cli.run.identity import study_id
from backtestkit_cli.run.jobs import Job, Runs, begin
from backtestkit_cli.run.listen import Audience, Listeners
from backtestkit_cli.run.loaded import LoadedOnce, load_for_all
from backtestkit_cli.run.notices import failure
from backtestkit_cli.run.search.apply import made_of
from backtestkit_cli.run.search.bench import Bench
from backtestkit_cli.run.search.finished import FinishedStudy
from backtestkit_cli.run.search.kept import RESULTS, KeptTrials
from backtestkit_cli.run.search.notices import ended, failed, judged, tried
from backtestkit_cli.run.search.plan import SearchPlan
from backtestkit_cli.run.search.samplers import Params, sampler_of
from backtestkit_cli.run.search.space import place_of, size_of
from backtestkit_cli.run.shared_run import shared_run
from backtestkit_cli.run.standing import Standing
from backtestkit_cli.run.trials import TrialLedger, trial_of


class SearchStep(NamedTuple):
    """How far a search is: trials done with, of how many at most, in which fold (0 is the last search), the best."""

    done: int
    total: int
    fold: int
    best: Best


def nobody(_step: SearchStep) -> None:
    """Nobody listens."""


def nobody_failed(_failed: Failed) -> None:
    """Nobody is told at once."""


@dataclass(slots=True, kw_only=True)
class Search:
    """One search: `folds` and `outcomes` grow while it runs, so that an interruption keeps what is finished.

    `cluster` is the address of a Dask cluster that tests. With `is_resumed` results that an interrupted run of the same
    kept are taken over: `taken_over` counts them. `runs` are those of a kit; `standing` is for who asks about this one.
    """

    config: Config
    plan: SearchPlan
    registry: Registry
    logs: Path
    jobs: int = 1
    cluster: str | None = None
    is_resumed: bool = False
    on_progress: Callable[[SearchStep], None] = nobody
    on_failure: Callable[[Failed], None] = nobody_failed
    on_abandon: Callable[[str], None] = end_quietly
    listeners: Listeners = field(default_factory=Listeners)
    runs: Runs = field(default_factory=Runs)
    standing: Standing = field(default_factory=Standing)
    ends_process: bool = True
    folds: list[Fold] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    held: Outcome | None = None
    fingerprint: str = ""
    done: int = 0
    ever: int = 0
    taken_over: int = 0
    is_over: bool = False
    audience: Audience = field(init=False)

    def __post_init__(self) -> None:
        self.audience = self._audience()

    def __iter__(self) -> Iterator[SearchEvent]:
        """Run, and tell how it goes: each trial, each fold, and the end.

        Whoever ends the loop early ends the run; `result("interrupted")` tells what was finished.
        """
        return self._happen()

    def run(self) -> FinishedStudy:
        """Search.

        Raises:
            ConfigError, DataError: something that all trials share is wrong.
            KeyboardInterrupt: the user stopped it; `result("interrupted")` tells what was finished.
        """
        for _ in self._happen():
            pass
        return self.result()

    def background(self) -> Job[FinishedStudy]:
        """Run in a thread of its own; the answer is its handle.

        Raises:
            UsageError: a job with one of these streams is running.
        """
        return begin(self)

    def stop(self) -> None:
        """Try nothing more; the trial under way comes to its end."""
        for key in self.plan.keys:
            self.standing.ask_stop(key)

    @property
    def percent_done(self) -> float:
        """How many trials are done with, 0 to 100."""
        return 100.0 if self.is_over else 100 * self.done / self.plan.most_trials

    def result(self, status: RunStatus = "complete") -> FinishedStudy:
        """What is known so far; a search that was stopped before its end is no complete one."""
        told: RunStatus = status if self.is_over or status != "complete" else "stopped"
        study = self._study(told)
        run = replace(study.contest.run, run_id=study_id(study, self.plan.space))
        return FinishedStudy(study=replace(study, contest=replace(study.contest, run=run)), logs=self.logs)

    def tell_failure(self, error: Exception) -> None:
        """Tell that the search ends with an error."""
        self.audience.tell(failure(self.plan.whole, self.plan.whole.range.start_ms, error))

    def _happen(self) -> Generator[SearchEvent, None, None]:
        self._begin_again()
        self.runs.running.append(self)
        try:
            self.audience = self._audience()
            for event in self._search():
                self.audience.tell(event)
                yield event
        finally:
            self.runs.running.remove(self)

    def _begin_again(self) -> None:
        for known in (self.folds, self.outcomes, self.failed):
            known.clear()
        self.held, self.is_over, self.done, self.ever, self.taken_over = None, False, 0, 0, 0
        self.standing.reset()

    def _search(self) -> Iterator[SearchEvent]:
        whole, loaded = self.plan.whole, self._loaded()
        self.fingerprint = loaded.fingerprint(whole.symbols)
        with ExitStack() as stack:
            kept = stack.enter_context(self._kept())
            ledger = stack.enter_context(TrialLedger.of(self.config, whole.exchange, whole.symbols, whole.range))
            bench = stack.enter_context(Bench.of(self, loaded, kept, ledger))
            try:
                yield from self._on(bench)
            finally:
                self.ever, self.taken_over = bench.ledger.counted().trials, bench.taken_over
        yield ended(self.plan, self._study("complete" if self.is_over else "stopped"), self.done)

    def _on(self, bench: Bench) -> Iterator[SearchEvent]:
        plan = self.plan
        for number, split in enumerate(plan.protocol.folds, 1):
            found: list[Outcome] = []
            yield from self._tried(bench, number, split.train, found)
            if self._is_stop_asked:
                return
            self.folds.append(self._judged(bench, number, found))
            yield judged(plan, self.folds[-1])
        yield from self._tried(bench, 0, plan.protocol.search, self.outcomes)
        if self._is_stop_asked:
            return
        chosen = best_of(self.outcomes, plan.metric).outcome
        self.held = None if chosen is None else bench.judged(plan.protocol.hold_out, chosen)
        self.is_over = True
        bench.kept.forget()

    def _judged(self, bench: Bench, number: int, found: Sequence[Outcome]) -> Fold:
        split, chosen = self.plan.protocol.folds[number - 1], best_of(found, self.plan.metric).outcome
        return Fold(
            number=number,
            train=split.train,
            test=split.test,
            tried=len(found),
            chosen=chosen,
            judged=None if chosen is None else bench.judged(split.test, chosen),
        )

    def _tried(self, bench: Bench, number: int, window: TimeRange, found: list[Outcome]) -> Iterator[SearchEvent]:
        """Ask the sampler, and try what it says, until it says nothing more or a stop is asked."""
        plan, best = self.plan, NOBODY
        sampler = sampler_of(plan.sampler, plan.space, plan.trials, plan.seeds(number))
        values: dict[Params, float | None] = {}
        while batch := sampler.ask():
            fresh = [params for params in dict.fromkeys(batch) if params not in values]
            for one in bench.tried(window, [plan.contestant(params) for params in fresh]):
                if isinstance(one, Failed):
                    self._failed(one, is_last=number == 0)
                    values[one.contestant.params] = None
                    yield failed(plan, number, window, one)
                else:
                    found.append(one)
                    best = better(best, one, plan.metric)
                    values[one.contestant.params] = plan.worth(value_of(one, plan.metric))
                    self._counted(bench, one)
                    yield tried(plan, number, window, one, best, self.done)
                self.on_progress(SearchStep(self.done, plan.most_trials, number, best))
                if self._is_stop_asked:
                    return
            sampler.tell(batch, [values[params] for params in batch])

    def _counted(self, bench: Bench, one: Outcome) -> None:
        self.done += 1
        bench.ledger.add(trial_of(one))

    def _failed(self, one: Failed, *, is_last: bool) -> None:
        self.done += 1
        self.on_failure(one)
        if is_last:
            self.failed.append(one)

    def _loaded(self) -> LoadedOnce:
        try:
            return load_for_all(self.config, self.plan.whole, self.registry, self.plan.history_minutes)
        except Exception as error:
            self.tell_failure(error)
            raise

    def _made_of(self) -> str:
        """What the chosen params on the hold-out were made of; empty where nothing was chosen."""
        chosen = best_of(self.outcomes, self.plan.metric).outcome if self.is_over else None
        if chosen is None:
            return ""
        return made_of(self.config, self.plan.on(self.plan.protocol.hold_out).shared, chosen.contestant)

    def _kept(self) -> AbstractContextManager[KeptTrials]:
        return KeptTrials.of(
            self.config,
            study_folder(self.logs, self.plan.strategy) / RESULTS,
            self.plan.strategy,
            self.fingerprint,
            is_resumed=self.is_resumed,
            is_kept=not self.registry.has_given,
        )

    @property
    def _is_stop_asked(self) -> bool:
        return any(self.standing.is_stop_asked(key) for key in self.plan.keys)

    def _audience(self) -> Audience:
        whole = self.plan.whole
        return Audience("backtest", Listeners(), self.listeners, exchange=whole.exchange, frame=whole.frame)

    def _study(self, status: RunStatus) -> Study:
        plan, searched = self.plan, replace(self.plan.whole, range=self.plan.protocol.search)
        return Study(
            contest=Contest(
                walker=plan.strategy,
                metric=plan.metric,
                symbols=plan.whole.symbols,
                contestants=tuple(
                    sorted(
                        [*(one.contestant for one in self.outcomes), *(one.contestant for one in self.failed)],
                        key=lambda one: place_of(plan.space, one.params),
                    )
                ),
                outcomes=tuple(self.outcomes),
                failed=tuple(self.failed),
                run=shared_run(self.config, searched, (plan.strategy,), status, self.audience.warnings),
                fingerprint=self.fingerprint,
                note=self.config.strategies[plan.strategy].note or "",
            ),
            sampler=plan.sampler,
            seed=plan.seed,
            asked=plan.trials,
            combinations=size_of(plan.space),
            folds=tuple(self.folds),
            planned_folds=len(plan.protocol.folds),
            gap_minutes=plan.protocol.gap_ms // MINUTE_MS,
            embargo_minutes=plan.embargo_minutes,
            hold_out=plan.protocol.hold_out,
            held=self.held,
            ever=max(self.ever, len(self.outcomes)),
            made_of=self._made_of(),
        )
