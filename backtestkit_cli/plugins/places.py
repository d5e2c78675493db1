"""Where user code is: the file and line of a function, and the line at which it raised.

The place of an error is the deepest line of the user's own file that had a part in it, so that he is sent to code he
can change. Whatever user code raises ends here as a `Problem`; a traceback is never the message.
"""

import inspect
import sys
from functools import partial
from traceback import walk_tb

from backtestkit_cli.errors import Problem, Source
from backtestkit_cli.plugins.words import described

_OURS = ("backtestkit_cli", "functools")


def place_of(function: object) -> Source:
    """The place where a function or class is written; empty for one written in C."""
    target = function
    while isinstance(target, partial):
        target = target.func
    target = inspect.unwrap(target) if callable(target) else target
    if inspect.ismethod(target):
        target = target.__func__
    if inspect.isfunction(target):
        return Source(file=target.__code__.co_filename, line=target.__code__.co_firstlineno)
    written = target if inspect.isclass(target) else type(target)
    try:
        return Source(file=inspect.getsourcefile(written), line=inspect.getsourcelines(written)[1])
    except (OSError, TypeError):
        return Source()


def place_of_caller() -> Source:
    """The line outside of this package that is calling into it now."""
    frame = sys._getframe(1)  # noqa: SLF001  # the only way to who called
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _OURS:
        frame = frame.f_back
    return Source(file=frame.f_code.co_filename, line=frame.f_lineno)


def text_of(place: Source) -> str:
    """Write a place as `file:line`."""
    if place.file is None:
        return place.key or "code without a file"
    return place.file if place.line is None else f"{place.file}:{place.line}"


def raised(error: BaseException, place: Source, doing: str) -> Problem:
    """Say what user code raised, and in which line.

    `place` is where that code is written, `doing` the rest of the sentence, such as `while it was loaded`.
    """
    where = line_of(error, place)
    hint = None
    if isinstance(error, SystemExit):
        hint = "a plugin does not end the program; return or raise an error instead"
    return Problem("plugin-raised", f"{text_of(where)} raised {described(error)} {doing}", where=where, hint=hint)


def line_of(error: BaseException, place: Source) -> Source:
    """The deepest line of the file of `place` that had a part in an error; `place` itself if none had."""
    if isinstance(error, SyntaxError) and error.filename == place.file:
        return Source(file=place.file, line=error.lineno)
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == place.file]
    return Source(file=place.file, line=lines[-1]) if lines else place
