"""Silence for one thread: what it prints and logs reaches nobody, what others say meanwhile is heard.

The streams of the process are shared by all threads, so they are stood in for while any thread is hushed: backtests in
the background check strategies at the same time, and the program goes on talking.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from backtestkit_cli.run.log import LOGGER

_HUSHED: list[int] = []
_TURN = threading.Lock()


class _Quiet:
    """A stream for everybody but hushed threads."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write, or drop what is written."""
        return len(text) if threading.get_ident() in _HUSHED else int(self.stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def hushed() -> Iterator[None]:
    """Let nothing that this thread prints or logs inside reach anybody."""
    me = threading.get_ident()
    with _TURN:
        sys.stdout, sys.stderr = _quiet(sys.stdout), _quiet(sys.stderr)
        _HUSHED.append(me)
    try:
        yield
    finally:
        with _TURN:
            _HUSHED.remove(me)
            if not _HUSHED:
                _speak()


def _quiet(stream: Any) -> Any:
    return stream if isinstance(stream, _Quiet) else _Quiet(stream)


def _speak() -> None:
    """Nobody is hushed any more."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, _Quiet):
            setattr(sys, name, stream.stream)


LOGGER.addFilter(lambda _record: threading.get_ident() not in _HUSHED)
