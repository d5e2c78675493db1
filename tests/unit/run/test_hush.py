"""A thread that is hushed is the only one that is not heard, and nothing stays behind."""

import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from backtestkit_cli.run.hush import hushed
from backtestkit_cli.run.log import log


def test_only_the_hushed_thread_is_not_heard(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    before = sys.stdout, sys.stderr
    caplog.set_level(logging.INFO, "backtestkit")
    with ThreadPoolExecutor(1) as pool, hushed():
        print("hushed")
        log.info("hushed")
        pool.submit(print, "heard").result()
        pool.submit(log.info, "heard too").result()
    print("heard at last")
    assert capsys.readouterr().out == "heard\nheard at last\n"
    assert caplog.messages == ["heard too"]
    assert (sys.stdout, sys.stderr) == before


def test_two_threads_that_are_hushed_at_once_leave_the_streams_as_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    before, is_inside, may_leave = (sys.stdout, sys.stderr), threading.Event(), threading.Event()

    def other() -> None:
        with hushed():
            is_inside.set()
            assert may_leave.wait(30)
            print("hushed")

    with ThreadPoolExecutor(1) as pool:
        with hushed():
            done = pool.submit(other)
            assert is_inside.wait(30)
        print("heard")
        may_leave.set()
        done.result(30)
    print("heard at last", file=sys.stdout)
    assert capsys.readouterr().out == "heard\nheard at last\n"
    assert (sys.stdout, sys.stderr) == before
