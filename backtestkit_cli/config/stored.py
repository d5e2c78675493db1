"""What a run bundle keeps of a config, and the config that is made of it again.

Rules: only what a run used is kept, and what the defaults name, so that it loads without the rest. `${NAME}` stays as
it is; a secret that a file spells out is masked. Where live runs write and whom they tell is no part of a run.
"""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from backtestkit_cli.config.draft import Draft
from backtestkit_cli.config.merge import Config, checked, refuse_twins, take_values
from backtestkit_cli.config.problems import is_secret
from backtestkit_cli.config.read import KeyPath, SourceMap
from backtestkit_cli.errors import Problem, UsageError
from backtestkit_cli.redact import MASK, Redactor

KEPT = "the config that was kept"
"""Stands in messages where a file would."""
LIVE_ONLY = frozenset({"notify", "state", "broker", "metrics"})


def kept(config: Config, used: Mapping[str, set[str]]) -> dict[str, Any]:
    """Give the settings and the named entries of each kind as plain values; defaults are left out."""
    sections: dict[str, Any] = {
        "settings": config.settings.model_dump(mode="json", exclude_unset=True, exclude=set(LIVE_ONLY))
    }
    for kind, names in used.items():
        schemas = [schema for name, schema in getattr(config, kind).items() if name in names]
        if schemas:
            sections[kind] = [schema.model_dump(mode="json", exclude_unset=True) for schema in schemas]
    masked: dict[str, Any] = without_secrets(sections)
    return masked


def without_secrets(values: Any, keys: KeyPath = ()) -> Any:
    """Mask every secret in plain values; `${NAME}` is none."""
    match values:
        case dict():
            return {key: without_secrets(value, (*keys, key)) for key, value in values.items()}
        case list():
            return [without_secrets(value, keys) for value in values]
        case str() if is_secret(keys) and "${" not in values:
            return MASK
        case _:
            return values


def restored(values: Mapping[str, Any], project: Path, name: str) -> Config:
    """Make the config that was kept of what `name` says; relative paths in it belong to the project as it is now.

    Raises:
        UsageError: a strategy rests on a secret, which is not stored: its code cannot be asked again.
        ConfigError: this version of the program cannot read it.
    """
    for strategy in values.get("strategies", ()):
        for key, value in strategy.get("params", {}).items():
            if value == MASK:
                param = f"strategies.{strategy['name']}.params.{key}"
                what = f"{name} cannot be done again: {param} is a secret, and secrets are not stored"
                hint = "give the param another name if it is no secret"
                raise UsageError(Problem("run-not-repeatable", what, hint=hint))
    return reread(values, project)


def reread(values: Mapping[str, Any], project: Path) -> Config:
    """Make the config that was kept, to be looked at: what rests on a secret is not as it was.

    Raises:
        ConfigError: this version of the program cannot read it.
    """
    draft = Draft()
    take_values(draft, deepcopy(dict(values)), SourceMap(KEPT))
    refuse_twins(draft)
    return checked(draft, project, Redactor())
