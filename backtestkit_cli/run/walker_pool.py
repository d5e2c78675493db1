"""Several processes for a walker: each loads the candles once and tests contestants that it is sent by value.

Results are asked for in the order of the config; a few contestants are tested ahead, so that no process waits and
nothing piles up.
"""

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backtestkit_cli.config.merge import Config
from backtestkit_cli.measure.contest import Contestant
from backtestkit_cli.plugins.registry import ROOT
from backtestkit_cli.run.contestant import Ended, Tester
from backtestkit_cli.run.contestants import WalkerPlan
from backtestkit_cli.run.loaded import load_for_all
from backtestkit_cli.run.log import shown, verbosity
from backtestkit_cli.run.pool import say, sheltered_start, workers

if TYPE_CHECKING:
    from backtestkit_cli.run.walker import Walker

AHEAD = 4
"""Contestants for each process that are sent before the one whose result is awaited has come."""


@dataclass(slots=True)
class WalkerPool:
    """Processes that test the contestants of a walker in their order."""

    pool: ProcessPoolExecutor
    waiting: deque[Contestant]
    most: int
    sent: "deque[Future[Ended]]"

    @classmethod
    @contextmanager
    def of(cls, walker: "Walker", waiting: Sequence[Contestant], history: int) -> "Iterator[WalkerPool]":
        """Start the processes of a walker.

        Raises:
            StrategyError: one of them ended without an answer.
        """
        count = min(walker.jobs, len(waiting))
        given = (walker.config, walker.plan, str(walker.logs), history, verbosity())
        with workers(count, _begin, given) as pool:
            yield cls(pool, deque(waiting), AHEAD * count, deque())

    def test(self, _contestant: Contestant) -> Ended:
        """Wait for the result of the next contestant, which is the one meant."""
        with sheltered_start():
            while self.waiting and len(self.sent) < self.most:
                self.sent.append(self.pool.submit(_test, self.waiting.popleft()))
        return self.sent.popleft().result()


_TESTERS: list[Tester] = []
"""The one tester of a worker process."""


def _begin(config: Config, plan: WalkerPlan, logs: str, history: int, verbose: int) -> None:
    _VERBOSE.append(verbose)
    loaded = load_for_all(config, plan.shared, ROOT.child(), history)
    _TESTERS.append(
        Tester(
            config=config,
            plan=plan,
            registry=ROOT.child(),
            logs=Path(logs),
            loaded=loaded,
            on_abandon=lambda text: say(f"{text}\n"),
        )
    )


_VERBOSE: list[int] = []


def _test(contestant: Contestant) -> Ended:
    with redirect_stdout(sys.stderr), shown(lambda text: say(f"{text}\n"), _VERBOSE[0]):
        return _TESTERS[0].test(contestant)
