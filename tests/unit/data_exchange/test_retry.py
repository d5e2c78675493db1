"""Waits double, bans are obeyed, and there is an end."""

from collections.abc import Callable

import pytest
from loopback import FakeClock

from backtestkit_cli.data.retry import Patience, Tally
from backtestkit_cli.errors import BacktestkitError, DataError, Problem, RejectedError, TransientError
from backtestkit_cli.run.clock import WallClock

PROBLEM = Problem(code="exchange-unavailable", what="binance is not available", hint="try again later")


def patience(clock: FakeClock, *, retries: int = 3) -> Patience:
    return Patience(exchange="binance", retries=retries, delay_ms=5000, clock=clock, tally=Tally())


def failing(times: int, error: BacktestkitError) -> Callable[[], str]:
    left = [error] * times

    def question() -> str:
        if left:
            raise left.pop()
        return "answer"

    return question


@pytest.mark.parametrize("kind", [TransientError, DataError])
def test_waits_double_until_there_is_an_answer(kind: type[BacktestkitError]) -> None:
    clock = FakeClock(0)
    assert patience(clock).ask(failing(3, kind(PROBLEM))) == "answer"
    assert clock.sleeps == [5.0, 10.0, 20.0]


def test_the_last_error_says_how_often_it_was_tried_and_no_wait_follows_it() -> None:
    clock = FakeClock(0)
    with pytest.raises(TransientError) as caught:
        patience(clock).ask(failing(9, TransientError(PROBLEM)))
    assert str(caught.value) == "binance is not available; no better after 3 retries"
    assert caught.value.problems[0].hint == "try again later"
    assert clock.sleeps == [5.0, 10.0, 20.0]


def test_without_retries_a_question_is_asked_once() -> None:
    clock = FakeClock(0)
    with pytest.raises(TransientError, match=r"^binance is not available$"):
        patience(clock, retries=0).ask(failing(1, TransientError(PROBLEM)))
    assert clock.sleeps == []


def test_what_is_refused_for_good_is_not_asked_again() -> None:
    clock = FakeClock(0)
    with pytest.raises(RejectedError):
        patience(clock).ask(failing(1, RejectedError(PROBLEM)))
    assert clock.sleeps == []


def test_a_silence_replaces_the_wait_and_holds_for_the_next_question_too() -> None:
    clock = FakeClock(1_000_000)
    ours = patience(clock, retries=0)
    ours.keep_silent(7_000)
    assert ours.ask(clock.now_ms) == 1_007_000
    assert ours.ask(clock.now_ms) == 1_007_000
    assert clock.sleeps == [7.0]


def test_a_long_silence_is_raised_at_once_and_nothing_is_asked() -> None:
    clock = FakeClock(1_700_000_000_000)
    ours = patience(clock)
    ours.keep_silent(3_600_000)
    asked: list[int] = []
    with pytest.raises(TransientError) as caught:
        ours.ask(lambda: asked.append(1))
    assert str(caught.value) == "binance asks for no requests until 2023-11-14T23:13:20Z"
    assert caught.value.code == "exchange-ban"
    assert (asked, clock.sleeps) == ([], [])


def test_a_clock_that_is_set_back_makes_no_silence_longer_than_it_was_asked_for() -> None:
    clock = FakeClock(10_000_000)
    ours = patience(clock)
    ours.keep_silent(7_000)
    clock.sleep(-3_600)
    assert ours.is_silent
    clock.sleep(7)
    assert not ours.is_silent


def test_the_wall_clock_goes_on() -> None:
    clock = WallClock()
    before, started = clock.now_ms(), clock.monotonic()
    clock.sleep(0.002)
    assert clock.monotonic() - started >= 0.002
    assert 1_600_000_000_000 < before <= clock.now_ms() + 1
    clock.sleep(-1)


def test_who_wants_to_know_is_told_what_is_waited_for_and_how_long() -> None:
    told: list[str] = []
    patient = patience(FakeClock(0))
    patient.tell = told.append
    patient.ask(failing(2, TransientError(PROBLEM)))
    assert told == [
        "binance is not available; retry 1 of 3 in 5 s",
        "binance is not available; retry 2 of 3 in 10 s",
    ]
    told.clear()
    patient.keep_silent(17_000)
    patient.ask(failing(0, TransientError(PROBLEM)))
    assert told == ["binance asks for no requests for 17 s"]
