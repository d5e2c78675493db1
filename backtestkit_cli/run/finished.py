"""A run with what a Python user wants of it: its figures, its reports as text, its files on disk."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backtestkit_cli.engine.result import RunResult
from backtestkit_cli.errors import Problem, UsageError
from backtestkit_cli.measure.metrics import Metric
from backtestkit_cli.measure.statistics import run_metrics, stream_metrics
from backtestkit_cli.report.as_csv import csv_texts
from backtestkit_cli.report.dump import DumpedFiles
from backtestkit_cli.report.kinds import MAIN_TABLES, report_of
from backtestkit_cli.report.stored import record_of
from backtestkit_cli.report.written import TEXTS, formats_named, kind_named

if TYPE_CHECKING:
    from backtestkit_cli.run.backtest import Backtest


class FinishedRun(RunResult):
    """The result of a backtest; `backtest` is what ran, and no part of the result.

    Figures have the keys of `docs/reference.md#metrics`; None where they are N/A.
    """

    __slots__ = ("backtest",)

    backtest: "Backtest"

    def __init__(self, *, backtest: "Backtest | None" = None, **known: Any) -> None:
        super().__init__(**known)
        object.__setattr__(self, "backtest", backtest)

    @property
    def stats(self) -> Mapping[str, float | None]:
        """The figures of all streams together."""
        return _values(run_metrics(self)) if self.streams else {}

    def stats_of(self, strategy: str, symbol: str) -> Mapping[str, float | None]:
        """The figures of one stream.

        Raises:
            UsageError: it is no stream of this run.
        """
        for stream in self.streams:
            if (stream.strategy, stream.symbol) == (strategy, symbol):
                return _values(stream_metrics(stream, self.range))
        known = ", ".join(f"{one.strategy} on {one.symbol}" for one in self.streams) or None
        raise UsageError(Problem("unknown-stream", f"the run has no {strategy} on {symbol}", expected=known))

    def report(self, kind: str = "backtest", format: str = "md") -> str:  # noqa: A002  # the option's word
        """A report of a kind as one text; of the tables of CSV the one the kind is about.

        Raises:
            UsageError: there is no such kind or format.
        """
        known, form = kind_named(kind), formats_named(format)[0]
        record = replace(record_of(self), timings=self.backtest.stopwatch.timings())
        report = report_of(known, record)
        return csv_texts(report).get(MAIN_TABLES[known], "") if form == "csv" else TEXTS[form](report)

    def dump(self) -> DumpedFiles:
        """Write the run bundle and the newest reports below `logs/`, as the command line does."""
        return self.backtest.dump(self)


def _values(measured: tuple[Metric, ...]) -> dict[str, float | None]:
    return {metric.key: metric.value for metric in measured}
