"""A run gets its candles through the last minute it needs, or clear words."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.data.market import APRIL, MARCH, ListSource, candles

from backtestkit_cli.data.load import Gap, LocalSource, fingerprint, first_hole, load_candles
from backtestkit_cli.data.months import months_between
from backtestkit_cli.data.sample import SampleExchange
from backtestkit_cli.data.store import CandleStore, StoredExchange
from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.errors import DataError
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, TimeRange


def at(minute: int) -> int:
    return MARCH + minute * MINUTE_MS


def times(loaded: Candles) -> list[int]:
    return [row for row in range(len(loaded)) if loaded.has(row)]


@pytest.mark.parametrize(
    ("minutes", "start", "end", "expected"),
    [
        pytest.param(range(10), 2, 5, [2, 3, 4], id="no-holes"),
        pytest.param([0, 1, 2, 3, 7, 8], 2, 5, [2, 3, 7], id="hole-at-the-end"),
        pytest.param([0, 1, 2, 3, 9000], 2, 5, [2, 3, 9000], id="hole-of-days-at-the-end"),
        pytest.param([0, 1, 2, 3], 2, 5, [2, 3], id="data-end-before"),
        pytest.param([3, 4, 5], 0, 5, [3, 4], id="data-begin-later"),
        pytest.param([0, 4], 0, 5, [0, 4], id="last-minute-there"),
        pytest.param(range(10), 0, 10, list(range(10)), id="all"),
    ],
)
def test_candles_reach_through_the_first_that_closes_at_the_end(
    tmp_path_factory: pytest.TempPathFactory, minutes: list[int], start: int, end: int, expected: list[int]
) -> None:
    frame = candles(minutes)
    for source in (ListSource(frame), stored(frame, tmp_path_factory)):
        loaded = load_candles(source, "A", at(start), at(end))
        opens = [loaded.time(row) for row in times(loaded)]
        assert opens == [at(minute) for minute in expected]
        assert loaded.close[0] == 101.0 + expected[0]


def stored(frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> LocalSource:
    store = CandleStore(tmp_path_factory.mktemp("store"))
    for month, part in months_between(int(frame["time"][0]), int(frame["time"][-1]) + 1):
        inside = pl.col("time").is_between(part.start_ms, part.end_ms, closed="left")
        store.write_month("made", "A", month, frame.filter(inside), part)
    return StoredExchange(store, "made")


@settings(max_examples=25, deadline=None)
@given(
    minutes=st.sets(st.integers(0, 60), min_size=1).map(sorted),
    start=st.integers(0, 60),
    length=st.integers(1, 30),
)
def test_store_and_plain_source_load_the_same(
    tmp_path_factory: pytest.TempPathFactory, minutes: list[int], start: int, length: int
) -> None:
    frame = candles(minutes)
    window = (at(start), at(start + length))
    results = []
    for source in (ListSource(frame), stored(frame, tmp_path_factory)):
        try:
            results.append(fingerprint(load_candles(source, "A", *window)))
        except DataError as error:
            results.append(error.code)
    assert results[0] == results[1]
    has_candle = any(start <= minute < start + length for minute in minutes)
    assert (results[0] != "no-candles") == has_candle


@pytest.mark.parametrize(("gap", "present", "bridged"), [("skip", 2, 0), ("fail", 2, 0), ("bridge", 4, 2)])
def test_only_bridge_fills_holes(gap: Gap, present: int, bridged: int) -> None:
    loaded = load_candles(ListSource(candles([0, 3])), "A", MARCH, at(4), gap)
    assert len(times(loaded)) == present
    assert sum(loaded.is_bridged(row) for row in range(len(loaded))) == bridged


def test_empty_window_names_what_is_there() -> None:
    with pytest.raises(DataError) as caught:
        load_candles(ListSource(candles(range(3))), "A", APRIL, APRIL + DAY_MS)
    (problem,) = caught.value.problems
    assert problem.what == "no candles of A in 2023-04-01T00:00Z .. 2023-04-02T00:00Z"
    assert problem.found == "candles in 2023-03-01T00:00Z .. 2023-03-01T00:03Z"
    with pytest.raises(DataError) as caught:
        load_candles(ListSource(candles([])), "A", APRIL, APRIL + DAY_MS)
    assert caught.value.problems[0].found == "no candles at all"


class Talkative(ListSource):
    """A source that gives everything, whatever is asked."""

    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        """Give all candles."""
        return self.frame


def test_source_that_answers_outside_the_window_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        load_candles(Talkative(candles(range(9))), "A", at(2), at(5))
    assert caught.value.code == "candles-outside-window"
    assert caught.value.problems[0].found == str(TimeRange(MARCH, at(9)))


def test_candles_of_a_source_pass_the_border() -> None:
    with pytest.raises(DataError) as caught:
        load_candles(ListSource(candles([3, 2])), "A", MARCH, at(5))
    assert caught.value.code == "candle-unordered"


def test_made_up_market_loads_without_an_end() -> None:
    loaded = load_candles(SampleExchange(), "A", MARCH, MARCH + DAY_MS)
    assert (loaded.start_ms, loaded.end_ms) == (MARCH, MARCH + DAY_MS)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 20, (3, 2)),
        (0, 3, None),
        (4, 20, (4, 1)),
        (0, 4, (3, 1)),
        (5, 20, (8, 4)),
        (5, 8, None),
        (13, 99, None),
    ],
)
def test_first_hole_is_found_inside_the_window(start: int, end: int, expected: tuple[int, int] | None) -> None:
    for gap in ("skip", "bridge"):
        loaded = load_candles(ListSource(candles([0, 1, 2, 5, 6, 7, 12])), "A", MARCH, at(13), gap)
        found = first_hole(loaded, at(start), at(end))
        assert found == (expected and (at(expected[0]), expected[1]))


def test_fingerprint_depends_on_content_only() -> None:
    frame = candles([0, 1, 4])
    loaded = [load_candles(ListSource(frame), "A", MARCH, at(5), gap) for gap in ("skip", "fail", "bridge")]
    odd_nan = np.array([-np.nan])
    twin = load_candles(ListSource(frame), "A", MARCH, at(5))
    twin.close[2] = odd_nan[0]
    later = load_candles(ListSource(candles([0, 1, 4], at(1))), "A", MARCH, at(6))
    changed = load_candles(ListSource(frame), "A", MARCH, at(5))
    changed.volume[0] += 1
    prints = [fingerprint(each) for each in (*loaded, twin, later, changed)]
    assert prints[0] == prints[1] == prints[3]
    assert len(set(prints)) == 4
    assert all(len(each) == 64 for each in prints)
