"""A comparison of fill policies for its readers: tables, a sentence, and a JSON document.

Points are percent of the stake; all of them are against the configured policy, but for the sentence at the end.
"""

from collections.abc import Iterator
from dataclasses import asdict
from textwrap import fill
from typing import TYPE_CHECKING, Any

from backtestkit_cli.measure.fills import FillComparison, Filled, StreamFills
from backtestkit_cli.measure.trust import counted
from backtestkit_cli.report.report import Column, Form, Section, Table, Value
from backtestkit_cli.report.terminal import sections_text
from backtestkit_cli.report.text import clean, text_of

if TYPE_CHECKING:
    from rich.console import Console


def fills_text(comparison: FillComparison, console: "Console") -> str:
    """Write a comparison for a console's width and colours; the sentence comes last."""
    left_out = [f"left out: {policy} ({clean(reason)})" for policy, reason in comparison.left_out]
    told = (*left_out, *_unasked(comparison), fill_conclusion(comparison))
    tables = sections_text(fill_sections(comparison), console)
    return "\n" + "\n".join((tables, *(fill(text, console.width) for text in told))) + "\n"


def fill_sections(comparison: FillComparison) -> Iterator[Section]:
    """Two tables for each stream, and for all together where there are several."""
    stakes = ", at equal stakes" if comparison.is_beside_money else ""
    for stream in comparison.streams:
        yield from _sections(stream, f"{clean(stream.strategy)} on {clean(stream.symbol)}{stakes}")
    if len(comparison.streams) > 1:
        yield from _sections(comparison.total, f"all streams{stakes}")


def fill_conclusion(comparison: FillComparison) -> str:
    """Say what optimistic fills pretend."""
    owed = comparison.owed
    if owed is None:
        return "there are no honest and optimistic fills to hold against each other"
    made, kept = (text_of(percent, "signed", "%") for percent in (owed.pnl_percent, owed.honest_percent))
    told = [f"{made} under {owed.policy}, {kept} under honest"]
    points, other = (text_of(number, "signed") for number in (owed.fills_points, owed.other_points))
    if points.startswith("+"):
        told.append(f"{points.removeprefix('+')} points of it are fills nobody could get")
    else:
        told.append(f"no fill of it flatters ({points} points)")
    if other != "0.00":
        told.append(f"{other} points come from trades that only one of the two has")
    stakes = "at equal stakes: " if comparison.is_beside_money else ""
    return f"{stakes}{told[0]}: {', '.join(told[1:])}"


def _unasked(comparison: FillComparison) -> Iterator[str]:
    """Tell of policies under which rows of the strategies were not looked at."""
    configured, *others = comparison.total.fills
    for one in others:
        if one.off_grid > configured.off_grid:
            yield (
                f"{one.policy}: {counted(one.off_grid, 'row')} of the strategies did not count, because it asks at "
                "other times; ticks of the interval of the strategies bring them together"
            )


def fills_document(comparison: FillComparison) -> dict[str, Any]:
    """Make the JSON document of a comparison."""
    return {
        "configured": comparison.total.fills[0].policy,
        "streams": [
            {"strategy": clean(one.strategy), "symbol": clean(one.symbol), "policies": _policies(one)}
            for one in comparison.streams
        ],
        "total": {"policies": _policies(comparison.total)},
        "owed": None if comparison.owed is None else asdict(comparison.owed),
        "left_out": [{"policy": policy, "reason": clean(reason)} for policy, reason in comparison.left_out],
        "conclusion": fill_conclusion(comparison),
    }


def _policies(stream: StreamFills) -> list[dict[str, Any]]:
    return [asdict(one) for one in stream.fills]


def _sections(stream: StreamFills, name: str) -> Iterator[Section]:
    yield Section(key="fills", title=f"Fill policies: {name}", block=_figures(stream.fills))
    others = stream.fills[1:]
    if others:
        title = f"Where the points come from, against {stream.fills[0].policy}: {name}"
        yield Section(key="causes", title=title, block=_causes(others))


def _figures(fills: tuple[Filled, ...]) -> Table:
    return Table(
        (
            Column(key="policy", label="Policy", values=[_name(one) for one in fills]),
            _column("trades", "Trades", [one.trades for one in fills], "count"),
            _column("pnl_percent", "PnL", [one.pnl_percent for one in fills], "signed", "%"),
            _column("win_rate_percent", "Wins", [one.win_rate_percent for one in fills], "number", "%"),
            _column("max_drawdown_percent", "Max DD", [one.max_drawdown_percent for one in fills], "number", "%"),
            _column("difference_points", "Points", [one.difference_points for one in fills], "signed"),
        ),
        row="policy",
    )


def _causes(fills: tuple[Filled, ...]) -> Table:
    found = [one.causes for one in fills]
    return Table(
        (
            Column(key="policy", label="Policy", values=[one.policy for one in fills]),
            _column("shared_trades", "Shared", [one.shared_trades for one in found], "count"),
            _column("entry_price", "Entry", [one.entry_price for one in found], "signed"),
            _column("exit_price", "Exit", [one.exit_price for one in found], "signed"),
            _column("exit_reason", "Reason", [one.exit_reason for one in found], "signed"),
            _column("own", "Only here", [one.own for one in found], "signed"),
            _column("others", "Only there", [one.others for one in found], "signed"),
        ),
        row="policy",
    )


def _column(key: str, label: str, values: list[Value], form: Form, unit: str = "") -> Column:
    return Column(key=key, label=label, values=values, form=form, unit=unit)


def _name(one: Filled) -> str:
    return f"{one.policy} (optimistic)" if one.is_optimistic else one.policy
