"""What the charts of a page are drawn from, as JSON that is safe inside a script element.

* Trades are the columns of the report; the curve of closed trades adds them up from 100, or from the balance, on.
* Drawdowns are distances of a curve from its highest value so far, in points, of money in percent of that value.
* Times are UTC ms.
* No text of a user can end the script or become markup: `<`, `>`, `&` and what is not ASCII are escaped.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from backtestkit_cli.engine.drawn import DrawnCandles
from backtestkit_cli.measure.equity import STAKE, DailyEquity
from backtestkit_cli.report.frames import storable
from backtestkit_cli.report.pictures import PRICES, Marks, Pictures
from backtestkit_cli.report.report import Chapter, Measures, Report, Table, Value
from backtestkit_cli.report.text import clean

TRADES = (
    "opened",
    "closed",
    "position",
    "price_open",
    "price_close",
    "pnl_percent",
    "reason",
    "price_take_profit",
    "price_stop_loss",
    "note",
)
"""Columns of a trade that are drawn."""

_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def charts_json(report: Report, pictures: Pictures) -> str:
    """Write what the charts of all chapters are drawn from, as the text of a script element."""
    symbols = list(pictures.candles)
    told = {
        "range": [_head(report, "start"), _head(report, "end")],
        "candles": [_candles(symbol, drawn) for symbol, drawn in pictures.candles.items()],
        "chapters": [_chapter(report, chapter, pictures, symbols) for chapter in report.chapters],
    }
    return script_text(told)


def script_text(told: object) -> str:
    """Write plain values as JSON that cannot end a script element."""
    written = json.dumps(told, allow_nan=False, separators=(",", ":"))
    return "".join(_ESCAPES.get(char, char) for char in written)


def _head(report: Report, key: str) -> Value:
    return next((fact.value for fact in report.head.facts if fact.key == key), None)


def _candles(symbol: str, drawn: DrawnCandles) -> dict[str, Any]:
    prices = {name: getattr(drawn, name).tolist() for name in PRICES}
    interval = {"interval": drawn.interval.value, "interval_ms": drawn.interval.ms}
    return {"symbol": symbol, **interval, "time": drawn.time_ms.tolist(), **prices}


def _chapter(report: Report, chapter: Chapter, pictures: Pictures, symbols: Sequence[str]) -> dict[str, Any]:
    symbol = None if chapter.symbol is None else storable(chapter.symbol)
    strategy = None if chapter.strategy is None else storable(chapter.strategy)
    table, marks = _table(chapter), pictures.marks.get((strategy, symbol))
    return {
        "candles": symbols.index(symbol) if symbol in pictures.candles else None,
        "is_money": _is_money(chapter),
        "trades": {} if table is None else dict(_columns(table)),
        "closed": _closed(report, chapter),
        "daily": None if marks is None else _daily(marks),
    }


def _table(chapter: Chapter) -> Table | None:
    found = (section.block for section in chapter.sections if section.key == "trades")
    return next((block for block in found if isinstance(block, Table)), None)


def _is_money(chapter: Chapter) -> bool:
    blocks = (section.block for section in chapter.sections if isinstance(section.block, Measures))
    return any(metric.key == "pnl_quote" for block in blocks for metric in block.metrics)


def _columns(table: Table) -> Iterator[tuple[str, list[Value]]]:
    for column in table.columns:
        if column.key in TRADES:
            values = [clean(value) if isinstance(value, str) else value for value in column.values]
            yield column.key, values


def _closed(report: Report, chapter: Chapter) -> dict[str, Any]:
    """The curve of closed trades: it starts with the range and moves at each close; of money all that is sized."""
    is_money, start = _is_money(chapter), report.lead.balance
    chapters = [chapter] if chapter.symbol is not None else [one for one in report.chapters if one.symbol is not None]
    tables = [_table(one) for one in chapters if _is_money(one) or not is_money]
    columns = [{column.key: column.values for column in table.columns} for table in tables if table is not None]
    brought = [value for one in columns for value in one["pnl_quote" if is_money else "pnl_percent"]]
    times = np.array([time for one in columns for time in one["closed"]], dtype=np.int64)
    order = np.argsort(times, kind="stable")
    sums = np.cumsum(np.nan_to_num(np.array(brought, dtype=np.float64))[order])
    stake = start if is_money and start is not None else STAKE
    told_times = [_head(report, "start"), *times[order].tolist()]
    equity = DailyEquity(times_ms=times, values=np.append(stake, stake + sums), is_money=is_money)
    return {"time": told_times, **_curve(equity)}


def _daily(marks: Marks) -> dict[str, Any]:
    hold = [None if np.isnan(value) else value for value in marks.hold.values.tolist()]
    return {"time": marks.equity.times_ms.tolist(), **_curve(marks.equity), "hold": hold}


def _curve(equity: DailyEquity) -> dict[str, list[float]]:
    peaks = np.maximum.accumulate(equity.values)
    return {"value": equity.values.tolist(), "drawdown": equity.percent_of(equity.values - peaks, peaks).tolist()}
