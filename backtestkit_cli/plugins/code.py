"""How a function that is given as it is, and not by a file, is named: a reference that changes with its code.

The text `python-1a2b3c4d5e6f:name` holds a hash over the file the function is written in (its compiled code where
there is no file), its defaults, and the plain values it closes over. So the id of a run changes when the function does.
Values that are not plain (objects, frames) count by their type only.
"""

import hashlib
import inspect
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

GIVEN = "python-"
_PLAIN = (bool, int, float, str, bytes, type(None))


def reference_to(function: Callable[..., Any], number: int = 1) -> str:
    """Name a function; another one of the same code gets a higher number."""
    digest = hashlib.sha256("\n".join(_parts(function)).encode("utf-8", "surrogatepass")).hexdigest()[:12]
    target = function
    while isinstance(target, partial):
        target = target.func
    name = getattr(target, "__name__", type(target).__name__)
    again = "" if number == 1 else f"-{number}"
    return f"{GIVEN}{digest}{again}:{name if name.isidentifier() and name.isascii() else 'function'}"


def _parts(value: object) -> Iterator[str]:
    """What decides how a value behaves, as texts."""
    if isinstance(value, partial):
        yield "partial"
        for part in (value.func, *value.args, *sorted(value.keywords.items())):
            yield from _parts(part)
    elif inspect.ismethod(value):
        yield from _parts(value.__func__)
    elif inspect.isfunction(value):
        yield from _code_of(value)
        for part in (value.__defaults__, value.__kwdefaults__, *_cells(value)):
            yield from _value(part)
    elif inspect.isclass(value):
        yield from _code_of(value)
    else:
        yield from _value(value)


def _value(value: object) -> Iterator[str]:
    """A value as text; a function inside by its code alone, for it may close over itself."""
    if isinstance(value, _PLAIN):
        yield repr(value)
    elif isinstance(value, list | tuple):
        yield type(value).__name__
        for one in value:
            yield from _value(one)
    elif isinstance(value, dict):
        yield from _value(list(value.items()))
    elif inspect.isfunction(value) or inspect.isclass(value):
        yield from _code_of(value)
    else:
        yield f"{type(value).__module__}.{type(value).__qualname__}"
        yield from _code_of(type(value))


def _code_of(written: Any) -> Iterator[str]:
    yield f"{written.__module__}.{written.__qualname__}"
    try:
        yield hashlib.sha256(Path(inspect.getfile(written)).read_bytes()).hexdigest()
    except (OSError, TypeError):
        code = getattr(written, "__code__", None)
        yield "" if code is None else f"{code.co_code.hex()} {code.co_names} {[repr(one) for one in _constants(code)]}"


def _constants(code: Any) -> Iterator[object]:
    for one in code.co_consts:
        if hasattr(one, "co_code"):
            yield one.co_code.hex()
            yield from _constants(one)
        elif isinstance(one, frozenset):
            yield from sorted(map(repr, one))  # its own order changes from process to process
        else:
            yield one


def _cells(function: Any) -> Iterator[object]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # a cell that was never filled
            yield None
