"""Bundles are whole or not there, the same bytes for the same run, and are found again."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest
from make import START_MS, Deal, closed, run, stream

from backtestkit_cli.disk import Disk
from backtestkit_cli.errors import DataError, UsageError
from backtestkit_cli.model.event import (
    Active,
    Cancelled,
    CancelReason,
    DecisionFailed,
    DraftRefused,
    Event,
    Idle,
    LevelReached,
    Opened,
    RiskRefused,
    Scheduled,
)
from backtestkit_cli.report.build import build
from backtestkit_cli.report.dump import bundles, dump, find_bundle, newest_report, read_report, seal_of
from backtestkit_cli.report.markdown import markdown

from .cases import GOLDEN, HOSTILE, winning

PARQUET = {"trades.parquet", "events.parquet", "candles.parquet", "equity.parquet"}
FILES = {"manifest.json", "run.json", "report.md", "report.json", *PARQUET}


class FailingDisk(Disk):
    """Fails at one step, or at that step and all after it."""

    def __init__(self, at: int, *, for_ever: bool = False) -> None:
        self.at, self.for_ever, self.steps = at, for_ever, 0

    def _step(self) -> None:
        self.steps += 1
        if self.steps == self.at or (self.for_ever and self.steps > self.at):
            raise OSError(28, "no space left on device")

    def make_folder(self, folder: Path) -> None:
        self._step()
        super().make_folder(folder)

    def create(self, path: Path, mode: int) -> int:
        self._step()
        return super().create(path, mode)

    def write(self, descriptor: int, payload: memoryview) -> int:
        self._step()
        return super().write(descriptor, payload)

    def sync(self, descriptor: int) -> None:
        self._step()
        super().sync(descriptor)

    def replace(self, path: Path, target: Path) -> None:
        self._step()
        super().replace(path, target)

    def sync_folder(self, folder: Path) -> None:
        self._step()
        super().sync_folder(folder)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())} if folder.is_dir() else {}


def steps_of_a_dump(logs: Path) -> int:
    disk = FailingDisk(at=0)
    dump(winning(), logs, manifest={}, disk=disk)
    return disk.steps


def test_a_bundle_has_its_files_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    done = dump(winning(), tmp_path, manifest={"finished_at": "2026-11-21T10:00Z"})
    assert done.bundle == tmp_path / "runs" / "0123456789ab"
    assert set(content(done.bundle)) == FILES == {path.name for path in done.files}
    assert [path.name for path in done.bundle.parent.iterdir()] == ["0123456789ab"]
    assert done.reports == (tmp_path / "backtest" / "ema-cross__BTCUSDT.md",)


def test_the_manifest_keeps_what_it_was_given_and_adds_status_and_hashes(tmp_path: Path) -> None:
    given = {"config": {"a": 1}, "status": "something else", "finished_at": "2026-11-21T10:00Z"}
    done = dump(replace(winning(), status="interrupted"), tmp_path, manifest=given)
    told = json.loads((done.bundle / "manifest.json").read_text(encoding="utf-8"))
    assert told.pop("seal") == seal_of(told)
    files = told.pop("files")
    assert told == {
        "run_id": "0123456789ab",
        "kind": "backtest",
        "status": "interrupted",
        "config": {"a": 1},
        "finished_at": "2026-11-21T10:00Z",
        "timings": [],
    }
    stored = {name: payload for name, payload in content(done.bundle).items() if name != "manifest.json"}
    assert files == {name: hashlib.sha256(payload).hexdigest() for name, payload in stored.items()}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_same_run_gives_the_same_bytes_but_for_the_manifest(name: str, tmp_path: Path) -> None:
    first = dump(GOLDEN[name](), tmp_path / "one", manifest={"finished_at": "2026-11-21T10:00Z"})
    second = dump(GOLDEN[name](), tmp_path / "two", manifest={"finished_at": "2026-11-22T10:00Z"})
    before, after = content(first.bundle), content(second.bundle)
    assert {key for key in FILES if before[key] != after[key]} == {"manifest.json"}
    assert [path.read_bytes() for path in first.reports] == [path.read_bytes() for path in second.reports]


SCRIPT = """
import sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from report.cases import portfolio
from backtestkit_cli.report.dump import dump
dump(portfolio(), Path(sys.argv[3]), manifest={})
"""


def test_bytes_depend_neither_on_the_hash_seed_nor_on_the_number_of_threads(tmp_path: Path) -> None:
    tests = Path(__file__).parents[2]
    for seed in ("1", "2"):
        command = [sys.executable, "-c", SCRIPT, str(tests), str(tests / "unit"), str(tmp_path / seed)]
        environment = {**os.environ, "PYTHONHASHSEED": seed, "POLARS_MAX_THREADS": seed}
        subprocess.run(command, check=True, env=environment, timeout=60)
    one, two = (content(tmp_path / seed / "runs" / "0123456789ab") for seed in ("1", "2"))
    assert one.keys() == FILES
    assert one == two


def test_a_bundle_of_the_same_id_is_replaced_whole(tmp_path: Path) -> None:
    dump(winning(), tmp_path, manifest={})
    done = dump(winning(), tmp_path, manifest={}, formats=("json",))
    assert set(content(done.bundle)) == FILES - {"report.md"}
    assert [path.name for path in done.bundle.parent.iterdir()] == ["0123456789ab"]


@pytest.mark.parametrize("for_ever", [False, True], ids=["one step fails", "the disk is gone"])
def test_a_disk_that_fails_at_any_step_leaves_no_half_bundle(tmp_path: Path, for_ever: bool) -> None:
    steps = steps_of_a_dump(tmp_path / "counted")
    seen = set()
    for at in range(1, steps + 1):
        logs = tmp_path / str(at)
        with pytest.raises(OSError, match="no space"):
            dump(winning(), logs, manifest={}, disk=FailingDisk(at, for_ever=for_ever))
        seen.add(frozenset(content(logs / "runs" / "0123456789ab")))
    assert seen == {frozenset(), frozenset(FILES)}


def test_a_disk_that_fails_while_replacing_keeps_the_old_bundle_or_has_the_new_one(tmp_path: Path) -> None:
    steps = steps_of_a_dump(tmp_path / "counted")
    seen = set()
    for at in range(1, steps + 1):
        logs = tmp_path / str(at)
        dump(winning(), logs, manifest={"age": "old"}, formats=("json",))
        with pytest.raises(OSError, match="no space"):
            dump(winning(), logs, manifest={"age": "new"}, formats=("md", "json"), disk=FailingDisk(at))
        folder = logs / "runs" / "0123456789ab"
        age = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["age"]
        seen.add((age, frozenset(content(folder))))
        assert [path.name for path in (logs / "runs").iterdir()] == ["0123456789ab"]
    assert seen == {("old", frozenset(FILES - {"report.md"})), ("new", frozenset(FILES))}


def test_newest_report_is_the_report_of_its_stream_alone(tmp_path: Path) -> None:
    whole = GOLDEN["portfolio"]()
    done = dump(whole, tmp_path, manifest={})
    assert [path.name for path in done.reports] == [
        "breakout__BTCUSDT.md",
        "ema-cross__BTCUSDT.md",
        "ema-cross__ETH%2FUSDT.md",
    ]
    alone = replace(whole, streams=whole.streams[2:])
    assert done.reports[2].read_text(encoding="utf-8") == markdown(build(alone))


def test_streams_never_share_a_report(tmp_path: Path) -> None:
    names = ["a", "a_", "a__b", "_", "__", "b", "_b", "b__b", "a%5F", "A/B", *HOSTILE]
    places = {newest_report(tmp_path, "backtest", first, second) for first in names for second in names}
    assert len(places) == len({*names}) ** 2
    assert {path.parent for path in places} == {tmp_path / "backtest"}


def test_trades_are_stored_with_their_stream(tmp_path: Path) -> None:
    done = dump(GOLDEN["portfolio"](), tmp_path, manifest={})
    frame = pl.read_parquet(done.bundle / "trades.parquet")
    assert frame.group_by("strategy", "symbol", maintain_order=True).len().rows() == [
        ("ema-cross", "BTCUSDT", 40),
        ("ema-cross", "ETH/USDT", 8),
    ]
    assert frame.columns[:3] == ["strategy", "symbol", "id"]
    assert frame["closed"].dtype == pl.Datetime("ms", "UTC")
    assert frame["note"][0] == "ema cross"


def test_every_kind_of_event_is_stored_but_idle_and_active(tmp_path: Path) -> None:
    end = closed(Deal(pnl=1.5, hours=2.0))
    signal = end.signal
    whose: dict[str, Any] = {"strategy": "ema-cross", "symbol": "BTCUSDT"}
    events: list[Event] = [
        Idle(time_ms=START_MS, price=1.0, **whose),
        DraftRefused(time_ms=START_MS, rules=("long_tp_too_close", "wait_not_allowed"), **whose),
        DecisionFailed(time_ms=START_MS, what="ValueError: \ud800", **whose),
        RiskRefused(
            time_ms=START_MS,
            signal=signal,
            stage="decision",
            price=100.0,
            profile="calm",
            rule="max_positions",
            open_positions=3,
            why="enough",
        ),
        Scheduled(time_ms=START_MS, signal=signal, price=101.0),
        Cancelled(time_ms=START_MS, signal=signal, price=None, reason=CancelReason.STOPPED),
        Opened(time_ms=START_MS, signal=signal),
        Active(time_ms=START_MS, signal=signal, price=101.0, take_profit_percent=50.0, stop_loss_percent=0.0),
        LevelReached(time_ms=START_MS, signal=signal, side="profit", level=50, price=101.0),
        end,
    ]
    done = dump(run(stream(events=events)), tmp_path, manifest={})
    frame = pl.read_parquet(done.bundle / "events.parquet")
    assert frame.select("kind", "price", "reason", "side", "level", "rules", "what", "pnl_percent").rows() == [
        ("draft_refused", None, None, None, None, "long_tp_too_close wait_not_allowed", None, None),
        ("decision_failed", None, None, None, None, None, "ValueError: ?", None),
        ("risk_refused", 100.0, None, None, None, "max_positions", "enough", None),
        ("scheduled", 101.0, None, None, None, None, None, None),
        ("cancelled", None, "stopped", None, None, None, None, None),
        ("opened", 100.0, None, None, None, None, None, None),
        ("level_reached", 101.0, None, "profit", 50, None, None, None),
        ("closed", 102.0, "take_profit", None, None, None, None, 1.5),
    ]
    assert frame["strategy"].unique().to_list() == ["ema-cross"]
    assert frame["id"].to_list()[2:] == [signal.id] * 6
    assert frame.select("profile", "stage", "open_positions").row(2) == ("calm", "decision", 3)


def test_a_run_without_streams_is_stored_too(tmp_path: Path) -> None:
    done = dump(run(status="interrupted"), tmp_path, manifest={})
    assert set(content(done.bundle)) == FILES
    assert pl.read_parquet(done.bundle / "events.parquet").height == 0


def stored(logs: Path, *runs: tuple[str, str]) -> None:
    for run_id, finished_at in runs:
        dump(replace(winning(), run_id=run_id), logs, manifest={"finished_at": finished_at})


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    stored(
        tmp_path,
        ("aaa111111111", "2026-11-21T10:00:30Z"),
        ("abb222222222", "2026-11-21T10:00Z"),
        ("ccc333333333", "2026-11-21T09:59:59.999Z"),
    )
    return tmp_path


def test_runs_are_listed_in_order_of_finishing(logs: Path) -> None:
    assert [bundle.run_id for bundle in bundles(logs)] == ["ccc333333333", "abb222222222", "aaa111111111"]


@pytest.mark.parametrize(
    ("text", "run_id"),
    [
        pytest.param("last", "aaa111111111", id="last"),
        pytest.param("abb222222222", "abb222222222", id="whole id"),
        pytest.param("c", "ccc333333333", id="beginning"),
    ],
)
def test_a_run_is_found(logs: Path, text: str, run_id: str) -> None:
    assert find_bundle(logs, text) == logs / "runs" / run_id


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        pytest.param("a", "ambiguous-run", "aaa111111111, abb222222222", id="two begin so"),
        pytest.param("zzz", "unknown-run", "aaa111111111, abb222222222, ccc333333333", id="none begins so"),
        pytest.param("", "unknown-run", "aaa111111111, abb222222222, ccc333333333", id="nothing given"),
        pytest.param("../runs/aaa111111111", "unknown-run", "aaa111111111, abb222222222, ccc333333333", id="a path"),
    ],
)
def test_a_run_that_is_not_found_is_answered_with_candidates(logs: Path, text: str, code: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_bundle(logs, text)
    assert (caught.value.code, caught.value.problems[0].expected) == (code, expected)


def test_an_id_that_begins_another_one_is_meant_itself(logs: Path) -> None:
    stored(logs, ("aaa", "2026-11-20T10:00Z"))
    assert find_bundle(logs, "aaa").name == "aaa"


def test_without_a_stored_run_there_is_no_last_one(tmp_path: Path) -> None:
    assert bundles(tmp_path) == []
    with pytest.raises(UsageError) as caught:
        find_bundle(tmp_path, "last")
    assert caught.value.code == "no-run"


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe"], ids=["empty", "cut", "no object", "no text"])
def test_a_damaged_manifest_hides_no_run(logs: Path, damage: bytes) -> None:
    (logs / "runs" / "aaa111111111" / "manifest.json").write_bytes(damage)
    assert bundles(logs)[0] == ("aaa111111111", {})


def test_what_an_interrupted_writer_left_is_no_run(logs: Path) -> None:
    (logs / "runs" / ".aaa111111111.77-0000.tmp").mkdir()
    (logs / "runs" / "stray.txt").write_text("x", encoding="utf-8")
    assert len(bundles(logs)) == 3


def test_a_stored_report_is_read_as_it_was_written(logs: Path) -> None:
    bundle = find_bundle(logs, "last")
    expected = replace(winning(), run_id="aaa111111111")
    assert read_report(bundle) == markdown(build(expected))
    assert json.loads(read_report(bundle, "json"))["run"]["run_id"] == "aaa111111111"


def test_a_report_that_was_not_stored_says_what_is(tmp_path: Path) -> None:
    done = dump(winning(), tmp_path, manifest={}, formats=("json",))
    with pytest.raises(UsageError) as caught:
        read_report(done.bundle, "md")
    assert (caught.value.code, caught.value.problems[0].expected) == ("no-report", "json")


def test_a_damaged_report_is_a_known_error(logs: Path) -> None:
    bundle = find_bundle(logs, "last")
    (bundle / "report.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError) as caught:
        read_report(bundle)
    assert caught.value.code == "damaged-report"


@pytest.mark.parametrize("ending", ["md", "json"])
def test_a_report_that_says_something_else_than_the_run_is_refused(ending: Literal["md", "json"], logs: Path) -> None:
    bundle = find_bundle(logs, "last")
    path = bundle / f"report.{ending}"
    path.write_text(path.read_text(encoding="utf-8").replace("1", "2", 1), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_report(bundle, ending)
    assert caught.value.code == "damaged-report"
