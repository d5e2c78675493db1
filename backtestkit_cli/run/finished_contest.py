"""A comparison with what a Python user wants of it: who stands where, its reports as text, its files on disk."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from backtestkit_cli.engine.result import RunStatus
from backtestkit_cli.measure.contest import Best, Contest, Failed, Standing, best_of, standings
from backtestkit_cli.report.walker import MAIN_TABLE, walker_report
from backtestkit_cli.report.walker_files import dump_contest
from backtestkit_cli.report.written import Written, formats_named, text_of

if TYPE_CHECKING:
    from backtestkit_cli.report.report import Report


@dataclass(frozen=True, kw_only=True, eq=False)
class FinishedContest:
    """The result of a walker; `logs` is where its files go."""

    contest: Contest
    logs: Path

    @cached_property
    def ranking(self) -> tuple[Standing, ...]:
        """Everybody who finished, in order of place."""
        return standings(self.contest)

    @property
    def best(self) -> Best:
        """The best contestant by the metric and its value; None where nobody has one."""
        return best_of(self.contest.outcomes, self.contest.metric)

    @property
    def failed(self) -> tuple[Failed, ...]:
        """The contestants that came to no result."""
        return self.contest.failed

    @property
    def status(self) -> RunStatus:
        """Whether all were tested: complete, stopped or interrupted."""
        return self.contest.run.status

    @property
    def stats(self) -> Mapping[str, float | None]:
        """The figures of the best contestant; none where there is no best."""
        best = self.best.outcome
        return {} if best is None else dict(best.figures)

    def summary(self, top: int | None = None) -> "Report":
        """The report as plain values; a narrow reader gets the first `top` of its rows."""
        return walker_report(self.contest, top, self.ranking)

    def report(self, format: str = "md") -> str:  # noqa: A002  # the option's word
        """The report as one text; of the tables of CSV the ranking.

        Raises:
            UsageError: there is no such format.
        """
        return text_of(self.summary(), MAIN_TABLE, formats_named(format)[0])

    def dump(self) -> Written:
        """Write the reports below `logs/walker/`, as the command line does."""
        return dump_contest(self.contest, self.logs, self.summary())
