"""A table on a terminal: names fold, numbers and dates stay whole.

One that is too wide all the same is told in parts, one below the other, each with the names of its rows. Long tables
show their newest rows and say where the others are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Literal

from backtestkit_cli.measure.trust import counted
from backtestkit_cli.report.fold import LEAST_NAME, fitting, fold, longest_piece
from backtestkit_cli.report.report import Column, Table, Value
from backtestkit_cli.report.text import cell_text, clean, head_text
from backtestkit_cli.report.tones import QUIET, STRONG, styled, tone_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table as Grid

FEW_COLUMNS = 7
"""Up to here columns stand two blanks apart."""


def table_parts(table: Table, room: int, where: str) -> Iterator["RenderableType"]:
    """Write a table for a room; `where` is the place of the rows that are left out."""
    columns = [column for column in table.columns if column.depth == "summary"]
    count = len(table)
    first = 0 if table.last is None else max(0, count - table.last)
    if first:
        yield styled(f"{counted(first, f'earlier {table.row}')} in {clean(where)}", QUIET)
    shown = [_ShownColumn.of(one, first, table.first) for one in columns]
    for place, part in enumerate(_parts_that_fit(shown, room)):
        if place:
            yield styled("")
        yield _columns(part, room, has_total=table.has_total)
    if table.first is not None and count > table.first:
        yield styled(f"{counted(count - table.first, f'more {table.row}')} in {clean(where)}", QUIET)


@dataclass(frozen=True, slots=True)
class _ShownColumn:
    """A column with its head and the rows that are shown, in words."""

    column: Column
    head: str
    texts: Sequence[str]
    values: Sequence[Value]

    @classmethod
    def of(cls, column: Column, first: int, last: int | None) -> "_ShownColumn":
        values = column.values[first:last]
        return cls(column, head_text(column), [cell_text(column, value) for value in values], values)

    @property
    def is_whole(self) -> bool:
        return not self.column.is_left or self.column.form == "time"

    @property
    def least(self) -> int:
        """The least that it needs."""
        texts = (self.head, *self.texts)
        return max(map(len, texts)) if self.is_whole else min(LEAST_NAME, max(map(longest_piece, texts)))


def _parts_that_fit(columns: Sequence[_ShownColumn], room: int) -> Iterator[Sequence[_ShownColumn]]:
    """The columns of a table too wide for its room, in parts; each begins with the names of the rows."""
    names = list(takewhile(lambda one: one.column.is_left, columns))
    part = names[:]
    for one in columns[len(names) :]:
        if len(part) > len(names) and sum(other.least + 1 for other in (*part, one)) - 1 > room:
            yield part
            part = names[:]
        part.append(one)
    yield part


def _columns(columns: Sequence[_ShownColumn], room: int, *, has_total: bool) -> "Grid":
    from rich.table import Table as Grid

    gap = 2 if len(columns) <= FEW_COLUMNS else 1
    texts = [(one.head, *one.texts) for one in columns]
    widths = fitting(texts, [one.is_whole for one in columns], room - gap * (len(columns) - 1))
    grid = Grid(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style=QUIET)
    for one, wide in zip(columns, widths, strict=True):
        justify: Literal["left", "right"] = "left" if one.column.is_left else "right"
        grid.add_column(styled(_folded(one.head, wide), QUIET), justify=justify, overflow="fold")
    count = len(columns[0].texts) if columns else 0
    for row in range(count):
        cells = (
            styled(_folded(one.texts[row], wide), tone_of(one.values[row], one.column.form))
            for one, wide in zip(columns, widths, strict=True)
        )
        grid.add_row(*cells, style=STRONG if has_total and row == count - 1 else "")
    return grid


def _folded(text: str, width: int) -> str:
    return text if len(text) <= width else "\n".join(fold(text, width))
