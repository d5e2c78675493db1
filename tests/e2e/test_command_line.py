"""Every command once, what goes to stdout and what to stderr, exit codes, and the same run giving the same bytes."""

import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pytest
from e2e.project import COMMAND, Project, candle_csv, candle_rows, finished, make_project, snapshot

from backtestkit_cli.cli.output import Output
from backtestkit_cli.report.kinds import KINDS

NEEDED_BY_ALL = ("runs", "backtest")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project")


@pytest.fixture(scope="module")
def finished_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with one finished run and two candles of the store; only looked at."""
    project = make_project(tmp_path_factory.mktemp("finished"))
    assert project.inside("backtest", "cross").code == 0
    fetch = ("data", "fetch", "--exchange", "sample", "--symbol", "BTCUSDT", "--range", "2023-03-01..2023-03-02")
    assert project.inside(*fetch).code == 0
    assert project.inside("data", "show", "sample/BTCUSDT").code == 0  # makes the cache of the store
    return project


# Every command

LOOKING: dict[tuple[str, ...], str] = {
    ("run", "list"): "complete",
    ("run", "show"): "report.md",
    ("report", "show"): "# Backtest of cross on BTCUSDT",
    ("list", "strategies"): "YAML rules",
    ("list", "exchange"): "sample",
    ("config", "show"): "configs/market.yaml:2",
    ("config", "schema"): "$schema",
    ("doctor",): "candle store",
    ("data", "list"): "1,440",
    ("data", "audit"): "missing minutes",
    ("data", "show", "sample/BTCUSDT"): "lowest",
}


@pytest.mark.parametrize("arguments", LOOKING, ids=" ".join)
def test_a_command_that_looks_writes_text_to_stdout_alone(
    arguments: tuple[str, ...], finished_project: Project
) -> None:
    before = snapshot(finished_project.folder)
    done = finished_project.inside(*arguments)
    assert (done.code, done.stderr) == (0, "")
    assert LOOKING[arguments] in done.stdout
    assert snapshot(finished_project.folder) == before


@pytest.mark.parametrize("arguments", LOOKING, ids=" ".join)
def test_with_json_every_such_command_writes_one_document(
    arguments: tuple[str, ...], finished_project: Project
) -> None:
    done = finished_project.inside(*arguments, "--json")
    assert (done.code, done.stderr) == (0, "")
    assert done.document


def test_init_makes_a_project_that_runs(tmp_path: Path) -> None:
    done = Project(tmp_path).inside("init", "own")
    assert done.code == 0
    assert done.stdout.endswith("Next: cd own && backtestkit backtest ema-cross\n")
    made = Project(tmp_path / "own")
    run = made.inside("backtest", "--frame", "week")
    assert run.code == 0
    assert "5 streams" in run.stdout
    assert len(made.bundles) == 1


def test_init_overwrites_nothing(project: Project) -> None:
    before = snapshot(project.folder)
    done = project.inside("init", "--json")
    assert done.code == 2
    assert done.document["error"]["code"] == "file-exists"
    assert snapshot(project.folder) == before


def test_a_backtest_tells_its_result_on_stdout_and_its_files_on_stderr(project: Project) -> None:
    done = project.inside("backtest", "cross", "listed")
    assert done.code == 0
    (run_id,) = project.bundles
    assert run_id in done.stdout
    assert done.stderr.splitlines() == [
        f"wrote logs/runs/{run_id}",
        "wrote logs/backtest/cross__BTCUSDT.md",
        "wrote logs/backtest/listed__BTCUSDT.md",
    ]
    stored = {path.name for path in (project.folder / "logs" / "runs" / run_id).iterdir()}
    tables = {f"{name}.parquet" for name in ("trades", "events", "candles", "equity")}
    assert stored == {"manifest.json", "run.json", "report.md", "report.json", *tables}


def test_a_backtest_with_json_gives_the_report_as_one_document(project: Project) -> None:
    document = project.inside("backtest", "cross", "--json").document
    stored = project.inside("report", "show", "--json").document
    assert {key: value for key, value in document.items() if key != "bundle"} == stored
    assert document["bundle"] == str(project.folder / "logs" / "runs" / document["run"]["run_id"])


def test_a_report_is_dumped_to_a_folder_of_choice(finished_project: Project, tmp_path: Path) -> None:
    done = finished_project.inside("report", "dump", "last", "--to", str(tmp_path / "out"), "--json")
    assert done.code == 0
    (run_id,) = finished_project.bundles
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written >= {f"{run_id}.md", f"{run_id}.json"}
    tables = (
        "run",
        "metrics",
        "months",
        "exit_reasons",
        "funnel",
        "warnings",
        "candles",
        "trades",
        "original",
        "original_all",
    )
    assert written - {f"{run_id}.md", f"{run_id}.json"} == {f"{run_id}__{name}.csv" for name in tables}


LIMITS = """\
strategies:
  - name: patient
    interval: 15m
    risk: one
    rules:
      long: "crosses_above(close, sma(close, 8))"
      short: "crosses_below(close, sma(close, 8))"
      entry: {limit: "0.1%", wait: 1h}
      take_profit: "1%"
      stop_loss: "1%"
      lifetime: 2h
risks:
  - {name: one, max_positions: 1}
"""


def test_every_kind_of_report_is_kept_and_made_again_from_the_bundle(project: Project) -> None:
    project.write("configs/limits.yaml", LIMITS)
    assert project.inside("backtest", "patient", "--symbol", "BTCUSDT").code == 0
    for kind in ("schedule", "partial", "heat"):
        (newest,) = (project.folder / "logs" / kind).iterdir()
        assert project.inside("report", "show", "--kind", kind).stdout == newest.read_text("utf-8")
    told = project.inside("report", "show", "--kind", "schedule", "--json").document["streams"][0]
    assert told["schedule"]["scheduled"] == told["funnel"]["scheduled"] > 0
    assert len(told["entries"]) == told["funnel"]["scheduled"]
    dumped = project.inside("report", "dump", "--kind", "schedule", "--format", "csv", "--json").document["files"]
    (entries,) = (Path(name) for name in dumped if name.endswith("__entries.csv"))
    assert entries.parent == project.folder / "logs" / "schedule"
    assert (
        entries.read_text("utf-8") == project.inside("report", "show", "--kind", "schedule", "--format", "csv").stdout
    )
    assert pl.read_csv(entries).height == told["funnel"]["scheduled"]


def test_chosen_columns_change_the_text_and_the_run_id_but_not_the_record(project: Project) -> None:
    plain = project.inside("backtest", "cross", "--json").document
    columns = "[{key: pnl_percent, label: Net, format: '+.1f'}, {key: closed}]"
    chosen = project.inside("backtest", "cross", "--json", "--set", f"settings.columns.backtest={columns}").document
    assert chosen["run"].pop("run_id") != plain["run"].pop("run_id")
    assert chosen.pop("bundle") != plain.pop("bundle")
    assert chosen == plain
    assert project.inside("run", "verify").code == 0
    assert "\n| Net % | Closed UTC       |\n" in project.inside("report", "show").stdout
    shown = {row["path"]: row["value"] for row in project.inside("config", "show", "--json").document}
    assert shown["settings.columns.heat"][:2] == ["symbol", "pnl_percent"]


WRONG_COLUMNS = """\
settings:
  columns:
    backtest:
      - {key: pnl_percnt}
      - {key: pnl_percent, format: "d", unit: h}
      - {key: closed, format: ".2f"}
      - {key: closed}
    heat: [{key: nothing}]
"""


def test_wrong_columns_are_told_together_with_their_places(project: Project) -> None:
    project.write("configs/columns.yaml", WRONG_COLUMNS)
    problems = project.inside("backtest", "cross", "--json").document["error"]["problems"]
    assert [(one["code"], one["where"]["line"]) for one in problems] == [
        ("unknown-column", 4),
        ("wrong-format", 5),
        ("wrong-unit", 5),
        ("wrong-format", 6),
        ("column-twice", 7),
        ("unknown-column", 8),
    ]
    assert problems[0]["hint"] == "did you mean pnl_percent?"


def test_two_runs_are_compared_from_their_bundles(project: Project) -> None:
    runs = []
    for profit in ("1%", "1.5%"):
        override = ("--set", f"strategies.cross.rules.take_profit={profit}")
        runs.append(project.inside("backtest", "cross", *override, "--json").document)
    shutil.rmtree(project.folder / "configs")
    (project.folder / "configs").mkdir()
    ids = [one["run"]["run_id"] for one in runs]
    told = project.inside("report", "diff", *ids, "--json").document
    assert told["config"] == [{"path": "strategies.cross.rules.take_profit", "a": "1%", "b": "1.5%"}]
    figures = {row["key"]: row for row in told["metrics"]}["pnl_percent"]
    nets = [one["streams"][0]["metrics"]["pnl_percent"] for one in runs]
    assert [figures[key] for key in ("a", "b", "difference")] == [*nets, nets[1] - nets[0]]
    shown = project.inside("report", "diff", *ids)
    assert (shown.code, shown.stderr) == (0, "")
    assert shown.stdout.startswith("In short\n")
    assert project.inside("report", "diff", ids[0], "last").stdout == shown.stdout


def test_streams_that_share_a_profile_have_a_risk_report(project: Project) -> None:
    project.write("configs/limits.yaml", LIMITS)
    symbols = ("--symbol", "BTCUSDT", "--symbol", "ETHUSDT")
    funnel = project.inside("backtest", "patient", *symbols, "--json").document["portfolio"]["funnel"]
    told = project.inside("report", "show", "--kind", "risk", "--json").document["portfolio"]
    assert told["risk"]["refusals_at_decision"] == funnel["risk"] > 0
    assert told["risk"]["refusals_at_activation"] == funnel["cancelled"]["risk"]
    assert sum(row["refusals"] for row in told["by_symbol"]) == told["risk"]["refusals"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", "--kind", "nothing"), "unknown-report-kind"),
        (("dump", "--kind", "nothing"), "unknown-report-kind"),
        (("show", "--format", "pdf"), "unknown-format"),
        (("show", "--format", "md,csv"), "conflict"),
    ],
    ids=str,
)
def test_a_report_that_there_is_not_is_refused(
    arguments: tuple[str, ...], code: str, finished_project: Project
) -> None:
    done = finished_project.inside("report", *arguments)
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {code}\n")


def test_json_is_no_other_format(finished_project: Project) -> None:
    done = finished_project.inside("report", "show", "--format", "csv", "--json")
    assert (done.code, done.document["error"]["code"]) == (2, "conflict")


def test_the_help_of_reports_names_every_kind(finished_project: Project) -> None:
    shown = " ".join(finished_project.inside("report", "show", "--help").stdout.split())
    assert [kind for kind in KINDS if kind not in shown] == []


def test_a_run_is_found_by_the_beginning_of_its_id(finished_project: Project) -> None:
    (run_id,) = finished_project.bundles
    assert finished_project.inside("run", "show", run_id[:4], "--json").document["run_id"] == run_id


@pytest.mark.parametrize("arguments", [(), ("data",), ("run",), ("report",), ("config",)], ids=" ".join)
def test_a_command_without_its_rest_shows_help_and_ends_with_2(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = Project(tmp_path).inside(*arguments)
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: backtestkit")
    assert "\nCommands:\n" in done.stderr


def test_help_and_version_need_no_project(tmp_path: Path) -> None:
    for arguments, text in (
        (("--help",), "Usage: backtestkit"),
        (("backtest", "-h"), "--range"),
        (("--version",), "0."),
    ):
        done = Project(tmp_path).inside(*arguments)
        assert (done.code, done.stderr) == (0, "")
        assert text in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("backtest", "nobody", "--json"), 2),
        (("backtest", "--json", "--no-such-option"), 2),
        (("data", "show", "sample/NOBODY", "--json"), 3),
        (("backtest", "listed", "--exchange", "files", "--json"), 3),
        (("run", "show", "nobody", "--json"), 2),
        (("list", "nobody", "--json"), 2),
        (("config", "show", "--config", "nowhere", "--json"), 2),
        (("report", "dump", "nobody", "--json"), 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_with_json_an_error_is_one_document_too(arguments: tuple[str, ...], code: int, project: Project) -> None:
    done = project.inside(*arguments)
    assert (done.code, done.stderr) == (code, "")
    error = done.document["error"]
    assert set(error) >= {"code", "what", "where", "found", "expected", "hint", "exit_code", "problems"}
    assert error["exit_code"] == code
    assert error["code"] == error["problems"][0]["code"]


def test_an_exchange_that_cannot_be_reached_ends_with_6(project: Project) -> None:
    project.write(
        "configs/dead.yaml",
        "exchanges:\n  - {name: dead, use: ccxt, id: binance, base_url: 'http://127.0.0.1:9'}\n"
        "settings: {limits: {candle_retries: 1, candle_retry_delay_ms: 1}}\n",
    )
    fetch = ("data", "fetch", "--exchange", "dead", "--symbol", "BTC/USDT", "--range", "2023-03-01..2023-03-02")
    done = project.inside(*fetch, "--json")
    assert done.code == 6
    assert done.document["error"]["exit_code"] == 6


# Choosing what runs


def test_several_strategies_run_on_several_symbols(project: Project) -> None:
    done = project.inside("backtest", "rows", "cross", "--symbol", "ETHUSDT", "--symbol", "BTCUSDT", "--json")
    streams = [(one["strategy"], one["symbol"]) for one in done.document["streams"]]
    assert streams == [("cross", "BTCUSDT"), ("cross", "ETHUSDT"), ("rows", "BTCUSDT"), ("rows", "ETHUSDT")]


def test_a_range_stands_in_for_a_frame(project: Project) -> None:
    run = project.inside("backtest", "cross", "--range", "2023-03-01T06:00..2023-03-01T18:00Z", "--json").document[
        "run"
    ]
    assert (run["start"], run["end"]) == ("2023-03-01T06:00Z", "2023-03-01T18:00Z")


def test_an_override_changes_the_run_and_its_id(project: Project) -> None:
    plain = project.inside("backtest", "cross", "--json").document["run"]
    dear = project.inside("backtest", "cross", "--json", "--set", "settings.costs.fee_percent=0.11").document["run"]
    assert (plain["fee_percent"], dear["fee_percent"]) == (0.1, 0.11)
    assert plain["run_id"] != dear["run_id"]


def test_a_frame_and_the_same_period_as_a_range_are_two_runs(project: Project) -> None:
    ids = {
        project.inside("backtest", "cross", "--json", *period).document["run"]["run_id"]
        for period in (("--frame", "day"), ("--range", "2023-03-01..2023-03-02"))
    }
    assert len(ids) == 2


def test_a_frame_that_meets_part_of_the_grid_says_which_share(project: Project) -> None:
    done = project.inside("backtest", "cross", "--frame", "hourly-from-half-past")
    assert done.code == 0
    assert "the frame meets 3 of 12 decision times of cross (25 %)" in done.stdout


def test_a_run_without_a_trade_explains_itself(project: Project) -> None:
    project.plugin("never", "return None")
    done = project.inside("backtest", "never")
    assert done.code == 0
    assert "no trade" in done.stdout
    assert "all 4 decisions had no draft" in done.stdout


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise ValueError('no luck')", "ValueError: no luck"),
        ("return 7", "the answer is 7 of type int"),
        ("sys.exit(0)", "SystemExit: 0"),
    ],
)
def test_a_strategy_that_fails_at_its_decisions_is_counted_and_ends_with_4(
    body: str, told: str, project: Project
) -> None:
    project.plugin("bad", body)
    done = project.inside("backtest", "bad")
    assert done.code == 4
    assert told in " ".join((done.stdout + done.stderr).split())


def test_a_strategy_that_writes_to_stdout_does_not_spoil_the_document(project: Project) -> None:
    project.plugin("loud", "print('noise')")
    done = project.inside("backtest", "loud", "--json")
    assert done.document["run"]["strategies"] == ["loud"]
    assert done.stderr.count("noise") == 4


# Holes


@pytest.fixture
def holed(project: Project) -> Project:
    """Seven minutes are missing, among them the last before 03:00."""
    rows = candle_rows()
    project.write("data/BTCUSDT.csv", candle_csv(rows[:178] + rows[185:]))
    return project


def test_holes_are_counted_when_they_are_skipped(holed: Project) -> None:
    done = holed.inside("backtest", "asked", "--exchange", "files")
    assert done.code == 0
    assert "no candle for 7 minutes of 1440 (0.49 %)" in done.stdout


def test_holes_are_counted_when_they_are_bridged(holed: Project) -> None:
    # asked at 01:00 for 90 minutes, and again at 03:00, whose price comes from the bridge
    done = holed.inside("backtest", "asked", "--exchange", "files", "--set", "settings.gap=bridge")
    assert done.code == 0
    assert "(7 minutes were filled in)" in " ".join(done.stdout.split())


# The same run, the same bytes


def stored(project: Project) -> dict[str, bytes]:
    """What a run left, without the manifest and the performance report, which tell wall-clock times."""
    left = snapshot(project.folder / "logs")
    return {
        name: content
        for name, content in left.items()
        if not name.startswith("performance/") and "manifest" not in name
    }


def test_the_same_run_gives_the_same_bytes_in_any_order_zone_and_number_of_processes(tmp_path: Path) -> None:
    names = ["cross", "asked", "rows", "listed"]
    symbols = ["--symbol", "BTCUSDT", "--symbol", "ETHUSDT"]
    ways: list[tuple[list[str], dict[str, str]]] = [
        ([*names, *symbols], {"PYTHONHASHSEED": "1", "TZ": "UTC"}),
        ([*symbols[2:], *symbols[:2], *reversed(names)], {"PYTHONHASHSEED": "2", "TZ": "Asia/Kolkata"}),
        ([*names, *symbols, "--jobs", "2"], {"PYTHONHASHSEED": "3", "TZ": "America/New_York"}),
    ]
    found = []
    for number, (arguments, environ) in enumerate(ways):
        project = make_project(tmp_path / str(number))
        done = project.outside("backtest", *arguments, environ=environ)
        assert done.code == 0, done.stderr
        found.append((done.stdout, stored(project)))
    folders = Counter(name.partition("/")[0] for name in found[0][1])
    assert (folders["runs"], folders["backtest"], folders["heat"]) == (7, 8, 3)
    assert set(folders) == {"runs", "backtest", "heat", "partial"}
    assert found[0] == found[1] == found[2]


def test_two_runs_at_the_same_time_do_not_disturb_each_other(project: Project) -> None:
    alone = make_project(project.folder.parent / "alone")
    assert alone.inside("backtest", "cross").code == 0
    started = [project.start("backtest", "cross") for _ in range(2)]
    ended = [finished(one) for one in started]
    assert [one.code for one in ended] == [0, 0], [one.stderr for one in ended]
    assert stored(project) == stored(alone)


# Names that mean harm

HOSTILE = ("BTC/USDT", "../x", "/etc/passwd", "a|b", "🚀", "[red]x[/red]", "..", "CON", "`rm`", "<b>", "%2F", "-x")


def test_hostile_symbols_stay_inside_the_project_and_in_one_piece(tmp_path: Path) -> None:
    project = make_project(tmp_path / "a" / "b" / "project")
    outside = snapshot(tmp_path)
    done = project.inside("backtest", "listed", *(word for one in HOSTILE for word in ("--symbol", one)), "--json")
    assert done.code == 0, done.stdout
    assert {one["symbol"] for one in done.document["streams"]} == set(HOSTILE)
    written = set(snapshot(tmp_path)) - set(outside)
    assert all(name.startswith("a/b/project/logs/") for name in written)
    folders = Counter(name.split("/")[4] for name in written)
    assert folders == {"runs": 8, "backtest": len(HOSTILE), "performance": len(HOSTILE)}
    text = project.inside("report", "show").stdout
    assert "[red]x[/red]" in project.inside("run", "list").stdout
    assert "a|b" not in text, "a bar would break the table"


# Streams of the system


def test_piped_output_has_no_colours_and_no_progress(project: Project) -> None:
    environ = {"NO_COLOR": "", "FORCE_COLOR": "", "TERM": "xterm-256color"}
    done = project.outside("backtest", "cross", environ=environ)
    assert done.code == 0
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr


def on_a_terminal(project: Project, *arguments: str, environ: dict[str, str], width: int = 100) -> str:
    """What a command writes to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=project.folder,
        env={**kept, "TERM": "xterm", **environ},
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    try:
        while part := os.read(ours, 65536):
            written += part
    except OSError:
        pass  # the way Linux tells that the other side is closed
    os.close(ours)
    assert process.wait(timeout=60) == 0
    return written.decode("utf-8")


def test_no_color_is_honoured_on_a_terminal(project: Project) -> None:
    colour = re.compile(r"\x1b\[[\d;]*3\d[;m]")
    assert colour.search(on_a_terminal(project, "backtest", "cross", environ={}))
    assert not colour.search(on_a_terminal(project, "backtest", "cross", environ={"NO_COLOR": "1"}))


@pytest.mark.parametrize(
    "arguments", [("list", "strategies"), ("config", "show"), ("run", "list"), ("doctor",)], ids=" ".join
)
def test_what_is_listed_fits_a_terminal_and_is_whole_in_a_file(arguments: tuple[str, ...], project: Project) -> None:
    override = ("--set", "strategies.cross.rules.take_profit=1.5%", "--set", "settings.costs.fee_percent=0.05")
    assert project.inside("backtest", "cross", "listed", *override).code == 0
    shown = on_a_terminal(project, *arguments, environ={}, width=80).replace("\r\n", "\n")
    assert max(map(len, shown.splitlines())) <= 80
    whole = project.inside(*arguments).stdout
    words = whole.replace("\n", " ").split()
    squeezed = "".join(shown.split())
    assert [word for word in words if len(word) <= 10 and word not in squeezed] == []
    assert len(whole.splitlines()) <= len(shown.splitlines())


@pytest.mark.parametrize("kind", ["backtest", "heat", "performance"])
def test_a_report_is_readable_on_a_terminal_and_markdown_everywhere_else(kind: str, project: Project) -> None:
    assert project.inside("backtest", "cross", "listed", "--frame", "day").code == 0
    command = ("report", "show", "--kind", kind)
    written = on_a_terminal(project, *command, environ={}, width=80).replace("\r\n", "\n")
    shown = re.sub(r"\x1b\[[\d;]*m", "", written)
    raw = project.inside(*command).stdout
    assert raw.startswith("# ")
    assert "# " not in shown
    assert "| " not in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert project.inside(*command, "--format", "md").stdout == raw
    numbers = set(re.findall(r"[+-]\d+\.\d\d\b", raw.partition("Trades")[2]))
    assert numbers <= set(re.findall(r"[+-]\d+\.\d\d\b", shown))
    if kind == "backtest":
        closed = re.findall(r"^\| \d{4}-\d\d-\d\d \d\d:\d\d \| (\d{4}-\d\d-\d\d \d\d:\d\d)", raw, re.MULTILINE)
        assert len(closed) > 5
        assert [time for time in closed if time not in shown] == []


def test_a_symbol_that_may_be_misspelt_is_noted_on_a_made_up_market(project: Project) -> None:
    done = project.inside("backtest", "cross", "--symbol", "BTCUSTD", "--json")
    assert (done.code, done.document["run"]["symbols"]) == (0, ["BTCUSTD"])
    note = "note: BTCUSTD is not among settings.defaults.symbols (BTCUSDT), and sample makes candles up for any name\n"
    assert done.stderr == note
    assert "note:" not in project.inside("backtest", "cross", "--symbol", "BTCUSDT").stderr
    without = ("--set", "settings.defaults.symbols=null")
    assert "note:" not in project.inside("backtest", "cross", "--symbol", "BTCUSTD", *without).stderr


def test_runs_that_differ_by_set_are_told_apart(project: Project) -> None:
    for profit in ("1%", "1.5%"):
        override = ("--set", f"strategies.cross.rules.take_profit={profit}", "--set", "exchanges.binance.secret=hidden")
        assert project.inside("backtest", "cross", *override).code == 0
    rows = project.inside("run", "list", "--json").document
    assert [row["set"]["strategies.cross.rules.take_profit"] for row in rows] == ["1%", "1.5%"]
    shown = project.inside("run", "list").stdout
    assert "take_profit=1%" in shown
    assert "take_profit=1.5%" in shown
    assert "hidden" not in shown + json.dumps(rows)


def test_a_reader_that_goes_away_is_no_error(project: Project) -> None:
    process = project.start("backtest", "cross")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    told = finished(process).stderr
    assert process.returncode == 0
    assert "Traceback" not in told
    assert "BrokenPipe" not in told
    assert len(project.bundles) == 1


def test_a_full_disk_behind_stdout_is_one_message(project: Project) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with full.open("w") as stdout:
        done = subprocess.run(
            [*COMMAND, "list", "strategies"], cwd=project.folder, stdout=stdout, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_that_cannot_show_all_characters_gets_escapes(project: Project) -> None:
    done = project.outside("backtest", "listed", "--symbol", "🚀", environ={"PYTHONIOENCODING": "ascii"})
    assert done.code == 0
    assert "\\U0001f680" in done.stdout


# The machine


@pytest.fixture
def readable() -> Iterator[Path]:
    """A folder that another user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="backtestkit-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def as_another_user() -> Sequence[str]:
    """Words before a command that take the rights of root away."""
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("root ignores permissions, and there is no setpriv")
    return (setpriv, "--reuid=65534", "--regid=65534", "--clear-groups")


def test_a_results_folder_that_takes_no_files_is_told_before_the_run(readable: Path) -> None:
    words = as_another_user()
    if subprocess.run([*words, *COMMAND, "--version"], capture_output=True, cwd=readable).returncode != 0:
        pytest.skip("another user cannot run this Python")
    project = make_project(readable)
    logs = project.folder / "logs"
    logs.mkdir(mode=0o555)
    done = subprocess.run(
        [*words, *COMMAND, "backtest", "cross"],
        cwd=project.folder,
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": "/"},
    )
    logs.chmod(0o755)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: system-refused\n")
    assert "Permission denied" in done.stderr
    assert not list(logs.iterdir())


MEMORY_OF_A_YEAR_MIB = 200


def test_a_year_of_candles_fits_into_200_mib(project: Project) -> None:
    year = ("backtest", "cross", "--range", "2023-01-01..2024-01-01")
    program = (
        "import resource, subprocess, sys\n"
        f"done = subprocess.run({[*COMMAND, *year]!r}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=project.folder, capture_output=True, text=True, check=True
    )
    code, kib = map(int, done.stdout.split())
    assert code == 0
    assert kib / 1024 <= MEMORY_OF_A_YEAR_MIB


TRAP = "from pathlib import Path\nPath(__file__).with_suffix('.sprung').touch()\n"
LIBRARIES = ("polars", "yaml", "typer", "rich", "pickle", "multiprocessing", "signal", "random", "queue", "ccxt")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_module_in_the_working_folder_never_stands_in_for_a_library(jobs: str, project: Project) -> None:
    for name in LIBRARIES:
        project.write(f"{name}.py", TRAP)
    symbols = ("--symbol", "BTCUSDT", "--symbol", "ETHUSDT")
    done = project.outside("backtest", "listed", *symbols, "--jobs", jobs)
    assert not list(project.folder.glob("*.sprung"))
    assert done.code == 0, done.stderr


def test_trades_are_stored_as_parquet(finished_project: Project) -> None:
    (run_id,) = finished_project.bundles
    trades = pl.read_parquet(finished_project.folder / "logs" / "runs" / run_id / "trades.parquet")
    document = finished_project.inside("report", "show", "--json").document
    assert len(trades) == len(document["streams"][0]["trades"])


def test_an_unexpected_error_is_one_message_that_asks_for_a_report(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> None:
        raise RuntimeError("something of ours broke")

    monkeypatch.setattr(Output, "result", broken)
    done = project.inside("list", "strategies")
    assert done.code == 1
    assert done.stdout == ""
    assert "internal error: RuntimeError: something of ours broke" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in project.inside("list", "strategies", "-vv").stderr
