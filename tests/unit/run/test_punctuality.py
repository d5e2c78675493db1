"""Whether the clock is right: told once, by what the exchange shows, or by candles that always come too late."""

import pytest

from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.run.live.punctuality import AHEAD_MS, ANSWERS, BEHIND_MS, LATE_MINUTES, Punctuality


def looked(*ahead_ms: int | None, late_ms: int = 1500, count: int = 1) -> list[str]:
    """The codes told, minute by minute; each minute brings candles that are so late."""
    punctuality, told = Punctuality(), []
    for minute, ahead in enumerate(ahead_ms, start=100):
        opened_ms = [(minute - 1 - back) * MINUTE_MS for back in reversed(range(count))]
        candles = [Candle(time_ms, 1.0, 1.0, 1.0, 1.0, 1.0) for time_ms in opened_ms]
        problem = punctuality.look(minute * MINUTE_MS + late_ms, ahead, {"BTCUSDT": candles, "QUIET": []})
        told.append("" if problem is None else problem.code)
    return told


@pytest.mark.parametrize(
    ("ahead_ms", "code"), [(AHEAD_MS, "clock-ahead"), (AHEAD_MS - 1, ""), (-BEHIND_MS, "clock-behind"), (-4999, "")]
)
def test_a_wrong_clock_is_told_once_when_answers_agree(ahead_ms: int, code: str) -> None:
    assert looked(*[ahead_ms] * 6) == ["", "", code, "", "", ""]


def test_one_odd_answer_says_nothing() -> None:
    assert not any(looked(0, 90_000, 0, 0, 90_000, 90_000, 0))


def test_a_clock_that_was_right_again_is_told_of_again() -> None:
    wrong, right = [10_000] * ANSWERS, [0] * ANSWERS
    assert [one for one in looked(*wrong, *right, *wrong) if one] == ["clock-ahead"] * 2


def test_candles_that_always_come_late_are_told_of_where_no_clock_is_shown() -> None:
    late = [None] * (LATE_MINUTES + 3)
    assert [one for one in looked(*late, late_ms=MINUTE_MS) if one] == ["candles-late"]
    assert not any(looked(*late, late_ms=MINUTE_MS - 1))
    assert not any(looked(*late, late_ms=MINUTE_MS, count=2)), "they are caught up after an outage"


def test_the_difference_is_told_in_words() -> None:
    punctuality = Punctuality()
    problems = [punctuality.look(0, 300_400, {}) for _ in range(ANSWERS)]
    assert problems[-1] is not None
    assert "5 min ahead" in problems[-1].what


def test_after_a_jump_that_was_told_the_same_wrong_clock_is_not_told_again() -> None:
    punctuality = Punctuality()
    told: list[str] = []
    for ahead_ms in [0] * 3 + [60_000] * 5 + [0] * 3 + [60_000] * 3:
        if ahead_ms and len(told) == 3:
            punctuality.jumped()
        problem = punctuality.look(0, ahead_ms, {})
        told.append("" if problem is None else problem.code)
    assert [one for one in told if one] == ["clock-ahead"]
    assert told[-1] == "clock-ahead", "it was right in between"
