"""A stop while a result is written waits until it is whole; a second one does not wait."""

import signal

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
