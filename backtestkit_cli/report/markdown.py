"""The report as markdown that is easy to read raw: aligned tables, and texts of users that cannot become markup.

Of a foreign text every character with a meaning in markdown or HTML is escaped, so that a reader shows what was
given; control characters are gone (see `text.clean`) and addresses do not become links.
"""

import re
from collections.abc import Iterator, Sequence
from typing import assert_never

from backtestkit_cli.report.column_text import texts_of
from backtestkit_cli.report.report import (
    Block,
    Chapter,
    Column,
    Curve,
    Depth,
    Facts,
    Findings,
    Measures,
    Report,
    Section,
    Table,
)
from backtestkit_cli.report.text import (
    cell_text,
    chapter_text,
    clean,
    curve_text,
    doubts_text,
    fact_text,
    head_text,
    held_text,
    made_text,
    metric_text,
    sparkline,
    title,
)

DEPTHS: tuple[Depth, ...] = ("summary", "full")

_MARKUP = re.compile(r"([\\`*\[\]~|$#])|(?<![^\W_])(_)|(_)(?![^\W_])")
_ENTITIES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("://", "&#58;//"), ("@", "&#64;"))
_WWW = re.compile(r"(www)\.", re.IGNORECASE)


def markdown(report: Report) -> str:
    """Write the whole report, all trades included."""
    return "\n".join(_lines(report)).rstrip("\n") + "\n"


def escape(text: str) -> str:
    """Make any text safe inside a line of markdown, also inside a table cell."""
    if text.isascii() and text.replace("-", "").isalnum():
        return text
    text = _MARKUP.sub(lambda match: "\\" + match[0], clean(text))
    for char, entity in _ENTITIES:
        text = text.replace(char, entity)
    return _WWW.sub(r"\1&#46;", text)


def _lines(report: Report) -> Iterator[str]:
    yield f"# {escape(title(report))}"
    if report.headline:
        yield from ("", escape(report.headline))
    yield from ("", f"**{made_text(report.lead)}** · {held_text(report.lead)} · {doubts_text(report.lead)}", "")
    yield from _block(report.head)
    if report.overview is not None:
        yield from ("", "## Side by side", "")
        yield from _block(report.overview)
    several = len(report.chapters) > 1
    for chapter in report.chapters:
        if chapter.depth in DEPTHS:
            yield from _chapter(chapter, several=several)


def _chapter(chapter: Chapter, *, several: bool) -> Iterator[str]:
    if several:
        yield from ("", f"## {escape(chapter_text(chapter))}")
    for section in chapter.sections:
        if section.depth in DEPTHS:
            yield from _section(section, "###" if several else "##")


def _section(section: Section, mark: str) -> Iterator[str]:
    yield from ("", f"{mark} {section.title}", "")
    yield from _block(section.block)


def _block(block: Block) -> Iterator[str]:
    match block:
        case Facts():
            shown = [fact for fact in block.facts if fact.depth in DEPTHS]
            labels = ["· " * fact.indent + escape(fact.label) for fact in shown]
            texts = [escape(fact_text(fact)) for fact in shown]
            numbers = all(fact.form == "count" for fact in shown)
            yield from _grid(("", ""), (labels, texts), (True, not numbers))
        case Measures():
            names = [one.label for one in block.metrics]
            values = [metric_text(one) + (f" ({one.reason})" if one.reason else "") for one in block.metrics]
            yield from _grid(("Metric", "Value"), (names, values), (True, False))
        case Table():
            yield from _table(block)
        case Findings():
            for finding in block.findings:
                yield f"- {'**Warning:** ' if finding.level == 'warning' else ''}{escape(finding.text)}"
            if not block.findings:
                yield "Nothing to warn of."
        case Curve():
            yield from (f"`{sparkline(block.values)}`", "", curve_text(block.values))
        case _:
            assert_never(block)


def _table(table: Table) -> Iterator[str]:
    columns = [column for column in table.columns if column.depth in DEPTHS]
    heads = [escape(head_text(column)) for column in columns]
    cells = [_cells(column) for column in columns]
    yield from _grid(heads, cells, [column.is_left for column in columns])


def _cells(column: Column) -> list[str]:
    """The texts of a column; each text of a user is escaped once."""
    has_texts = any(issubclass(kind, str) for kind in set(map(type, column.values)))
    if not has_texts and not column.format:
        return texts_of(column.values, column.form)
    escaped = {value: escape(value) for value in set(column.values) if isinstance(value, str)}
    return [escaped[value] if isinstance(value, str) else cell_text(column, value) for value in column.values]


def _grid(heads: Sequence[str], cells: Sequence[Sequence[str]], is_left: Sequence[bool]) -> Iterator[str]:
    """Lay columns of cells out as a table; row by row, as there may be many."""
    widths = [max(3, len(head), max(map(len, column), default=0)) for head, column in zip(heads, cells, strict=True)]
    places = (f"%{'-' if left else ''}{width}s" for width, left in zip(widths, is_left, strict=True))
    line = f"| {' | '.join(places)} |"
    yield line % tuple(heads)
    yield line % tuple(
        "-" * width if left else "-" * (width - 1) + ":" for width, left in zip(widths, is_left, strict=True)
    )
    yield from (line % row for row in zip(*cells, strict=True))
