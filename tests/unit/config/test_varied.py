"""Lists and ranges of values to try."""

from typing import Any

import pytest
from pydantic import ValidationError

from backtestkit_cli.config.contest_schema import WalkerSchema
from backtestkit_cli.config.problems import problems_of
from backtestkit_cli.errors import Source


def varied(value: Any) -> Any:
    given = {"name": "w", "exchange": "e", "frame": "f", "strategies": ["a"], "vary": {"a": {"x": value}}}
    return WalkerSchema.model_validate(given).vary["a"]["x"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([8, 2.5, True, "no"], (8, 2.5, True, "no")),
        ({"from": 8, "to": 16, "step": 4}, (8, 12, 16)),
        ({"from": 8, "to": 17, "step": 4}, (8, 12, 16)),
        ({"from": 3, "to": 3, "step": 1}, (3,)),
        ({"from": -1, "to": 1, "step": 1}, (-1, 0, 1)),
        ({"from": 0.1, "to": 0.5, "step": 0.1}, (0.1, 0.2, 0.3, 0.4, 0.5)),
        ({"from": 1, "to": 2, "step": 0.5}, (1.0, 1.5, 2.0)),
    ],
)
def test_a_range_is_a_short_way_to_write_a_list(value: Any, expected: tuple[Any, ...]) -> None:
    assert [(one, type(one)) for one in varied(value)] == [(one, type(one)) for one in expected]


@pytest.mark.parametrize(
    ("value", "code", "keys"),
    [
        (3, "wrong-type", ("vary", "a", "x")),
        ([], "bad-value", ("vary", "a", "x")),
        ([1, 2, 1], "listed-twice", ("vary", "a", "x")),
        ({"from": 8, "to": 16}, "missing-key", ("vary", "a", "x")),
        ({"from": 8, "too": 16, "step": 4}, "unknown-key", ("vary", "a", "x", "too")),
        ({"from": "8", "to": 16, "step": 4}, "wrong-type", ("vary", "a", "x", "from")),
        ({"from": True, "to": 16, "step": 4}, "wrong-type", ("vary", "a", "x", "from")),
        ({"from": 8, "to": 7, "step": 4}, "bad-value", ("vary", "a", "x", "to")),
        ({"from": 8, "to": 16, "step": 0}, "bad-value", ("vary", "a", "x", "step")),
        ({"from": 0, "to": 1e9, "step": 1}, "bad-value", ("vary", "a", "x", "step")),
    ],
)
def test_what_is_wrong_with_a_range_is_told_at_its_key(value: Any, code: str, keys: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        varied(value)
    (problem,) = problems_of(caught.value, lambda keys, at: Source(key=str(keys)))
    assert (problem.code, problem.where and problem.where.key) == (code, str(keys))
