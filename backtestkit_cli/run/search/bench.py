"""Where the trials of a search are run: each window on candles that end with its gap, here or in other processes.

A result that was kept by an interrupted run is taken over; a new one is kept before the next trial begins.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backtestkit_cli.engine.cache import Cache
from backtestkit_cli.measure.contest import Contestant, Failed, Outcome
from backtestkit_cli.measure.trust import counted
from backtestkit_cli.model.time import TimeRange
from backtestkit_cli.run.callbacks import callbacks_of
from backtestkit_cli.run.contestant import Ended, Tester
from backtestkit_cli.run.loaded import LoadedOnce
from backtestkit_cli.run.search.kept import KeptTrials
from backtestkit_cli.run.trials import TrialLedger
from backtestkit_cli.run.workforce import Setting, Stage, Task, Workforce

if TYPE_CHECKING:
    from backtestkit_cli.run.search.search import Search


@dataclass(slots=True, kw_only=True)
class Bench:
    """What the trials of one search share. `taken_over` counts results of an interrupted run."""

    testers: Sequence[Tester]
    windows: tuple[TimeRange, ...]
    workforce: Workforce
    kept: KeptTrials
    ledger: TrialLedger
    taken_over: int = 0

    @classmethod
    @contextmanager
    def of(cls, search: "Search", loaded: LoadedOnce, kept: KeptTrials, ledger: TrialLedger) -> "Iterator[Bench]":
        """Make everything ready for the windows of a search; other processes end with it.

        Raises:
            StrategyError: one of them ended without an answer.
        """
        plan, windows, cache = search.plan, search.plan.windows, Cache()
        stages = [Stage(plan.on(window), plan.known_until_ms(window)) for window in windows]
        testers = [
            Tester(
                config=search.config,
                plan=stage.plan,
                registry=search.registry,
                logs=search.logs,
                loaded=loaded if stage.end_ms is None else loaded.until(stage.end_ms),
                on_abandon=search.on_abandon,
                ends_process=search.ends_process,
                forgives=True,
                cache=cache,
            )
            for stage in stages
        ]
        elsewhere = None
        if (search.jobs > 1 or search.cluster) and not _is_bound(search):
            elsewhere = Setting.of(testers[0], stages, plan.whole, plan.history_minutes)
        with Workforce(
            here=testers,
            total=plan.most_trials,
            jobs=search.jobs,
            elsewhere=elsewhere,
            cluster=search.cluster,
            fingerprint=search.fingerprint,
        ) as workforce:
            yield cls(testers=testers, windows=windows, workforce=workforce, kept=kept, ledger=ledger)

    def tried(self, window: TimeRange, contestants: Sequence[Contestant]) -> Iterator[Ended]:
        """Try params on a window, in their order.

        Raises:
            ConfigError, DataError: something that all trials share is wrong.
            StrategyError: another process ended without an answer.
        """
        stage = self.windows.index(window)
        plan = self.testers[stage].plan
        known = [self.kept.known(plan, one) for one in contestants]
        waiting = [Task(stage, one) for one, found in zip(contestants, known, strict=True) if found is None]
        results = self.workforce.results(waiting)
        for found in known:
            if found is not None:
                self.taken_over += 1
                yield _without_failures(found)
                continue
            one = next(results)
            if isinstance(one, Outcome):
                self.kept.add(plan, one)
            yield _without_failures(one)

    def judged(self, window: TimeRange, chosen: Outcome) -> Outcome | None:
        """What chosen params make of a window; None where their code fails."""
        one = next(self.tried(window, [chosen.contestant]))
        return one if isinstance(one, Outcome) else None


def _without_failures(one: Ended) -> Ended:
    """A trial whose code failed is no result: what it did not do would look better than a loss."""
    if isinstance(one, Failed) or not one.failures:
        return one
    return Failed(
        contestant=one.contestant, code="strategy-raised", what=f"its code failed {counted(one.failures, 'time')}"
    )


def _is_bound(search: "Search") -> bool:
    """Whether trials have to be run in this process: functions of the program, or callbacks, are called."""
    whole = search.plan.whole
    frame = whole.frame if whole.frame in search.config.frames else None
    heard = callbacks_of(
        search.config, search.registry, strategies=whole.strategies, exchange=whole.exchange, frame=frame
    )
    return search.registry.has_given or len(heard) > 0
