"""Backtests, walkers and searches in the background: each in a thread of its own, with a handle.

A thread and no process: functions given from Python, listeners, stop requests and questions about open signals reach
it as they are, and the result is the one of the foreground, object for object. Several processors are for `jobs=` of a
backtest in the foreground; here it has no effect.

* A program that ends waits for its jobs; Ctrl-C then cancels them.
* A job writes nothing, so one that is cancelled leaves nothing behind. It is over at once for everybody who asks,
  although a call of user code that is under way comes to its own end first.
* A call that hangs is interrupted as in the foreground; one that cannot be fails the job and not the program.
"""

import atexit
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar, cast

from backtestkit_cli.errors import Problem, StrategyError, UsageError
from backtestkit_cli.run.standing import Key, RunCancelled

if TYPE_CHECKING:
    from backtestkit_cli.run.backtest import Backtest
    from backtestkit_cli.run.finished import FinishedRun
    from backtestkit_cli.run.finished_contest import FinishedContest
    from backtestkit_cli.run.live.session import Live
    from backtestkit_cli.run.search.finished import FinishedStudy
    from backtestkit_cli.run.search.search import Search
    from backtestkit_cli.run.walker import Walker

Finished = TypeVar("Finished", "FinishedRun", "FinishedContest", "FinishedStudy")
JobStatus: TypeAlias = Literal["ready", "running", "done", "failed", "cancelled"]


@dataclass(slots=True, eq=False)
class Job(Generic[Finished]):
    """One backtest, walker or search in the background."""

    backtest: "Backtest | Walker | Search"
    _status: JobStatus = "ready"
    _over: Event = field(default_factory=Event, repr=False)
    _turn: Lock = field(default_factory=Lock, repr=False)
    _result: Finished | None = field(default=None, repr=False)
    _error: BaseException | None = field(default=None, repr=False)

    @property
    def status(self) -> JobStatus:
        """Ready (not begun yet), running, done, failed or cancelled."""
        return self._status

    @property
    def streams(self) -> tuple[Key, ...]:
        """Strategy and symbol of each stream."""
        return self.backtest.plan.keys

    @property
    def is_over(self) -> bool:
        """Whether it is done, failed or cancelled."""
        return self._over.is_set()

    @property
    def progress(self) -> float:
        """How much of the simulated time of all streams is done, 0 to 100."""
        return 100.0 if self._status == "done" else self.backtest.percent_done

    @property
    def stats(self) -> "dict[str, float | None]":
        """The figures of all streams together, of a walker those of its best, of a search those of the
        hold-out, when it is done.

        Raises:
            UsageError: it is not done.
        """
        return dict(self.result(timeout=0).stats)

    def stop(self) -> None:
        """Decide nothing more: waiting entries are cancelled, open positions are followed to their end."""
        for key in self.streams:
            self.backtest.standing.ask_stop(key)

    def cancel(self) -> None:
        """End as soon as possible, without a result; what is over already stays as it is."""
        self.backtest.standing.is_cancelled = True
        self.stop()
        self._settle("cancelled")

    def result(self, timeout: float | None = None) -> Finished:
        """Wait for the end, at most `timeout` seconds, and give the finished run.

        Raises:
            UsageError: it is not over in time, or was cancelled.
            BacktestkitError: what the run ended with.
        """
        if not self._over.wait(timeout):
            what, hint = f"the backtest is not over after {timeout:g} s", "wait longer, stop it or cancel it"
            raise UsageError(Problem("job-running", what, hint=hint))
        if self._error is not None:
            raise self._error
        if self._result is None:
            raise UsageError(Problem("job-cancelled", "the backtest was cancelled, it has no result"))
        return self._result

    def wait(self) -> None:
        """Wait for the end, whatever it is."""
        self._over.wait()

    def begin(self) -> None:
        """Start the thread."""
        self.backtest.jobs, self.backtest.ends_process, self.backtest.on_abandon = 1, False, self._abandoned
        Thread(target=self._work, name="backtest", daemon=True).start()

    def _work(self) -> None:
        with self._turn:
            if self._status == "ready":
                self._status = "running"
        try:
            self._settle("done", result=cast("Finished", self.backtest.run()))
        except RunCancelled:
            self._settle("cancelled")
        except BaseException as error:  # noqa: BLE001  # whatever it is, `result` raises it
            self._settle("failed", error=error)

    def _abandoned(self, message: str) -> None:
        error = StrategyError(Problem("call-timed-out", message))
        self.backtest.standing.is_cancelled = True
        self.backtest.tell_failure(error)
        self._settle("failed", error=error)

    def _settle(self, status: JobStatus, *, result: Finished | None = None, error: BaseException | None = None) -> None:
        """The first end counts."""
        with self._turn:
            if not self._over.is_set():
                self._status, self._result, self._error = status, result, error
                self._over.set()
                _UNDER_WAY.discard(self)


_UNDER_WAY: set[Job[Any]] = set()


@dataclass(slots=True, eq=False)
class Runs:
    """The runs of one kit: those that are running, and all jobs, oldest first."""

    running: "list[Backtest | Live | Walker | Search]" = field(default_factory=list)
    jobs: list[Job[Any]] = field(default_factory=list)
    turn: Lock = field(default_factory=Lock, repr=False)

    def of(self, key: Key) -> "list[Backtest | Live | Walker | Search]":
        """The runs under way that have a stream, the newest last."""
        return [one for one in tuple(self.running) if key in one.plan.keys]


def begin(backtest: "Backtest | Walker | Search") -> Job[Any]:
    """Run a backtest, a walker or a search in the background.

    Raises:
        UsageError: a job of the same kit with one of its streams is running.
    """
    runs, job = backtest.runs, Job[Any](backtest)
    with runs.turn:
        taken = {key for other in runs.jobs if not other.is_over for key in other.streams}
        if common := taken.intersection(job.streams):
            strategy, symbol = min(common)
            what, hint = f"{strategy} on {symbol} is running in the background", "wait for it, stop it or cancel it"
            raise UsageError(Problem("job-running", what, hint=hint))
        runs.jobs.append(job)
    _UNDER_WAY.add(job)
    job.begin()
    return job


@atexit.register
def _wait_for_all() -> None:
    try:
        for job in tuple(_UNDER_WAY):
            job.wait()
    except KeyboardInterrupt:
        for job in tuple(_UNDER_WAY):
            job.cancel()
