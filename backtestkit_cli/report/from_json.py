"""The report of a stored run, read back from its JSON document: the same values, none computed again.

* Labels, forms and units are those of a report that is built now; a key that is unknown here is its own label.
* Writing the report as JSON again gives the same document.
* What was hidden from people because there is nothing to tell is hidden again.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from backtestkit_cli.errors import DataError, Problem
from backtestkit_cli.measure.metrics import Metric
from backtestkit_cli.measure.trust import Finding
from backtestkit_cli.model.time import parse_time
from backtestkit_cli.report.build import OPTIMISTIC, build, overview_columns
from backtestkit_cli.report.empty import empty_run
from backtestkit_cli.report.report import (
    Block,
    Chapter,
    Column,
    Curve,
    Fact,
    Facts,
    Findings,
    Form,
    Lead,
    Measures,
    Report,
    Table,
    Value,
)

OPTIONAL_COLUMNS = ("ambiguous_minutes", "profit_at_stake_percent", "is_bridged", "note")
"""Columns of trades that are shown where they tell something."""

OPTIONAL_FACTS = ("balance", "sizing")
"""Facts that are shown where there is something."""

Told = Mapping[str, Any]


def report_from(text: str) -> Report:
    """Make the report of a backtest from its JSON document.

    Raises:
        DataError: this is no such document.
    """
    try:
        return _report(json.loads(text))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"the stored JSON report is not one of a backtest: {type(error).__name__} {error}"
        raise DataError(Problem("damaged-report", what, hint="run the backtest again")) from None


def _report(document: Told) -> Report:
    run, streams, whole = document["run"], document["streams"], document.get("portfolio")
    chapters = [] if whole is None else [_chapter(whole)]
    chapters += [replace(_chapter(told), strategy=told["strategy"], symbol=told["symbol"]) for told in streams]
    return Report(
        run_id=run["run_id"],
        kind=run["kind"],
        strategies=tuple(run["strategies"]),
        symbols=tuple(run["symbols"]),
        lead=_lead(document),
        head=Facts(tuple(_facts(run, _blank(is_money=True).head, is_head=True))),
        overview=_overview(document) if whole is not None and streams else None,
        chapters=tuple(chapters),
    )


def _lead(document: Told) -> Lead:
    run, summary = document["run"], document["summary"]
    counted = [one for one in document["streams"] if summary.get("balance") is None or one["candles"]["sizing"]]
    return Lead(
        pnl_percent=summary["pnl_percent"],
        hold_percent=summary["buy_and_hold_percent"],
        trades=summary["trades"],
        streams=len(counted),
        warnings=summary["warnings"],
        is_interrupted=run["status"] == "interrupted",
        is_optimistic=run["fill_policy"].endswith(OPTIMISTIC),
        balance=summary.get("balance"),
        pnl_quote=summary.get("pnl_quote"),
        return_percent=summary.get("return_percent"),
    )


def _overview(document: Told) -> Table:
    streams, whole = document["streams"], document["portfolio"]
    held = [*(told["candles"]["buy_and_hold_percent"] for told in streams), document["summary"]["buy_and_hold_percent"]]
    columns = [
        Column(key="strategy", label="Strategy", values=[*(told["strategy"] for told in streams), "all"]),
        Column(key="symbol", label="Symbol", values=[*(told["symbol"] for told in streams), ""]),
    ]
    for key, label, form, unit in overview_columns(is_money=document["summary"].get("balance") is not None):
        values = [told["metrics"].get(key) for told in (*streams, whole)]
        columns.append(Column(key=key, label=label, values=values, form=form, unit=unit))
    columns.append(Column(key="buy_and_hold_percent", label="Hold", values=held, form="signed", unit="%"))
    return Table(tuple(columns), has_total=True)


def _chapter(told: Told) -> Chapter:
    is_money = "pnl_quote" in told.get("metrics", {})
    known = {section.key: section for section in _blank(is_money=is_money).chapters[0].sections}
    has_trades = bool(told.get("metrics", {}).get("trades"))
    sections = []
    for key, value in told.items():
        section = known.get(key)
        if section is not None:
            reasons = told.get("reasons" if key == "metrics" else f"{key}_reasons", {})
            block = _block(value, section.block, reasons)
            is_new = key != "original_all" or value != told["original"]
            is_shown = is_new and (has_trades or section.depth != "record")
            sections.append(replace(section, block=block, depth="full" if is_shown else "record"))
    return Chapter(sections=tuple(sections), depth="full")


def _block(value: Any, known: Block, reasons: Told) -> Block:
    match known:
        case Facts():
            return Facts(tuple(_facts(value, known, is_head=False)))
        case Measures():
            return _measures(value, known, reasons)
        case Table():
            columns = (column for column in known.columns if not value or column.key in value[0])
            return replace(known, columns=tuple(_column(column, value) for column in columns))
        case Findings():
            return Findings(tuple(Finding(one["level"], one["code"], one["text"]) for one in value))
        case Curve():
            return Curve(tuple(value))


def _measures(told: Told, known: Measures, reasons: Told) -> Measures:
    blank = {metric.key: metric for metric in known.metrics}
    return Measures(
        tuple(
            replace(blank.get(key) or Metric(key=key, label=key, value=None), value=value, reason=reasons.get(key))
            for key, value in told.items()
        )
    )


def _column(known: Column, rows: Sequence[Told]) -> Column:
    values = [_value(row[known.key], known.form) for row in rows]
    depth = known.depth
    if known.key in OPTIONAL_COLUMNS:
        depth = "full" if any(values) else "record"
    return replace(known, values=values, depth=depth)


def _facts(told: Told, known: Facts, *, is_head: bool) -> Iterator[Fact]:
    blank = {fact.key: fact for fact in known.facts}
    for group, part in told.items():
        inner = {f"{group}.{key}": value for key, value in part.items()} if isinstance(part, Mapping) else {group: part}
        for key, value in inner.items():
            # rules and profiles that refused have names of their own
            fact = blank.get(key) or Fact(key=key, label=key.partition(".")[2], value=None, form="count", indent=2)
            is_hidden = fact.depth == "record" and (is_head or not value)
            is_hidden |= is_head and key not in blank
            is_hidden |= key in OPTIONAL_FACTS and not value
            yield replace(fact, value=_value(value, fact.form), depth="record" if is_hidden else "full")


def _value(value: Any, form: Form) -> Value:
    if isinstance(value, list):
        return tuple(value)
    found: Value = parse_time(value) if form == "time" and isinstance(value, str) else value
    return found


@cache
def _blank(*, is_money: bool) -> Report:
    """The report of a run in which nothing happened, with the words for money or without them."""
    return build(replace(empty_run(), balance=1.0 if is_money else None))
