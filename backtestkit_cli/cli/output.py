"""What reaches the terminal: results on stdout, everything else on stderr, one JSON document with `--json`."""

import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from backtestkit_cli.cli.messages import render_problem
from backtestkit_cli.errors import BacktestkitError, Problem
from backtestkit_cli.redact import Redactor

if TYPE_CHECKING:
    from rich.console import Console

    from backtestkit_cli.measure.contest import Contestant
    from backtestkit_cli.run.backtest import OnProgress
    from backtestkit_cli.run.robust import RobustStep
    from backtestkit_cli.run.search.search import SearchStep
    from backtestkit_cli.run.walker import WalkerStep

    Step = TypeVar("Step", WalkerStep, SearchStep, RobustStep)

INTERNAL = 1
TERMINATED = 143
REPORT_PLACE = "please report it with the command, the config and the text of `-vv`"


class Output:
    """Where one command writes: to the stdout of its start. `redactor` masks secrets in every text."""

    def __init__(self, *, as_json: bool = False, verbose: int = 0) -> None:
        self.as_json = as_json
        self.verbose = verbose
        self.redactor = Redactor()
        self._stdout = sys.stdout

    @property
    def width(self) -> int | None:
        """The columns of the terminal behind stdout; None where it is none."""
        return shutil.get_terminal_size().columns if self._stdout.isatty() else None

    def console(self) -> "Console":
        """The terminal behind stdout."""
        from rich.console import Console

        return Console(file=self._stdout, highlight=False, markup=False, emoji=False)

    def result(self, document: Any, text: str) -> bool:
        """Write a result: the document with `--json`, else the text; False once, when its reader has just gone."""
        shown = json.dumps(document, ensure_ascii=False, allow_nan=False) if self.as_json else text
        try:
            self._stdout.write(self.redactor.clean(shown).rstrip("\n") + "\n")
            self._stdout.flush()
        except BrokenPipeError:
            _write_nowhere(self._stdout.fileno())
            return False
        return True

    def tell(self, text: str) -> None:
        """Write something that is no result."""
        with suppress(OSError):  # nobody can be told that nobody can be told
            sys.stderr.write(self.redactor.clean(text).rstrip("\n") + "\n")
            sys.stderr.flush()

    def error(self, error: BacktestkitError) -> int:
        """Write an error; the exit code."""
        if self.as_json:
            problems = [_document(problem) for problem in error.problems]
            self.result({"error": {**problems[0], "exit_code": error.exit_code, "problems": problems}}, "")
        else:
            self.tell("\n\n".join(render_problem(problem) for problem in error.problems))
        if self.verbose > 1:
            self.tell("".join(traceback.format_exception(error)))
        return error.exit_code

    def bug(self, error: Exception) -> int:
        """Write an error that nobody expected; the exit code."""
        what = f"internal error: {type(error).__name__}: {error}"
        if self.as_json:
            document = {"code": "internal", "what": what, "where": None, "hint": REPORT_PLACE}
            self.result({"error": {**document, "exit_code": INTERNAL, "problems": [document]}}, "")
        else:
            self.tell(f"error: internal\n  {what}\n  {REPORT_PLACE}")
        if self.verbose > 1:
            self.tell("".join(traceback.format_exception(error)))
        return INTERNAL

    def stopped(self, exit_code: int) -> int:
        """Tell that the user, or the system, ended the command; the exit code."""
        problem = Problem("interrupted", f"stopped by {'SIGTERM' if exit_code == TERMINATED else 'Ctrl-C'}")
        if self.as_json:
            self.result({"error": {**_document(problem), "exit_code": exit_code, "problems": [_document(problem)]}}, "")
        else:
            self.tell(problem.what)
        return exit_code

    @contextmanager
    def progress(self, total_minutes: int | None) -> "Iterator[OnProgress]":
        """A bar on stderr, on a terminal only: share, where the whole is known, market days a second, time left."""
        if self.as_json or not sys.stderr.isatty():
            yield lambda _strategy, _symbol, _minutes: None
            return
        with _bar(total_minutes) as on_progress:
            yield on_progress

    @contextmanager
    def walker_progress(self) -> "Iterator[Callable[[WalkerStep], None]]":
        """A bar on stderr, on a terminal only: contestants done with, the best so far, time left."""
        if self.as_json or not sys.stderr.isatty():
            yield lambda _step: None
            return
        with _steps_bar(walker_texts) as on_progress:
            yield on_progress

    @contextmanager
    def search_progress(self) -> "Iterator[Callable[[SearchStep], None]]":
        """A bar on stderr, on a terminal only: trials done with, the fold, the best of it so far, time left."""
        if self.as_json or not sys.stderr.isatty():
            yield lambda _step: None
            return
        with _steps_bar(search_texts) as on_progress:
            yield on_progress

    @contextmanager
    def robust_progress(self) -> "Iterator[Callable[[RobustStep], None]]":
        """A bar on stderr, on a terminal only: what is tested now, and the time left."""
        if self.as_json or not sys.stderr.isatty():
            yield lambda _step: None
            return
        with _steps_bar(robust_texts) as on_progress:
            yield on_progress


def robust_texts(step: "RobustStep") -> tuple[str, str]:
    """What is tested now."""
    return step.what, ""


def walker_texts(step: "WalkerStep") -> tuple[str, str]:
    """How far a walker is and the best so far, each short enough for a line of 80 columns with a bar and two times."""
    best = step.best.outcome
    told = "" if best is None else f"best {step.best.value:.4g} {_brief(best.contestant)}"
    return _clipped(f"{int(step.done)}/{step.total} {_brief(step.contestant)}", 26), _clipped(told, 24)


def search_texts(step: "SearchStep") -> tuple[str, str]:
    """How far a search is and the best of its fold so far, as short as those of a walker."""
    best, where = step.best.outcome, f"fold {step.fold}" if step.fold else "last search"
    told = "" if best is None else f"best {step.best.value:.4g} {_brief(best.contestant)}"
    return _clipped(f"{step.done}/{step.total} {where}", 26), _clipped(told, 24)


def _brief(contestant: "Contestant") -> str:
    """A contestant by its strategy and the values of its params."""
    values = " · ".join(str(value) for _, value in contestant.params)
    return f"{contestant.strategy} {values}".strip()


def _clipped(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


@contextmanager
def _steps_bar(texts: "Callable[[Step], tuple[str, str]]") -> "Iterator[Callable[[Step], None]]":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=8),
        TextColumn("{task.fields[best]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("loading candles", total=1.0, best="")

        def on_progress(step: "Step") -> None:
            description, told = texts(step)
            bar.update(task, total=step.total, completed=step.done, description=description, best=told)

        yield on_progress


@contextmanager
def _bar(total_minutes: int | None) -> "Iterator[OnProgress]":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    done: dict[tuple[str, str], int] = {}
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        total = None if total_minutes is None else max(1, total_minutes)
        task = bar.add_task("loading candles", total=total, rate="")

        def on_progress(strategy: str, symbol: str, minutes: int) -> None:
            done[strategy, symbol] = minutes
            completed = sum(done.values())
            elapsed = bar.tasks[0].elapsed or 0.0
            rate = f"{completed / 1440 / elapsed:,.0f} days/s" if elapsed > 0 else ""
            bar.update(task, completed=completed, description=f"{strategy} {symbol}", rate=rate)

        yield on_progress


def _write_nowhere(descriptor: int) -> None:
    """Let everything that is still to be written vanish: the reader, such as `head`, has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _document(problem: Problem) -> dict[str, Any]:
    return {**asdict(problem), "where": asdict(problem.where) if problem.where else None}
