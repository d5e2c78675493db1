"""Which names plugins have: what was registered by decorator, is built in, or is installed as an entry point.

- Registering stores and nothing else: no import, no call, and a decorator returns its function unchanged.
- A project knows its own names and those of this process, our built-in ones among them; the same name twice is refused,
  unless it comes from the same line again. Entry points are read only for a name nobody else has, and a broken one
  troubles only who asks for it.
- What a file registers while a project loads it belongs to that project alone.
- A function given as it is has a reference for a name, with a colon in it, which no registered name has.
"""

import re
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from backtestkit_cli.errors import ConfigError, Problem, Source
from backtestkit_cli.plugins.builtin import BUILT_IN
from backtestkit_cli.plugins.code import reference_to
from backtestkit_cli.plugins.places import place_of, text_of
from backtestkit_cli.plugins.ports import PluginKind

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Function = TypeVar("Function", bound=Callable[..., Any])
InstalledPlugins: TypeAlias = Callable[[str], "Iterable[EntryPoint]"]

GROUPS: Mapping[PluginKind, str] = MappingProxyType(
    {
        "strategy": "backtestkit.strategies",
        "exchange": "backtestkit.exchanges",
        "risk_check": "backtestkit.risks",
        "sizing": "backtestkit.sizings",
        "store": "backtestkit.stores",
        "notifier": "backtestkit.notifiers",
        "broker": "backtestkit.brokers",
        "source": "backtestkit.sources",
        "provider": "backtestkit.providers",
        "callback": "backtestkit.callbacks",
    }
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RECEIVER: "ContextVar[Registry]" = ContextVar("receiver")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A name with what it stands for: a callable, or the text `package.module:name` of one not loaded yet."""

    kind: PluginKind
    name: str
    target: Callable[..., Any] | str
    where: Source


KnownPlugins: TypeAlias = ChainMap[tuple[PluginKind, str], Registration]


@cache
def installed_plugins(group: str) -> "tuple[EntryPoint, ...]":
    """The entry points of a group, read from the metadata of installed packages; none of them is imported."""
    from importlib.metadata import entry_points

    return tuple(entry_points(group=group))


class Registry:
    """The plugins one project can name. `files` are the modules it has loaded from paths."""

    def __init__(self, known: KnownPlugins | None = None, installed: InstalledPlugins = installed_plugins) -> None:
        self._known = KnownPlugins() if known is None else known
        self._installed = installed
        self.files: dict[Path, ModuleType] = {}

    def child(self) -> "Registry":
        """A registry that knows all of this one and keeps what is added to it for itself."""
        return Registry(self._known.new_child(), self._installed)

    def register(self, kind: PluginKind, name: str, function: Callable[..., Any] | str, where: Source) -> None:
        """Give a plugin its name. A text is taken as a reference to one that is loaded when it is first used.

        Raises:
            ConfigError: the name is taken (both places are named) or cannot be a name.
        """
        if not _NAME.fullmatch(name):
            raise ConfigError(
                Problem(
                    "bad-name",
                    f"{name!r} cannot be the name of a {kind}",
                    where=where,
                    expected="letters, digits, dot, dash and underscore, at most 64, the first a letter or digit",
                )
            )
        before = self._known.get((kind, name))
        if before is not None and (before.where != where or where.file is None):
            raise ConfigError(_taken(kind, name, where, before.where))
        self._known[kind, name] = Registration(kind=kind, name=name, target=function, where=where)

    def give(self, kind: PluginKind, function: Callable[..., Any]) -> str:
        """Keep a function that was given as it is; the answer is the text that refers to it from now on."""
        texts = (reference_to(function, number) for number in count(1))
        text = next(one for one in texts if self._target(kind, one) in (None, function))
        self._known[kind, text] = Registration(kind=kind, name=text, target=function, where=place_of(function))
        return text

    @property
    def has_given(self) -> bool:
        """Whether it keeps functions that no other process can find."""
        return any(":" in name for _, name in self._known)

    def look_up(self, kind: PluginKind, name: str) -> Registration | None:
        """Find what a name stands for, in entry points too.

        Raises:
            ConfigError: two installed packages offer that name.
        """
        return self._known.get((kind, name)) or self._entry_point(kind, name)

    def names(self, kind: PluginKind) -> tuple[str, ...]:
        """All names of a kind, in order; nothing is loaded for it."""
        installed = {entry.name for entry in self._installed(GROUPS[kind])}
        known = {name for of_kind, name in self._known if of_kind == kind and ":" not in name}
        return tuple(sorted(installed | known))

    def _target(self, kind: PluginKind, name: str) -> object:
        known = self._known.get((kind, name))
        return None if known is None else known.target

    def _entry_point(self, kind: PluginKind, name: str) -> Registration | None:
        found = {entry.value: entry for entry in self._installed(GROUPS[kind]) if entry.name == name}
        if not found:
            return None
        places = [_place(entry) for entry in found.values()]
        if len(places) > 1:
            raise ConfigError(_taken(kind, name, places[0], places[1]))
        (entry,) = found.values()
        return Registration(kind=kind, name=name, target=entry.value.partition("[")[0].strip(), where=places[0])


def _place(entry: "EntryPoint") -> Source:
    package = "an unnamed package" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"
    return Source(key=f"entry point {entry.name} = {entry.value} of {package}")


def _taken(kind: PluginKind, name: str, where: Source, before: Source) -> Problem:
    return Problem(
        "duplicate-name",
        f"the {kind} {name!r} is there twice: {text_of(before)} and {text_of(where)}",
        where=where,
        hint="give one of them another name",
    )


@contextmanager
def received_by(registry: Registry) -> Iterator[None]:
    """Let decorators that run inside register there and not for the whole process."""
    token = _RECEIVER.set(registry)
    try:
        yield
    finally:
        _RECEIVER.reset(token)


def _built_in() -> Registry:
    registry = Registry()
    for kind, names in BUILT_IN.items():
        for name, text in names.items():
            registry.register(kind, name, text, Source(key=f"built in: {text}"))
    return registry


ROOT = _built_in()


def _decorator(kind: PluginKind, name: str) -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        _RECEIVER.get(ROOT).register(kind, name, function, place_of(function))
        return function

    return register


def strategy(name: str) -> Callable[[Function], Function]:
    """Register a function as a strategy."""
    return _decorator("strategy", name)


def exchange(name: str) -> Callable[[Function], Function]:
    """Register a class or function that makes a candle source."""
    return _decorator("exchange", name)


def risk_check(name: str) -> Callable[[Function], Function]:
    """Register a function as a risk check."""
    return _decorator("risk_check", name)


def sizing(name: str) -> Callable[[Function], Function]:
    """Register a function as a sizing method."""
    return _decorator("sizing", name)


def store(name: str) -> Callable[[Function], Function]:
    """Register a class or function that makes a state store."""
    return _decorator("store", name)


def notifier(name: str) -> Callable[[Function], Function]:
    """Register a class or function that makes a notifier."""
    return _decorator("notifier", name)


def broker(name: str) -> Callable[[Function], Function]:
    """Register a class or function that makes a broker."""
    return _decorator("broker", name)


def source(name: str) -> Callable[[Function], Function]:
    """Register a function as a source of the optimizer."""
    return _decorator("source", name)


def provider(name: str) -> Callable[[Function], Function]:
    """Register a class or function that makes a provider of a language model."""
    return _decorator("provider", name)


def callback(name: str) -> Callable[[Function], Function]:
    """Register a function that is told of events."""
    return _decorator("callback", name)
