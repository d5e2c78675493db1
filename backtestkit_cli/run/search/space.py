"""Which params a search tries, and which values of each: in ascending order, whatever order they were written in.

* What is given with the search counts alone; else `search:` of the strategy, else the signature of its function.
* A signature offers truth values, `Literal[…]`, whole numbers between `ge` and `le`, and floats that also have a
  `multiple_of`.
* Every space is finite: each param has a list of values.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.problems import did_you_mean
from backtestkit_cli.config.read import resolve as read_scalar
from backtestkit_cli.config.varied import KEYS, MOST_VALUES, Varied, values_of
from backtestkit_cli.errors import ConfigError, Problem, Source, UsageError
from backtestkit_cli.measure.contest import Param
from backtestkit_cli.plugins.reference import resolve
from backtestkit_cli.plugins.registry import Registry

Values: TypeAlias = tuple[bool | int | float | str, ...]
Space: TypeAlias = tuple[tuple[str, Values], ...]
"""Each param with its values; params are in order of code points."""

_HOW = "give values with --vary fast=8,12,16 or fast=8..16:4, or as `search: {fast: [8, 12, 16]}` of the strategy"


def size_of(space: Space) -> int:
    """How many combinations there are."""
    return math.prod(len(values) for _, values in space)


def combination(space: Space, place: int) -> tuple[Param, ...]:
    """The combination at a place of the product, the last param fastest."""
    found: list[Param] = []
    for name, values in reversed(space):
        place, one = divmod(place, len(values))
        found.append((name, values[one]))
    return tuple(reversed(found))


def place_of(space: Space, params: Sequence[Param]) -> tuple[int, ...]:
    """Where a combination stands in the product: the place of each of its values."""
    return tuple(values.index(value) for (_, values), (_, value) in zip(space, params, strict=True))


def read_vary(texts: Sequence[str]) -> dict[str, Any]:
    """Read `fast=8,12,16` and `fast=8..16:4` as values of params.

    Raises:
        UsageError: one of them says no values.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, written = text.partition("=")
        if not equals or not name.strip() or not written.strip():
            raise UsageError(_refused(text, "this is no NAME=VALUES"))
        if name.strip() in found:
            raise UsageError(_refused(text, f"{name.strip()} is varied twice"))
        found[name.strip()] = _written(text, written.strip())
    return found


def space_of(config: Config, strategy: str, registry: Registry, given: Mapping[str, object]) -> Space:
    """Say what a search of a strategy tries.

    Raises:
        UsageError: what was given says no values, or of no param of the strategy.
        ConfigError: there is nothing to try, or its code cannot be used.
        StrategyError: its code raised while it was loaded.
    """
    schema = config.strategies[strategy]
    found: Mapping[str, Values] = _checked(config, strategy, given) if given else schema.search
    if not found and schema.use:
        found = _of_signature(config, schema.use, registry)
    if not found:
        what, where = f"nothing says which params of {strategy} to try", config.where("strategies", strategy)
        raise ConfigError(Problem("no-search-space", what, where, hint=_HOW))
    return tuple((name, tuple(sorted(found[name], key=_order))) for name in sorted(found))


def place_of_values(config: Config, strategy: str, param: str, *, is_given: bool) -> Source:
    """Where the values of a param are said."""
    if is_given:
        return Source(key=f"--vary {param}")
    if param in config.strategies[strategy].search:
        return config.where("strategies", strategy, "search", param)
    return config.where("strategies", strategy, "use")


def _written(text: str, written: str) -> object:
    try:
        first, dots, rest = written.partition("..")
        if dots:
            last, _, step = rest.partition(":")
            return {key: read_scalar(one.strip()) for key, one in zip(KEYS, (first, last, step or "1"), strict=True)}
        return [read_scalar(one.strip()) for one in written.split(",")]
    except ValueError as error:
        raise UsageError(_refused(text, str(error))) from None


def _checked(config: Config, strategy: str, given: Mapping[str, object]) -> dict[str, Values]:
    from pydantic import TypeAdapter, ValidationError

    adapter: TypeAdapter[Values] = TypeAdapter(Varied)
    schema, found = config.strategies[strategy], {}
    for name, values in given.items():
        if schema.rules is not None and name not in schema.params:
            known, hint = ", ".join(schema.params) or "none", did_you_mean(name, schema.params)
            where = Source(key=f"--vary {name}")
            raise UsageError(
                Problem("unknown-name", f"{strategy} has no param {name}", where, expected=known, hint=hint)
            )
        try:
            found[name] = adapter.validate_python(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise UsageError(_refused(name, first["msg"])) from None
    return found


def _of_signature(config: Config, use: str, registry: Registry) -> dict[str, Values]:
    told = resolve(use, "strategy", config.project, registry).parameters.json_schema().get("properties", {})
    found = {name: _of_schema(name, one) for name, one in told.items()}
    return {name: values for name, values in found.items() if len(values) > 1}


def _of_schema(name: str, told: Mapping[str, Any]) -> Values:
    """The values that the JSON schema of a param allows, if they can be listed."""
    if told.get("type") == "boolean":
        return (False, True)
    if "enum" in told:
        return tuple(told["enum"])
    step = told.get("multipleOf", 1 if told.get("type") == "integer" else None)
    low, high = told.get("minimum"), told.get("maximum")
    if told.get("type") == "integer":
        low = told["exclusiveMinimum"] + 1 if low is None and "exclusiveMinimum" in told else low
        high = told["exclusiveMaximum"] - 1 if high is None and "exclusiveMaximum" in told else high
    if step is None or low is None or high is None:
        return ()
    first = low if not low % step else (low // step + 1) * step
    if (high - first) / step >= MOST_VALUES:
        what, expected = f"{name} has too many values to try", f"at most {MOST_VALUES}"
        raise ConfigError(Problem("too-many-variants", what, Source(key=name), expected=expected, hint=_HOW))
    return values_of(first, high, step) if first <= high else ()


def _order(value: bool | float | str) -> tuple[bool, float, str]:
    return (True, 0.0, value) if isinstance(value, str) else (False, float(value), "")


def _refused(text: str, what: str) -> Problem:
    return Problem("bad-vary", what, Source(key=f"--vary {text}"), expected="fast=8,12,16 or fast=8..16:4")
