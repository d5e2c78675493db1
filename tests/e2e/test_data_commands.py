"""`backtestkit data`: what comes into the store, what is refused, and that nothing half-written stays."""

import json
from pathlib import Path

import pytest
from e2e.project import (
    DAY_MINUTES,
    Project,
    assert_golden,
    candle_csv,
    candle_rows,
    make_project,
    signal_csv,
    snapshot,
)

FETCH = ("data", "fetch", "--exchange", "sample", "--symbol", "BTCUSDT", "--range", "2023-03-01..2023-03-02")
IMPORT = ("data", "import", "day.csv", "--exchange", "binance", "--symbol", "BTCUSDT")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def test_an_empty_store_says_how_to_fill_it(project: Project) -> None:
    assert "data fetch" in project.inside("data", "list").stdout
    assert project.inside("data", "list", "--json").document == []
    assert "nothing to audit" in project.inside("data", "audit").stdout


def test_fetched_candles_are_listed_shown_and_audited(project: Project) -> None:
    fetched = project.inside(*FETCH, "--json").document
    assert (fetched["candles"], fetched["missing_minutes"], fetched["months_written"]) == (1440, 0, ["2023-03"])
    assert project.inside(*FETCH, "--json").document["months_kept"] == ["2023-03"]
    (listed,) = project.inside("data", "list", "--json").document
    assert (listed["exchange"], listed["symbol"], listed["candles"]) == ("sample", "BTCUSDT", 1440)
    shown = project.inside("data", "show", "sample/BTCUSDT", "--json").document
    assert (shown["candles"], shown["start"]) == (1440, "2023-03-01T00:00Z")
    (audited,) = project.inside("data", "audit", "sample/BTCUSDT", "--json").document
    assert (audited["holes"], audited["missing_minutes"]) == (0, 0)


def test_imported_candles_are_backtested(project: Project) -> None:
    project.write("day.csv", candle_csv(candle_rows()))
    project.write("strategies/listed.csv", signal_csv("2023-03-01T02:00Z,BTCUSDT,long,20400,19600,60"))
    imported = project.inside(*IMPORT, "--json").document
    assert (imported["candles"], imported["end"]) == (DAY_MINUTES, "2023-03-02T00:00Z")
    done = project.inside("backtest", "listed", "--exchange", "binance", "--json")
    assert done.code == 0
    assert done.document["summary"]["trades"] == 1


def test_holes_of_a_file_are_audited(project: Project) -> None:
    rows = candle_rows()
    project.write("day.csv", candle_csv(rows[:125] + rows[132:]))
    (audited,) = project.inside("data", "audit", "day.csv", "--json").document
    assert (audited["holes"], audited["missing_minutes"], audited["longest_hole_minutes"]) == (1, 7, 7)
    assert audited["hole_list"] == [{"start": "2023-03-01T02:05Z", "minutes": 7}]
    assert "Longest holes" in project.inside("data", "audit", "day.csv").stdout


def test_a_damaged_month_of_the_store_is_refused(project: Project) -> None:
    assert project.inside(*FETCH).code == 0
    (month,) = (project.folder / "data").rglob("2023-03.parquet")
    month.write_bytes(month.read_bytes()[:-50])
    for arguments in (("data", "show", "sample/BTCUSDT"), ("data", "audit")):
        done = project.inside(*arguments)
        assert (done.code, done.stdout) == (3, "")
        assert "2023-03.parquet" in done.stderr
    assert project.inside(*FETCH, "--json").document["months_repaired"] == ["2023-03"]
    assert project.inside("data", "list").code == 0


REFUSED: dict[str, tuple[int, tuple[str, ...]]] = {
    "data-import-missing": (3, IMPORT),
    "data-import-into-files": (2, ("data", "import", "day.csv", "--exchange", "files", "--symbol", "BTCUSDT")),
    "data-import-unknown-exchange": (2, ("data", "import", "day.csv", "--exchange", "binnace", "--symbol", "BTCUSDT")),
    "data-fetch-unknown-exchange": (2, (*FETCH[:3], "sampel", *FETCH[4:])),
    "data-fetch-bad-range": (2, (*FETCH[:-1], "2023-03-01")),
    "data-fetch-bad-symbol": (2, (*FETCH[:5], "BTC USDT", *FETCH[6:])),
    "data-show-unknown": (3, ("data", "show", "sample/NOBODY")),
    "data-show-missing-file": (3, ("data", "show", "nowhere.csv")),
    "data-audit-unknown": (3, ("data", "audit", "sample/NOBODY")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_told_and_nothing_is_written(name: str, project: Project) -> None:
    code, arguments = REFUSED[name]
    before = snapshot(project.folder)
    done = project.inside(*arguments)
    assert_golden(name, done, project)
    assert done.code == code
    assert snapshot(project.folder) == before


def test_minutes_that_have_not_closed_are_not_fetched(project: Project) -> None:
    before = snapshot(project.folder)
    done = project.inside(*FETCH[:-1], "2200-01-01..2200-01-02")
    assert done.code == 2
    assert done.stderr.startswith("error: empty-window\n")
    assert snapshot(project.folder) == before


def test_a_file_that_is_refused_leaves_no_market_behind(project: Project) -> None:
    rows = candle_rows()
    project.write("day.csv", candle_csv([*rows[:10], rows[9], *rows[10:]]))
    done = project.inside(*IMPORT)
    assert done.code == 3
    assert "candle-duplicate" in done.stderr
    assert project.inside("data", "list", "--json").document == []


def test_a_fetch_that_fails_leaves_no_market_behind(project: Project) -> None:
    done = project.inside("data", "fetch", "--exchange", "files", *FETCH[4:])
    assert done.code == 3
    assert project.inside("data", "list", "--json").document == []


def test_hostile_symbols_stay_inside_the_store(tmp_path: Path) -> None:
    project = make_project(tmp_path / "a" / "project")
    outside = set(snapshot(tmp_path))
    symbols = ("../x", "/etc/x", "BTC/USDT", "..", "[red]", "a|b")
    for one in symbols:
        assert project.inside(*FETCH[:4], "--symbol", one, *FETCH[6:]).code == 0
    assert all(name.startswith("a/project/data/sample/") for name in set(snapshot(tmp_path)) - outside)
    listed = json.loads(project.inside("data", "list", "--json").stdout)
    assert {market["symbol"] for market in listed} == set(symbols)
    assert project.inside("data", "show", "sample/../x").code == 0
