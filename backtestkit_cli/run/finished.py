"""A run with what a Python user wants of it: its figures, its report as text, its files on disk."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backtestkit_cli.engine.result import RunResult
from backtestkit_cli.errors import Problem, UsageError
from backtestkit_cli.measure.metrics import Metric
from backtestkit_cli.measure.statistics import run_metrics, stream_metrics
from backtestkit_cli.report.build import build
from backtestkit_cli.report.dump import WRITERS, DumpedFiles, Format

if TYPE_CHECKING:
    from backtestkit_cli.run.backtest import Backtest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FinishedRun(RunResult):
    """The result of a backtest. Figures have the keys of `docs/reference.md#metrics`; None where they are N/A."""

    backtest: "Backtest"

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

    def report(self, format: Format = "md") -> str:  # noqa: A002  # the option's word
        """The report as a text.

        Raises:
            UsageError: there is no such format.
        """
        if format not in WRITERS:
            what, expected = f"there is no format {format!r}", ", ".join(WRITERS)
            raise UsageError(Problem("unknown-format", what, expected=expected))
        return WRITERS[format](build(self))

    def dump(self) -> DumpedFiles:
        """Write the run bundle and the newest report of each stream below `logs/`, as the command line does."""
        return self.backtest.dump(self)


def _values(measured: tuple[Metric, ...]) -> dict[str, float | None]:
    return {metric.key: metric.value for metric in measured}
