"""Two stored runs are compared in what they rested on and in what came out, from their bundles alone."""

import io
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from make import Deal, deals, run, stream
from rich.cells import cell_len
from rich.console import Console

from backtestkit_cli.engine.result import RunResult
from backtestkit_cli.model.policy import PRESETS
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.report.as_json import sections_document
from backtestkit_cli.report.diff import diff
from backtestkit_cli.report.dump import dump
from backtestkit_cli.report.report import Section
from backtestkit_cli.report.stored import read_stored
from backtestkit_cli.report.terminal import sections_text

from .cases import GOLDEN, HOSTILE, lifecycle

FOLDER = Path(__file__).parents[2] / "golden" / "reports"
MANIFEST: dict[str, Any] = {
    "exchange": "sample",
    "frame": "week",
    "strategies": ["ema-cross"],
    "config": {"settings.fill": "honest", "strategies.ema-cross.params.fast": 8, "strategies.other.params.fast": 1},
    "sources": {"strategies/own.py": "a" * 64},
    "candles": {"ema-cross BTCUSDT": "b" * 64},
    "versions": {"numpy": "1.0"},
    "python": "3.11",
    "package": "c" * 64,
}


def sections_of(folder: Path, a: RunResult, b: RunResult, **changed: Any) -> tuple[Section, ...]:
    stored = []
    for name, one, manifest in (("a", a, MANIFEST), ("b", b, MANIFEST | changed)):
        stored.append(read_stored(dump(replace(one, run_id=12 * name), folder, manifest=manifest).bundle))
    return diff(stored[0], stored[1])


def compared(folder: Path, a: RunResult, b: RunResult, **changed: Any) -> dict[str, Any]:
    return sections_document(sections_of(folder, a, b, **changed))


CAUSES = ("config", "code", "data", "policy", "program")


@pytest.mark.parametrize("name", GOLDEN)
def test_a_run_does_not_differ_from_itself(name: str, tmp_path: Path) -> None:
    made = GOLDEN[name]()
    told = compared(tmp_path, made, made)
    assert {key: told[key] for key in CAUSES} == {key: [] for key in CAUSES}
    assert (told["trades"], told["first_trades"], told["summary"]["first_difference"]) == ([], [], None)
    assert told["summary"]["trades_same"] == sum(len(one.result.trades) for one in made.streams)
    assert all(row["difference"] in (0, None) for row in told["metrics"])


def test_causes_are_named_with_both_values(tmp_path: Path) -> None:
    config = {"settings.fill": "honest", "strategies.ema-cross.params.fast": 9, "strategies.other.params.fast": 2}
    changed = {"config": config, "sources": {"strategies/own.py": "d" * 64}, "python": "3.12", "candles": {}}
    before, after = run(stream(1.0)), run(stream(1.0, policy=PRESETS["touch"]), gap="bridge")
    told = compared(tmp_path, before, after, **changed)
    assert told["config"] == [{"path": "strategies.ema-cross.params.fast", "a": "8", "b": "9"}]
    assert told["code"] == [{"file": "strategies/own.py", "a": 12 * "a", "b": 12 * "d"}]
    assert told["data"] == [{"stream": "ema-cross BTCUSDT", "a": 12 * "b", "b": None}]
    assert told["program"] == [{"part": "python", "a": "3.11", "b": "3.12"}]
    assert [row["key"] for row in told["policy"]] == ["gap", "policy.entry", "policy.exit"]


def test_trades_are_matched_by_decision_and_what_changed_is_told(tmp_path: Path) -> None:
    kept, moved, gone, new = (Deal(pnl=1.0, opened_hours=hours, id="any") for hours in (0.0, 2.0, 4.0, 6.0))
    other = replace(moved, pnl=0.5, price_close=101.5)
    told = compared(tmp_path, run(stream(kept, moved, gone)), run(stream(replace(kept, id="x"), other, new)))
    assert [(row["which"], row["decided"]) for row in told["trades"]] == [
        ("changed", "2023-03-01T02:00Z"),
        ("only A", "2023-03-01T04:00Z"),
        ("only B", "2023-03-01T06:00Z"),
    ]
    assert told["trades"][0]["changes"] == "pnl_percent 1 → 0.5, price_close 102 → 101.5"
    assert told["first_trades"][0]["changes"] == "pnl_percent, price_close"
    assert [told["summary"][key] for key in ("trades_same", "trades_changed", "trades_only_a", "trades_only_b")] == [
        1,
        1,
        1,
        1,
    ]
    (row,) = told["streams"]
    assert [row[key] for key in ("same", "changed", "only_a", "only_b")] == [1, 1, 1, 1]
    assert row["difference"] == pytest.approx(row["pnl_percent_b"] - row["pnl_percent_a"]) == -0.5


def test_the_counts_of_streams_add_up_to_the_trades_of_both_runs(tmp_path: Path) -> None:
    a, b = GOLDEN["portfolio"](), GOLDEN["winning"]()
    told = compared(tmp_path, a, b)
    in_a = sum(row["same"] + row["changed"] + row["only_a"] for row in told["streams"])
    in_b = sum(row["same"] + row["changed"] + row["only_b"] for row in told["streams"])
    assert (in_a, in_b) == tuple(sum(len(one.result.trades) for one in run.streams) for run in (a, b))


def test_figures_stand_side_by_side_with_their_difference(tmp_path: Path) -> None:
    told = compared(tmp_path, run(stream(*deals(1.0, -0.5))), run(stream(*deals(1.0, 2.0))))
    rows = {row["key"]: row for row in told["metrics"]}
    assert [rows["pnl_percent"][key] for key in ("a", "b", "difference", "unit")] == [0.5, 3.0, 2.5, "%"]
    assert [rows["profit_factor"][key] for key in ("a", "b", "difference")] == [2.0, None, None]


def test_the_first_difference_is_that_of_the_events(tmp_path: Path) -> None:
    whole = lifecycle()
    events = list(whole.streams[0].result.events())
    later = [
        replace(event, time_ms=event.time_ms + MINUTE_MS) if place == 3 else event for place, event in enumerate(events)
    ]
    changed = replace(whole.streams[0].result, events=lambda **_: iter(later))
    other = replace(whole, streams=(replace(whole.streams[0], result=changed), whole.streams[1]))
    summary = compared(tmp_path, whole, other)["summary"]
    assert summary["first_difference"] == "2023-03-01T02:00Z"
    assert summary["first_difference_what"] == "ema-cross on BTCUSDT: level_reached with another time"
    assert summary["trades_changed"] == 0


def test_an_event_that_only_one_run_has_is_a_difference(tmp_path: Path) -> None:
    told = compared(tmp_path, run(stream(*deals(1.0, 2.0))), run(stream(*deals(1.0))))["summary"]
    assert told["first_difference_what"] == "ema-cross on BTCUSDT: opened in A, nothing more in B"
    assert told["first_difference"] == "2023-03-01T02:00Z"


def test_runs_without_a_common_stream_say_so(tmp_path: Path) -> None:
    told = compared(tmp_path, run(stream(1.0)), run(stream(1.0, symbol="ETHUSDT")))
    assert told["summary"]["first_difference_what"] == "the runs have no stream in common"
    assert [(row["symbol"], row["difference"]) for row in told["streams"]] == [("BTCUSDT", None), ("ETHUSDT", None)]


def test_an_interrupted_run_without_a_stream_is_compared_too(tmp_path: Path) -> None:
    told = compared(tmp_path, run(status="interrupted"), run(stream(1.0)))
    assert told["summary"]["trades_only_b"] == 1
    assert {row["a"] for row in told["metrics"]} == {None}


def test_it_reads_as_agreed(tmp_path: Path) -> None:
    a, b = run(stream(*deals(1.0, -0.5, 0.7))), run(stream(*deals(1.0, 0.4)), stream(2.0, symbol="ETHUSDT"))
    config = MANIFEST["config"] | {"settings.fill": "touch"}
    sections = sections_of(tmp_path, a, b, config=config)
    texts = {
        "txt": sections_text(sections, Console(file=io.StringIO(), width=80)),
        "json": json.dumps(sections_document(sections), indent=1, ensure_ascii=False) + "\n",
    }
    for ending, written in texts.items():
        path = FOLDER / f"diff.{ending}"
        if os.environ.get("UPDATE_GOLDEN") == "1":
            path.write_text(written, encoding="utf-8", newline="\n")
        assert written == path.read_text(encoding="utf-8")


def test_hostile_names_neither_steer_the_terminal_nor_break_the_document(tmp_path: Path) -> None:
    for place, text in enumerate(HOSTILE[::5]):
        whole = run(stream(1.0, strategy=text, symbol=text))
        sections = sections_of(tmp_path / str(place), whole, run(stream(2.0, strategy=text, symbol=text)))
        written = sections_text(sections, Console(file=io.StringIO(), width=80))
        assert all(char.isprintable() or char == "\n" for char in written)
        assert max(map(cell_len, written.splitlines())) <= 80
        assert json.dumps(sections_document(sections), allow_nan=False)


def test_a_trade_that_one_run_opens_earlier_is_called_its_own(tmp_path: Path) -> None:
    early, late = (run(stream(Deal(pnl=1.0, opened_hours=hours, id=f"{hours:08d}"))) for hours in (1, 2))
    told = compared(tmp_path, early, late)["summary"]
    assert "ema-cross on BTCUSDT: opened in A only" in told.values()
