"""The partial report: the tenths of the way to take profit and stop loss that prices reached.

A level counts once per position, at the first minute whose price reached it and left the position open.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from backtestkit_cli.engine.step import LEVELS
from backtestkit_cli.measure.metrics import metric
from backtestkit_cli.report.report import Column, Form, Measures, Section, Table, table_section
from backtestkit_cli.report.stored import Record

LAST_LEVELS = 10

Rows = Sequence[Mapping[str, Any]]


def partial_sections(record: Record) -> Iterator[Section]:
    """Tell the levels that positions of some streams reached."""
    rows = record.rows("level_reached")
    profit = sum(row["side"] == "profit" for row in rows)
    positions = sum(len(stream.result.trades) for stream in record.run.streams)
    figures = (
        metric("levels_reached", "Levels reached", len(rows), "levels"),
        metric("profit_levels", "On the way to the take profit", profit, "levels"),
        metric("loss_levels", "On the way to the stop loss", len(rows) - profit, "levels"),
        metric("positions", "Positions", positions, "positions"),
    )
    yield Section(key="partial", title="Levels reached", block=Measures(figures))
    yield Section(key="by_level", title="Positions that came so far", block=_by_level(rows))
    yield table_section("levels", "Each level", _table(rows))


def _by_level(rows: Rows) -> Table:
    def count(side: str) -> list[int]:
        reached = [row["level"] for row in rows if row["side"] == side]
        return [reached.count(level) for level in LEVELS]

    return Table(
        (
            Column(key="level", label="Level", values=LEVELS, form="count", unit="%"),
            Column(key="profit", label="To take profit", values=count("profit"), form="count"),
            Column(key="loss", label="To stop loss", values=count("loss"), form="count"),
        )
    )


def _table(rows: Rows) -> Table:
    def given(key: str, label: str, form: Form = "text", unit: str = "") -> Column:
        return Column(key=key, label=label, values=[row[key] for row in rows], form=form, unit=unit)

    return Table(
        (
            given("time", "Reached", "time", "UTC"),
            given("side", "Towards"),
            given("level", "Level", "count", "%"),
            given("price", "Price", "price"),
            given("position", "Side"),
            given("price_open", "Entry", "price"),
            given("price_take_profit", "Take profit", "price"),
            given("price_stop_loss", "Stop loss", "price"),
            given("id", "Signal"),
        ),
        row="level",
        last=LAST_LEVELS,
    )
