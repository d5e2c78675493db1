"""Places in the keeping and telling of events at which a child kills itself, as `kill -9` would.

A point is a text such as `after told:7`: the seventh time that the program passes there is its last moment.
"""

import os
import signal
from collections.abc import Callable
from functools import wraps
from itertools import count
from typing import Any

from backtestkit_cli.cli.screen import JsonLines
from backtestkit_cli.run.live.session import Live
from backtestkit_cli.state.session import SessionState

When = Callable[..., bool]


def _has_events(_state: object, record: Any) -> bool:
    return bool(record.untold)


def _is_told(_state: object, record: Any) -> bool:
    return not record.untold


def _always(*_: object) -> bool:
    return True


POINTS: dict[str, tuple[type, str, bool, When]] = {
    "before the state is kept": (SessionState, "keep", False, _has_events),
    "after the state is kept": (SessionState, "keep", True, _has_events),
    "before the money is kept": (SessionState, "keep_money", False, _always),
    "after the money is kept": (SessionState, "keep_money", True, _always),
    "after the journal": (Live, "_tell", True, _always),
    "after it is told": (JsonLines, "event", True, _always),
    "after it is kept as told": (SessionState, "keep", True, _is_told),
}
"""By name: the method that is passed, whether its work is done then, and which of its calls count."""


def install(point: str) -> None:
    """Die at a point."""
    name, _, number = point.partition(":")
    kind, method, is_done, when = POINTS[name]
    work, passed = getattr(kind, method), count(1)

    @wraps(work)
    def watched(*arguments: Any) -> Any:
        is_last = when(*arguments) and next(passed) == int(number)
        if is_last and not is_done:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = work(*arguments)
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(kind, method, watched)
