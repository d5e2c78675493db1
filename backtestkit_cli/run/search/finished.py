"""A study with what a Python user wants of it: what was chosen, its reports as text, its files on disk."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from backtestkit_cli.engine.result import RunStatus
from backtestkit_cli.measure.contest import Failed, Standing, standings
from backtestkit_cli.measure.study import Study, luck_of, verdict
from backtestkit_cli.report.study import MAIN_TABLE, study_report
from backtestkit_cli.report.study_files import dump_study
from backtestkit_cli.report.written import Written, formats_named, text_of

if TYPE_CHECKING:
    from backtestkit_cli.report.report import Report


@dataclass(frozen=True, kw_only=True, eq=False)
class FinishedStudy:
    """The result of a search; `logs` is where its files go."""

    study: Study
    logs: Path

    @cached_property
    def ranking(self) -> tuple[Standing, ...]:
        """Every trial of the last search, in order of place."""
        return standings(self.study.contest)

    @property
    def params(self) -> Mapping[str, bool | int | float | str]:
        """The chosen params; none where nothing could be chosen."""
        return {} if self.study.chosen is None else dict(self.study.chosen.contestant.params)

    @property
    def luck(self) -> Mapping[str, float | None]:
        """Deflated Sharpe ratio, probability of overfitting and plateau."""
        return {one.key: one.value for one in luck_of(self.study)}

    @property
    def verdict(self) -> str:
        """Whether the chosen params are more than luck, in one sentence."""
        return verdict(self.study)

    @property
    def failed(self) -> tuple[Failed, ...]:
        """The trials of the last search that came to no result."""
        return self.study.contest.failed

    @property
    def status(self) -> RunStatus:
        """Whether it came to its end: complete, stopped or interrupted."""
        return self.study.contest.run.status

    @property
    def stats(self) -> Mapping[str, float | None]:
        """The figures of the chosen params on the hold-out."""
        return {} if self.study.held is None else dict(self.study.held.figures)

    def summary(self, top: int | None = None) -> "Report":
        """The report as plain values; a narrow reader gets the first `top` trials."""
        return study_report(self.study, top, self.ranking)

    def report(self, format: str = "md") -> str:  # noqa: A002  # the option's word
        """The report as one text; of the tables of CSV the trials.

        Raises:
            UsageError: there is no such format.
        """
        return text_of(self.summary(), MAIN_TABLE, formats_named(format)[0])

    def dump(self) -> Written:
        """Write the reports below `logs/optimizer/`, as the command line does."""
        return dump_study(self.study, self.logs, self.summary())
