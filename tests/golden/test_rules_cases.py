"""Our engine against an independent implementation of its rules: events, funnel and rows, by walk and by columns."""

from collections.abc import Callable
from pathlib import Path

import pytest
from rules_cases import (
    Stream,
    differences,
    event_as_expected,
    funnel_as_expected,
    needs_risk,
    read_json,
    streams,
)
from shared import SHARED

from backtestkit_cli.engine.columns import run_columns
from backtestkit_cli.engine.decide import RowDecider, decision_ticks
from backtestkit_cli.engine.vwap import vwap_all
from backtestkit_cli.engine.walk import StreamWalk, off_grid_rows
from backtestkit_cli.model.event import Event
from backtestkit_cli.model.funnel import Funnel

FOLDER = SHARED / "rules"
CASES = sorted(path.parent for path in FOLDER.glob("*/case.yaml") if not needs_risk(path.parent))

pytestmark = pytest.mark.skipif(not CASES, reason="the shared rules cases are not on this machine")


def by_walk(stream: Stream) -> tuple[list[Event], Funnel]:
    ticks = decision_ticks(stream.start_ms, stream.end_ms, stream.step_ms, stream.interval_ms)
    walk = StreamWalk(
        candles=stream.candles,
        price=vwap_all(stream.candles, stream.terms.limits.average_price_candles),
        ticks=ticks,
        decider=RowDecider(stream.rows),
        terms=stream.terms,
        stop_ms=stream.stop_ms,
    )
    events = list(walk.run())
    walk.funnel.off_grid = off_grid_rows(stream.rows.time_ms, ticks)
    return events, walk.funnel


def by_columns(stream: Stream) -> tuple[list[Event], Funnel]:
    ticks = decision_ticks(stream.start_ms, stream.end_ms, stream.step_ms, stream.interval_ms)
    result = run_columns(stream.candles, stream.rows, ticks, stream.terms)
    return list(result.events()), result.funnel


def compare(folder: Path, run: Callable[[Stream], tuple[list[Event], Funnel]], *, with_stops: bool) -> None:
    expected = read_json(folder, "expected.json")
    for stream in streams(folder, SHARED / "data"):
        if stream.stop_ms is not None and not with_stops:
            continue
        events, funnel = run(stream)
        wanted = [event for event in expected["events"] if f"{event['strategy']}|{event['symbol']}" == stream.name]
        assert differences(wanted, [event_as_expected(event) for event in events], "events") == []
        assert differences(expected["funnel"][stream.name], funnel_as_expected(funnel), "funnel") == []
        assert differences(expected["rows"][stream.name], {"off_grid": funnel.off_grid, "late": funnel.late}) == []
        assert funnel.broken_sums() == []


@pytest.mark.parametrize("folder", CASES, ids=lambda path: path.name)
def test_walk_equals_the_independent_implementation(folder: Path) -> None:
    compare(folder, by_walk, with_stops=True)


@pytest.mark.parametrize("folder", CASES, ids=lambda path: path.name)
def test_columns_equal_the_independent_implementation(folder: Path) -> None:
    compare(folder, by_columns, with_stops=False)  # the column form takes no stop requests
