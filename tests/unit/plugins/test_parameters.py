"""Params of plugins: the signature is the schema."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import pytest
from pydantic import Field

from backtestkit_cli.errors import ConfigError
from backtestkit_cli.plugins.parameters import ParameterModel, parameters_of
from backtestkit_cli.plugins.reference import resolve
from backtestkit_cli.plugins.registry import Registry


class Side(StrEnum):
    LONG = "long"
    SHORT = "short"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    price: float | None = None


def full(  # type: ignore[no-untyped-def]  # one param has no type on purpose
    market: object,
    window: int,
    *,
    threshold: float = 0.5,
    name: str = "x",
    is_on: bool = True,
    side: Side = Side.LONG,
    kind: Literal["a", "b"] = "a",
    lengths: tuple[int, ...] = (1, 2),
    weights: list[float] | None = None,
    steps: Mapping[str, Step] | None = None,
    share: Annotated[float, Field(gt=0, le=1)] = 1.0,
    anything=None,
    schema: int = 0,
    copy: int = 0,
) -> dict[str, Any]:
    return {"window": window, "threshold": threshold, "side": side, "lengths": lengths, "steps": steps}


MODEL = parameters_of(full, given=1)


def problems(params: Mapping[str, object], model: ParameterModel = MODEL) -> list[tuple[str, str | None]]:
    return [(one.code, one.where.key if one.where else None) for one in model.problems(params)]


@pytest.mark.parametrize(
    "params",
    [
        {"window": 3},
        {"window": 3, "threshold": 1},
        {"window": 3, "threshold": float("nan")},
        {"window": 3, "side": "short", "kind": "b"},
        {"window": 3, "side": Side.SHORT},
        {"window": 3, "lengths": [5, 6], "weights": [1, 2.5]},
        {"window": 3, "lengths": (5, 6)},
        {"window": 3, "steps": {"BTC": {"price": 0.01}}},
        {"window": 3, "steps": {"BTC": Step(price=0.01)}},
        {"window": 3, "anything": object()},
        {"window": 3, "schema": 1, "copy": 2},
        {"window": 3, "share": 0.5},
        {"window": 10**30},
    ],
)
def test_right_params_have_no_problem(params: dict[str, object]) -> None:
    assert problems(params) == []
    assert set(MODEL.values(params)) == set(params)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, [("missing-key", "window")]),
        ({"windw": 3}, [("unknown-key", "windw"), ("missing-key", "window")]),
        ({"window": "3"}, [("wrong-value", "window")]),
        ({"window": 3.0}, [("wrong-value", "window")]),
        ({"window": True}, [("wrong-value", "window")]),
        ({"window": None}, [("wrong-value", "window")]),
        ({"window": 3, "threshold": True}, [("wrong-value", "threshold")]),
        ({"window": 3, "threshold": "0.5"}, [("wrong-value", "threshold")]),
        ({"window": 3, "name": 5}, [("wrong-value", "name")]),
        ({"window": 3, "is_on": 1}, [("wrong-value", "is_on")]),
        ({"window": 3, "side": "up"}, [("wrong-value", "side")]),
        ({"window": 3, "kind": "c"}, [("wrong-value", "kind")]),
        ({"window": 3, "weights": [1, "2"]}, [("wrong-value", "weights")]),
        ({"window": 3, "share": 2}, [("wrong-value", "share")]),
        ({"window": 3, "market": 1}, [("unknown-key", "market")]),
        (
            {"window": "x", "share": 2, "no": 1},
            [("unknown-key", "no"), ("wrong-value", "window"), ("wrong-value", "share")],
        ),
    ],
)
def test_wrong_params_are_all_told(params: dict[str, object], expected: list[tuple[str, str]]) -> None:
    assert problems(params) == expected
    with pytest.raises(ConfigError) as caught:
        MODEL.values(params)
    assert len(caught.value.problems) == len(expected)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    problem = MODEL.problems({"windw": 20, "window": 3})[0]
    assert problem.hint is not None
    assert problem.hint.startswith("did you mean window?")
    assert problem.found == "20"


def test_a_wrong_value_is_shown_with_what_was_expected() -> None:
    problem = MODEL.problems({"window": 3, "weights": [1, "2"]})[0]
    assert problem.found == "[1, '2']"
    assert problem.expected == "a valid number at [1]"
    assert f"{__file__}:" in problem.what


def test_secret_values_are_not_shown() -> None:
    def connect(api_key: str) -> None:
        pass

    model = parameters_of(connect, given=0)
    assert [one.found for one in model.problems({"api_key": 12345, "passwort": 1, "secret": "s"})] == ["1", None, None]


def test_values_are_of_the_types_that_were_asked_for() -> None:
    values = MODEL.values({"window": 3, "side": "short", "lengths": [5], "threshold": 1, "steps": {"B": {"price": 1}}})
    assert values == {
        "window": 3,
        "side": Side.SHORT,
        "lengths": (5,),
        "threshold": 1.0,
        "steps": {"B": Step(price=1.0)},
    }
    assert type(values["threshold"]) is float


def test_keywords_without_names_take_everything() -> None:
    def loose(market: object, *args: object, window: int = 3, **rest: object) -> None:
        pass

    model = parameters_of(loose, given=1)
    assert problems({"a": 1, "b": "x"}, model) == []
    assert model.values({"a": 1, "window": 2}) == {"a": 1, "window": 2}
    assert problems({"window": "x"}, model) == [("wrong-value", "window")]


def test_defaults_and_required_ones_are_known() -> None:
    assert "window" not in MODEL.defaults
    assert MODEL.defaults["lengths"] == (1, 2)
    assert MODEL.parameters["window"].is_required
    assert list(MODEL.parameters)[:3] == ["window", "threshold", "name"]


def test_a_model_has_a_json_schema_under_the_names_of_the_params() -> None:
    schema = MODEL.json_schema()
    assert schema["properties"]["window"] == {"title": "Window", "type": "integer"}
    assert schema["properties"]["schema"]["default"] == 0
    assert schema["required"] == ["window"]
    assert schema["additionalProperties"] is False


def test_a_schema_knows_nothing_of_types_json_cannot_say() -> None:
    def odd(path: Path, market: Registry | None = None, mark: object = Path()) -> None:
        pass

    schema = parameters_of(odd, given=0).json_schema()
    assert schema["properties"]["path"]["type"] == "string"
    assert list(schema["properties"]) == ["path", "market", "mark"]


def test_a_type_that_cannot_be_read_is_a_problem_of_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def buy(market: 'Nothing', *, window: 'Missing' = 3): pass")
    with pytest.raises(ConfigError) as caught:
        resolve("a.py:buy", "strategy", tmp_path, Registry())
    assert caught.value.code == "bad-signature"
    assert "Missing" in caught.value.problems[0].what


def test_the_type_of_the_first_parameter_need_not_be_readable(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "from __future__ import annotations\ndef buy(market: Nothing, *, window: int = 3): return window"
    )
    plugin = resolve("a.py:buy", "strategy", tmp_path, Registry())
    assert [one.code for one in plugin.check({"window": "x"})] == ["wrong-value"]
    assert plugin.bind({"window": 8})(None) == 8


def test_a_type_that_cannot_be_checked_is_a_problem_of_the_plugin() -> None:
    class Narrow(Protocol):
        def answer(self) -> int: ...

    def make(narrow: Narrow) -> None:
        pass

    with pytest.raises(ConfigError) as caught:
        parameters_of(make, given=0).problems({"narrow": 1})
    assert caught.value.code == "bad-signature"


def test_a_class_takes_the_params_of_its_making_and_what_it_asks_the_program_for(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "from pathlib import Path\nclass Files:\n"
        "    def __init__(self, path: str, project: Path, *, clock: 'Clock') -> None:\n"
        "        self.folder, self.clock = project / path, clock\n"
    )
    plugin = resolve("a.py:Files", "exchange", tmp_path, Registry())
    made = plugin.bind({"path": "candles"}, clock="tick", broker="nobody asked")()
    assert (made.folder, made.clock) == (tmp_path / "candles", "tick")
    assert [one.code for one in plugin.check({"path": "x", "project": "y"})] == ["unknown-key"]


def test_a_strategy_may_have_params_of_any_name(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def buy(market, *, project: int, clock: int = 1): return project, clock")
    plugin = resolve("a.py:buy", "strategy", tmp_path, Registry())
    assert plugin.bind({"project": 3}, clock="tick")(None) == (3, 1)
