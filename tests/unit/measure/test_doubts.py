"""Doubts in words, and which of them lead."""

from backtestkit_cli.engine.doubt import Doubt
from backtestkit_cli.measure.doubts import doubt_text, gravest
from backtestkit_cli.model.time import parse_time

AHEAD = Doubt(
    code="looks-ahead",
    column="position",
    time_ms=parse_time("2023-03-01T10:15"),
    known="long",
    again=None,
    again_when="when the candles after 2023-03-01T10:15Z are cut off",
)
STATE = Doubt(
    code="carries-state",
    column="price_open",
    time_ms=parse_time("2023-03-01T11:00"),
    known=20000.5,
    again=None,
    again_when="when it is asked at that time alone",
)


def test_a_doubt_names_field_time_and_both_values() -> None:
    assert doubt_text(AHEAD) == (
        "looks ahead, so its result cannot be had in trading: position at 2023-03-01T10:15Z is long, "
        "but no draft when the candles after 2023-03-01T10:15Z are cut off"
    )


def test_a_number_is_written_in_full_and_a_missing_one_in_words() -> None:
    assert doubt_text(STATE).endswith(
        "price_open at 2023-03-01T11:00Z is 20000.5, but not given when it is asked at that time alone"
    )


def test_the_gravest_kind_leads_and_each_kind_is_told_once() -> None:
    assert gravest([STATE, AHEAD, STATE]) == (AHEAD, STATE)
    assert gravest([]) == ()
