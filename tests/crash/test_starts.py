"""Many programs that want the same state at once: one of them runs, and its death frees the state.

`BACKTESTKIT_STARTS` says how many, twenty at a time.
"""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from e2e.project import make_project

from crash.lives import Lives, Nursery
from crash.test_kills import SEED

STARTS = int(os.environ.get("BACKTESTKIT_STARTS", "20"))
AT_ONCE = 20
SECONDS = 60


@pytest.mark.parametrize("turn", range(-(-STARTS // AT_ONCE)))
def test_of_many_that_start_at_once_one_runs_and_the_others_name_it(
    turn: int, nursery: Nursery, tmp_path: Path
) -> None:
    lives = Lives(make_project(tmp_path), nursery, SEED)
    begins = time.monotonic() + 0.3
    started = {lives.begin(pause_seconds=0.0, end_ms=lives.now_ms, begins=begins): place for place in range(AT_ONCE)}
    codes: dict[int, int] = {}
    deadline = time.monotonic() + SECONDS
    while len(codes) < AT_ONCE - 1 and time.monotonic() < deadline:
        for process in started.keys() - codes.keys():
            code = nursery.look(process)
            if code is not None:
                codes[process] = code
        time.sleep(0.01)
    (runs,) = started.keys() - codes.keys()
    assert set(codes.values()) == {2}
    for process in codes:
        (document,) = map(json.loads, lives.output_of(started[process]).splitlines())
        assert document["error"]["code"] == "folder-in-use"
        assert document["error"]["found"].removeprefix("process ") in map(str, started)
    os.kill(runs, signal.SIGKILL)
    assert nursery.wait(runs) == -signal.SIGKILL
    lives.live_on(minutes=1)
