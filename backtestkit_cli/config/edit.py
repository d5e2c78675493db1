"""Changes of a config from Python: each gives a new one, checked like a file, and the old one stays as it is.

Rules: an entry is added once; what is changed is merged key by key into mappings, everything else, lists too, is
replaced; None takes a key away. References between kinds are checked after each change. Every place in a message is
that of the last change of a value: the line of Python that made it, else the file.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backtestkit_cli.config.draft import Draft, Entry
from backtestkit_cli.config.merge import Config, checked, refuse_twins
from backtestkit_cli.config.problems import did_you_mean
from backtestkit_cli.config.read import KeyPath, SourceMap
from backtestkit_cli.config.schema import KINDS
from backtestkit_cli.errors import ConfigError, Problem, Source, UsageError
from backtestkit_cli.redact import Redactor


@dataclass(frozen=True, slots=True)
class CallMap(SourceMap):
    """A call in Python code, whose line is the place of everything it gives."""

    line: int | None = None

    def source(self, path: KeyPath, *, at: str = "value", key: str | None = None) -> Source:  # noqa: ARG002  # one line
        """Give the line of the call."""
        return Source(file=self.file, line=self.line, key=key)


def kind_named(text: str) -> str:
    """Give the kind a word means: `strategies`, or one of them, `strategy`.

    Raises:
        UsageError: there is no such kind.
    """
    for kind in KINDS:
        if text in (kind, singular(kind)):
            return kind
    raise UsageError(Problem("unknown-kind", f"there is no kind {text}", expected=", ".join(KINDS)))


def singular(kind: str) -> str:
    """Give the word for one of a kind."""
    return "strategy" if kind == "strategies" else kind.removesuffix("s")


def unknown_entry(known: Mapping[str, object], kind: str, name: str, where: Source | None = None) -> Problem:
    """Say that a kind has no such entry, and which it has."""
    expected, hint = ", ".join(known) or None, did_you_mean(name, known)
    return Problem("unknown-name", f"no {name} in {kind}", where, expected=expected, hint=hint)


def empty_config(project: Path) -> Config:
    """Give a config that says nothing."""
    return checked(Draft(), project.resolve(), Redactor())


def with_entry(config: Config, kind: str, values: dict[str, Any], where: Source) -> Config:
    """Add an entry of a kind.

    Raises:
        ConfigError: it is wrong, or its name is taken.
    """
    draft = config.draft.copy()
    name = values.get("name")
    index = sum(entry.kind == kind for entry in draft.entries)
    place = CallMap(where.file or "", line=where.line)
    known_name = name if isinstance(name, str) else None
    draft.entries.append(Entry(kind=kind, name=known_name, index=index, values=values, source_map=place))
    refuse_twins(draft)
    return checked(draft, config.project, config.redactor)


def with_changes(config: Config, kind: str, name: str, values: dict[str, Any], where: Source) -> Config:
    """Change keys of an entry.

    Raises:
        ConfigError: there is no such entry, its name would change, or it would be wrong then.
    """
    draft = config.draft.copy()
    entries = draft.named(kind)
    if name not in entries:
        raise ConfigError(unknown_entry(entries, kind, name, where))
    entry = entries[name]
    if values.get("name", name) != name:
        what, hint = f"the name of {name} cannot be changed", "add another entry instead"
        raise ConfigError(Problem("bad-override", what, where, found=str(values["name"])[:60], hint=hint))
    merged = deepcopy(entry.values)
    _merge(draft, merged, values, (kind, name), where)
    draft.entries[draft.entries.index(entry)] = replace(entry, values=merged)
    return checked(draft, config.project, config.redactor)


def with_settings(config: Config, values: dict[str, Any], where: Source) -> Config:
    """Change keys of the settings.

    Raises:
        ConfigError: something would be wrong then.
    """
    draft = config.draft.copy()
    draft.settings_maps.setdefault(("settings",), CallMap(where.file or "", line=where.line))
    _merge(draft, draft.settings, values, ("settings",), where)
    return checked(draft, config.project, config.redactor)


def _merge(draft: Draft, into: dict[str, Any], values: Mapping[str, Any], path: KeyPath, where: Source) -> None:
    for key, value in values.items():
        here = (*path, key)
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(draft, into[key], value, here, where)
            continue
        if value is None:
            into.pop(key, None)
        else:
            into[key] = value
        for covered in [one for one in draft.overridden if one[: len(here)] == here]:
            del draft.overridden[covered]
        draft.overridden[here] = where
