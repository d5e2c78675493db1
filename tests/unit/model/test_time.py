"""Times as people read them."""

from backtestkit_cli.model.time import DAY_MS, clock_text, parse_time, to_second

NOON_MS = parse_time("2023-03-01T12:30") + 7_900


def test_a_time_is_written_to_the_second() -> None:
    assert to_second(NOON_MS) == "2023-03-01T12:30:07Z"
    assert to_second(parse_time("2023-03-01")) == "2023-03-01T00:00:00Z"


def test_the_day_of_a_time_is_told_where_it_is_another_one() -> None:
    assert clock_text(NOON_MS, NOON_MS + 60_000) == "12:30"
    assert clock_text(NOON_MS, NOON_MS + DAY_MS) == "03-01 12:30"
