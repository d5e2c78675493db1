"""Where user code is when it is called: run, stream and simulated time.

One context per stream, made once; only its time moves. It ends with the run, and what it remembers for `memo` with it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True, eq=False)
class Context:
    """A place in a run; a name is empty, and the time None, where there is none. `memory` is that of `memo`."""

    exchange: str
    frame: str
    strategy: str = ""
    symbol: str = ""
    time_ms: int | None = None
    memory: dict[Any, Any] = field(default_factory=dict)


CURRENT: ContextVar[Context | None] = ContextVar("backtestkit_context", default=None)
"""The context of the call that is being made; None outside of calls of user code."""


@contextmanager
def inside(context: Context | None, time_ms: int | None = None) -> Iterator[None]:
    """Let code run in a context."""
    if context is not None:
        context.time_ms = time_ms
    token = CURRENT.set(context)
    try:
        yield
    finally:
        CURRENT.reset(token)
