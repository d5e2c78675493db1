"""A drafted file as a strategy: its function and its params are read from the text, and nothing of it is run here."""

import ast
from typing import Any

from backtestkit_cli.errors import ConfigError, Problem, Source
from backtestkit_cli.plugins.drafted.child import InChild
from backtestkit_cli.plugins.parameters import Parameter, ParameterModel

_TYPES: dict[str, Any] = {"int": int, "float": float, "bool": bool, "str": str}


def function_in(text: str, name: str, file: str) -> tuple[InChild, ParameterModel]:
    """Give a function of a drafted file, to be called in a process of its own, and the params it takes.

    Raises:
        ConfigError: there is none of that name, or it is not `def name(candles, *, param: type = value)`.
    """
    found = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == name]
    if not found:
        raise ConfigError(Problem("plugin-not-found", f"the file has no function {name}", Source(file=file)))
    node, where = found[0], Source(file=file, line=found[0].lineno)
    arguments = node.args
    subjects = [*arguments.posonlyargs, *arguments.args]
    if [one.arg for one in subjects] != ["candles"] or arguments.vararg or arguments.kwarg or node.decorator_list:
        expected = "def name(candles: pl.LazyFrame, *, length: int = 14) -> pl.LazyFrame"
        what = f"the function {name} of a language model is not vectorised, or takes more than candles and params"
        raise ConfigError(Problem("bad-strategy", what, where, expected=expected))
    params = tuple(
        _parameter(one, default, where)
        for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    )
    model = ParameterModel(params, takes_any=False, handed_in=frozenset(), place=where)
    return InChild(text, name, file, node.lineno), model


def _parameter(argument: ast.arg, default: ast.expr | None, where: Source) -> Parameter:
    kind = _TYPES.get(argument.annotation.id) if isinstance(argument.annotation, ast.Name) else None
    if kind is None or default is None:
        what = f"the param {argument.arg} has no default, or another type than {', '.join(_TYPES)}"
        raise ConfigError(Problem("bad-signature", what, where))
    return Parameter(name=argument.arg, type=kind, default=ast.literal_eval(default))


def names_used(text: str) -> tuple[str, ...]:
    """What a text uses of elsewhere, in order: what it imports, and each name after a dot."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.alias(name=name):
                names.add(f"import {name}")
            case ast.Attribute(attr=name):
                names.add(f".{name}")
            case _:
                pass
    return tuple(sorted(names))
