"""From what stands after `use:` to a checked callable.

A reference is a text in one of three spellings: `name`, registered, built in or installed; `path.py:name`, a file from
the project folder; `package.module:name`, an installed module. All three end as the same `Plugin`. A callable loaded
from a path cannot be sent to another process, a reference can, and is resolved again there.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from backtestkit_cli.errors import ConfigError, Problem, Source
from backtestkit_cli.plugins.code import GIVEN
from backtestkit_cli.plugins.drafted.function import function_in
from backtestkit_cli.plugins.drafted.trust import is_drafted, trusted_text
from backtestkit_cli.plugins.load import load_file, load_module
from backtestkit_cli.plugins.parameters import ParameterModel, parameters_of, signature_of
from backtestkit_cli.plugins.places import place_of, text_of
from backtestkit_cli.plugins.ports import PluginKind, StrategyForm
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.plugins.words import meant, shown

_SPECIAL_FUNCTIONS: tuple[tuple[Callable[[object], bool], str, str], ...] = (
    (inspect.iscoroutinefunction, "an async function", "write def instead of async def"),
    (inspect.isasyncgenfunction, "an async generator", "write def instead of async def, and return the answer"),
    (inspect.isgeneratorfunction, "a generator", "return the answer instead of yielding it"),
)
_TAKES_SUBJECT: frozenset[PluginKind] = frozenset({"strategy", "risk_check", "sizing", "source", "callback"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What the user wrote, and the kind of plugin it must be."""

    text: str
    kind: PluginKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """User code that was found and can be called. `form` is None for all kinds but strategies."""

    function: Callable[..., Any]
    reference: Reference
    file: str | None
    line: int | None
    parameters: ParameterModel
    project: Path
    form: StrategyForm | None = None

    @property
    def place(self) -> Source:
        """Where it is written."""
        return Source(file=self.file, line=self.line)

    def check(self, params: Mapping[str, object]) -> list[Problem]:
        """Everything that is wrong with some params; the key of each problem is the name of the param."""
        return self.parameters.problems(params)

    def bind(self, params: Mapping[str, object], **handed_in: object) -> Callable[..., Any]:
        """The callable with its params filled in, and what it asks for of `handed_in` and the project folder.

        Raises:
            ConfigError: something is wrong with the params.
        """
        values = self.parameters.values(params)
        offered = {"project": self.project, **handed_in}
        values.update({name: value for name, value in offered.items() if name in self.parameters.handed_in})
        return partial(self.function, **values)


def resolve(text: str, kind: PluginKind, project: Path, registry: Registry) -> Plugin:
    """Find the plugin a text refers to; paths count from the folder `project`.

    Raises:
        ConfigError: there is no such plugin, or it cannot be one.
        StrategyError: its code raised while it was loaded.
    """
    drafted = _drafted(text, project) if kind == "strategy" else None
    if drafted is not None:
        return drafted
    function = _checked(_found(text, kind, project, registry), text, kind)
    place = place_of(function)
    return Plugin(
        function=function,
        reference=Reference(text=text, kind=kind),
        file=place.file,
        line=place.line,
        project=project,
        form=form_of(function) if kind == "strategy" else None,
        parameters=parameters_of(function, given=int(kind in _TAKES_SUBJECT)),
    )


def _drafted(text: str, project: Path) -> Plugin | None:
    """A strategy in a file that a language model wrote; None for every other reference."""
    where, _, name = text.rpartition(":")
    path = project / where
    try:
        code = path.resolve().read_bytes() if where.endswith(".py") or "/" in where else b""
    except (OSError, ValueError, RuntimeError):  # told when it is loaded
        return None
    if not is_drafted(code):
        return None
    file = str(path.resolve())
    function, parameters = function_in(trusted_text(code, Path(file), project), name, file)
    return Plugin(
        function=function,
        reference=Reference(text=text, kind="strategy"),
        file=file,
        line=function.line,
        parameters=parameters,
        project=project,
        form="vector",
    )


def form_of(function: Callable[..., Any]) -> StrategyForm:
    """Tell the form of a strategy by its first parameter.

    Raises:
        ConfigError: it is neither of the two.
    """
    first = next(iter(signature_of(function).parameters.values()), None)
    if first is not None and first.kind in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD):
        kind = first.annotation if isinstance(first.annotation, str) else getattr(first.annotation, "__name__", "")
        if first.name == "candles" or kind.endswith("LazyFrame"):
            return "vector"
        if first.name == "market" or kind.endswith("Market"):
            return "decision"
    place = place_of(function)
    problem = Problem(
        "bad-strategy",
        f"the function at {text_of(place)} has neither form of a strategy",
        where=place,
        found="no parameter" if first is None else f"the first parameter is {first}",
        expected="a first parameter `market` (called at each decision, returns a draft or None) or `candles` "
        "(called once with a LazyFrame, returns a frame of drafts)",
    )
    raise ConfigError(problem)


def _found(text: str, kind: PluginKind, project: Path, registry: Registry) -> object:
    where, colon, name = text.rpartition(":")
    if not colon:
        return _named(text, kind, project, registry)
    if where.startswith(GIVEN):
        return _given(text, kind, registry)
    if not all(part.isidentifier() for part in name.split(".")):
        raise ConfigError(_malformed(text, kind))
    if where.endswith(".py") or "/" in where:
        return _attribute(load_file(project / where, registry), name, text)
    if not all(part.isidentifier() for part in where.split(".")):
        raise ConfigError(_malformed(text, kind))
    return _attribute(load_module(where, text), name, text)


def _named(name: str, kind: PluginKind, project: Path, registry: Registry) -> object:
    if name.endswith(".py") or "/" in name:
        raise ConfigError(_malformed(name, kind))
    found = registry.look_up(kind, name)
    if found is None:
        problem = Problem(
            "plugin-not-found", f"there is no {kind} {name}", found=name, hint=meant(name, registry.names(kind))
        )
        raise ConfigError(problem)
    if not isinstance(found.target, str):
        return found.target
    if ":" not in found.target:
        raise ConfigError(Problem("bad-reference", f"{text_of(found.where)} names no function", where=found.where))
    return _found(found.target, kind, project, registry)


def _given(text: str, kind: PluginKind, registry: Registry) -> object:
    found = registry.look_up(kind, text)
    if found is None:
        hint = "only the program that gave it can run it; name a file of the project as path.py:name to keep it"
        raise ConfigError(Problem("plugin-not-found", f"{text} was given by a Python program", found=text, hint=hint))
    return found.target


def _malformed(text: str, kind: PluginKind) -> Problem:
    return Problem(
        "bad-reference",
        f"{text!r} does not say which {kind} is meant",
        found=text,
        expected="a name, path.py:name, or package.module:name",
        hint=f"write {text}:name" if text.endswith(".py") else None,
    )


def _attribute(module: ModuleType, name: str, text: str) -> object:
    found: object = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise ConfigError(_nameless(module, name, text)) from None
    return found


def _nameless(module: ModuleType, name: str, text: str) -> Problem:
    file = getattr(module, "__file__", None)
    place = Source(file=file, key=None if file else module.__name__)
    known = [one for one, value in vars(module).items() if callable(value) and not one.startswith("_")]
    return Problem(
        "plugin-not-found", f"{text_of(place)} has no {name}", where=place, found=text, hint=meant(name, known)
    )


def _checked(found: object, text: str, kind: PluginKind) -> Callable[..., Any]:
    if not callable(found):
        raise ConfigError(Problem("not-callable", f"{text} is no function", found=shown(found)))
    place = place_of(found)
    if inspect.isclass(found):
        if kind in _TAKES_SUBJECT:
            raise ConfigError(Problem("bad-plugin", f"{text} is a class; a {kind} is a function", where=place))
        return found
    for test, word, hint in _SPECIAL_FUNCTIONS:
        if test(found) or test(found.__call__):
            raise ConfigError(Problem("bad-plugin", f"{text} is {word}; a {kind} is not", where=place, hint=hint))
    return found
