"""A disk that takes nothing: what is open is managed, nothing opens, it is told once a minute, until there is space."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from e2e.project import START_MS, make_project

from backtestkit_cli import Kit
from backtestkit_cli.model.event import Closed
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.state.session import event_body

TESTS = Path(__file__).parents[1]
FULL_MINUTE, MINUTES = 30, 300


def test_a_position_is_managed_on_a_full_disk_and_nothing_opens_until_there_is_space(tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="the size of files is limited by the system")
    project = make_project(tmp_path)
    job = Kit.load(project.folder / "configs").backtest("asked", symbols=["BTCUSDT"], range="2023-03-01..2023-03-02")
    first = next(event for event in job if isinstance(event, Closed))
    space_minute = FULL_MINUTE + MINUTES
    seen = told_by("full_disk.py", project.folder, FULL_MINUTE, space_minute)
    assert first.opened_at < START_MS + FULL_MINUTE * MINUTE_MS < first.time_ms
    assert event_body(first) in seen["events"]
    assert seen["before"]
    assert seen["before"] == seen["at the end"], "the old state is intact"
    opened = [(one["time_ms"] - START_MS) // MINUTE_MS for one in seen["events"] if one["kind"] == "opened"]
    assert not [minute for minute in opened if FULL_MINUTE <= minute < space_minute]
    assert [minute for minute in opened if minute >= space_minute]
    alarms = Counter(minute for code, minute in seen["troubles"] if code == "state-not-saved")
    assert len(alarms) > MINUTES / 4
    assert set(alarms.values()) == {1}
    assert [code for code, _ in seen["troubles"]].count("journal-not-written") == 1
    assert seen["is kept again"]


def told_by(script: str, *arguments: object) -> dict[str, Any]:
    """What a script of this folder prints."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join((str(TESTS), str(TESTS.parent)))}
    command = [sys.executable, str(TESTS / "crash" / script), *map(str, arguments)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen
