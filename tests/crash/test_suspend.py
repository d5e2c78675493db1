"""A process that is suspended in mid-position, and the clock goes on without it for a night."""

import os
import signal
import struct
import time
from pathlib import Path
from typing import Any

from e2e.project import make_project

from backtestkit_cli.model.time import MINUTE_MS
from crash.lives import Lives, Nursery
from crash.shown_clock import mapped
from crash.test_kills import SEED

NIGHT_MS = 8 * 60 * MINUTE_MS
SECONDS = 1.0


def test_a_session_that_was_suspended_for_a_night_closes_what_it_held_and_opens_nothing_late(
    nursery: Nursery, tmp_path: Path
) -> None:
    lives = Lives(make_project(tmp_path), nursery, SEED)
    process = lives.begin(pause_seconds=0.02, end_ms=lives.now_ms + 2 * NIGHT_MS)
    lives.wait_until(lives.now_ms + 23 * MINUTE_MS, process)  # one position ends at 25
    os.kill(process, signal.SIGSTOP)
    time.sleep(SECONDS)
    slept_ms = lives.now_ms
    with mapped(lives.project.folder / "clock") as shown:
        struct.pack_into("<q", shown, 0, slept_ms + NIGHT_MS)
    os.kill(process, signal.SIGCONT)
    lives.wait_until(slept_ms + NIGHT_MS + 10 * MINUTE_MS, process)
    lives.stop(process)
    whole = lives.backtested()
    before = [event for event in lives.told if event["time_ms"] <= slept_ms]
    assert [event for event in whole if event["time_ms"] <= before[-1]["time_ms"]][: len(before)] == before
    opened = {event["signal"]["id"]: event["time_ms"] for event in lives.told if event["kind"] == "opened"}
    closed = [event for event in lives.told if event["kind"] == "closed"]
    held = {name for name, time_ms in opened.items() if time_ms <= slept_ms}
    held -= {event["signal"]["id"] for event in closed if event["time_ms"] <= slept_ms}
    assert held
    assert of(held, closed) == of(held, [event for event in whole if event["kind"] == "closed"])
    woke_ms = slept_ms + NIGHT_MS
    assert not [at_ms for at_ms in opened.values() if slept_ms + MINUTE_MS < at_ms < woke_ms - 2 * MINUTE_MS]
    assert [at_ms for at_ms in opened.values() if at_ms >= woke_ms - 2 * MINUTE_MS]


def of(signals: set[str], events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events of some signals."""
    return [event for event in events if event["signal"]["id"] in signals]
