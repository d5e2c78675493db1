"""A problem is written for people, and cannot steer the terminal."""

from backtestkit_cli.cli.messages import render_problem, render_source
from backtestkit_cli.errors import Problem, Source


def test_a_problem_shows_code_place_fault_and_advice() -> None:
    where = Source(file="configs/ema.yaml", line=14, column=7, key='strategies[0] "ema-cross" › rules › take_profitt')
    known = "candles, let"
    problem = Problem("unknown-key", "no such key", where, expected=known, hint="did you mean take_profit?")
    assert render_problem(problem) == (
        "error: unknown-key\n"
        '  configs/ema.yaml:14:7   strategies[0] "ema-cross" › rules › take_profitt\n'
        "  no such key; did you mean take_profit?\n"
        "  known here: candles, let"
    )


def test_found_expected_and_hint_stand_on_lines_of_their_own() -> None:
    problem = Problem(
        "bad-value", "the number is out of range", found="0", expected="a number above 0", hint="raise it"
    )
    assert render_problem(problem) == (
        "error: bad-value\n  the number is out of range\n  found: 0\n  expected: a number above 0\n  raise it"
    )


def test_a_place_in_the_candles_names_market_and_time() -> None:
    assert (
        render_source(Source(file="a.csv", line=3, symbol="BTCUSDT", time_ms=0))
        == "a.csv:3   BTCUSDT at 1970-01-01T00:00Z"
    )
    assert render_source(Source(time_ms=0)) == "at 1970-01-01T00:00Z"
    assert render_source(Source()) == ""


def test_control_characters_are_written_as_escapes() -> None:
    text = render_problem(Problem("x", "a\x1b[31m\x07\u202e\n\u2028\udc80"))
    assert text == "error: x\n  a\\x1b[31m\\x07\\u202e\\n\\u2028\\udc80"
