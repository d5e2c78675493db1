"""Whole reports as their readers see them; rewritten only with UPDATE_GOLDEN=1 in the environment."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from backtestkit_cli.engine.result import RunResult
from backtestkit_cli.report.as_csv import csv_texts
from backtestkit_cli.report.as_json import json_text
from backtestkit_cli.report.build import build
from backtestkit_cli.report.kinds import KINDS, Kind, report_of
from backtestkit_cli.report.markdown import markdown
from backtestkit_cli.report.report import Report
from backtestkit_cli.report.terminal import terminal

from .cases import GOLDEN, lived

FOLDER = Path(__file__).parents[2] / "golden" / "reports"


def on_terminal(report: Report, width: int = 80) -> str:
    return terminal(report, Console(file=io.StringIO(), width=width), place="logs/runs/0123456789ab/report.md")


WRITERS: dict[str, Callable[[Report], str]] = {"md": markdown, "json": json_text, "txt": on_terminal}


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("name", GOLDEN)
def test_report_reads_as_agreed(name: str, ending: str) -> None:
    path = FOLDER / f"{name}.{ending}"
    written = WRITERS[ending](build(GOLDEN[name]()))
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_text(written, encoding="utf-8", newline="\n")
    assert written == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", GOLDEN.values(), ids=list(GOLDEN))
def test_golden_cases_have_whole_funnels(case: Callable[[], RunResult]) -> None:
    assert [stream.result.funnel.broken_sums() for stream in case().streams] == [[] for _ in case().streams]


def as_csv(report: Report) -> str:
    return "\n".join(f"{key}.csv\n{text}" for key, text in csv_texts(report).items())


OF_KINDS: dict[str, Callable[[Report], str]] = {"md": markdown, "json": json_text, "csv": as_csv}


@pytest.mark.parametrize("ending", OF_KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_report_of_each_kind_reads_as_agreed(kind: Kind, ending: str) -> None:
    path = FOLDER / f"lifecycle-{kind}.{ending}"
    written = OF_KINDS[ending](report_of(kind, lived()))
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_text(written, encoding="utf-8", newline="\n")
    assert written == path.read_text(encoding="utf-8")


def test_no_golden_text_is_without_its_case() -> None:
    expected = {f"{name}.{ending}" for name in GOLDEN for ending in WRITERS}
    expected |= {f"lifecycle-{kind}.{ending}" for kind in KINDS for ending in OF_KINDS}
    expected |= {"diff.txt", "diff.json", "live.md"}
    expected |= {f"{kind}.{ending}" for kind in ("walker", "optimizer") for ending in ("md", "json", "txt", "csv")}
    expected |= {f"{name}.{ending}" for name in ("robust", "robust-interrupted") for ending in WRITERS}
    assert {path.name for path in FOLDER.iterdir()} == expected
