"""Shows what a config amounts to: every value with its origin, and the schema that editors read.

Rules: secrets, and whatever comes from the environment, are masked. Values not given are shown with their default.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic.json_schema import models_json_schema

from backtestkit_cli.config.market_schema import PluginExchange
from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.problems import is_secret
from backtestkit_cli.config.read import KeyPath, write_text
from backtestkit_cli.config.schema import EXCHANGES, KINDS, SIZINGS
from backtestkit_cli.config.settings import Settings
from backtestkit_cli.config.stake_schema import PluginSizing
from backtestkit_cli.redact import MASK


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One value; `origin` is `file:line`, `--set` or `default`."""

    path: str
    value: Any
    origin: str


def effective(config: Config) -> list[Row]:
    """List every value of the settings and of all schemas, defaults included."""
    rows = [
        Row(path=_dotted("settings", keys), value=_masked(keys, value), origin=_origin(config, "settings", None, keys))
        for keys, value in _leaves(config.settings.model_dump(mode="json"))
    ]
    for kind in KINDS:
        for name, schema in getattr(config, kind).items():
            for keys, value in _leaves(schema.model_dump(mode="json", exclude_none=True)):
                origin = _origin(config, kind, name, keys)
                rows.append(Row(path=_dotted(f"{kind}.{name}", keys), value=_masked(keys, value), origin=origin))
    return rows


def overridden(config: Config) -> dict[str, Any]:
    """Give what `--set` changed, by path; secrets are masked."""
    return {row.path: row.value for row in effective(config) if row.origin == "--set"}


def to_yaml(config: Config) -> str:
    """Write the config as YAML that loads to an equal one; `${NAME}` stays as it is."""
    return write_text(config.plain())


def json_schema() -> dict[str, Any]:
    """Describe config files for editors, as JSON Schema."""
    kinds: dict[str, list[Any]] = {kind: [model] for kind, model in KINDS.items()}
    kinds["exchanges"] = [*EXCHANGES.values(), PluginExchange]
    kinds["sizings"] = [*SIZINGS.values(), PluginSizing]
    models = [Settings, *(model for several in kinds.values() for model in several)]
    places, shared = models_json_schema([(model, "validation") for model in models])
    sections: dict[str, Any] = {"settings": places[(Settings, "validation")]}
    for kind, several in kinds.items():
        forms = [places[(model, "validation")] for model in several]
        sections[kind] = {"type": "array", "items": {"anyOf": forms} if len(forms) > 1 else forms[0]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "backtestkit config",
        "type": "object",
        "additionalProperties": False,
        "properties": sections,
        **shared,
    }


def _leaves(value: Any, keys: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Yield values without parts: scalars, lists of scalars, and what is empty."""
    parts: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        parts = list(value.items())
    elif isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        parts = list(enumerate(value))
    if not parts:
        if value != {} or not keys:
            yield keys, value
        return
    for key, inner in parts:
        yield from _leaves(inner, (*keys, key))


def _masked(keys: KeyPath, value: Any) -> Any:
    if isinstance(value, list):
        return [_masked(keys, one) for one in value]
    if isinstance(value, str) and ("${" in value or is_secret(keys)):
        return MASK
    return value


def _dotted(head: str, keys: KeyPath) -> str:
    return ".".join([head, *map(str, keys)])


def _origin(config: Config, kind: str, name: str | None, keys: KeyPath) -> str:
    """Say where a value was given; the place counts only if it is that of this very key."""
    path: KeyPath = keys if name is None else (name, *keys)
    where = config.where(kind, *path)
    if where.file is None:
        return "default"
    if where.file.startswith("--set "):
        return "--set"
    return f"{where.file}:{where.line}" if config.is_given(kind, *path) else "default"
