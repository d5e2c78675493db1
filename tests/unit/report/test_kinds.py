"""Each kind of report says what happened, carries funnel and doubts, and is the same from the disk as from the run."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from shutil import copytree
from typing import Any

import polars as pl
import pytest
from make import START_MS, Deal, closed, deals, run, stream
from markdown_it import MarkdownIt

from backtestkit_cli.engine.result import RunResult, StreamRun
from backtestkit_cli.errors import DataError, UsageError
from backtestkit_cli.measure.original_metrics import Scope, happened, original_metrics
from backtestkit_cli.measure.timings import Stopwatch
from backtestkit_cli.model.event import Event, LevelReached, RiskRefused, Scheduled
from backtestkit_cli.model.time import DAY_MS, TimeRange
from backtestkit_cli.report.as_csv import csv_cell, csv_texts
from backtestkit_cli.report.as_json import document, json_text
from backtestkit_cli.report.dump import bundles, dump
from backtestkit_cli.report.kinds import KINDS, MAIN_TABLES, Kind, has_content, part_of, report_of
from backtestkit_cli.report.markdown import markdown
from backtestkit_cli.report.original import original_sections
from backtestkit_cli.report.report import Measures
from backtestkit_cli.report.stored import Record, read_record, record_of
from backtestkit_cli.report.written import FORMATS, report_files, report_text

from .cases import GOLDEN, MARKS, lifecycle, lived, sized
from .test_hostile_texts import shape

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The bundle of each golden run, written once."""

    @cache
    def bundle_of(name: str) -> Path:
        return dump(made(name), tmp_path_factory.mktemp("stored"), manifest={}).bundle

    return bundle_of


@cache
def made(name: str) -> RunResult:
    return lifecycle() if name == "lifecycle" else GOLDEN[name]()


@pytest.fixture
def own(stored: Callable[[str], Path], tmp_path: Path) -> Path:
    """A bundle of the lifecycle that a test may damage."""
    bundle = stored("lifecycle")
    return Path(copytree(bundle, tmp_path / bundle.parent.name / bundle.name))


def told(kind: Kind) -> dict[str, Any]:
    """The first stream of the lifecycle in a kind of report."""
    found: dict[str, Any] = document(report_of(kind, lived()))["streams"][0]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_carries_the_funnel_and_the_doubts(kind: Kind) -> None:
    report = report_of(kind, lived())
    for chapter in report.chapters:
        assert {"funnel", "warnings"} <= {section.key for section in chapter.sections}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_main_table(kind: Kind) -> None:
    keys = {one.key for chapter in report_of(kind, lived()).chapters for one in chapter.sections}
    assert MAIN_TABLES[kind] in keys


def test_entries_add_up_to_the_funnel() -> None:
    schedule, funnel = told("schedule")["schedule"], told("schedule")["funnel"]
    assert (schedule["scheduled"], schedule["activated"]) == (funnel["scheduled"], funnel["activated"])
    assert schedule["cancelled"] == funnel["cancelled"]["total"]
    by_reason = {row["reason"]: row["entries"] for row in told("schedule")["cancellations"]}
    assert by_reason == {key: count for key, count in funnel["cancelled"].items() if count and key != "total"}


def test_waits_run_from_the_decision_to_the_end() -> None:
    assert [entry["wait_minutes"] for entry in told("schedule")["entries"]] == [30.0, 120.0, 15.0, 60.0]
    schedule = told("schedule")["schedule"]
    assert (schedule["average_activation_minutes"], schedule["average_cancellation_minutes"]) == (30.0, 65.0)


def test_a_position_opened_at_the_market_is_no_entry() -> None:
    assert document(report_of("schedule", record_of(lifecycle())))["streams"][1]["entries"] == []


def test_levels_are_counted_by_side() -> None:
    assert [told("partial")["partial"][key] for key in ("levels_reached", "profit_levels", "loss_levels")] == [3, 2, 1]
    counts = {row["level"]: (row["profit"], row["loss"]) for row in told("partial")["by_level"]}
    assert {level: count for level, count in counts.items() if count != (0, 0)} == {10: (1, 1), 20: (1, 0)}


def test_refusals_are_counted_by_whom_and_why() -> None:
    risk = told("risk")
    assert risk["risk"] == {"refusals": 3, "refusals_at_decision": 2, "refusals_at_activation": 1}
    assert risk["by_profile"] == [{"profile": "calm", "refusals": 2}, {"profile": "own", "refusals": 1}]
    assert [row["reason"] for row in risk["refusals"]] == ["", "against the trend", ""]


def test_the_heat_map_puts_the_best_symbol_first_and_those_without_a_figure_last() -> None:
    names = ("B", "A", "C", "D")
    days = [[Deal(pnl=pnl, opened_hours=24.0 * day) for day, pnl in enumerate(pnls)] for pnls in PNLS]
    streams = [stream(*made, symbol=name) for name, made in zip(names, days, strict=True)]
    whole = replace(GOLDEN["quarter"](), streams=tuple(streams))
    used = whole.streams[0].candles
    prices = tuple(100.0 for _ in range(90))
    whole = replace(
        whole, streams=tuple(replace(one, candles=replace(used, daily_prices=prices)) for one in whole.streams)
    )
    rows = document(report_of("heat", record_of(whole)))["strategies"][0]["heat"]
    assert [row["symbol"] for row in rows] == ["C", "A", "B", "D", "all"]
    assert rows[-1]["trades"] == sum(row["trades"] for row in rows[:-1])
    assert rows[-1]["pnl_percent"] == pytest.approx(sum(row["pnl_percent"] for row in rows[:-1]))


PNLS = ([1.0, -1.5, 0.4], [1.0, -0.9, 0.4], [1.0, 0.5, 0.4], [1.0])


def test_several_strategies_stand_side_by_side_before_each_has_its_heat_map() -> None:
    whole = document(report_of("heat", record_of(GOLDEN["portfolio"]())))
    assert [row["strategy"] for row in whole["portfolio"]["heat"]] == ["breakout", "ema-cross", "all"]
    assert [one["strategy"] for one in whole["strategies"]] == ["breakout", "ema-cross"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("schedule", False), ("partial", False), ("risk", False), ("performance", False), ("heat", True)],
)
def test_a_run_without_such_events_has_no_report_of_them(kind: Kind, expected: bool) -> None:
    assert has_content(kind, record_of(GOLDEN["winning"]())) is expected
    assert not has_content(kind, record_of(run(stream())))
    assert has_content(kind, lived())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*GOLDEN, "lifecycle"])
def test_a_stored_run_gives_the_same_reports(name: str, kind: Kind, stored: Callable[[str], Path]) -> None:
    again, fresh = report_of(kind, read_record(stored(name))), report_of(kind, record_of(made(name)))
    assert (json_text(again), markdown(again)) == (json_text(fresh), markdown(fresh))


def test_the_newest_reports_are_those_of_each_stream_with_something_to_say(tmp_path: Path) -> None:
    done = dump(lifecycle(), tmp_path, manifest={}, stopwatch=Stopwatch(lambda: 0.0))
    written = {str(path.relative_to(tmp_path)) for path in (*done.reports, *done.by_kind)}
    assert written == {
        "backtest/ema-cross__BTCUSDT.md",
        "backtest/ema-cross__ETHUSDT.md",
        "heat/ema-cross.md",
        "partial/ema-cross__BTCUSDT.md",
        "performance/ema-cross__BTCUSDT.md",
        "performance/ema-cross__ETHUSDT.md",
        "risk/ema-cross__BTCUSDT.md",
        "schedule/ema-cross__BTCUSDT.md",
    }
    alone = replace(lifecycle(), streams=lifecycle().streams[:1])
    text = (tmp_path / "schedule" / "ema-cross__BTCUSDT.md").read_text(encoding="utf-8")
    assert text == markdown(report_of("schedule", record_of(alone)))


def test_a_run_without_a_stream_has_every_report(tmp_path: Path) -> None:
    bundle = dump(run(status="interrupted"), tmp_path, manifest={}).bundle
    for kind in KINDS:
        assert report_files(bundle, kind, list(FORMATS))


def test_a_bundle_of_an_older_version_says_so(own: Path) -> None:
    (own / "run.json").unlink()
    with pytest.raises(UsageError) as caught:
        report_text(own, "risk", "md")
    assert caught.value.code == "no-run-record"


@pytest.mark.parametrize("name", ["run.json", "trades.parquet", "events.parquet"])
@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b"\xff\xfe"], ids=["empty", "nothing in it", "list", "no text"])
def test_a_damaged_bundle_is_a_known_error(name: str, damage: bytes, own: Path) -> None:
    (own / name).write_bytes(damage)
    with pytest.raises(DataError) as caught:
        report_text(own, "risk", "md")
    assert caught.value.code == "damaged-run"


@pytest.mark.parametrize("name", ["trades.parquet", "events.parquet"])
def test_tables_that_are_not_those_of_the_run_are_damage(name: str, own: Path) -> None:
    pl.read_parquet(own / name).head(1).write_parquet(own / name)
    with pytest.raises(DataError, match=f"{name} of run .* was changed after the run"):
        report_text(own, "heat", "md")


@pytest.mark.parametrize("text", ["null", "[]", "{}", '{"files": []}', "[" * 100_000])
def test_a_manifest_of_another_form_is_damage(text: str, own: Path) -> None:
    (own / "manifest.json").write_text(text)
    assert [one.run_id for one in bundles(own.parent.parent)] == [own.name]
    with pytest.raises(DataError) as caught:
        report_text(own, "risk", "md")
    assert caught.value.code == "damaged-run"


def test_a_heat_map_has_the_figures_of_the_backtest_report_in_money_too() -> None:
    whole = sized()
    prices = tuple(100.0 + place % 3 for place in range(30))
    longer = tuple(replace(one, candles=replace(one.candles, daily_prices=prices)) for one in whole.streams)
    record = record_of(replace(whole, streams=longer, range=TimeRange(START_MS, START_MS + 30 * DAY_MS)))
    streams = document(report_of("backtest", record))["streams"]
    chapters = document(report_of("heat", record))["strategies"]
    own = {(one["strategy"], one["symbol"]): one["metrics"] for one in streams}
    rows = [(chapter["strategy"], row) for chapter in chapters for row in chapter["heat"] if row["symbol"] != "all"]
    assert len(rows) == len(own) == 3
    for strategy, row in rows:
        assert row["sharpe_ratio"] is not None
        assert row.items() - {("symbol", row["symbol"])} <= own[strategy, row["symbol"]].items()


def test_what_is_not_sized_is_told_in_percent_by_itself() -> None:
    alone = part_of(record_of(sized()), "unsized", None)
    base, heat = document(report_of("backtest", alone)), document(report_of("heat", record_of(sized())))
    assert "balance" not in base["summary"]
    assert base["run"]["balance"] is None
    (chapter,) = [one for one in heat["strategies"] if one["strategy"] == "unsized"]
    assert chapter["metrics"] == base["streams"][0]["metrics"]


def test_the_figures_of_the_original_are_the_same_from_the_table_of_events_as_from_the_events() -> None:
    scopes: tuple[Scope, ...] = ("original", "original_all")
    for one in lifecycle().streams:
        for scope, section in zip(scopes, original_sections(one, lived().events), strict=True):
            assert section.block == Measures(original_metrics(happened(one), scope))


def test_each_stage_is_told_of_the_narrowest_part_that_was_measured() -> None:
    rows = {row["stage"]: row for row in told("performance")["stages"]}
    assert {stage: row["part"] for stage, row in rows.items()} == {
        "load": "the symbol",
        "decide": "the stream",
        "walk": "the run",
        "measure": "the run",
    }
    assert (rows["decide"]["count"], rows["load"]["total_ms"]) == (20, pytest.approx(25.0))


def test_the_slowest_are_named() -> None:
    whole = document(report_of("performance", lived()))["portfolio"]
    assert whole["performance"]["slowest_stage"].startswith("walk, ")
    assert whole["performance"]["slowest_stream"].startswith("ema-cross on BTCUSDT, ")
    assert [row["symbol"] for row in whole["stream_times"]] == ["BTCUSDT", "ETHUSDT"]
    assert whole["performance"]["measured_ms"] == pytest.approx(sum(row["total_ms"] for row in whole["stages"]))


def test_timings_stand_in_the_manifest_and_in_no_file_that_must_be_the_same(tmp_path: Path) -> None:
    seconds = iter(range(1000))
    bundles = [
        dump(lifecycle(), tmp_path / name, manifest={}, stopwatch=Stopwatch(lambda: float(next(seconds) ** 2))).bundle
        for name in ("one", "two")
    ]
    unequal = [path.name for path in bundles[0].iterdir() if path.read_bytes() != (bundles[1] / path.name).read_bytes()]
    assert unequal == ["manifest.json"]
    first, second = (read_record(bundle).timings for bundle in bundles)
    assert [one.stage for one in first] == ["write"]
    assert first != second


# Hostile texts


FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", '"; =1', "\t=1", "\r\n=1", '=HYPERLINK("x")')


@cache
def holding(texts: tuple[str, ...]) -> Record:
    """A run with foreign texts in every place of every kind of report."""
    return record_of(run(*map(_stream_of, texts), exchange=texts[0], frame=texts[0]))


def _stream_of(text: str) -> StreamRun:
    whole = closed(Deal(pnl=1.0, id=text or "id"))
    signal = replace(whole.signal, strategy=text, symbol=text)
    told: dict[str, Any] = {"time_ms": whole.opened_at, "signal": signal, "price": 1.0}
    refused: dict[str, Any] = {
        "stage": "decision",
        "profile": f"p{text}",
        "rule": f"r{text}",
        "open_positions": 1,
        "why": text,
    }
    events: list[Event] = [
        Scheduled(**told),
        LevelReached(**told, side="profit", level=10),
        RiskRefused(**told, **refused),
    ]
    return stream(
        Deal(pnl=1.0, id=text or "id", note=f"n{text}"), strategy=text, symbol=text, events=events, warnings=(text,)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_obeys_a_hostile_text(kind: Kind) -> None:
    plain = report_of(kind, holding(tuple(f"plain{place}" for place in range(len(MARKS)))))
    report = report_of(kind, holding(MARKS))
    written = markdown(report)
    assert shape(READER.parse(written)) == shape(READER.parse(markdown(plain)))
    assert "<" not in written
    assert all(char.isprintable() or char == "\n" for char in written)
    assert json.loads(json_text(report))


@pytest.mark.parametrize("kind", KINDS)
def test_no_cell_of_a_csv_is_a_formula_or_leaves_its_row(kind: Kind) -> None:
    for name, written in csv_texts(report_of(kind, holding((*FORMULAS, *MARKS)))).items():
        rows = list(csv.reader(io.StringIO(written, newline="")))
        assert {len(row) for row in rows} == {len(rows[0])}, name
        cells = [cell for row in rows for cell in row]
        assert all(cell.isprintable() for cell in cells)
        assert not [cell for cell in cells if cell.startswith(("=", "@", "+"))]
        assert all(float(cell) < 0 for cell in cells if cell.startswith("-"))


@pytest.mark.parametrize(
    ("value", "form", "cell"),
    [
        pytest.param(None, "number", "", id="missing"),
        pytest.param(0.1 + 0.2, "number", "0.30000000000000004", id="every digit"),
        pytest.param(-1.5, "signed", "-1.5", id="a negative number is no formula"),
        pytest.param(float("nan"), "number", "", id="not a number"),
        pytest.param(True, "truth", "true", id="truth"),
        pytest.param(1677628800000, "time", "2023-03-01T00:00Z", id="time"),
        pytest.param(("a", "=b"), "text", "a, =b", id="names"),
        pytest.param("-5", "text", "'-5", id="a text that starts like a formula"),
    ],
)
def test_a_csv_cell_is_the_whole_value(value: Any, form: Any, cell: str) -> None:
    assert csv_cell(value, form) == cell


def test_a_csv_holds_the_figures_of_the_json() -> None:
    report = report_of("backtest", record_of(run(stream(*deals(1.0, -0.1, 0.3)))))
    rows = list(csv.DictReader(io.StringIO(csv_texts(report)["trades"])))
    trades = document(report)["streams"][0]["trades"]
    assert [float(row["pnl_percent"]) for row in rows] == [trade["pnl_percent"] for trade in trades]
    assert [row["closed"] for row in rows] == [trade["closed"] for trade in trades]
