"""Calls of user code that take too long."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from backtestkit_cli.run.deadline import CallTimedOut, Deadline

HANGING = Path(__file__).parents[2] / "data" / "plugins" / "hanging.py"
ROOT = Path(__file__).parents[3]


def never(message: str) -> None:
    raise AssertionError(f"abandoned: {message}")


def loop() -> None:
    while True:
        pass


def wait() -> None:
    time.sleep(30)


def wait_elsewhere() -> None:
    threading.Event().wait(30)


def ignore_exceptions() -> None:
    while True:
        try:
            while True:
                pass
        except Exception:  # noqa: BLE001
            continue


@pytest.mark.parametrize("hang", [loop, wait, wait_elsewhere, ignore_exceptions])
def test_a_call_over_its_time_is_interrupted(hang: object) -> None:
    assert callable(hang)
    with Deadline(0.05, never) as deadline, pytest.raises(CallTimedOut) as caught:
        deadline.run("strategy slow", hang)
    problem = caught.value.problem
    assert problem.code == "call-timed-out"
    assert problem.where is not None
    assert problem.where.file == __file__
    assert "strategy slow has not answered within 0.05 s" in problem.what
    assert f"{__file__}, line {problem.where.line}" in problem.what


def test_an_answer_after_the_interruption_is_not_taken() -> None:
    def late() -> int:
        try:
            loop()
        except BaseException:  # noqa: BLE001
            return 7
        return 8

    with Deadline(0.05, never) as deadline, pytest.raises(CallTimedOut):
        deadline.run("late", late)


def test_an_error_raised_instead_of_the_interruption_does_not_hide_it() -> None:
    def wraps() -> None:
        try:
            loop()
        except BaseException as error:
            raise ValueError("something else") from error

    with Deadline(0.05, never) as deadline, pytest.raises(CallTimedOut):
        deadline.run("wraps", wraps)


def test_answers_and_errors_pass_and_the_next_call_has_its_whole_time() -> None:
    with Deadline(0.3, never) as deadline:
        for number in range(5):
            assert deadline.run("quick", lambda value: value * 2, number) == number * 2
            time.sleep(0.1)
        with pytest.raises(ZeroDivisionError):
            deadline.run("wrong", lambda: 1 // 0)
        time.sleep(0.4)
        assert deadline.run("quick", lambda: "after a pause") == "after a pause"


def test_a_call_can_follow_one_that_was_interrupted() -> None:
    with Deadline(0.05, never) as deadline:
        with pytest.raises(CallTimedOut):
            deadline.run("slow", loop)
        assert deadline.run("quick", lambda: 1) == 1


def test_a_foreign_alarm_goes_to_who_waited_for_it_before() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: heard.append(number))
    try:
        with Deadline(30, never) as deadline:
            deadline.run("quick", os.kill, os.getpid(), signal.SIGALRM)
        assert heard == [signal.SIGALRM]
        assert signal.getsignal(signal.SIGALRM) is not deadline._interrupt
        os.kill(os.getpid(), signal.SIGALRM)
        assert len(heard) == 2
    finally:
        signal.signal(signal.SIGALRM, before)


def test_the_signal_handler_is_restored_and_the_watcher_gone_after_an_error() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(KeyError), Deadline(30, never):
        raise KeyError
    assert signal.getsignal(signal.SIGALRM) == before
    assert "deadline" not in [thread.name for thread in threading.enumerate()]


def test_in_another_thread_quick_calls_are_watched_without_a_signal() -> None:
    answers: list[int] = []

    def other() -> None:
        before = signal.getsignal(signal.SIGALRM)
        with Deadline(0.2, never) as deadline:
            answers.append(deadline.run("quick", lambda: 1))
            assert signal.getsignal(signal.SIGALRM) == before
            time.sleep(0.3)
            answers.append(deadline.run("quick", lambda: 2))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert answers == [1, 2]


def elsewhere(call: Callable[[], object]) -> None:
    """Do something in another thread; what it raises is raised here."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(call).result(30)


@pytest.mark.parametrize("hang", [loop, ignore_exceptions])
def test_in_another_thread_a_call_over_its_time_is_interrupted_between_two_steps(hang: Callable[[], None]) -> None:
    def other() -> None:
        with Deadline(0.05, never) as deadline:
            for _ in range(2):
                with pytest.raises(CallTimedOut) as caught:
                    deadline.run("strategy slow", hang)
                assert f"{__file__}, line" in caught.value.problem.what
            assert deadline.run("quick", lambda: 1) == 1

    elsewhere(other)


def test_in_another_thread_an_answer_after_the_interruption_is_not_taken() -> None:
    def late() -> int:
        try:
            loop()
        except BaseException:  # noqa: BLE001
            return 7
        return 8

    def other() -> None:
        with Deadline(0.05, never) as deadline:
            with pytest.raises(CallTimedOut):
                deadline.run("late", late)
            assert deadline.run("quick", lambda: 1) == 1

    elsewhere(other)


def test_an_interruption_that_comes_with_the_answer_hits_nothing_else() -> None:
    """Calls that end at the very moment at which they are over their time."""

    def busy(until: float) -> None:
        while time.monotonic() < until:
            pass

    def other() -> int:
        ended = 0
        with Deadline(0.002, never) as deadline:
            for _ in range(300):
                with suppress(CallTimedOut):
                    deadline.run("close", busy, time.monotonic() + 0.002)
                ended += 1
        return ended

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(other).result(60) == 300


def test_a_process_that_is_to_live_leaves_the_call_behind() -> None:
    told, goes_on = list[str](), threading.Event()

    def swallow() -> None:
        while not goes_on.is_set():
            with suppress(BaseException):
                goes_on.wait(30)

    def abandon(message: str) -> None:
        told.append(message)
        goes_on.set()

    def other() -> None:
        with Deadline(0.05, abandon, ends_process=False) as deadline, pytest.raises(CallTimedOut):
            deadline.run("strategy deaf", swallow)

    elsewhere(other)
    assert len(told) == 1
    assert "strategy deaf has not answered" in told[0]


def test_what_does_not_react_ends_with_the_process() -> None:
    """All at once, for each takes more than a second."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ways = ("swallow", "sleep", "obey", "speechless", "compute")
    children = {
        way: subprocess.Popen(
            [sys.executable, str(HANGING), way],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for way in ways
    }
    try:
        ends = {way: (*child.communicate(timeout=60), child.returncode) for way, child in children.items()}
    finally:
        for child in children.values():
            child.kill()
    assert {way: code for way, (_, _, code) in ends.items()} == dict.fromkeys(ways, 4)
    for way in ("swallow", "sleep", "obey"):
        assert re.fullmatch(r"hanging\.py, line \d+\n", ends[way][0]), ends[way]
    assert re.search(r"hanging\.py\", line \d+ in compute", ends["compute"][1]), ends["compute"]


def test_in_another_thread_quick_calls_can_be_traced_by_a_debugger() -> None:
    code = (
        "import sys, threading\n"
        "from backtestkit_cli.run.deadline import Deadline\n"
        "def other():\n"
        "    with Deadline(0.2, print) as deadline:\n"
        "        sys.settrace(lambda *_: None)\n"
        "        print(sum(deadline.run('quick', lambda: 1) for _ in range(9)))\n"
        "thread = threading.Thread(target=other)\n"
        "thread.start()\n"
        "thread.join()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, "9\n")
