"""Ctrl-C and SIGTERM at random moments of a live session, imports included: a clean end, and state that can be read.

`BACKTESTKIT_SIGNALS` says how many moments; a third of them strike programs that have imported nothing yet.
"""

import os
import signal
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from e2e.project import Done, finished, make_project
from e2e.test_interruption import CODES, listens, wait_until_it_listens

from crash.lives import STRATEGIES, Lives, Nursery
from crash.test_kills import SEED

SIGNALS = int(os.environ.get("BACKTESTKIT_SIGNALS", "40"))
BAD_WORDS = ("Traceback", "Exception ignored", "KeyboardInterrupt", "internal", "never awaited", "Error")
pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the moment is read from /proc")


def assert_clean(done: Done, numbers: set[signal.Signals], lives: Lives) -> None:
    assert done.code in {CODES[number] for number in numbers}, done  # of two that are pending Python takes any first
    for word in BAD_WORDS:
        assert word not in done.stderr, done.stderr
    lives.records()
    opened = [event["signal"]["id"] for event in lives.told if event["kind"] == "opened"]
    assert len(opened) == len(set(opened))


def test_a_session_that_is_signalled_while_it_begins_ends_clean(nursery: Nursery, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    random, lives, stdouts = Random(SEED), Lives(make_project(tmp_path), nursery, SEED), Counter[bool]()
    for _ in range(-(-SIGNALS // 3)):
        number = random.choice(list(CODES))
        process = lives.project.start("live", *STRATEGIES, "--exchange", "made", "--stop-now", "--json")
        wait_until_it_listens(process)
        time.sleep(random.uniform(0, 1.5))
        process.send_signal(number)
        done = finished(process)
        assert_clean(done, {number}, lives)
        stdouts[not done.stdout] += 1
    print(f"{sum(stdouts.values())} signals, {stdouts[True]} while it ran")


def test_a_session_that_is_signalled_while_it_trades_ends_clean(nursery: Nursery, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    random, lives = Random(SEED), Lives(make_project(tmp_path), nursery, SEED)
    for _ in range(SIGNALS - -(-SIGNALS // 3)):
        numbers = random.choices(list(CODES), k=random.choice((1, 2)))
        process = lives.begin(pause_seconds=0.0, end_ms=lives.now_ms + 10**9, stops_now=len(numbers) == 1)
        while not listens(process):
            time.sleep(0.001)
        longest = 0.6
        for number in numbers:
            time.sleep(random.uniform(0, longest))
            os.kill(process, number)  # a child that has ended is there until it is waited for
            longest = 0.05
        code = nursery.wait(process)
        lives.take()
        assert_clean(Done(code, "", lives.errors.partition('{"error"')[0]), set(numbers), lives)
    print(f"{SIGNALS} signals, {len(lives.told)} events")
