"""Whether the list of what a language model may write holds: hostile texts, honest ones, and what can be reached."""

import builtins
import math
import sys
from collections import Counter
from types import ModuleType
from typing import Any

import polars as pl
import pytest
from honest_python import HONEST
from hostile_python import HOSTILE

import backtestkit_cli
from backtestkit_cli.plugins.drafted.allowed import refusals
from backtestkit_cli.plugins.drafted.allowed_names import ATTRIBUTES, FUNCTIONS, MODULES

MARKET = {"candles", "format_price", "format_quantity", "mode", "now", "price", "symbol"}
WINDOW = {"open", "high", "low", "close", "volume", "vwap", "argmax", "argmin", "cumsum", "tolist"}


@pytest.mark.parametrize(("kind", "text"), HOSTILE)
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_hostile_python_is_refused_with_its_place(kind: str, text: str) -> None:  # it names the case
    found = refusals(text, "draft.py")
    assert found
    assert all(problem.code == "not-allowed" and problem.where and problem.where.file for problem in found)


def test_each_kind_of_hostile_python_is_there_at_least_five_times() -> None:
    counts = Counter(kind for kind, _ in HOSTILE)
    assert len(counts) >= 8
    assert min(counts.values()) >= 5
    assert sum(counts.values()) >= 60


def test_a_refusal_tells_line_and_column() -> None:
    (problem,) = refusals("import polars as pl\n\nROWS = pl.read_csv('x')\n", "draft.py")
    assert problem.where
    assert (problem.where.line, problem.where.column) == (3, 8)
    assert "polars.read_csv" in problem.what


@pytest.mark.parametrize("name", HONEST)
def test_honest_python_is_accepted(name: str) -> None:
    assert refusals(HONEST[name], "draft.py") == []


def test_there_are_thirty_honest_strategies_and_all_of_our_examples() -> None:
    assert len(HONEST) >= 30
    assert {name.split("/")[-1] for name in HONEST} >= {"breakout.py", "momentum.py", "fade.py", "README.md 0"}


def test_no_other_module_of_the_standard_library_can_be_imported() -> None:
    for module in sys.stdlib_module_names - {"math"}:
        imports = (
            f"import {module}",
            f"import {module} as math",
            f"from {module} import x",
            f"from math import {module}",
        )
        assert all(refusals(text, "draft.py") for text in imports), module


def _members(value: Any) -> list[Any]:
    """What an allowed name after a dot gives on a value."""
    found = []
    for name in sorted(ATTRIBUTES):
        try:
            found.append(getattr(value, name))
        except Exception:  # noqa: BLE001  # a property of polars may refuse
            continue
    return found


def test_what_can_be_reached_holds_no_module_and_nothing_of_the_system() -> None:
    """From every value a draft begins with, over what it can call without arguments and every allowed name."""
    column, frame = pl.col("time"), pl.DataFrame({"time": [1, 2], "text": ["a", "b"]})
    queue: list[Any] = [
        *(getattr(pl, name) for name in MODULES["polars"]),
        *(getattr(math, name) for name in MODULES["math"]),
        *(getattr(backtestkit_cli, name) for name in MODULES["backtestkit_cli"]),
        *(getattr(builtins, name) for name in FUNCTIONS),
        *(
            column,
            frame,
            frame.lazy(),
            frame["time"],
            frame["text"],
            frame.lazy().group_by("time"),
            frame.group_by("time"),
        ),
        *(pl.when(True), pl.when(True).then(1), pl.when(True).then(1).when(True), column.dt, frame["time"].dt),
        *("text", 1, 1.5, [1], (1,), {"a": 1}, frame["time"].to_numpy(), range(3), None),
    ]
    expanded: set[object] = set()
    while queue:
        value = queue.pop()
        assert not isinstance(value, ModuleType)
        home = (getattr(value, "__module__", None) or "polars").split(".")[0]
        assert home in {"polars", "math", "builtins", "backtestkit_cli", "numpy", "typing", "collections"}, value
        kind = value if isinstance(value, type) else type(value)
        if (kind is value, kind) not in expanded:  # one value of a type has what all have
            expanded.add((kind is value, kind))
            queue += _members(value)
    assert len(expanded) > 30


def test_the_list_names_nothing_that_is_not_there() -> None:
    for module, names in MODULES.items():
        assert all(hasattr(sys.modules[module], name) for name in names), module
    column = pl.col("time")
    owners: list[Any] = [
        pl.Expr,
        pl.LazyFrame,
        pl.DataFrame,
        pl.Series,
        column.dt,
        pl.when(True),
        pl.when(True).then(1),
    ]
    owners += [pl.LazyFrame().group_by("time"), float, list, dict]
    unknown = {name for name in ATTRIBUTES if not any(hasattr(owner, name) for owner in owners)}
    assert unknown <= MARKET | WINDOW
