"""One HTML file of a stored run, by the real command."""

import json
from pathlib import Path

import polars as pl
import pytest
from e2e.project import Project, make_project


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = make_project(tmp_path_factory.mktemp("html"))
    assert project.inside("backtest", "cross", "asked").code == 0
    return project


def drawn(page: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(page.split('id="pictures">')[1].split("</script>", maxsplit=1)[0])
    return found


def test_a_page_is_written_beside_the_other_formats(finished: Project, tmp_path: Path) -> None:
    done = finished.inside("report", "dump", "--format", "md,html", "--to", str(tmp_path), "--json")
    (run_id,) = finished.bundles
    assert done.document["files"] == [str(tmp_path / f"{run_id}.md"), str(tmp_path / f"{run_id}.html")]
    page = (tmp_path / f"{run_id}.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "plotly.js" in page
    assert finished.inside("report", "show", "--format", "html").stdout == page


def test_the_charts_of_a_run_have_its_candles_and_its_trades(finished: Project) -> None:
    told = finished.inside("report", "show", "--json").document
    charts = drawn(finished.inside("report", "show", "--format", "html").stdout)
    candles, chapters = charts["candles"], charts["chapters"]
    assert isinstance(candles, list)
    assert isinstance(chapters, list)
    assert [(one["symbol"], one["interval"]) for one in candles] == [("BTCUSDT", "1m")]
    last = max(pl.Series([trade["closed"] for one in told["streams"] for trade in one["trades"]]).str.to_datetime())
    assert candles[0]["time"][-1] == last.timestamp() * 1000 - 60_000
    for stream, chapter in zip(told["streams"], chapters[1:], strict=True):
        assert chapter["trades"]["pnl_percent"] == [trade["pnl_percent"] for trade in stream["trades"]]
        assert stream["trades"]


def test_only_one_format_can_be_shown(finished: Project) -> None:
    done = finished.inside("report", "show", "--format", "md,html", "--json")
    assert done.code == 2
    assert done.document["error"]["code"] == "conflict"
