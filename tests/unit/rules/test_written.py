"""An expression is written as a rule that reads back as the same expression."""

import re

import pytest

from backtestkit_cli.engine.rules.parse import Scope, parse
from backtestkit_cli.engine.rules.written import number_text, written

SCOPE = Scope(
    params={"fast": 12, "share": 0.5, "is_on": True, "is_off": False, "low_end": -3, "little": -0.5, "nothing": 0},
    lets={"line": "number", "up": "truth"},
)
WORDS = re.compile(r"\w+")
WRITTEN = {
    "close > open": "close > open",
    "ema(close, fast) >= line * share": "ema(close, 12) >= line * 0.5",
    "close - (open - high) > 1": "close - (open - high) > 1",
    "(close - open) - high > 1": "close - open - high > 1",
    "(close + open) - high > 1": "close + open - high > 1",
    "(close - open) + high > 1": "close - open + high > 1",
    "close + (open - high) > 1": "close + (open - high) > 1",
    "(close - open) * 2 > 1": "(close - open) * 2 > 1",
    "close * (open / high) > 1": "close * (open / high) > 1",
    "(close / open) * high > 1": "close / open * high > 1",
    "(close * open) / high > 1": "close * open / high > 1",
    "-(close * open) < 2": "-(close * open) < 2",
    "-close * open < 2": "-close * open < 2",
    "(-close)[1] < 2": "(-close)[1] < 2",
    "-(close[1]) < 2": "-close[1] < 2",
    "low_end[1] < nothing[2]": "(-3)[1] < 0[2]",
    "little[1] < close": "(-0.5)[1] < close",
    "up and (up and close > 1)": "up and (up and close > 1)",
    "up or (up or close > 1)": "up or (up or close > 1)",
    "close / (open * 2) < -3.5": "close / (open * 2) < -3.5",
    "(close + open) * 2 != high": "(close + open) * 2 != high",
    "-(close + 1) < 2": "-(close + 1) < 2",
    "- -close < 2": "--close < 2",
    "up or close > 1 and not up": "up or close > 1 and not up",
    "(up or close > 1) and not (up or up)": "(up or close > 1) and not (up or up)",
    "not (close > 1 and up)": "not (close > 1 and up)",
    "on('1h', close > ema(close, 24))": "on('1h', close > ema(close, 24))",
    "(close + open)[2] > line[1]": "(close + open)[2] > line[1]",
    "(close > open)[1]": "(close > open)[1]",
    "crosses_above(close, sma(close, 8))": "crosses_above(close, sma(close, 8))",
    "max(close, open, 100000) > 1": "max(close, open, 100000) > 1",
    "is_on and not is_off": "true and not false",
}


@pytest.mark.parametrize("text", WRITTEN)
def test_an_expression_is_written_with_its_params_and_no_spare_brackets(text: str) -> None:
    expression = parse(text, SCOPE, kind="truth")
    assert written(expression) == WRITTEN[text]


@pytest.mark.parametrize(
    "text", [text for text in WRITTEN if not {"is_on", "low_end", "little"} & set(WORDS.findall(text))]
)
def test_what_is_written_reads_back_as_the_same(text: str) -> None:
    expression = parse(text, SCOPE, kind="truth")
    assert parse(written(expression), SCOPE, kind="truth") == expression


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12.0, "12"),
        (0.5, "0.5"),
        (-3.0, "-3"),
        (1e16, "1e+16"),
        (-1e16, "-1e+16"),
        (1e15, "1000000000000000.0"),
        (1e15 - 1, "999999999999999"),
    ],
)
def test_whole_numbers_are_written_without_a_point(value: float, text: str) -> None:
    assert number_text(value) == text
