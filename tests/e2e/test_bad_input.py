"""Bad input: the whole message of each, its exit code, and nothing written.

The texts stand in `tests/golden/messages`; `UPDATE_GOLDEN=1` writes them anew, for a reader to judge.
"""

import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from e2e.project import (
    DAY_MINUTES,
    MINUTE_MS,
    START_MS,
    Project,
    assert_golden,
    candle_csv,
    candle_rows,
    make_project,
    signal_csv,
    snapshot,
)

Rows = list[list[Any]]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def assert_refused(name: str, project: Project, *arguments: str, code: int) -> None:
    """The command ends with the code and the kept message, and leaves everything as it was."""
    before = snapshot(project.folder)
    done = project.inside(*arguments)
    assert done.code == code
    assert_golden(name, done, project)
    assert snapshot(project.folder) == before
    assert not (project.folder / "logs").exists()


# Names and options

WRONG_LINES: dict[str, tuple[int, Sequence[str]]] = {
    "unknown-strategy": (2, ("backtest", "crss")),
    "unknown-exchange": (2, ("backtest", "--exchange", "sampel")),
    "unknown-frame": (2, ("backtest", "--frame", "weak")),
    "unknown-symbol": (3, ("backtest", "listed", "--exchange", "files", "--symbol", "BTCUSD")),
    "unknown-kind": (2, ("list", "strategis")),
    "unknown-run": (2, ("report", "show", "abc")),
    "unknown-format": (2, ("report", "dump", "--format", "pdf")),
    "unknown-override": (2, ("backtest", "--set", "strategies.cross.interva=5m")),
    "override-without-value": (2, ("backtest", "--set", "settings.gap")),
    "symbol-empty": (2, ("backtest", "--symbol", "")),
    "symbol-with-blank": (2, ("backtest", "--symbol", "BTC USDT")),
    "symbol-that-steers-the-terminal": (2, ("backtest", "--symbol", "BTC\x1b[31m")),
    "symbol-that-is-no-text": (2, ("backtest", "--symbol", "BTC\udcff")),
    "range-one-end": (2, ("backtest", "--range", "2023-03-01")),
    "range-backwards": (2, ("backtest", "--range", "2023-03-02..2023-03-01")),
    "range-no-time": (2, ("backtest", "--range", "monday..friday")),
    "range-inside-a-minute": (2, ("backtest", "--range", "2023-03-01T00:00:30..2023-03-02")),
    "range-and-frame": (2, ("backtest", "--range", "2023-03-01..2023-03-02", "--frame", "day")),
    "config-missing": (2, ("backtest", "--config", "nowhere.yaml")),
    "frame-off-the-grid": (
        2,
        ("backtest", "cross", "--frame", "hourly-from-half-past", "--set", "strategies.cross.interval=1h"),
    ),
    "nothing-fetched": (3, ("backtest", "cross", "--exchange", "binance")),
}


@pytest.mark.parametrize("name", WRONG_LINES)
def test_a_wrong_command_line_says_what_is_wrong(name: str, project: Project) -> None:
    code, arguments = WRONG_LINES[name]
    assert_refused(name, project, *arguments, code=code)


PARSER_REFUSALS = {
    ("backtest", "--frmae", "day"): "--frame",
    ("bactest",): "bactest",
    ("backtest", "--jobs", "0"): "--jobs",
    ("backtest", "--jobs", "many"): "--jobs",
    ("data", "fetch"): "--exchange",
    ("backtest", "--symbol"): "--symbol",
}


@pytest.mark.parametrize("arguments", PARSER_REFUSALS)
def test_what_the_parser_refuses_names_the_word_and_points_to_help(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = Project(tmp_path).inside(*arguments)
    assert done.code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: usage\n")
    assert PARSER_REFUSALS[arguments] in done.stderr
    assert done.stderr.endswith("backtestkit --help lists the commands, COMMAND --help their options\n")


def test_a_folder_without_configs_points_to_init(tmp_path: Path) -> None:
    assert_refused("no-configs", Project(tmp_path), "backtest", code=2)


def test_an_empty_folder_of_configs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    assert_refused("empty-configs", Project(tmp_path), "backtest", code=2)


def test_a_config_without_strategies_is_refused(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("configs/a.yaml", "exchanges:\n  - {name: sample, use: sample}\n")
    assert_refused("no-strategies", project, "backtest", code=2)


# Strategies

PLUGINS = {
    "plugin-returns-seven-for-a-frame": "return 7 if candles is not None else None",
    "plugin-frame-of-nonsense": "return candles.select('time', position=pl.lit('up'))",
    "plugin-frame-unsorted": (
        "return candles.select('time', position=pl.lit('long'), price_take_profit='high', price_stop_loss='low',"
        " lifetime_minutes=pl.lit(60)).reverse()"
    ),
    "plugin-frame-of-other-times": (
        "return candles.select(pl.col('time') + 1, position=pl.lit('long'), price_take_profit='high',"
        " price_stop_loss='low', lifetime_minutes=pl.lit(60))"
    ),
    "plugin-frame-raises": "raise ValueError('no [red]luck[/red] with ' + type(candles).__name__)",
    "plugin-frame-cannot-be-computed": "return candles.select('nothing')",
    "plugin-yields": "yield candles",
    "plugin-frame-exits": "sys.exit(len(str(candles)) * 0)",
}


@pytest.mark.parametrize("name", PLUGINS)
def test_a_vectorised_strategy_that_answers_nonsense_ends_the_run(name: str, project: Project) -> None:
    project.plugin(name, PLUGINS[name])
    assert_refused(name, project, "backtest", name, code=2 if name == "plugin-yields" else 4)


def test_a_plugin_that_raises_while_it_is_loaded_shows_its_line(project: Project) -> None:
    project.write("strategies/own.py", "\n\n1 / 0\n")
    assert_refused("plugin-raises-at-import", project, "backtest", "asked", code=4)


def test_a_plugin_that_leaves_while_it_is_loaded_is_told(project: Project) -> None:
    project.write("strategies/own.py", "import sys\nsys.exit(0)\n")
    assert_refused("plugin-exits-at-import", project, "backtest", "asked", code=4)


def test_a_plugin_that_is_no_python_shows_its_line(project: Project) -> None:
    project.write("strategies/own.py", "def asked(market:\n")
    assert_refused("plugin-syntax", project, "backtest", "asked", code=4)


def test_a_plugin_file_that_is_not_there_is_told(project: Project) -> None:
    (project.folder / "strategies" / "own.py").unlink()
    assert_refused("plugin-missing", project, "backtest", "asked", code=2)


def test_a_function_that_is_not_there_is_told(project: Project) -> None:
    project.write("strategies/own.py", "def ask(market):\n    return None\n")
    assert_refused("plugin-no-function", project, "backtest", "asked", code=2)


def test_a_parameter_that_the_function_does_not_take_is_told(project: Project) -> None:
    assert_refused(
        "plugin-parameter", project, "backtest", "asked", "--set", "strategies.asked.params={size: 1}", code=2
    )


def test_a_rule_that_means_nothing_is_told(project: Project) -> None:
    project.write(
        "configs/strategies.yaml", (project.folder / "configs/strategies.yaml").read_text().replace("sma", "smma")
    )
    assert_refused("rule-unknown-function", project, "backtest", "cross", code=2)


# Signals

GOOD_SIGNAL = "2023-03-01T02:00Z,BTCUSDT,long,40000,10000,60"
SIGNALS: dict[str, str | bytes | None] = {
    "signals-missing": None,
    "signals-empty": "",
    "signals-no-text": b"\xff\xfe\x00",
    "signals-column-missing": signal_csv("2023-03-01T02:00Z,long", head="time,position"),
    "signals-column-unknown": signal_csv(
        f"{GOOD_SIGNAL},1", head="time,symbol,position,price_take_profit,price_stop_loss,lifetime_minutes,size"
    ),
    "signals-column-twice": signal_csv(
        f"{GOOD_SIGNAL},60",
        head="time,symbol,position,price_take_profit,price_stop_loss,lifetime_minutes,lifetime_minutes",
    ),
    "signals-cell-missing": signal_csv(GOOD_SIGNAL, "2023-03-01T03:00Z,BTCUSDT,long,40000"),
    "signals-cell-too-many": signal_csv(f"{GOOD_SIGNAL},9,9"),
    "signals-bad-time": signal_csv(GOOD_SIGNAL, GOOD_SIGNAL.replace("2023-03-01T02:00Z", "tomorrow")),
    "signals-bad-position": signal_csv(GOOD_SIGNAL.replace("long", "up")),
    "signals-bad-number": signal_csv(GOOD_SIGNAL.replace("40000", "40,000"), GOOD_SIGNAL.replace("40000", "4e")),
    "signals-unordered": signal_csv(GOOD_SIGNAL, GOOD_SIGNAL.replace("02:00", "01:00")),
    "signals-double": signal_csv(GOOD_SIGNAL, GOOD_SIGNAL),
    "signals-off-grid": signal_csv(GOOD_SIGNAL.replace("02:00", "02:07")),
    "signals-open-quote": signal_csv(f'"{GOOD_SIGNAL}'),
}


@pytest.mark.parametrize("name", SIGNALS)
def test_a_broken_file_of_signals_shows_file_and_line(name: str, project: Project) -> None:
    content = SIGNALS[name]
    if content is None:
        (project.folder / "strategies/listed.csv").unlink()
    else:
        project.write("strategies/listed.csv", content)
    assert_refused(name, project, "backtest", "listed", code=2 if content is None else 3)


# Candles


def changed(row: int, **cells: Any) -> Callable[[Rows], Rows]:
    """Candles with other values in one row."""
    columns = ("time", "open", "high", "low", "close", "volume")

    def change(rows: Rows) -> Rows:
        for name, value in cells.items():
            rows[row][columns.index(name)] = value
        return rows

    return change


def swapped(rows: Rows) -> Rows:
    rows[10], rows[11] = rows[11], rows[10]
    return rows


def in_the_future(rows: Rows) -> Rows:
    return [[row[0] + 200 * 365 * DAY_MINUTES * MINUTE_MS, *row[1:]] for row in rows]


CANDLES: dict[str, Callable[[Rows], Rows]] = {
    "candles-nan": changed(10, close=math.nan),
    "candles-missing-cell": changed(10, close=""),
    "candles-no-number": changed(10, close="1,5"),
    "candles-infinite": changed(10, high=math.inf),
    "candles-negative": changed(10, low=-1.0),
    "candles-zero-price": changed(10, open=0.0, low=0.0),
    "candles-negative-volume": changed(10, volume=-1.0),
    "candles-high-below-low": changed(10, high=1.0),
    "candles-double": lambda rows: [*rows[:11], rows[10], *rows[11:]],
    "candles-unordered": swapped,
    "candles-off-grid": changed(10, time=START_MS + 10 * MINUTE_MS + 1000),
    "candles-in-seconds": lambda rows: [[row[0] // 1000, *row[1:]] for row in rows],
    "candles-in-the-future": in_the_future,
    "candles-no-time": changed(10, time="noon"),
    "candles-none": lambda rows: [],
    "candles-elsewhere": lambda rows: candle_rows(60, start_ms=START_MS - 10 * DAY_MINUTES * MINUTE_MS),
    "candles-spike": changed(10, open=9e9, high=9e9, low=9e9, close=9e9),
}


@pytest.mark.parametrize("name", CANDLES)
def test_broken_candles_are_refused_with_their_place(name: str, project: Project) -> None:
    project.write("data/BTCUSDT.csv", candle_csv(CANDLES[name](candle_rows())))
    assert_refused(name, project, "backtest", "listed", "--exchange", "files", code=3)


def parquet_bytes() -> bytes:
    columns = ("time", "open", "high", "low", "close", "volume")
    sink = io.BytesIO()
    pl.DataFrame(candle_rows(), schema=columns, orient="row").write_parquet(sink)
    return sink.getvalue()


FILES: dict[str, Callable[[], bytes]] = {
    "file-empty": lambda: b"",
    "file-of-zeros": lambda: bytes(1000),
    "file-parquet-cut-off": lambda: parquet_bytes()[:-100],
    "file-csv-of-other-columns": lambda: b"when,what\n1,2\n",
    "file-csv-cut-off": lambda: candle_csv(candle_rows()).encode()[:-5],
    "file-html": lambda: b"<!doctype html>\n<html><body>404</body></html>\n",
    "file-zip-cut-off": lambda: b"PK\x03\x04 and no more",
}


@pytest.mark.parametrize("name", FILES)
def test_a_broken_file_of_candles_is_refused(name: str, project: Project) -> None:
    project.write("data/BTCUSDT.csv", FILES[name]())
    assert_refused(name, project, "backtest", "listed", "--exchange", "files", code=3)


def test_damage_inside_a_parquet_file_is_found(project: Project) -> None:
    whole = parquet_bytes()
    project.write("data/BTCUSDT.csv", whole[:200] + bytes(200) + whole[400:])
    done = project.inside("backtest", "listed", "--exchange", "files")
    assert done.code == 3
    assert done.stderr.startswith("error: ")
    assert not (project.folder / "logs").exists()


def test_a_missing_file_of_candles_is_told(project: Project) -> None:
    assert_refused("file-missing", project, "backtest", "listed", "--exchange", "files", code=3)


def test_a_folder_in_place_of_a_file_of_candles_is_told(project: Project) -> None:
    (project.folder / "data/BTCUSDT.csv").mkdir(parents=True)
    assert_refused("file-folder", project, "backtest", "listed", "--exchange", "files", code=3)


def test_a_hole_is_refused_where_the_config_allows_none(project: Project) -> None:
    rows = candle_rows()
    project.write("data/BTCUSDT.csv", candle_csv(rows[:125] + rows[132:]))
    arguments = ("backtest", "listed", "--exchange", "files", "--set", "settings.gap=fail")
    assert_refused("hole", project, *arguments, code=3)


# The project folder


@pytest.mark.parametrize("place", ["logs", "logs/runs", "logs/backtest"])
def test_a_file_in_place_of_a_results_folder_is_told_before_the_run(place: str, project: Project) -> None:
    project.write(place, "")
    before = snapshot(project.folder)
    done = project.inside("backtest", "listed")
    assert_golden(f"file-for-{place.replace('/', '-')}", done, project)
    assert snapshot(project.folder) == before
    assert done.code == 2
