"""A misspelt key is always found, and answered with the key that was meant."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from backtestkit_cli.config import settings
from backtestkit_cli.config.fields import NamedSchema, Schema
from backtestkit_cli.config.market_schema import ExchangeSchema
from backtestkit_cli.config.problems import problems_of
from backtestkit_cli.config.read import KeyPath, read_file
from backtestkit_cli.config.schema import KINDS, UndecidedSchema, model_of
from backtestkit_cli.config.settings import Settings
from backtestkit_cli.config.stake_schema import SizingSchema
from backtestkit_cli.errors import Source

EVERYTHING = read_file(Path(__file__).parents[2] / "data" / "config" / "everything.yaml")[0]
FREE = {"params", "search", "let", "steps", "vary", "indicators"}  # their keys are chosen by the user
ABSTRACT = {Schema, NamedSchema, ExchangeSchema, SizingSchema}


def sections() -> Iterator[tuple[type[Schema], dict[str, Any]]]:
    yield Settings, EVERYTHING["settings"]
    for kind in KINDS:
        for entry in EVERYTHING[kind]:
            yield model_of(kind, entry), entry


def key_paths(values: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the paths of all keys that a model knows."""
    if isinstance(values, list):
        for index, inner in enumerate(values):
            yield from key_paths(inner, (*path, index))
    elif isinstance(values, dict):
        for key, inner in values.items():
            if not (path and path[-1] in FREE):
                yield (*path, key)
            if key == "steps" or not FREE & set(map(str, (*path, key))) or "steps" in path:
                yield from key_paths(inner, (*path, key))


def typos(key: str) -> Iterator[str]:
    for at in range(len(key) + 1):
        yield key[:at] + "x" + key[at:]
        if at < len(key):
            yield key[:at] + key[at + 1 :]
            yield key[:at] + "q" + key[at + 1 :]
        if at + 1 < len(key):
            yield key[:at] + key[at + 1] + key[at] + key[at + 2 :]


def renamed(values: Any, path: KeyPath, name: str) -> Any:
    """Give a copy with the last key of the path renamed."""
    if isinstance(values, list):
        return [renamed(one, path[1:], name) if index == path[0] else one for index, one in enumerate(values)]
    if len(path) == 1:
        return {name if key == path[0] else key: one for key, one in values.items()}
    return {key: renamed(one, path[1:], name) if key == path[0] else one for key, one in values.items()}


def siblings(values: Any, path: KeyPath) -> set[str]:
    for part in path[:-1]:
        values = values[part]
    return set(values)


def hints(model: type[Schema], values: Any) -> list[tuple[str, str | None]]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(values)
    found = problems_of(caught.value, lambda keys, _: Source(key=str(keys[-1]) if keys else ""))
    return [
        (problem.where.key or "", problem.hint) for problem in found if problem.code == "unknown-key" and problem.where
    ]


@pytest.mark.parametrize(("model", "values"), list(sections()), ids=lambda one: getattr(one, "__name__", ""))
def test_every_one_letter_typo_of_every_key_is_answered_with_the_key_meant(
    model: type[Schema], values: dict[str, Any]
) -> None:
    for path in key_paths(values):
        key = str(path[-1])
        for typo in set(typos(key)) - {key, ""}:
            if typo in siblings(values, path):
                continue
            assert (typo, f"did you mean {key}?") in hints(
                model_for(model, values, path, typo), renamed(values, path, typo)
            )


def model_for(model: type[Schema], values: dict[str, Any], path: KeyPath, typo: str) -> type[Schema]:
    """Choose the model again when the key that chooses it is the misspelt one."""
    for kind, chooser in (("exchanges", "use"), ("sizings", "method")):
        if issubclass(model, KINDS[kind]) and path == (chooser,):
            return model_of(kind, renamed(values, path, typo))
    return model


def models(start: type[Schema] = Schema) -> Iterator[type[Schema]]:
    for model in start.__subclasses__():
        yield model
        yield from models(model)


def test_the_configuration_of_this_test_uses_every_key_of_every_model() -> None:
    used = {str(path[-1]) for _, values in sections() for path in key_paths(values)}
    for model in models():
        if model not in ABSTRACT and not issubclass(model, UndecidedSchema):
            assert set(model.model_fields) <= used, model.__name__
    assert settings.Settings in set(models())
