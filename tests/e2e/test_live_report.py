"""Reports of live sessions: those of a backtest of the same window, whatever restarts, full disks and few trades do."""

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from accelerated import JumpingClock, run_live
from e2e.project import START_MS, Project, make_project

from backtestkit_cli import Closed, Kit
from backtestkit_cli.disk import DISK, Disk
from backtestkit_cli.model.time import MINUTE_MS, iso
from backtestkit_cli.run.live import reporting, session, tally

GOLDEN = Path(__file__).parents[1] / "golden" / "reports" / "live.md"
SIZED = """
settings: {balance: 10000}
sizings: [{name: tenth, method: fixed-percentage, risk_percentage: 1}]
strategies:
  - {name: sized, interval: 1h, use: "strategies/own.py:asked", sizing: tenth}
"""
REFUSED = {
    ("20230228", "--kind", "heat"): "no report of the kind heat",
    ("1999", "--kind", "live"): "there is no session 1999",
    ("1999",): "no run is stored yet",
    ("last", "--kind", "lives"): "sessions have the kind live",
}
EARLY_MS = START_MS - 20_000
STOP_MS = START_MS + 5 * 60 * MINUTE_MS + 10 * MINUTE_MS


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path)
    made.write("configs/sized.yaml", SIZED)
    return made


def kit_of(project: Project) -> Kit:
    return Kit.load(project.folder / "configs")


def newest(project: Project, name: str, symbol: str = "BTCUSDT") -> str:
    return (project.folder / "logs" / "live" / f"{name}__{symbol}.md").read_text("utf-8")


def shown(project: Project, *arguments: str) -> Any:
    return project.inside("report", "show", *arguments, "--json").document


def report_with(patch: pytest.MonkeyPatch, **given: Any) -> None:
    patch.setattr(session, "Reporting", partial(reporting.Reporting, **given))


@pytest.mark.parametrize("name", ["asked", "sized"])
def test_a_session_reports_what_the_backtest_of_its_window_reports(name: str, project: Project) -> None:
    kit = kit_of(project)
    lived = run_live(kit, name, start=EARLY_MS, end=STOP_MS, leaves=False)
    (closed, *_) = [event for event in reversed(lived.events) if isinstance(event, Closed)]
    run = kit.backtest(name, symbols=["BTCUSDT"], range=f"{iso(START_MS)}..{iso(closed.time_ms)}").run()
    told, expected = shown(project, lived.live.record.session), json.loads(run.report(format="json"))
    assert told["run"]["status"] == "ended"
    assert told["summary"] | {"warnings": 0} == expected["summary"] | {"warnings": 0}
    (one,), (other,) = told["streams"], expected["streams"]
    for part in ("metrics", "reasons", "pnl_curve_percent", "months", "exit_reasons", "trades"):
        assert one[part] == other[part], part
    for part in ("price_first", "price_last", "buy_and_hold_percent", "missing_minutes"):
        assert one["candles"][part] == other["candles"][part], part
    totals = one["totals"]
    assert totals == {key: other["metrics"][key] for key in totals}


def test_the_report_on_disk_is_the_one_of_the_journal(project: Project) -> None:
    lived = run_live(kit_of(project), "asked", start=EARLY_MS, end=STOP_MS)
    text = newest(project, "asked")
    if os.environ.get("UPDATE_GOLDEN") == "1":
        GOLDEN.write_text(text, encoding="utf-8", newline="\n")
    assert text == GOLDEN.read_text("utf-8")
    assert project.inside("report", "show", lived.live.record.session).stdout == text
    assert kit_of(project).sessions.report() == text


def test_after_restarts_the_report_goes_on(project: Project) -> None:
    middle_ms = START_MS + 150 * MINUTE_MS
    first = run_live(kit_of(project), "asked", start=EARLY_MS, end=middle_ms)
    rest = run_live(kit_of(project), "asked", start=middle_ms + 30_000, end=STOP_MS, leaves=False)
    trades = [event for event in (*first.events, *rest.events) if isinstance(event, Closed)]
    told = shown(project, rest.live.record.session)
    assert told["run"]["starts"] == 2
    assert told["summary"]["trades"] == len(trades) == len(told["streams"][0]["trades"])
    assert project.inside("report", "show", rest.live.record.session).stdout == newest(project, "asked")


def test_of_many_trades_the_newest_are_held_and_all_are_counted(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "HELD_TRADES", 2)
    lived = run_live(kit_of(project), "sized", start=EARLY_MS, end=STOP_MS, leaves=False)
    made = [event for event in lived.events if isinstance(event, Closed)]
    assert len(made) > 2
    told = shown(project, lived.live.record.session)
    (stream,) = told["streams"]
    assert stream["totals"]["trades"] == told["summary"]["trades"] == len(made)
    assert stream["totals"]["pnl_quote"] == sum(event.pnl_quote or 0.0 for event in made)
    assert [trade["id"] for trade in stream["trades"]] == [event.signal.id for event in made[-2:]]
    assert stream["metrics"]["trades"] == 2
    assert stream["funnel"]["closed"]["total"] == len(made)
    run = kit_of(project).backtest(
        "sized", symbols=["BTCUSDT"], range=f"{iso(made[-3].time_ms)}..{iso(made[-1].time_ms)}"
    )
    expected = json.loads(run.run().report(format="json"))["streams"][0]["metrics"]
    for key in ("exposure_percent", "trades_per_day", "max_drawdown_hours", "average_duration_hours"):
        assert stream["metrics"][key] == expected[key], key
    text = newest(project, "sized")
    assert "## All trades of the session" in text
    assert "## Result, newest 2 trades" in text


def test_several_streams_stand_side_by_side(project: Project) -> None:
    symbols = ("BTCUSDT", "ETHUSDT")
    lived = run_live(kit_of(project), "asked", "sized", start=EARLY_MS, end=STOP_MS, symbols=symbols)
    told = shown(project, "last", "--kind", "live")
    assert len(told["streams"]) == 4
    whole = told["portfolio"]["totals"]["trades"]
    assert whole == sum(one["totals"]["trades"] for one in told["streams"])
    made = [event for event in lived.events if isinstance(event, Closed)]
    assert whole == len(made)
    money = sum(event.pnl_quote or 0.0 for event in made)
    assert told["summary"]["pnl_quote"] == money
    assert "not-sized" in {one["code"] for one in told["streams"][0]["warnings"]}
    assert "# Live session of asked on ETHUSDT" in newest(project, "asked", "ETHUSDT")


def test_what_is_open_is_said_first_and_no_lead_is_claimed(project: Project) -> None:
    lived = run_live(kit_of(project), "asked", start=EARLY_MS, end=STOP_MS, symbols=("BTCUSDT", "ETHUSDT"))
    told = shown(project, "last", "--kind", "live")
    assert [one["state"] for one in told["portfolio"]["open_now"]] == ["open", "open"]
    assert told["summary"]["headline"] == "2 positions are open; they are in no figure"
    assert told["summary"]["headline"] in [one["text"] for one in told["portfolio"]["warnings"]]
    text = project.inside("report", "show", lived.live.record.session).stdout
    assert "ahead of" not in text
    assert "behind buy" not in text
    assert newest(project, "asked").splitlines()[2] == "one position is open; it is in no figure"


def test_buy_and_hold_counts_each_symbol_once(project: Project) -> None:
    run_live(kit_of(project), "asked", "cross", start=EARLY_MS, end=STOP_MS, leaves=False)
    told = shown(project, "last", "--kind", "live")
    held = {one["candles"]["buy_and_hold_percent"] for one in told["streams"]}
    assert (len(told["streams"]), held) == (2, {told["summary"]["buy_and_hold_percent"]})
    assert "points" not in project.inside("report", "show", "last", "--kind", "live").stdout.split("##")[0]


def test_history_begins_where_the_strategy_sees_it_and_the_journal_where_it_does(project: Project) -> None:
    run_live(kit_of(project), "cross", start=EARLY_MS, end=START_MS + 2 * MINUTE_MS)
    told = shown(project, "last", "--kind", "live")
    candles = told["streams"][0]["candles"]
    warm_up_minutes = 9 * 15
    assert candles["history_start"] <= iso(START_MS - warm_up_minutes * MINUTE_MS) < candles["journal_start"]
    assert candles["candles"] < 10
    assert told["run"]["range"].endswith(" (1 min)")


def test_a_session_is_dumped_in_every_format(project: Project) -> None:
    name = run_live(kit_of(project), "asked", start=EARLY_MS, end=STOP_MS).live.record.session
    done = project.inside("report", "dump", name, "--kind", "live", "--format", "md,json,csv,html", "--json")
    files = {Path(path).name for path in done.document["files"]}
    assert {f"{name}.md", f"{name}.json", f"{name}.html", f"{name}__trades.csv"} <= files
    page = (project.folder / "logs" / "live" / f"{name}.html").read_text("utf-8")
    assert "Live session" in page
    assert project.inside("report", "show", name[:12], "--format", "csv").stdout.startswith("strategy,symbol,opened")


def test_what_no_session_has_is_refused(project: Project) -> None:
    run_live(kit_of(project), "asked", start=EARLY_MS, end=START_MS + 10 * MINUTE_MS)
    for arguments, why in REFUSED.items():
        done = project.inside("report", "show", *arguments)
        assert (done.code, why in done.stderr) == (2, True), done.stderr


def test_who_asks_for_a_run_where_only_a_session_is_learns_how_to_ask_for_it(project: Project) -> None:
    name = run_live(kit_of(project), "asked", start=EARLY_MS, end=START_MS + 10 * MINUTE_MS).live.record.session
    for arguments in (("report", "show"), ("report", "dump"), ("explain", "last", "2023-03-01T01:00")):
        error = project.inside(*arguments, "--json").document["error"]
        assert (error["code"], "`backtestkit report show last --kind live`" in error["hint"]) == ("no-run", True)
    error = project.inside("report", "diff", name, "last", "--json").document["error"]
    assert f"`backtestkit parity {name}`" in error["hint"]


def test_a_table_without_rows_is_its_head_in_csv(project: Project) -> None:
    run_live(kit_of(project), "asked", start=EARLY_MS, end=START_MS + 10 * MINUTE_MS)
    done = project.inside("report", "show", "last", "--kind", "live", "--format", "csv")
    assert done.stdout.startswith("strategy,symbol,opened,closed,")
    assert len(done.stdout.splitlines()) == 1


def test_a_session_without_a_whole_minute_has_no_report_yet(project: Project) -> None:
    name = run_live(kit_of(project), "asked", start=START_MS + 1000, end=START_MS + 2000).live.record.session
    done = project.inside("report", "show", name)
    assert (done.code, "not seen a whole minute" in done.stderr) == (2, True)
    assert not list((project.folder / "logs" / "live").glob("*.md"))


class FullForReports(Disk):
    """A disk that takes no reports."""

    def create(self, path: Path, mode: int) -> int:
        raise OSError(28, "No space left on device")


def test_a_disk_that_takes_no_report_stops_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = run_live(kit_of(project), "asked", start=EARLY_MS, end=STOP_MS).events
    again = make_project(project.folder / "again")
    monkeypatch.setattr(reporting, "EVERY_SECONDS", 0.0)

    report_with(monkeypatch, disk=FullForReports())
    lived = run_live(kit_of(again), "asked", start=EARLY_MS, end=STOP_MS)
    assert lived.events == expected
    (trouble,) = lived.troubles
    assert trouble.code == "report-not-written"
    assert "No space left" in str(trouble)


def test_reports_are_written_at_most_once_a_minute(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []

    class Counting(Disk):
        def replace(self, path: Path, target: Path) -> None:
            written.append(target)
            DISK.replace(path, target)

    report_with(monkeypatch, clock=JumpingClock(0), disk=Counting())
    run_live(kit_of(project), "asked", start=EARLY_MS, end=STOP_MS)
    assert len(written) == 2  # the first, as that clock stands, and the last


def test_clearing_takes_the_reports_of_live_sessions_and_no_journal(project: Project) -> None:
    lived = run_live(kit_of(project), "asked", start=EARLY_MS, end=STOP_MS)
    kit = kit_of(project)
    assert kit.clear(mode="backtest") == ()
    assert [path.name for path in kit.clear(mode="paper")] == ["asked__BTCUSDT.md"]
    assert lived.live.journal_path.exists()
