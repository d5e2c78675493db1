"""What a report can be asked of, by the word that names it: a stored run, a live session, a comparison, or a search.

* A word is a run where one fits. Else it is a session; with the kind `live` it is one in any case, `last` the newest.
* A run has every kind but `live`, a session that one alone. With the kind `walker` the word is the name of one, or
  `last`; with the kind `optimizer` a study, its strategy, or `last`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backtestkit_cli.errors import Problem, UsageError
from backtestkit_cli.report.dump import find_bundle
from backtestkit_cli.report.kinds import Kind
from backtestkit_cli.report.report import Report
from backtestkit_cli.report.study import MAIN_TABLE as TRIALS
from backtestkit_cli.report.study import study_report
from backtestkit_cli.report.study_files import find_study, read_study
from backtestkit_cli.report.walker import MAIN_TABLE, walker_report
from backtestkit_cli.report.walker_files import find_contest, read_contest
from backtestkit_cli.report.written import (
    LIVE,
    OPTIMIZER,
    WALKER,
    Format,
    files_of,
    kind_named,
    report_files,
    report_text,
    stored_report,
)
from backtestkit_cli.report.written import text_of as written
from backtestkit_cli.run.live.so_far import session_report
from backtestkit_cli.run.session import find_session

DUMP = "dump"


class Told(Protocol):
    """A report that can be had in every format. `kind` is its kind, `folder_name` that of its files in `logs/`."""

    @property
    def kind(self) -> str: ...

    @property
    def folder_name(self) -> str: ...

    def report(self) -> Report:
        """Itself."""
        ...

    def text(self, format: Format) -> str:  # noqa: A002  # the option's word
        """As one text."""
        ...

    def files(self, formats: list[Format]) -> dict[str, str]:
        """Texts by file name."""
        ...


@dataclass(frozen=True, slots=True)
class OfRun:
    """A report of a stored run."""

    bundle: Path
    kind: Kind

    @property
    def folder_name(self) -> str:
        """The one of its kind."""
        return self.kind

    def report(self) -> Report:
        """Make it again."""
        return stored_report(self.bundle, self.kind)

    def text(self, format: Format) -> str:  # noqa: A002  # the option's word
        """As it was written, where it was."""
        return report_text(self.bundle, self.kind, format)

    def files(self, formats: list[Format]) -> dict[str, str]:
        """Texts by file name."""
        return report_files(self.bundle, self.kind, formats)


@dataclass(frozen=True, slots=True)
class OfSession:
    """The report of a live session, made of its journal."""

    folder: Path
    project: Path
    kind: str = LIVE
    folder_name: str = LIVE

    def report(self) -> Report:
        """Make it."""
        return session_report(self.folder, self.project)

    def text(self, format: Format) -> str:  # noqa: A002  # the option's word
        """As one text; of CSV the newest trades."""
        return written(self.report(), "trades", format)

    def files(self, formats: list[Format]) -> dict[str, str]:
        """Texts by file name."""
        return files_of(self.report(), self.folder.name, formats)


@dataclass(frozen=True, slots=True)
class OfWalker:
    """The report of the newest comparison of a walker, made of its record."""

    record: Path
    kind: str = WALKER

    @property
    def folder_name(self) -> str:
        """One of its own: beside the files of walkers lie the newest reports."""
        return f"{WALKER}/{self.record.parent.name}/{DUMP}"

    def report(self) -> Report:
        """Make it again."""
        return walker_report(read_contest(self.record))

    def text(self, format: Format) -> str:  # noqa: A002  # the option's word
        """As one text; of CSV the ranking."""
        return written(self.report(), MAIN_TABLE, format)

    def files(self, formats: list[Format]) -> dict[str, str]:
        """Texts by file name."""
        return files_of(self.report(), self.record.parent.name, formats)


@dataclass(frozen=True, slots=True)
class OfStudy:
    """The report of a search, made of its record."""

    record: Path
    kind: str = OPTIMIZER

    @property
    def folder_name(self) -> str:
        """One of its own: beside the records of studies lie the newest reports."""
        return f"{OPTIMIZER}/{self.record.parent.name}/{DUMP}"

    def report(self) -> Report:
        """Make it again."""
        return study_report(read_study(self.record))

    def text(self, format: Format) -> str:  # noqa: A002  # the option's word
        """As one text; of CSV the trials."""
        return written(self.report(), TRIALS, format)

    def files(self, formats: list[Format]) -> dict[str, str]:
        """Texts by file name."""
        return files_of(self.report(), self.record.stem, formats)


def told(logs: Path, text: str, kind: str | None) -> Told:
    """Find what is meant; without a kind the main one.

    Raises:
        UsageError: there is none, more than one, or it has no report of that kind.
    """
    if kind == WALKER:
        return OfWalker(find_contest(logs, text))
    if kind == OPTIMIZER:
        return OfStudy(find_study(logs, text))
    if kind == LIVE:
        return OfSession(find_session(logs, text), logs.parent)
    named = kind_named(kind or "backtest")
    try:
        return OfRun(find_bundle(logs, text), named)
    except UsageError as error:
        if text == "last" or error.code == "ambiguous-run":
            raise
        try:
            folder = find_session(logs, text)
        except UsageError:
            raise error from None
    if kind is not None:
        what, hint = f"session {folder.name} has no report of the kind {kind}", "leave out --kind"
        raise UsageError(Problem("unknown-report-kind", what, expected=LIVE, hint=hint))
    return OfSession(folder, logs.parent)
