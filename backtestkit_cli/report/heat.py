"""The heat map: the symbols of a strategy side by side, and what they made together.

* Symbols with the highest Sharpe ratio stand first, those without one last, then by name.
* Figures are those of the backtest report of each symbol; the last row is all of them, measured as one curve:
  one stake each, or the balance they share.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from backtestkit_cli.engine.result import RunResult
from backtestkit_cli.measure.metrics import Metric
from backtestkit_cli.measure.statistics import run_metrics, stream_metrics
from backtestkit_cli.report.build import build
from backtestkit_cli.report.original import original_heat_sections
from backtestkit_cli.report.report import Chapter, Column, Form, Measures, Section, Table, table_section

if TYPE_CHECKING:
    import polars as pl

HEAT: tuple[tuple[str, str, Form, str], ...] = (
    ("pnl_percent", "PnL", "signed", "%"),
    ("sharpe_ratio", "Sharpe", "number", ""),
    ("profit_factor", "PF", "number", ""),
    ("expectancy_percent", "Expectancy", "signed", "%"),
    ("win_rate_percent", "Wins", "number", "%"),
    ("average_win_percent", "Avg win", "signed", "%"),
    ("average_loss_percent", "Avg loss", "signed", "%"),
    ("max_drawdown_percent", "Max DD", "number", "%"),
    ("longest_win_streak", "Win streak", "count", ""),
    ("longest_loss_streak", "Loss streak", "count", ""),
    ("trades", "Trades", "count", ""),
)
"""Metrics that stand side by side: key, head, form, unit."""

Figures: TypeAlias = dict[str, Metric]


def heat_chapters(run: RunResult, events: "pl.DataFrame") -> tuple[Chapter, ...]:
    """One chapter per strategy; where there are several, one of all of them first."""
    names = tuple(dict.fromkeys(stream.strategy for stream in run.streams))
    parts = [run.part(tuple(one for one in run.streams if one.strategy == name)) for name in names]
    chapters = [_chapter(part, events, name) for name, part in zip(names, parts, strict=True)]
    if len(parts) < 2:
        return tuple(chapters)
    rows = [(name, _figures(run_metrics(part))) for name, part in zip(names, parts, strict=True)]
    return (_whole_chapter(run, events, rows), *chapters)


def _chapter(run: RunResult, events: "pl.DataFrame", strategy: str) -> Chapter:
    rows = [(stream.symbol, _figures(stream_metrics(stream, run.range, run.balance))) for stream in run.streams]
    return Chapter(strategy=strategy, sections=(*_sections(run, events, "symbol", rows), *original_heat_sections(run)))


def _whole_chapter(run: RunResult, events: "pl.DataFrame", rows: Iterable[tuple[str, Figures]]) -> Chapter:
    return Chapter(sections=tuple(_sections(run, events, "strategy", rows)))


def _sections(
    run: RunResult, events: "pl.DataFrame", of: str, unordered: Iterable[tuple[str, Figures]]
) -> Iterator[Section]:
    together, rows = run_metrics(run), _hottest_first(unordered)
    base = build(run, events).chapters[0]
    stakes = "" if run.balance is None else ", at equal stakes"
    yield Section(key="heat", title=f"By {of}{stakes}", block=_table(of, rows, _figures(together)))
    yield table_section("missing", "What is N/A", _missing(of, rows))
    yield Section(key="metrics", title="All together", block=Measures(together))
    yield from (section for section in base.sections if section.key in ("funnel", "warnings"))


def _figures(metrics: Iterable[Metric]) -> Figures:
    return {metric.key: metric for metric in metrics}


def _hottest_first(rows: Iterable[tuple[str, Figures]]) -> list[tuple[str, Figures]]:
    def place(row: tuple[str, Figures]) -> tuple[bool, float, str]:
        name, figures = row
        sharpe = figures["sharpe_ratio"].value
        return sharpe is None, -(sharpe or 0.0), name

    return sorted(rows, key=place)


def _table(of: str, rows: Sequence[tuple[str, Figures]], together: Figures) -> Table:
    lines = [*(figures for _, figures in rows), together]
    names = Column(key=of, label=of.capitalize(), values=[*(name for name, _ in rows), "all"])
    columns = [
        Column(key=key, label=label, values=[line[key].value for line in lines], form=form, unit=unit)
        for key, label, form, unit in HEAT
    ]
    return Table((names, *columns), row=of, has_total=True)


def _missing(of: str, rows: Sequence[tuple[str, Figures]]) -> Table:
    """Why cells have no figure."""
    found = [
        (name, label, figures[key].reason or "")
        for name, figures in rows
        for key, label, _, _ in HEAT
        if figures[key].value is None
    ]
    names, labels, reasons = zip(*found, strict=True) if found else ((), (), ())
    return Table(
        (
            Column(key=of, label=of.capitalize(), values=names),
            Column(key="figure", label="Figure", values=labels),
            Column(key="reason", label="Reason", values=reasons),
        )
    )
