"""Which columns of a report's main table readers get, and how each is written.

* A choice names the columns in their order; what is not chosen is for the record alone. A table without such a column
  goes without; where rows are strategies, their names stay in front.
* A format is one of Python for numbers. It changes digits and signs, never the value: the config knows none with `%`.
* A unit is the column's own, or none; a column without one takes any short text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from backtestkit_cli.engine.result import ColumnChoice
from backtestkit_cli.report.report import Chapter, Column, Report, Section, Table
from backtestkit_cli.report.text import clean

ALWAYS = "strategy"
LONGEST_UNIT = 12
NUMBERS = ("count", "number", "signed", "price")


def wrong_format(column: Column, format: str) -> str | None:  # noqa: A002  # the key's word
    """Say what is expected instead of a format that would not write the values of a column as they are."""
    if column.form not in NUMBERS:
        return "none: this column holds no numbers"
    whole = column.form == "count"
    try:
        f"{1 if whole else 1.5:{format}}"
    except ValueError:
        return "a format of whole numbers such as ,d" if whole else "a format of numbers such as .2f or +.2f"
    return None


def wrong_unit(column: Column, unit: str) -> str | None:
    """Say what is expected instead of a unit that the values of a column do not have."""
    if unit in ("", column.unit):
        return None
    if column.unit:
        return f"{column.unit}, or an empty text"
    return None if clean(unit) == unit and len(unit) <= LONGEST_UNIT else f"up to {LONGEST_UNIT} visible characters"


def with_choices(report: Report, key: str, choices: Sequence[ColumnChoice]) -> Report:
    """Give the main table of a report, whose section has that key, the chosen columns."""
    if not choices:
        return report
    return replace(report, chapters=tuple(_chapter(chapter, key, choices) for chapter in report.chapters))


def _chapter(chapter: Chapter, key: str, choices: Sequence[ColumnChoice]) -> Chapter:
    return replace(chapter, sections=tuple(_section(section, key, choices) for section in chapter.sections))


def _section(section: Section, key: str, choices: Sequence[ColumnChoice]) -> Section:
    match section.block:
        case Table(columns=columns) if section.key == key:
            return replace(section, block=replace(section.block, columns=tuple(_chosen(columns, choices))))
        case _:
            return section


def _chosen(columns: Sequence[Column], choices: Sequence[ColumnChoice]) -> Iterator[Column]:
    by_key = {column.key: column for column in columns}
    known = [choice for choice in choices if choice.key in by_key]
    front = [column for column in columns if column.key == ALWAYS]
    named = {ALWAYS, *(choice.key for choice in known)}
    yield from front
    yield from (_written(by_key[choice.key], choice) for choice in known)
    yield from (replace(column, depth="record") for column in columns if column.key not in named)


def _written(column: Column, choice: ColumnChoice) -> Column:
    return replace(
        column,
        label=column.label if choice.label is None else choice.label,
        unit=column.unit if choice.unit is None else choice.unit,
        format=choice.format or "",
        depth="summary",
    )
