"""The report on a terminal: the result first and last, then what a trader asks next, in 80 columns or more.

Colours come from the console, which has none when it is no terminal. No text is read as markup. Long tables show
their newest rows and say where the others are.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, assert_never

from backtestkit_cli.measure.metrics import Metric
from backtestkit_cli.measure.trust import counted
from backtestkit_cli.report.report import (
    Block,
    Column,
    Curve,
    Fact,
    Facts,
    Findings,
    Form,
    Measures,
    Report,
    Section,
    Table,
    Value,
)
from backtestkit_cli.report.text import (
    cell_text,
    clean,
    curve_text,
    doubts_text,
    fact_text,
    form_of,
    head_text,
    held_text,
    made_text,
    metric_text,
    reasons_text,
    sparkline,
    title,
)

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table as Grid
    from rich.text import Text

WIDE = 76
"""From this width on metrics stand in two columns."""
FEW_COLUMNS = 7
"""Up to here columns stand two blanks apart."""
INDENT = 2

GOOD, BAD, DOUBT, QUIET, STRONG = "green", "red", "yellow", "dim", "bold"


def terminal(report: Report, console: "Console", *, place: str | None = None) -> str:
    """Write the short report for a console's width and colours; `place` is where the whole one lies."""
    where = place or f"report.md of run {report.run_id}"
    return _printed(_parts(report, console.width, where), console)


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
    yield _text(title(report), STRONG)
    yield from _lead(report)
    yield _text("")
    yield from _indented(_facts(report.head))
    if report.overview is not None:
        yield from _headed("Side by side", report.overview, width, where)
    for chapter in report.chapters:
        if chapter.depth == "summary":
            for section in chapter.sections:
                if section.depth == "summary":
                    yield from _headed(section.title, section.block, width, where)
    if len(report.chapters) > 1:
        yield _text("")
        yield _text(f"Each stream by itself, with its trades: {clean(where)}", QUIET)
    if report.lead.trades:
        yield _text("")
        yield from _lead(report)


def _lead(report: Report) -> Iterator["Text"]:
    lead = report.lead
    yield _text(made_text(lead), f"{STRONG} {_tone(lead.pnl_percent, 'signed')}".strip())
    is_doubtful = lead.warnings or lead.is_interrupted or lead.is_optimistic
    yield _text(held_text(lead))
    yield _text(doubts_text(lead), DOUBT if is_doubtful else QUIET)


def _headed(head: str, block: Block, width: int, where: str) -> Iterator["RenderableType"]:
    yield _text("")
    yield _text(head, STRONG)
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
            yield from _table(block, where)
        case Findings():
            yield _findings(block)
        case Curve():
            yield _text(sparkline(block.values), _tone(block.values[-1], "signed"))
            yield _text(curve_text(block.values), QUIET)
        case _:
            assert_never(block)


def _facts(facts: Facts) -> "Grid":
    grid = _grid(2)
    shown = [fact for fact in facts.facts if fact.depth == "summary"]
    width = max((len(fact_text(fact)) for fact in shown if fact.form == "count"), default=0)
    for fact in shown:
        written = fact_text(fact)
        grid.add_row(_label(fact), _text(written.rjust(width) if fact.form == "count" else written))
    return grid


def _label(fact: Fact) -> "Text":
    return _text("  " * fact.indent + clean(fact.label), QUIET)


def _measures(metrics: Sequence[Metric], width: int) -> Iterator["RenderableType"]:
    """Metrics that have a value in one or two columns, read downwards; then the others with their reasons."""
    columns = 2 if width >= WIDE else 1
    known = [metric for metric in metrics if metric.value is not None]
    height = -(-len(known) // columns)
    grid = _grid(2 * columns, right=range(1, 2 * columns, 2))
    for row in range(height):
        cells: list[Text] = []
        for metric in known[row::height]:
            value = _text(metric_text(metric), _tone(metric.value, form_of(metric)))
            cells += (_text(metric.label, QUIET), value)
        grid.add_row(*cells)
    yield grid
    missing = reasons_text(metrics)
    if missing:
        yield _text(missing, QUIET)


def _table(table: Table, where: str) -> Iterator["RenderableType"]:
    from rich.table import Table as Grid

    columns = [column for column in table.columns if column.depth == "summary"]
    count = len(table)
    first = 0 if table.last is None else max(0, count - table.last)
    if first:
        yield _text(f"{counted(first, f'earlier {table.row}')} in {clean(where)}", QUIET)
    gap = 2 if len(columns) <= FEW_COLUMNS else 1
    grid = Grid(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style=QUIET)
    for column in columns:
        head = _text(head_text(column), QUIET)
        grid.add_column(head, justify="left" if column.is_left else "right", overflow="fold")
    for row in range(first, count):
        is_total = table.has_total and row == count - 1
        grid.add_row(*(_cell(column, column.values[row]) for column in columns), style=STRONG if is_total else "")
    yield grid


def _cell(column: Column, value: Value) -> "Text":
    return _text(cell_text(column, value), _tone(value, column.form))


def _findings(findings: Findings) -> "Grid":
    grid = _grid(2, gap=1)
    for finding in findings.findings:
        is_warning = finding.level == "warning"
        grid.add_row(_text("!" if is_warning else "·", DOUBT), _text(clean(finding.text), "" if is_warning else QUIET))
    if not findings.findings:
        grid.add_row(_text("·", QUIET), _text("nothing to warn of", QUIET))
    return grid


def _grid(columns: int, *, right: Sequence[int] = (), gap: int = 2) -> "Grid":
    from rich.table import Table as Grid

    grid = Grid.grid(padding=(0, gap, 0, 0))
    for place in range(columns):
        grid.add_column(justify="right" if place in right else "left", overflow="fold")
    return grid


def _tone(value: Value, form: Form) -> str:
    """The colour of a signed value: none when it rounds to zero."""
    if form != "signed" or not isinstance(value, (int, float)) or abs(value) < 0.005:
        return ""
    return GOOD if value > 0 else BAD


def _text(text: str, style: str = "") -> "Text":
    from rich.text import Text

    return Text(text, style=style)
