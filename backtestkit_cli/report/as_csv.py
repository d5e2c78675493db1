"""The tables of a report as CSV: one text per section, rows of all chapters together, for spreadsheets and programs.

* The first columns say whose a row is: strategy and symbol, empty where all are meant; heads are the keys of the JSON.
* Numbers are written in full and without units, times as UTC texts; what is missing is an empty cell.
* A text is one line; one that a spreadsheet would take for a formula gets an apostrophe in front.
"""

import csv
import io
import math
from collections.abc import Iterator
from typing import assert_never

from backtestkit_cli.model.time import iso
from backtestkit_cli.report.report import (
    Block,
    Chapter,
    Curve,
    Fact,
    Facts,
    Findings,
    Form,
    Measures,
    Report,
    Table,
    Value,
)
from backtestkit_cli.report.text import clean

FORMULA_STARTS = ("=", "+", "-", "@")

Row = dict[str, str]


def csv_texts(report: Report) -> dict[str, str]:
    """Write each section that has rows, by its key; curves are left to the JSON."""
    rows: dict[str, list[Row]] = {"run": [_fact(fact) for fact in report.head.facts]}
    for chapter in report.chapters:
        for section in chapter.sections:
            if not isinstance(section.block, Curve):
                told = rows.setdefault(section.key, [])
                told += ({**_whose(chapter), **row} for row in _rows(section.block))
    return {key: _text(found) for key, found in rows.items() if found}


def csv_table(report: Report, key: str) -> str:
    """Write the table of a section; one without rows is its head."""
    told = csv_texts(report).get(key)
    if told is not None:
        return told
    blocks = (section.block for chapter in report.chapters for section in chapter.sections if section.key == key)
    keys = (column.key for block in blocks if isinstance(block, Table) for column in block.columns)
    return ",".join(dict.fromkeys(("strategy", "symbol", *keys))) + "\n"


def csv_cell(value: Value, form: Form = "text") -> str:
    """Write one value."""
    match value:
        case None:
            return ""
        case tuple():
            return _safe(", ".join(value))
        case str():
            return _safe(value)
        case bool():
            return str(value).lower()
        case _ if form == "time":
            return iso(int(value))
        case _:
            return repr(value) if math.isfinite(value) else ""


def _safe(text: str) -> str:
    line = clean(text)
    return f"'{line}" if line.startswith(FORMULA_STARTS) else line


def _whose(chapter: Chapter) -> Row:
    return {"strategy": csv_cell(chapter.strategy), "symbol": csv_cell(chapter.symbol)}


def _rows(block: Block) -> Iterator[Row]:
    match block:
        case Facts():
            yield from map(_fact, block.facts)
        case Measures():
            for one in block.metrics:
                yield {
                    "key": one.key,
                    "value": csv_cell(one.value),
                    "unit": one.unit,
                    "reason": csv_cell(one.reason),
                }
        case Table():
            cells = [[csv_cell(value, column.form) for value in column.values] for column in block.columns]
            keys = [column.key for column in block.columns]
            yield from (dict(zip(keys, row, strict=True)) for row in zip(*cells, strict=True))
        case Findings():
            for finding in block.findings:
                yield {"level": finding.level, "code": finding.code, "text": csv_cell(finding.text)}
        case Curve():
            return
        case _:
            assert_never(block)


def _fact(fact: Fact) -> Row:
    return {"key": csv_cell(fact.key), "value": csv_cell(fact.value, fact.form), "unit": fact.unit}


def _text(rows: list[Row]) -> str:
    target = io.StringIO()
    writer = csv.DictWriter(
        target, fieldnames=list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(rows)
    return target.getvalue()
