"""Our engine against an independent implementation of its rules: events, funnel and rows, by walk and by columns."""

from pathlib import Path

import pytest
from rules_cases import Stream, differences, event_as_expected, funnel_as_expected, ledger_of, read_json, streams
from shared import SHARED

from backtestkit_cli.engine.candles import Ints
from backtestkit_cli.engine.columns import run_columns
from backtestkit_cli.engine.decide import RowDecider, decision_ticks
from backtestkit_cli.engine.vwap import vwap_all
from backtestkit_cli.engine.walk import StreamWalk, off_grid_rows, walk_together
from backtestkit_cli.model.event import Event
from backtestkit_cli.model.funnel import Funnel

FOLDER = SHARED / "rules"
CASES = sorted(path.parent for path in FOLDER.glob("*/case.yaml"))

pytestmark = pytest.mark.skipif(not CASES, reason="the shared rules cases are not on this machine")


def walked(folder: Path) -> tuple[list[Event], dict[str, Funnel]]:
    """All streams of a case in time order, sharing one ledger."""
    ledger, walks = ledger_of(folder), {}
    for stream in streams(folder, SHARED / "data"):
        walks[stream.name] = StreamWalk(
            candles=stream.candles,
            price=vwap_all(stream.candles, stream.terms.limits.average_price_candles),
            ticks=ticks_of(stream),
            decider=RowDecider(stream.rows),
            terms=stream.terms,
            ledger=ledger,
            stop_ms=stream.stop_ms,
        )
    events = list(walk_together(list(walks.values())))
    for stream in streams(folder, SHARED / "data"):
        walks[stream.name].funnel.off_grid = off_grid_rows(stream.rows.time_ms, ticks_of(stream))
    return events, {name: walk.funnel for name, walk in walks.items()}


def in_columns(folder: Path) -> tuple[list[Event], dict[str, Funnel]]:
    """The streams that the column form takes: without risk profiles."""
    events: list[Event] = []
    funnels = {}
    for stream in streams(folder, SHARED / "data"):
        if not any(ledger_of(folder).profiles.values()):
            result = run_columns(stream.candles, stream.rows, ticks_of(stream), stream.terms, stream.stop_ms)
            events += result.events()
            funnels[stream.name] = result.funnel
    return events, funnels


def ticks_of(stream: Stream) -> Ints:
    return decision_ticks(stream.start_ms, stream.end_ms, stream.step_ms, stream.interval_ms)


def compare(folder: Path, found: tuple[list[Event], dict[str, Funnel]]) -> None:
    expected = read_json(folder, "expected.json")
    events = [event_as_expected(event) for event in found[0]]
    for name, funnel in found[1].items():
        wanted, told = (
            [one for one in several if f"{one['strategy']}|{one['symbol']}" == name]
            for several in (expected["events"], events)
        )
        assert differences(wanted, told, "events") == []
        assert differences(expected["funnel"][name], funnel_as_expected(funnel), "funnel") == []
        assert differences(expected["rows"][name], {"off_grid": funnel.off_grid, "late": funnel.late}) == []
        assert funnel.broken_sums() == []


@pytest.mark.parametrize("folder", CASES, ids=lambda path: path.name)
def test_walk_equals_the_independent_implementation(folder: Path) -> None:
    compare(folder, walked(folder))


@pytest.mark.parametrize("folder", CASES, ids=lambda path: path.name)
def test_columns_equal_the_independent_implementation(folder: Path) -> None:
    compare(folder, in_columns(folder))
