"""Several processes: each takes groups of streams, with references and values, never with callables.

* Workers are spawned (a forked polars may hang) and open the candles themselves.
* Ctrl-C reaches every process of a terminal; workers do not hear it, the one that started them ends them.
* The working folder is no place for code, for a worker neither.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from multiprocessing import get_context, resource_tracker
from typing import TYPE_CHECKING, Any

from backtestkit_cli.config.merge import Config
from backtestkit_cli.engine.result import StreamRun, ToldEvents
from backtestkit_cli.errors import Problem, StrategyError
from backtestkit_cli.measure.timings import Part, Pieces
from backtestkit_cli.plugins.registry import ROOT
from backtestkit_cli.run.log import shown, verbosity
from backtestkit_cli.run.plan import Plan

if TYPE_CHECKING:
    from backtestkit_cli.run.backtest import Backtest


def run_groups(backtest: "Backtest") -> None:
    """Run the groups of a backtest in `jobs` processes; streams arrive as their groups are finished."""
    plan = backtest.plan
    with workers(min(backtest.jobs, len(plan.groups))) as pool:
        with sheltered_start():
            tasks = [
                pool.submit(_run_one, backtest.config, replace(plan, groups=(group,)), str(backtest.logs), verbosity())
                for group in plan.groups
            ]
        for task in as_completed(tasks):
            streams, pieces = task.result()
            backtest.stopwatch.add(pieces)
            for stream in streams:
                backtest.streams.append(stream)
                backtest.on_progress(stream.strategy, stream.symbol, plan.range.minutes)


@contextmanager
def workers(
    count: int, initializer: Callable[..., object] | None = None, initargs: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Keep processes for as long as what is inside goes on; whatever ends it ends them.

    Raises:
        StrategyError: one of them ended without an answer.
    """
    with sheltered_start():
        pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=initializer, initargs=initargs)
    # polars has put a handler before ours after which a wait simply goes on
    signal.siginterrupt(signal.SIGINT, True)  # noqa: FBT003  # it takes no keyword
    try:
        yield pool
    except BrokenProcessPool as error:
        what = "a worker process ended without an answer; what it last said stands above"
        raise StrategyError(Problem("worker-ended", what, hint="run with --jobs 1 to see where")) from error
    except BaseException:
        for process in list((getattr(pool, "_processes", None) or {}).values()):
            process.kill()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


@contextmanager
def sheltered_start() -> Iterator[None]:
    """Start processes that hear no Ctrl-C and do not look for modules in the working folder."""
    is_given = "PYTHONSAFEPATH" in os.environ
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    resource_tracker.ensure_running()  # its own start would let Ctrl-C through again
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if not is_given:
            del os.environ["PYTHONSAFEPATH"]
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def say(text: str) -> None:
    """The last words of a worker that is about to end."""
    sys.stderr.write(text)
    sys.stderr.flush()


def _run_one(config: Config, plan: Plan, logs: str, verbose: int) -> tuple[Sequence[StreamRun], Mapping[Part, Pieces]]:
    from pathlib import Path

    from backtestkit_cli.run.backtest import Backtest

    backtest = Backtest(
        config=config, plan=plan, registry=ROOT.child(), logs=Path(logs), on_abandon=lambda text: say(f"{text}\n")
    )
    with redirect_stdout(sys.stderr), shown(lambda text: say(f"{text}\n"), verbose):
        streams = [_told(stream) for stream in backtest.run().streams]
    return streams, backtest.stopwatch.pieces


def _told(stream: StreamRun) -> StreamRun:
    """The stream with its events in hand, so that it can be sent to another process."""
    return replace(stream, result=replace(stream.result, events=ToldEvents(tuple(stream.result.events())), listed=None))
