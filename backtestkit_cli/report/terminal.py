"""The report on a terminal: the result first and last, then what a trader asks next, in 80 columns or more.

Colours come from the console, which has none when it is no terminal. No text is read as markup.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from backtestkit_cli.measure.metrics import Metric
from backtestkit_cli.report.report import (
    Block,
    Curve,
    Fact,
    Facts,
    Findings,
    Measures,
    Report,
    Section,
    Table,
)
from backtestkit_cli.report.terminal_table import table_parts
from backtestkit_cli.report.text import (
    chapter_text,
    clean,
    curve_text,
    doubts_text,
    fact_text,
    form_of,
    held_text,
    made_text,
    metric_text,
    reasons_text,
    sparkline,
    title,
)
from backtestkit_cli.report.tones import DOUBT, QUIET, STRONG, styled, tone_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table as Grid
    from rich.text import Text

WIDE = 76
"""From this width on metrics stand in two columns."""
INDENT = 2


def terminal(report: Report, console: "Console", *, place: str | None = None) -> str:
    """Write the short report for a console's width and colours; `place` is where the whole one lies."""
    where = place or f"report.md of run {report.run_id}"
    return _printed(_parts(report, console.width, where), console)


def whole_terminal(report: Report, console: "Console") -> str:
    """Write all chapters of a report with every row of their tables, each as wide as the short report has it."""
    chapters = tuple(replace(one, depth="summary", sections=_opened(one.sections)) for one in report.chapters)
    return terminal(replace(report, chapters=chapters), console)


def _opened(sections: Sequence[Section]) -> tuple[Section, ...]:
    """Sections of the short and the full report, both shown, with all rows."""
    return tuple(
        replace(
            one,
            depth="summary",
            block=replace(one.block, last=None, first=None) if isinstance(one.block, Table) else one.block,
        )
        for one in sections
        if one.depth != "record"
    )


def sections_text(sections: Iterable[Section], console: "Console") -> str:
    """Write sections that are no report, for a console's width and colours."""
    shown = [section for section in sections if section.depth == "summary"]
    parts = (part for one in shown for part in _headed(one.title, one.block, console.width, ""))
    return _printed(parts, console).lstrip("\n")


def _printed(parts: Iterable["RenderableType"], console: "Console") -> str:
    with console.capture() as capture:
        for part in parts:
            console.print(part, markup=False, highlight=False, emoji=False)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def _parts(report: Report, width: int, where: str) -> Iterator["RenderableType"]:
    yield styled(title(report), STRONG)
    yield from _lead(report)
    yield styled("")
    yield from _indented(_facts(report.head))
    if report.overview is not None:
        yield from _headed("Side by side", report.overview, width, where)
    shown = [chapter for chapter in report.chapters if chapter.depth == "summary"]
    for chapter in shown:
        if len(shown) > 1:
            yield from (styled(""), styled(chapter_text(chapter), STRONG))
        for section in chapter.sections:
            if section.depth == "summary":
                yield from _headed(section.title, section.block, width, where)
    if len(shown) < len(report.chapters):
        yield styled("")
        yield styled(f"Each stream by itself, with its trades: {clean(where)}", QUIET)
    if report.lead.trades:
        yield styled("")
        yield from _lead(report)


def _lead(report: Report) -> Iterator["Text"]:
    lead = report.lead
    if report.headline:
        yield styled(clean(report.headline), STRONG)
    yield styled(made_text(lead), f"{STRONG} {tone_of(lead.made_percent, 'signed')}".strip())
    is_doubtful = lead.warnings or lead.is_interrupted or lead.is_optimistic
    yield styled(held_text(lead))
    yield styled(doubts_text(lead), DOUBT if is_doubtful else QUIET)


def _headed(head: str, block: Block, width: int, where: str) -> Iterator["RenderableType"]:
    yield styled("")
    yield styled(head, STRONG)
    yield from _indented(*_block(block, width, where))


def _indented(*parts: "RenderableType") -> Iterator["RenderableType"]:
    from rich.padding import Padding

    for part in parts:
        yield Padding(part, (0, 0, 0, INDENT))


def _block(block: Block, width: int, where: str) -> Iterator["RenderableType"]:
    match block:
        case Facts():
            yield _facts(block)
        case Measures():
            yield from _measures(block.metrics, width)
        case Table():
            yield from table_parts(block, width - INDENT, where)
        case Findings():
            yield _findings(block)
        case Curve():
            yield styled(sparkline(block.values), tone_of(block.values[-1], "signed"))
            yield styled(curve_text(block.values), QUIET)
        case _:
            assert_never(block)


def _facts(facts: Facts) -> "Grid":
    grid = _grid(2)
    shown = [fact for fact in facts.facts if fact.depth == "summary"]
    width = max((len(fact_text(fact)) for fact in shown if fact.form == "count"), default=0)
    for fact in shown:
        written = fact_text(fact)
        grid.add_row(_label(fact), styled(written.rjust(width) if fact.form == "count" else written))
    return grid


def _label(fact: Fact) -> "Text":
    return styled("  " * fact.indent + clean(fact.label), QUIET)


def _measures(metrics: Sequence[Metric], width: int) -> Iterator["RenderableType"]:
    """Metrics that have a value in one or two columns, read downwards; then the others with their reasons."""
    columns = 2 if width >= WIDE else 1
    known = [metric for metric in metrics if metric.value is not None]
    height = -(-len(known) // columns)
    grid = _grid(2 * columns, right=range(1, 2 * columns, 2))
    for row in range(height):
        cells: list[Text] = []
        for metric in known[row::height]:
            value = styled(metric_text(metric), tone_of(metric.value, form_of(metric)))
            cells += (styled(metric.label, QUIET), value)
        grid.add_row(*cells)
    yield grid
    missing = reasons_text(metrics)
    if missing:
        yield styled(missing, QUIET)


def _findings(findings: Findings) -> "Grid":
    grid = _grid(2, gap=1)
    for finding in findings.findings:
        is_warning = finding.level == "warning"
        grid.add_row(
            styled("!" if is_warning else "·", DOUBT), styled(clean(finding.text), "" if is_warning else QUIET)
        )
    if not findings.findings:
        grid.add_row(styled("·", QUIET), styled("nothing to warn of", QUIET))
    return grid


def _grid(columns: int, *, right: Sequence[int] = (), gap: int = 2) -> "Grid":
    from rich.table import Table as Grid

    grid = Grid.grid(padding=(0, gap, 0, 0))
    for place in range(columns):
        grid.add_column(justify="right" if place in right else "left", overflow="fold")
    return grid
