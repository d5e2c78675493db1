"""What the files of a config say together, before it is checked, and where each part of it stands.

Rules: a place is that of the `--set` or of the line of Python that gave the value last, else that of the file; a
mapping that only a `--set` below it made has the place of that; a path that nothing gives has the place of what would
hold it.
"""

from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from backtestkit_cli.config.problems import key_path, locator
from backtestkit_cli.config.read import KeyPath, SourceMap
from backtestkit_cli.errors import Problem, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One raw entry of a kind, and where it stands."""

    kind: str
    name: str | None
    index: int
    values: Any
    source_map: SourceMap

    def where(self, keys: KeyPath = (), at: str = "value") -> Source:
        """Give the place of a key path inside the entry."""
        locate = locator(self.source_map, (self.kind, self.index), self.kind, self.name)
        return locate(keys, at)

    def has(self, keys: KeyPath) -> bool:
        """Whether its file gives a value at this very path."""
        return (self.kind, self.index, *keys) in self.source_map.places


@dataclass(slots=True)
class Draft:
    """What the files say, merged and not yet checked."""

    settings: dict[str, Any] = field(default_factory=dict)
    settings_maps: dict[KeyPath, SourceMap] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    source_maps: list[SourceMap] = field(default_factory=list)
    overridden: dict[KeyPath, Source] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    is_complete: bool = True

    def copy(self) -> "Draft":
        """Give a draft that can be changed while this one stays; it has no problems yet."""
        return Draft(
            settings=deepcopy(self.settings),
            settings_maps=dict(self.settings_maps),
            entries=list(self.entries),
            source_maps=list(self.source_maps),
            overridden=dict(self.overridden),
        )

    def named(self, kind: str) -> dict[str, Entry]:
        """Give the entries of a kind by name; of two with one name the first."""
        found: dict[str, Entry] = {}
        for entry in self.entries:
            if entry.kind == kind and entry.name is not None:
                found.setdefault(entry.name, entry)
        return found

    def where(self, kind: str, name: str | None, keys: KeyPath, at: str = "value") -> Source:
        """Give the place of a key path of the settings (without a name) or of an entry."""
        if kind == "settings":
            return self._where_in_settings(keys, at)
        path = key_path(kind, None, name, keys)
        for depth in range(len(keys), -1, -1):
            place = self.overridden.get((kind, name or "", *keys[:depth]))
            if place is not None:
                return replace(place, key=path)
        entry = self.named(kind).get(name or "")
        below = None if entry and entry.has(keys) else self._override_below((kind, name or "", *keys))
        if below is not None:
            return replace(below, key=path)
        return entry.where(keys, at) if entry else Source(key=path)

    def _override_below(self, path: KeyPath) -> Source | None:
        """The place of the first override that gave something below a path."""
        return next((place for given, place in self.overridden.items() if given[: len(path)] == path), None)

    def _where_in_settings(self, keys: KeyPath, at: str) -> Source:
        path = key_path("settings", None, None, keys)
        whole = ("settings", *keys)
        below = None if whole in self.settings_maps else self._override_below(whole)
        if below is not None:
            return replace(below, key=path)
        for depth in range(len(keys), -1, -1):
            part = ("settings", *keys[:depth])
            if part in self.overridden:
                return replace(self.overridden[part], key=path)
            if part in self.settings_maps:
                return self.settings_maps[part].source(("settings", *keys), at=at, key=path)
        return Source(key=path)
