"""A fetch asks no more than it must, believes no silence, and ends in the same bytes however often it is killed."""

import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from unit.data.market import APRIL, MARCH, ListSource, candles

from backtestkit_cli.data.fetch import FetchReport, fetch, import_file
from backtestkit_cli.data.files import read_candles
from backtestkit_cli.data.sample import SampleExchange
from backtestkit_cli.data.store import CandleStore
from backtestkit_cli.disk import Disk, folder_lock
from backtestkit_cli.errors import DataError, UsageError
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, TimeRange, parse_time

NOW = parse_time("2023-06-01")
FEBRUARY = parse_time("2023-02-01")


def at(minute: int) -> int:
    return MARCH + minute * MINUTE_MS


def got(source: ListSource, store: CandleStore, start_ms: int, end_ms: int, now_ms: int = NOW) -> FetchReport:
    return fetch(source, store, "made", "A", start_ms, end_ms, now_ms)


def everything(store: CandleStore) -> pl.DataFrame:
    return store.candles("made", "A", 0, 10**14)


def files(root: Path) -> Mapping[str, bytes]:
    """All lasting files; locks and caches are none."""
    paths = [*root.rglob("*.parquet"), *root.rglob("*.json"), *root.rglob("*.tmp")]
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(paths) if path.parent.name != "cache"}


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore(tmp_path / "store")


def test_fetch_stores_the_window_by_months(store: CandleStore) -> None:
    source = ListSource(SampleExchange().candles("A", APRIL - DAY_MS, APRIL + DAY_MS))
    seen: list[tuple[int, int]] = []
    window = TimeRange(APRIL - DAY_MS, APRIL + DAY_MS)
    report = fetch(
        source, store, "made", "A", window.start_ms, window.end_ms, NOW, lambda done, total: seen.append((done, total))
    )
    assert report == FetchReport(window=window, candles=2880, written=("2023-03", "2023-04"), kept=(), repaired=())
    assert seen == [(0, 2), (1, 2), (2, 2)]
    assert everything(store).equals(source.frame)
    assert store.steps("made", "A") == MarketSteps(price=0.5, quantity=0.25)
    assert source.asked == [(window.start_ms, APRIL), (APRIL, window.end_ms)]


def test_what_was_asked_is_not_asked_again(store: CandleStore) -> None:
    source = ListSource(candles(range(50)))
    got(source, store, MARCH, at(50))
    source.asked.clear()
    report = got(source, store, at(10), at(40))
    assert (report.kept, report.written, report.candles) == (("2023-03",), (), 30)
    assert source.asked == []


def test_running_month_goes_on_from_its_last_candle(store: CandleStore) -> None:
    source = ListSource(candles(range(100)))
    got(source, store, MARCH, APRIL, now_ms=at(50) + 1234)
    assert everything(store)["time"][-1] == at(49)
    source.asked.clear()
    got(source, store, MARCH, APRIL, now_ms=at(100))
    assert source.asked == [(at(49), at(100))]
    assert everything(store).equals(source.frame)


def test_pieces_of_a_month_end_in_the_bytes_of_the_whole(tmp_path: Path) -> None:
    source = ListSource(candles([*range(30), *range(35, 100)]))
    pieces, whole = CandleStore(tmp_path / "pieces"), CandleStore(tmp_path / "whole")
    for start, end in ((20, 30), (10, 15), (60, 80), (0, 100)):
        got(source, pieces, at(start), at(end))
    got(source, whole, MARCH, at(100))
    assert files(tmp_path / "pieces") == files(tmp_path / "whole")


def test_answer_that_ends_early_is_asked_further(store: CandleStore) -> None:
    source = ListSource(candles(range(100)), longest_rows=30)
    got(source, store, MARCH, at(100))
    assert everything(store).equals(source.frame)


def test_hole_at_the_end_is_believed_once_a_window_that_holds_a_candle_agrees(store: CandleStore) -> None:
    source = ListSource(candles(range(10)))
    got(source, store, MARCH, at(20))
    assert source.asked == [(MARCH, at(20)), (at(9), at(20))]
    assert len(everything(store)) == 10


@pytest.mark.parametrize("silent", [(1,), (1, 2)], ids=["first-question", "first-two-questions"])
def test_silence_is_not_taken_for_a_market_without_candles(store: CandleStore, silent: tuple[int, ...]) -> None:
    frame = pl.concat([candles(range(100)), candles(range(100), NOW - DAY_MS)])
    assert got(ListSource(frame, silent=silent), store, MARCH, at(100)).candles == 100
    assert everything(store).equals(frame[:100])


def test_silence_is_not_taken_for_the_end_of_the_candles(store: CandleStore) -> None:
    start_ms = APRIL - 100 * MINUTE_MS
    source = ListSource(candles(range(200), start_ms), silent=(2,))
    assert got(source, store, start_ms, APRIL + 100 * MINUTE_MS).candles == 200
    assert everything(store).equals(source.frame)


def test_months_before_the_first_candle_are_believed_because_the_market_lives(store: CandleStore) -> None:
    source = ListSource(candles(range(100), NOW - 100 * MINUTE_MS))
    report = got(source, store, FEBRUARY, MARCH)
    assert (report.candles, report.written) == (0, ("2023-02",))
    wider = (FEBRUARY - DAY_MS, MARCH + DAY_MS)
    assert source.asked == [(FEBRUARY, MARCH), wider, (NOW - DAY_MS, NOW), wider]
    source.asked.clear()
    assert got(source, store, FEBRUARY, MARCH).kept == ("2023-02",)
    assert source.asked == []


def test_source_that_never_answers_is_refused(store: CandleStore) -> None:
    with pytest.raises(DataError) as caught:
        got(ListSource(candles([])), store, MARCH, APRIL)
    (problem,) = caught.value.problems
    assert problem.code == "no-answer"
    assert problem.what == (
        "the source gave no candles of A in 2023-03-01T00:00Z .. 2023-04-01T00:00Z,"
        " and nothing proves that there are none"
    )
    assert not list(store.root.rglob("*.parquet"))


def test_silence_about_a_candle_just_seen_is_no_proof(store: CandleStore) -> None:
    with pytest.raises(DataError) as caught:
        got(ListSource(candles(range(10)), silent=(2,)), store, MARCH, at(20))
    assert caught.value.code == "no-answer"
    assert not list(store.root.rglob("*.parquet"))


def test_last_candle_that_vanished_is_no_proof(store: CandleStore) -> None:
    got(ListSource(candles(range(50))), store, MARCH, at(50))
    before = files(store.root)
    with pytest.raises(DataError) as caught:
        got(ListSource(candles(range(60, 90))), store, MARCH, at(90))
    assert caught.value.code == "no-answer"
    assert files(store.root) == before


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        pytest.param(candles([3, 2]), "candle-unordered", id="unordered"),
        pytest.param(candles([3]).with_columns(high=pl.lit(1.0)), "candle-high-below-low", id="high-below-low"),
    ],
)
def test_bad_candles_stop_the_fetch(store: CandleStore, frame: pl.DataFrame, code: str) -> None:
    with pytest.raises(DataError) as caught:
        got(ListSource(frame), store, MARCH, at(10))
    assert caught.value.code == code


class Early(ListSource):
    """A source that begins one minute before what it was asked for."""

    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        """Give one candle too many."""
        return super().candles(symbol, start_ms - MINUTE_MS, end_ms)


def test_candles_nobody_asked_for_stop_the_fetch(store: CandleStore) -> None:
    with pytest.raises(DataError) as caught:
        got(Early(candles(range(10))), store, at(5), at(10))
    assert caught.value.code == "candles-outside-window"


@pytest.mark.parametrize(("start", "end"), [(10, 10), (10, 5), (60, 70)])
def test_window_without_a_closed_minute_is_refused(store: CandleStore, start: int, end: int) -> None:
    with pytest.raises(UsageError) as caught:
        got(ListSource(candles(range(99))), store, at(start), at(end), now_ms=at(60) + 59_999)
    assert caught.value.code == "empty-window"


def test_damaged_month_is_fetched_again(store: CandleStore) -> None:
    source = ListSource(candles(range(50)))
    got(source, store, MARCH, at(50))
    (path,) = store.root.rglob("*.parquet")
    honest = path.read_bytes()
    path.write_bytes(honest[:-300] + b"x" * 300)
    assert got(source, store, MARCH, at(50)).repaired == ("2023-03",)
    assert path.read_bytes() == honest


def test_second_writer_of_a_market_is_refused(store: CandleStore) -> None:
    with folder_lock(store.folder("made", "A")), pytest.raises(UsageError) as caught:
        got(ListSource(candles(range(50))), store, MARCH, at(50))
    assert caught.value.code == "folder-in-use"


def test_imported_file_is_read_back_and_joins_what_is_there(store: CandleStore, tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    whole = candles(range(100), APRIL - 50 * MINUTE_MS)
    for part in (whole[:60], whole[40:]):
        part.write_csv(path)
        report = import_file(path, store, "made", "A")
        assert (report.candles, report.written) == (60, ("2023-03", "2023-04"))
    assert everything(store).equals(whole)
    assert store.market("made", "A").source == "file some.csv"
    assert read_candles(path).equals(whole[40:])


def test_import_that_contradicts_the_store_is_refused(store: CandleStore, tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    got(ListSource(candles(range(10))), store, MARCH, at(10))
    candles(range(5, 15)).with_columns(pl.col("volume") + 1).write_csv(path)
    before = files(store.root)
    with pytest.raises(DataError) as caught:
        import_file(path, store, "made", "A")
    assert caught.value.problems[0].what == "the store holds 5 other candles for minutes of this file"
    assert files(store.root) == before


def test_minutes_between_two_imports_are_still_fetched(store: CandleStore, tmp_path: Path) -> None:
    frame = candles(range(100))
    for part in (frame[:10], frame[50:60]):
        part.write_csv(tmp_path / "some.csv")
        import_file(tmp_path / "some.csv", store, "made", "A")
    got(ListSource(frame), store, MARCH, at(100))
    assert everything(store).equals(frame)


class Killed(BaseException):
    """The program is gone."""


class KillingDisk(Disk):
    """A disk that kills its program before step number `at`."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.count = 0

    def __getattribute__(self, name: str) -> Any:
        step = super().__getattribute__(name)
        if name in ("at", "count") or name.startswith("_"):
            return step
        self.count += 1
        if self.count >= self.at:
            raise Killed
        return step


START, END = parse_time("2023-02-27T22:00"), parse_time("2023-03-01T03:00")


def fetch_sample(root: Path, disk: Disk | None = None) -> None:
    store = CandleStore(root, disk=disk) if disk else CandleStore(root)
    fetch(SampleExchange(), store, "sample", "BTC/USDT", START, END, NOW)


def test_fetch_killed_before_any_step_on_disk_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    fetch_sample(tmp_path / "whole")
    expected = files(tmp_path / "whole")
    assert len(expected) == 3
    at_step = 0
    while True:
        at_step += 1
        root = tmp_path / str(at_step)
        try:
            fetch_sample(root, KillingDisk(at_step))
            break
        except Killed:
            for coverage in CandleStore(root).coverage():
                for month in CandleStore(root).months("sample", coverage.symbol):
                    assert CandleStore(root).read_month("sample", coverage.symbol, month.month) is not None
        fetch_sample(root)
        assert files(root) == expected
    assert at_step > 18


CHILD = """
import os, signal, sys
from pathlib import Path
from backtestkit_cli.data.fetch import fetch
from backtestkit_cli.data.sample import SampleExchange
from backtestkit_cli.data.store import CandleStore
from backtestkit_cli.disk import Disk

root, step, count, start, end, now = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])

class Deadly(Disk):
    def __getattribute__(self, name):
        global count
        if name == step:
            count -= 1
            if not count:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().__getattribute__(name)

fetch(SampleExchange(), CandleStore(Path(root), disk=Deadly()), "sample", "BTC/USDT", start, end, now)
"""


def test_fetch_killed_for_real_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    fetch_sample(tmp_path / "whole")
    moments = [("write", 2), ("replace", 3)]
    times = [str(START), str(END), str(NOW)]
    children = [
        subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path / f"{step}{count}"), step, str(count), *times])
        for step, count in moments
    ]
    assert [child.wait(60) for child in children] == [-signal.SIGKILL] * len(moments)
    for step, count in moments:
        root = tmp_path / f"{step}{count}"
        killed = files(root)
        fetch_sample(root)
        assert killed != files(root)
        assert files(root) == files(tmp_path / "whole")
        assert not list(root.rglob("*.tmp"))
