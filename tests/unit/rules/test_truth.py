"""The three-valued truth tables."""

import numpy as np
import pytest

from backtestkit_cli.engine.candles import Bools
from backtestkit_cli.engine.rules.truth import Truth, both, compare, earlier_truth, either, opposite


def _truth(letters: str) -> Truth:
    column = np.array(list(letters))
    yes: Bools = column == "T"
    no: Bools = column == "F"
    return Truth(yes, no)


def _letters(value: Truth) -> str:
    assert not (value.yes & value.no).any()
    return "".join("T" if yes else "F" if no else "?" for yes, no in zip(value.yes, value.no, strict=True))


LEFT, RIGHT = "TTTFFF???", "TF?TF?TF?"


def test_and_or_not_follow_kleene() -> None:
    assert _letters(both(_truth(LEFT), _truth(RIGHT))) == "TF?FFF?F?"
    assert _letters(either(_truth(LEFT), _truth(RIGHT))) == "TTTTF?T??"
    assert _letters(opposite(_truth("TF?"))) == "FT?"


@pytest.mark.parametrize(
    ("sign", "expected"),
    [("<", "TFF??"), ("<=", "TTF??"), (">", "FFT??"), (">=", "FTT??"), ("==", "FTF??"), ("!=", "TFT??")],
)
def test_comparisons_with_null_are_unknown(sign: str, expected: str) -> None:
    left, right = np.array([1, 2, 3, np.nan, np.nan]), np.array([2, 2, 2, 2, np.nan])
    assert _letters(compare(sign, left, right)) == expected


def test_before_the_first_row_nothing_is_known() -> None:
    assert _letters(earlier_truth(_truth("TF?T"), 2)) == "??TF"
    assert _letters(earlier_truth(_truth("TF"), 5)) == "??"
    assert _letters(earlier_truth(_truth("TF"), 0)) == "TF"
