"""The tests of a run with what a Python user wants of them: the figures, the report as text, its files on disk."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backtestkit_cli.disk import DISK, write_atomic
from backtestkit_cli.measure.robust import Robustness
from backtestkit_cli.report.robust import robust_report
from backtestkit_cli.report.written import FORMATS, files_of, formats_named, text_of

if TYPE_CHECKING:
    from backtestkit_cli.report.report import Report

FOLDER = "robust"
MAIN_TABLE = "costs"


@dataclass(frozen=True, kw_only=True, eq=False)
class FinishedRobust:
    """What a run withstands; `logs` is where its files go."""

    found: Robustness
    logs: Path

    def summary(self) -> "Report":
        """The report as plain values."""
        return robust_report(self.found)

    def report(self, format: str = "md") -> str:  # noqa: A002  # the option's word
        """The report as one text; of the tables of CSV that of costs.

        Raises:
            UsageError: there is no such format.
        """
        return text_of(self.summary(), MAIN_TABLE, formats_named(format)[0])

    def dump(self) -> tuple[Path, ...]:
        """Write the report below `logs/robust/`, in every format: of CSV one file for each table.

        Raises:
            OSError: the disk refused; each file is the old one or the new one.
        """
        folder = self.logs / FOLDER
        DISK.make_folder(folder)
        texts = files_of(self.summary(), self.found.run.run_id, list(FORMATS))
        for name, text in texts.items():
            write_atomic(folder / name, text.encode("utf-8"), mode=0o644)
        return tuple(folder / name for name in texts)
