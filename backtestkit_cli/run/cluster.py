"""Contestants tested on a Dask cluster: the chunks of other processes, sent to whoever works there.

* Every chunk carries what a worker needs to know: references and values. A worker makes itself ready with the first.
* Workers read the project at the same path as here. Before a worker tests anything its program, the code of strategies
  and the candles are held against those here: what differs is an error, never another result.
* A worker that is lost costs the chunks it was at; Dask gives them to another one.
* A worker process tests one chunk at a time, however many threads it has.
"""

import hashlib
import logging
import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from threading import Lock
from typing import Any, NamedTuple

from backtestkit_cli.errors import DataError, Problem, StrategyError, UsageError
from backtestkit_cli.run.contestant import Ended
from backtestkit_cli.run.kept_results import code_of
from backtestkit_cli.run.workforce import Setting, Task, begin, tested

ANSWER_SECONDS = 10


class Cluster(NamedTuple):
    """A cluster that answers, and how many processes work there."""

    executor: "Executor"
    workers: int


class _Packed(Executor):
    """Sends chunks with the setting they are tested in."""

    def __init__(self, executor: Executor, setting: Setting, fingerprint: str) -> None:
        self._executor = executor
        self._given = pickle.dumps((setting, fingerprint, code_here(setting)))

    def submit(self, _function: Any, tasks: Sequence[Task], /) -> "Future[list[Ended]]":  # type: ignore[override]
        return self._executor.submit(answer_there, self._given, tasks)


@contextmanager
def cluster_at(address: str, setting: Setting, fingerprint: str) -> Iterator[Cluster]:
    """Talk to a cluster for as long as what is inside goes on; `fingerprint` is that of the candles here.

    Raises:
        UsageError: Dask is not installed, or no worker answers at the address.
        StrategyError: a chunk was lost with every worker that took it.
    """
    distributed = _imported()
    try:
        client = distributed.Client(address, timeout=ANSWER_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(_unanswered(address, f"nobody answers: {error}")) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=ANSWER_SECONDS)
        except TimeoutError:
            raise UsageError(_unanswered(address, "there is a scheduler without a worker")) from None
        workers = len(client.scheduler_info(n_workers=-1)["workers"])
        try:
            yield Cluster(_Packed(client.get_executor(pure=False), setting, fingerprint), workers)
        except distributed.KilledWorker as error:
            what = "a chunk of contestants ended every worker of the cluster that took it"
            hint = "run with --jobs 1 to see where"
            raise StrategyError(Problem("worker-ended", what, found=str(error), hint=hint)) from None


_READY: list[bytes] = []
"""What this worker process is ready for."""
_TURN = Lock()


def answer_there(given: bytes, tasks: Sequence[Task]) -> list[Ended]:
    """Test a chunk in a worker of a cluster.

    Raises:
        DataError: program, code or candles are not those of who asks.
    """
    with _TURN:
        if [given] != _READY:
            _READY.clear()
            setting, fingerprint, code = pickle.loads(given)  # noqa: S301  # Dask has unpickled more before
            if code_here(setting) != code:
                raise DataError(_differs("the program, or code of strategies,"))
            if begin(setting).fingerprint(setting.whole.symbols) != fingerprint:
                raise DataError(_differs("the candles"))
            _READY.append(given)
        return tested(tasks)


def code_here(setting: Setting) -> str:
    """One hash over the program and the code of strategies on this machine."""
    names = sorted({name for stage in setting.stages for name in stage.plan.plans})
    return hashlib.sha256(code_of(setting.config, tuple(names)).encode()).hexdigest()


def _imported() -> Any:
    """Import dask.distributed, without what it tells of its connections."""
    try:
        import distributed
    except ImportError as error:
        what = "dask.distributed, which --cluster needs, cannot be imported"
        hint = "pip install 'backtestkit-cli[distributed]'"
        raise UsageError(Problem("dask-missing", what, found=str(error), hint=hint)) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    return distributed


def _unanswered(address: str, what: str) -> Problem:
    hint = "start `dask scheduler` and `dask worker`; docs/how-to.md shows both"
    return Problem("no-cluster", f"the cluster cannot be used, {what}", found=address, hint=hint)


def _differs(what: str) -> Problem:
    hint = "give every machine the same program and the same project, then start the workers again"
    return Problem("other-machine", f"{what} on a worker of the cluster are not those here", hint=hint)
