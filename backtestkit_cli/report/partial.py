"""The partial report: the tenths of the way to take profit and stop loss that prices reached.

A level counts once per position, at the first minute whose price reached it and left the position open; all of the
way closes the position, as a rule.
"""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from backtestkit_cli.engine.step import LEVELS
from backtestkit_cli.measure.metrics import metric
from backtestkit_cli.report.report import Column, Depth, Form, Measures, Section, Table, table_section
from backtestkit_cli.report.stored import Record

if TYPE_CHECKING:
    import polars as pl

LAST_LEVELS = 10


def partial_sections(record: Record) -> Iterator[Section]:
    """Tell the levels that positions of some streams reached."""
    reached = record.told("level_reached")
    profit = int((reached["side"] == "profit").sum())
    positions = sum(len(stream.result.trades) for stream in record.run.streams)
    figures = (
        metric("levels_reached", "Levels reached", len(reached), "levels"),
        metric("profit_levels", "On the way to the take profit", profit, "levels"),
        metric("loss_levels", "On the way to the stop loss", len(reached) - profit, "levels"),
        metric("positions", "Positions", positions, "positions"),
    )
    yield Section(key="partial", title="Levels reached", block=Measures(figures))
    yield Section(key="by_level", title="Positions that came so far", block=_by_level(reached))
    yield table_section("levels", "Each level", _table(reached))


def _by_level(reached: "pl.DataFrame") -> Table:
    counts = Counter(reached.select("side", "level").iter_rows())
    last = max([*reached["level"].to_list(), LEVELS[-2]])
    levels = [level for level in LEVELS if level <= last]

    def count(side: str) -> list[int]:
        return [counts[side, level] for level in levels]

    return Table(
        (
            Column(key="level", label="Level", values=levels, form="count", unit="%"),
            Column(key="profit", label="To take profit", values=count("profit"), form="count"),
            Column(key="loss", label="To stop loss", values=count("loss"), form="count"),
        )
    )


def _table(reached: "pl.DataFrame") -> Table:
    def given(key: str, label: str, form: Form = "text", unit: str = "", depth: Depth = "summary") -> Column:
        return Column(key=key, label=label, values=reached[key].to_list(), form=form, unit=unit, depth=depth)

    return Table(
        (
            given("time", "Reached", "time", "UTC"),
            given("side", "Towards"),
            given("level", "Level", "count", "%"),
            given("price", "Price", "price"),
            given("position", "Side"),
            given("price_open", "Entry", "price", depth="record"),
            given("price_take_profit", "Take profit", "price", depth="record"),
            given("price_stop_loss", "Stop loss", "price", depth="record"),
            given("id", "Signal"),
        ),
        row="level",
        last=LAST_LEVELS,
    )
