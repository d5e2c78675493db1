"""How much history each form of an expression asks for, before it may decide and until it has settled."""

import pytest

from backtestkit_cli.engine.rules.functions import Span
from backtestkit_cli.engine.rules.history import Reach, longest_minutes, reaches
from backtestkit_cli.engine.rules.parse import Scope, parse

ROW = 15


@pytest.mark.parametrize(
    ("text", "needed", "settled"),
    [
        pytest.param("2", 15, 15, id="a number reaches one row"),
        pytest.param("close", 15, 15, id="a column reaches its own row"),
        pytest.param("sma(2, 3)", 15, 15, id="a window over a number needs no candle"),
        pytest.param("atr(4)", 20 * 15, 84 * 15, id="a function with columns of its own"),
        pytest.param("sma(ema(close, 4), 3)[2]", 17 * 15, 49 * 15, id="nested functions add up"),
        pytest.param("rising(close, 3)", 4 * 15, 4 * 15, id="steps reach one row further"),
        pytest.param("on('1h', close)", 60 + 45, 60 + 45, id="another interval, and its age"),
        pytest.param("on('1h', ema(close, 2))", 6 * 60 + 45, 22 * 60 + 45, id="a function there"),
        pytest.param("rma(on('1h', close), 2)", 60 + 10 * 15 + 45, 60 + 42 * 15 + 45, id="a function around it"),
        pytest.param("on('1h', close)[3]", 60 + 3 * 15 + 45, 60 + 3 * 15 + 45, id="rows before"),
        pytest.param("close > sma(close, 9) or atr(1) > 1", 9 * 15, 21 * 15, id="the longest of all paths"),
    ],
)
def test_minutes_before_a_row_that_must_exist(text: str, needed: int, settled: int) -> None:
    found = reaches(parse(text), {})
    assert longest_minutes(found, ROW, settled=False) == needed
    assert longest_minutes(found, ROW, settled=True) == settled


def test_a_name_reaches_what_it_names() -> None:
    line = reaches(parse("sma(close, 3)"), {})
    assert line == {Reach(on_interval=Span(3, 3))}
    named = reaches(parse("line[2]", Scope(lets={"line": "number"})), {"line": line})
    assert named == {Reach(on_interval=Span(3, 3, 2))}


@pytest.mark.parametrize(("interval", "row", "minutes"), [(None, 15, 0), (60, 15, 45), (5, 15, 0), (30, 45, 15)])
def test_a_candle_of_another_interval_may_have_closed_a_while_ago(interval: int | None, row: int, minutes: int) -> None:
    assert Reach(interval_minutes=interval).lag_minutes(row) == minutes
