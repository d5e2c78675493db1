"""A stop while a result is written waits until it is whole; a second one does not wait; none is forgotten."""

import signal
from contextlib import suppress

import pytest

from backtestkit_cli.cli.stop import Stop, Stopped


def test_a_stop_raises_where_the_program_stands() -> None:
    stop = Stop()
    with pytest.raises(Stopped):
        stop._ask(signal.SIGTERM, None)
    assert stop.exit_code == 143


def test_the_first_stop_waits_while_something_is_held() -> None:
    stop = Stop()
    with stop.held():
        stop._ask(signal.SIGINT, None)
        assert bool(stop)
        with pytest.raises(Stopped):
            stop._ask(signal.SIGTERM, None)
    assert stop.exit_code == 130
    with pytest.raises(Stopped):
        stop.check()


def test_a_signal_that_was_swallowed_before_a_session_begins_ends_it_there() -> None:
    stop, called = Stop(), []
    with suppress(BaseException):  # as the import of a library may
        stop._ask(signal.SIGTERM, None)
    with pytest.raises(Stopped), stop.gentle(lambda: called.append("first"), lambda: called.append("second")):
        called.append("began")
    assert called == []
    assert stop.exit_code == 143


def test_inside_a_session_the_first_signal_and_the_second_are_told_apart() -> None:
    stop, called = Stop(), []
    with stop.gentle(lambda: called.append("first"), lambda: called.append("second")):
        stop._ask(signal.SIGINT, None)
        stop._ask(signal.SIGTERM, None)
    assert called == ["first", "second"]
    assert stop.exit_code == 130
    with pytest.raises(Stopped):
        stop._ask(signal.SIGINT, None)
