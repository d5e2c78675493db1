"""What commands share that do a stored run again: its bundle, progress, what user code prints, a call that hangs."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.project import logs_folder
from backtestkit_cli.cli.stop import stoppable
from backtestkit_cli.errors import Problem, StrategyError

if TYPE_CHECKING:
    from backtestkit_cli.run.backtest import OnProgress


class Again(NamedTuple):
    """A stored run, the project it is done again in, and who is told of it."""

    bundle: Path
    project: Path
    on_progress: "OnProgress"
    on_abandon: Callable[[str], None]


@contextmanager
def again(run: str, config: Sequence[Path] | None, output: Output) -> Iterator[Again]:
    """Find a stored run, and show how far it is done again.

    Raises:
        UsageError, DataError: there is none, or it cannot be done again.
    """
    from backtestkit_cli.report.dump import find_bundle
    from backtestkit_cli.run.log import shown
    from backtestkit_cli.run.repeat import read_manifest, total_minutes

    logs = logs_folder(config)
    bundle = find_bundle(logs, run)
    total = total_minutes(read_manifest(bundle))
    with output.progress(total) as on_progress, redirect_stdout(sys.stderr), shown(output.tell, output.verbose):
        yield Again(bundle, logs.parent, stoppable(on_progress), lambda message: abandoned(output, message))


def abandoned(output: Output, message: str) -> None:
    """Tell why the process ends now: a strategy call hangs and cannot be interrupted."""
    output.error(StrategyError(Problem("call-timed-out", message)))
