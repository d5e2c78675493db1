"""The report as one JSON document: numbers as numbers, times as UTC texts, null with a reason where there is none.

`run` holds what was asked for, `summary` the result in short, `streams` one object per stream, `portfolio` all of
them together where there are several; in a heat map `strategies` one object per strategy. What is N/A has its reason in
`reasons`, outside `metrics` in `<section>_reasons`. Units stand in the keys. NaN and infinity do not occur.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, assert_never

from backtestkit_cli.model.time import iso
from backtestkit_cli.report.column_text import finite, isos, reprs_of
from backtestkit_cli.report.report import (
    Block,
    Chapter,
    Column,
    Curve,
    Facts,
    Findings,
    Form,
    Lead,
    Measures,
    Report,
    Section,
    Table,
    Value,
)

INDENT = "  "
_WORDS = {None: "null", True: "true", False: "false"}
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def document(report: Report) -> dict[str, Any]:
    """Make the JSON document of a report."""
    told: dict[str, Any] = _with_records(_told(report))
    return told


def sections_document(sections: Sequence[Section]) -> dict[str, Any]:
    """Make the JSON document of sections that are no report, by their keys."""
    return {section.key: _with_records(_block(section.block)) for section in sections}


def json_text(report: Report) -> str:
    """Write the document as a file's text: objects are indented, each record of a list is one line."""
    return "".join(_pretty(_told(report), "")) + "\n"


def _told(report: Report) -> dict[str, Any]:
    """The document with its tables as they are, so that they can be written column by column."""
    lead = report.lead
    told: dict[str, Any] = {
        "run": _facts(report.head),
        "summary": {
            **({"headline": _plain(report.headline)} if report.headline else {}),
            "pnl_percent": _plain(lead.pnl_percent),
            "buy_and_hold_percent": _plain(lead.hold_percent),
            "trades": lead.trades,
            **({} if lead.balance is None else _money(lead)),
            "warnings": lead.warnings,
        },
        "streams": [_chapter(chapter) for chapter in report.chapters if chapter.symbol is not None],
    }
    by_strategy = [one for one in report.chapters if one.strategy is not None and one.symbol is None]
    if by_strategy:
        told["strategies"] = [_chapter(chapter) for chapter in by_strategy]
    for chapter in report.chapters:
        if chapter.strategy is None:
            told[chapter.name or "portfolio"] = _chapter(chapter)
    return told


def _money(lead: Lead) -> dict[str, Any]:
    return {"balance": lead.balance, "pnl_quote": lead.pnl_quote, "return_percent": lead.return_percent}


def _with_records(value: Any) -> Any:
    """The same with an object for each row of its tables."""
    if isinstance(value, dict):
        return {key: _with_records(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_with_records(part) for part in value]
    return _records(value) if isinstance(value, Table) else value


def _records(table: Table) -> list[dict[str, Any]]:
    keys = [column.key for column in table.columns]
    cells = [_cells(column) for column in table.columns]
    return [dict(zip(keys, row, strict=True)) for row in zip(*cells, strict=True)]


def _cells(column: Column) -> list[Any]:
    return list(isos(column.values)) if column.form == "time" else [_plain(value) for value in column.values]


def _pretty(value: Any, indent: str) -> Iterator[str]:
    deeper = indent + INDENT
    if isinstance(value, dict) and value:
        for place, (key, part) in enumerate(value.items()):
            yield f"{',' if place else '{'}\n{deeper}{_compact(key)}: "
            yield from _pretty(part, deeper)
        yield f"\n{indent}}}"
    elif isinstance(value, Table) and len(value):
        yield from _listed(((line,) for line in _lines(value)), indent)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        nests = any(isinstance(part, dict | Table) for part in value[0].values())
        yield from _listed((_pretty(part, deeper) if nests else (_compact(part),) for part in value), indent)
    else:
        yield "[]" if isinstance(value, Table) else _atom(value)


def _listed(parts: Iterable[Iterable[str]], indent: str) -> Iterator[str]:
    for place, part in enumerate(parts):
        yield f"{',' if place else '['}\n{indent}{INDENT}"
        yield from part
    yield f"\n{indent}]"


def _lines(table: Table) -> Iterator[str]:
    """Each row as a line, written column by column."""
    line = ", ".join(f"{_compact(column.key).replace('%', '%%')}: %s" for column in table.columns)
    return (f"{{{line}}}" % row for row in zip(*map(_texts, table.columns), strict=True))


def _texts(column: Column) -> list[str]:
    """The cells of a column as JSON; those of one kind are written together."""
    if column.form == "time":
        return ["null" if text is None else f'"{text}"' for text in isos(column.values)]
    numbers = finite(column.values)
    if numbers is not None:
        return reprs_of(numbers)
    if set(map(type, column.values)) in ({str}, {int}, {bool}):
        written = {value: _atom(_plain(value)) for value in set(column.values)}
        return [written[value] for value in column.values]
    return [_atom(_plain(value)) for value in column.values]


def _atom(value: Any) -> str:
    """As `_compact`, without a detour for what most cells are."""
    if type(value) is float or type(value) is int:
        return repr(value)
    return _WORDS[value] if value is None or type(value) is bool else _compact(value)


def _compact(value: Any) -> str:
    return _ENCODER.encode(value)


def _chapter(chapter: Chapter) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for key, name in (("strategy", chapter.strategy), ("symbol", chapter.symbol)):
        if name is not None:
            told[key] = _plain(name)
    for section in chapter.sections:
        if isinstance(section.block, Measures):
            told[section.key] = {one.key: _plain(one.value) for one in section.block.metrics}
            reasons = "reasons" if section.key == "metrics" else f"{section.key}_reasons"
            told[reasons] = {one.key: one.reason for one in section.block.metrics if one.reason}
        else:
            told[section.key] = _block(section.block)
    return told


def _block(block: Block) -> Any:
    match block:
        case Facts():
            return _facts(block)
        case Measures():
            return {one.key: _plain(one.value) for one in block.metrics}
        case Table():
            return block
        case Findings():
            return [{"level": one.level, "code": one.code, "text": _plain(one.text)} for one in block.findings]
        case Curve():
            return [_plain(value) for value in block.values]
        case _:
            assert_never(block)


def _facts(facts: Facts) -> dict[str, Any]:
    """Lay facts out by key; the first dot of a key nests."""
    told: dict[str, Any] = {}
    for fact in facts.facts:
        group, dot, key = fact.key.partition(".")
        place = told.setdefault(group, {}) if dot else told
        place[key or group] = _plain(fact.value, fact.form)
    return told


def _plain(value: Value, form: Form = "text") -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, str):
        # a lone half of a character cannot be written as UTF-8
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return iso(int(value)) if form == "time" and value is not None else value
