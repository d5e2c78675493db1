"""What Python code gives for a config, as the plain values that files have.

Rules: mappings and lists are copied, so that later changes of them change nothing; tuples count as lists, paths as
their text, dates as ISO text. A function is kept in the registry and stands there as a reference. Texts keep the rules
of files: no control characters. What is wrong is told with the line of the caller.
"""

from collections.abc import Mapping
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any

from backtestkit_cli.config.problems import key_path, shown
from backtestkit_cli.config.read import FORBIDDEN, MAX_DEPTH, KeyPath
from backtestkit_cli.errors import ConfigError, Problem, Source
from backtestkit_cli.plugins.ports import PluginKind
from backtestkit_cli.plugins.registry import Registry

_FUNCTION_KEYS: Mapping[tuple[str, str], PluginKind] = {
    ("exchanges", "use"): "exchange",
    ("strategies", "use"): "strategy",
    ("strategies", "provider"): "provider",
    ("sizings", "method"): "sizing",
    ("risks", "checks"): "risk_check",
    ("optimizers", "use"): "provider",
    ("optimizers", "sources"): "source",
}


class Given:
    """Turns the values of one call into plain ones; `where` is the line of the call."""

    def __init__(self, kind: str, registry: Registry, where: Source) -> None:
        self._kind = kind
        self._registry = registry
        self._where = where

    def values(self, given: object, keys: Mapping[str, Any]) -> dict[str, Any]:
        """Give the keys and values of an entry, or of the settings: those of a mapping, if one is given, and `keys`.

        Raises:
            ConfigError: it is no mapping, or a value in it could stand in no file.
        """
        if given is not None and not isinstance(given, Mapping):
            expected = "a mapping of keys and values"
            raise self._refused("wrong-type", "a value of the wrong kind", (), found=shown(given), expected=expected)
        plain: dict[str, Any] = self._plain({**(given or {}), **keys}, ())
        return plain

    def _plain(self, value: Any, keys: KeyPath) -> Any:
        if len(keys) > MAX_DEPTH:
            raise self._refused("too-deep", f"values more than {MAX_DEPTH} deep", keys[:3])
        match value:
            case Mapping():
                return {self._key(key, keys): self._plain(one, (*keys, key)) for key, one in value.items()}
            case list() | tuple():
                return [self._plain(one, (*keys, place)) for place, one in enumerate(value)]
            case Enum():
                return self._plain(value.value, keys)
            case str():
                return self._text(value, keys)
            case Path():
                return self._text(str(value), keys)
            case date():
                return value.isoformat()
            case _:
                plugin_kind = self._plugin_kind(keys) if callable(value) else None
                return value if plugin_kind is None else self._registry.give(plugin_kind, value)

    def _key(self, key: object, keys: KeyPath) -> str:
        if not isinstance(key, str):
            raise self._refused("bad-key", "a key is a text", keys, found=shown(key))
        return self._text(key, keys)

    def _text(self, text: str, keys: KeyPath) -> str:
        if found := FORBIDDEN.search(text):
            raise self._refused("bad-character", f"the text holds the character {ord(found[0]):#04x}", keys)
        return text

    def _plugin_kind(self, keys: KeyPath) -> PluginKind | None:
        if len(keys) > 1 and keys[0] == "callbacks":
            return "callback"
        return _FUNCTION_KEYS.get((self._kind, str(keys[0]))) if keys else None

    def _refused(
        self, code: str, what: str, keys: KeyPath, *, found: str | None = None, expected: str | None = None
    ) -> ConfigError:
        place = Source(file=self._where.file, line=self._where.line, key=key_path(self._kind, None, None, keys))
        return ConfigError(Problem(code, what, place, found=found, expected=expected))
