"""A CSV of signals: one strict reader.

A row is stamped with its decision time. Rows of one symbol ascend, never repeat a time and lie on the strategy's UTC
grid; anything else is an error with file and line. A row without a position, or with `wait`, is no draft.
"""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.errors import ConfigError, DataError, Problem, Source
from backtestkit_cli.model.time import Interval, iso, parse_time

REQUIRED = ("time", "position", "price_take_profit", "price_stop_loss", "lifetime_minutes")
OPTIONAL = ("symbol", "price_open", "wait_minutes", "note")
_SIDES = {"long": 1, "short": -1, "wait": 0, "": 0}
_MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class SignalRow:
    """One row of the file with a position; numbers not given are NaN. `line` counts from 1."""

    line: int
    time_ms: int
    symbol: str
    side: int
    price_open: float | None
    price_take_profit: float
    price_stop_loss: float
    lifetime_minutes: float
    wait_minutes: float
    note: str


def read_signals(path: Path, interval: Interval) -> tuple[SignalRow, ...]:
    """Read the rows with a position.

    Raises:
        ConfigError: there is no such file.
        DataError: the file, or at least one row, is wrong; up to twenty problems are told together.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        where = Source(file=str(path))
        problem = Problem("file-missing", "there is no such file of signals", where, hint="correct `signals`")
        raise ConfigError(problem) from None
    except (OSError, UnicodeDecodeError) as error:
        where = Source(file=str(path))
        problem = Problem(
            "file-unreadable", "the file of signals cannot be read as UTF-8 text", where, found=str(error)
        )
        raise DataError(problem) from error
    problems: list[Problem] = []
    rows = list(_rows(text, path, interval, problems))
    if problems:
        raise DataError(*problems[:_MOST_PROBLEMS])
    return tuple(row for row in rows if row.side)


def draft_columns(rows: tuple[SignalRow, ...], symbol: str) -> DraftColumns:
    """The rows of one symbol as columns; rows without a symbol are for all."""
    own = [row for row in rows if row.symbol in ("", symbol)]
    none = np.zeros(len(own), dtype=bool)

    def numbers(values: Iterator[float]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        return np.array(list(values), dtype=np.float64)

    return DraftColumns(
        time_ms=np.array([row.time_ms for row in own], dtype=np.int64),
        side=np.array([row.side for row in own], dtype=np.int8),
        ambiguous=none,
        warm_up=none,
        short_history=none,
        price_open=numbers(math.nan if row.price_open is None else row.price_open for row in own),
        has_price_open=np.array([row.price_open is not None for row in own], dtype=bool),
        price_take_profit=numbers(row.price_take_profit for row in own),
        price_stop_loss=numbers(row.price_stop_loss for row in own),
        lifetime_minutes=numbers(row.lifetime_minutes for row in own),
        wait_minutes=numbers(row.wait_minutes for row in own),
        distance_problem=np.zeros(len(own), dtype=np.int8),
        notes=tuple(row.note for row in own),
    )


def _rows(text: str, path: Path, interval: Interval, problems: list[Problem]) -> Iterator[SignalRow]:
    reader = csv.DictReader(text.splitlines(), strict=True, restkey="")
    try:
        header_problem = _header_problem(reader.fieldnames, path)
        if header_problem:
            problems.append(header_problem)
            return
        last: dict[str, SignalRow] = {}
        for cells in reader:
            row = _row(cells, path, reader.line_num, problems)
            if row is None:
                continue
            before = last.get(row.symbol)
            problem = _order_problem(row, before, path) or _grid_problem(row, interval, path)
            if problem:
                problems.append(problem)
            last[row.symbol] = row
            yield row
    except csv.Error as error:
        where = Source(file=str(path), line=reader.line_num)
        problems.append(Problem("bad-csv", f"this is no CSV: {error}", where))


def _header_problem(names: Sequence[str] | None, path: Path) -> Problem | None:
    known, found = (*REQUIRED, *OPTIONAL), list(names or [])
    missing = [name for name in REQUIRED if name not in found]
    unknown = [name for name in found if name not in known]
    if not (missing or unknown) and len(set(found)) == len(found):
        return None
    what = (
        f"the column {missing[0]} is missing"
        if missing
        else f"there is no column {unknown[0]!r}"
        if unknown
        else "a column stands twice"
    )
    where = Source(file=str(path), line=1)
    return Problem("bad-columns", what, where, found=", ".join(found) or "an empty file", expected=", ".join(known))


def _row(cells: Mapping[str, str], path: Path, line: int, problems: list[Problem]) -> SignalRow | None:
    where = Source(file=str(path), line=line)
    if "" in cells or None in cells.values():
        problems.append(Problem("bad-row", "the row has not as many cells as the header", where))
        return None
    position = cells["position"].strip()
    try:
        time_ms = parse_time(cells["time"].strip())
    except (ValueError, OverflowError) as error:
        problems.append(Problem("bad-time", str(error), where))
        return None
    if position not in _SIDES:
        problems.append(Problem("bad-position", f"{position!r} is no position", where, expected="long, short or wait"))
        return None
    numbers: dict[str, float | None] = {}
    for name in ("price_open", "price_take_profit", "price_stop_loss", "lifetime_minutes", "wait_minutes"):
        cell = (cells.get(name) or "").strip()
        try:
            numbers[name] = float(cell) if cell else None
        except ValueError:
            problems.append(Problem("bad-number", f"{name} is {cell!r}, no number", where))
            return None

    def given(name: str) -> float:
        value = numbers[name]
        return math.nan if value is None else value

    return SignalRow(
        line=line,
        time_ms=time_ms,
        symbol=(cells.get("symbol") or "").strip(),
        side=_SIDES[position],
        price_open=numbers["price_open"],
        price_take_profit=given("price_take_profit"),
        price_stop_loss=given("price_stop_loss"),
        lifetime_minutes=given("lifetime_minutes"),
        wait_minutes=given("wait_minutes"),
        note=cells.get("note") or "",
    )


def _order_problem(row: SignalRow, before: SignalRow | None, path: Path) -> Problem | None:
    if before is None or row.time_ms > before.time_ms:
        return None
    where = Source(file=str(path), line=row.line)
    if row.time_ms == before.time_ms:
        return Problem("double-row", f"{iso(row.time_ms)} stands in line {before.line} already", where)
    what = f"{iso(row.time_ms)} comes after {iso(before.time_ms)} of line {before.line}"
    return Problem("unordered-rows", what, where, hint="sort the rows by time")


def _grid_problem(row: SignalRow, interval: Interval, path: Path) -> Problem | None:
    if row.time_ms % interval.ms == 0:
        return None
    what = f"{iso(row.time_ms)} is no decision time of a strategy with interval {interval}"
    where = Source(file=str(path), line=row.line)
    hint = "a row is stamped with the close of the candle it was made from; or use a shorter interval"
    return Problem("off-grid-row", what, where, hint=hint)
