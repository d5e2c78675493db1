"""Contestants tested here or, where there is enough to do, in other processes: an answer for each, in order.

* There may be several stages, each a range of its own say; every process loads the candles of all of them once.
* Starting processes takes most of a second. Rules are tested here first, and timed, until what is left is worth it;
  code of users is sent at once.
* Processes get chunks of neighbours, which share most of what is computed; a few chunks are sent ahead, so that no
  process waits and nothing piles up.
* Where a contestant is tested changes nothing about its result.
"""

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from backtestkit_cli.config.merge import Config
from backtestkit_cli.engine.cache import Cache
from backtestkit_cli.measure.contest import Contestant
from backtestkit_cli.plugins.registry import ROOT
from backtestkit_cli.run.clock import WallClock
from backtestkit_cli.run.contestant import Ended, Tester
from backtestkit_cli.run.contestants import WalkerPlan
from backtestkit_cli.run.loaded import LoadedOnce, load_for_all
from backtestkit_cli.run.log import shown, verbosity
from backtestkit_cli.run.plan import Plan
from backtestkit_cli.run.pool import say, sheltered_start, workers

WORTH_SECONDS = 2.0
CHUNK_SECONDS = 0.3
LEAST_TIMED = 3
AHEAD = 2
"""Chunks for each process that are sent before the one whose results are awaited has come."""


class Task(NamedTuple):
    """A contestant, and the place of the stage that it is tested on."""

    stage: int
    contestant: Contestant


class Stage(NamedTuple):
    """A plan, and up to where its candles are known; all that were loaded where that is not said."""

    plan: WalkerPlan
    end_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What another process needs to test: references and values.

    Candles are loaded for the plan `whole`, with `history` minutes before.
    """

    config: Config
    stages: tuple[Stage, ...]
    whole: Plan
    history: int
    logs: str
    forgives: bool
    verbose: int = field(default_factory=verbosity)

    @classmethod
    def of(cls, tester: Tester, stages: Sequence[Stage], whole: Plan, history: int) -> "Setting":
        """The setting of a tester; contestants come with their tasks."""
        bare = tuple(Stage(replace(plan, contestants=()), end_ms) for plan, end_ms in stages)
        return cls(
            config=tester.config,
            stages=bare,
            whole=whole,
            history=history,
            logs=str(tester.logs),
            forgives=tester.forgives,
        )

    @property
    def has_code(self) -> bool:
        """Whether a strategy is in Python."""
        return any(self.config.strategies[name].use for stage in self.stages for name in stage.plan.plans)


@dataclass(slots=True, kw_only=True)
class Workforce:
    """Tests in order; `here` has a tester for each stage, `total` is how many contestants will be asked for in all.

    With `elsewhere` other processes may help, `jobs` of them, or those of a `cluster`, whose candles have to have the
    `fingerprint`; inside `with`, which lets go of them.
    """

    here: Sequence[Tester]
    total: int
    jobs: int = 1
    elsewhere: Setting | None = None
    cluster: str | None = None
    fingerprint: str = ""
    clock: WallClock = field(default_factory=WallClock)
    _executor: Executor | None = None
    _tested: int = 0
    _seconds: list[float] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._stack.__exit__(kind, error, trace)

    def results(self, tasks: Sequence[Task]) -> Iterator[Ended]:
        """Test contestants, the next one when its result is asked for.

        Raises:
            ConfigError, DataError: something that all contestants share is wrong.
            StrategyError: another process ended without an answer.
        """
        for place, task in enumerate(tasks):
            if self._is_worth_it(len(tasks) - place):
                yield from self._sent(tasks[place:])
                return
            yield self._tested_here(task)

    def _is_worth_it(self, asked: int) -> bool:
        """Whether other processes should test what is left, of which so many are asked for now."""
        if self._executor is not None:
            return asked > 1 or self.cluster is not None
        if self.elsewhere is None or (self.cluster is None and (self.jobs == 1 or asked < 2)):
            return False
        if self.elsewhere.has_code or len(self._seconds) < LEAST_TIMED:
            return self.elsewhere.has_code
        return self.cluster is not None or min(self._seconds) * max(asked, self.total - self._tested) > WORTH_SECONDS

    def _tested_here(self, task: Task) -> Ended:
        start = self.clock.monotonic()
        ended = self.here[task.stage].test(task.contestant)
        if len(self._seconds) < LEAST_TIMED:
            self._seconds.append(self.clock.monotonic() - start)
        self._tested += 1
        return ended

    def _sent(self, tasks: Sequence[Task]) -> Iterator[Ended]:
        executor, waiting = self._started(), deque(self._chunks(tasks))
        sent: deque[Future[list[Ended]]] = deque()
        try:
            while waiting or sent:
                with sheltered_start():
                    while waiting and len(sent) < AHEAD * self.jobs:
                        sent.append(executor.submit(tested, waiting.popleft()))
                for ended in sent.popleft().result():
                    self._tested += 1
                    yield ended
        finally:
            for future in sent:
                future.cancel()

    def _chunks(self, tasks: Sequence[Task]) -> Iterator[Sequence[Task]]:
        fast = min(self._seconds, default=CHUNK_SECONDS)
        size = max(1, min(round(CHUNK_SECONDS / fast), -(-len(tasks) // (AHEAD * self.jobs))))
        return (tasks[first : first + size] for first in range(0, len(tasks), size))

    def _started(self) -> Executor:
        if self._executor is None:
            self._executor = self._stack.enter_context(self._others())
        return self._executor

    @contextmanager
    def _others(self) -> Iterator[Executor]:
        """Other processes, here or on the cluster."""
        if self.cluster is None or self.elsewhere is None:
            with workers(self.jobs, begin, (self.elsewhere,)) as pool:
                yield pool
            return
        from backtestkit_cli.run.cluster import cluster_at

        with cluster_at(self.cluster, self.elsewhere, self.fingerprint) as there:
            self.jobs = there.workers
            yield there.executor


_TESTERS: list[Tester] = []
"""The testers of a worker process, one for each stage."""
_VERBOSE: list[int] = []


def begin(setting: Setting) -> LoadedOnce:
    """Make a worker process ready; the answer are its candles."""
    registry, cache = ROOT.child(), Cache()
    loaded = load_for_all(setting.config, setting.whole, registry, setting.history)
    _VERBOSE[:] = [setting.verbose]
    _TESTERS[:] = [
        Tester(
            config=setting.config,
            plan=stage.plan,
            registry=ROOT.child(),
            logs=Path(setting.logs),
            loaded=loaded if stage.end_ms is None else loaded.until(stage.end_ms),
            on_abandon=lambda text: say(f"{text}\n"),
            forgives=setting.forgives,
            cache=cache,
        )
        for stage in setting.stages
    ]
    return loaded


def tested(tasks: Sequence[Task]) -> list[Ended]:
    """Test some contestants in a worker process."""
    with redirect_stdout(sys.stderr), shown(lambda text: say(f"{text}\n"), _VERBOSE[0]):
        return [_TESTERS[task.stage].test(task.contestant) for task in tasks]
