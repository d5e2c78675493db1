"""What a running session was asked from another terminal: to stop, and how.

* A request is for one run of a session, by the word of who holds the folder; one that came too late asks nobody.
* There is one record for each manner, so that a gentle request never hides one that is in a hurry.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from backtestkit_cli.errors import StateError
from backtestkit_cli.plugins.ports import StateStore
from backtestkit_cli.state.session import made

REQUEST = "request"
ATTEMPTS = 20
"""How often a record is tried to be kept: another terminal, or a session that begins, may be in the way."""
Manner = Literal["gently", "now", "after"]
"""Wait for the open positions, leave them open, or begin to wait after a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequest:
    """One request. `asked_ms` tells it from others of its manner; `after_ms` is for `after` alone."""

    run: str
    manner: Manner
    asked_ms: int
    after_ms: int = 0


def ask(store: StateStore, request: StopRequest) -> None:
    """Leave a request for the running session.

    Raises:
        StateError: it could not be written.
    """
    insist(store, REQUEST, request.manner, asdict(request))


def asked(store: StateStore, run: str) -> tuple[StopRequest, ...]:
    """What a run of a session was asked.

    Raises:
        StateError: a record is damaged.
    """
    known = (store.load(REQUEST, manner) for manner in get_args(Manner))
    return tuple(made(StopRequest, body, REQUEST) for body in known if body is not None and body.get("run") == run)


def insist(store: StateStore, kind: str, key: str, body: Mapping[str, Any]) -> None:
    """Keep a record that two terminals may write at once.

    Raises:
        StateError: it could not be written, however often it was tried.
    """
    for attempt in range(ATTEMPTS):
        try:
            store.save(kind, key, body)
        except StateError as error:
            if error.code != "state-not-saved" or attempt == ATTEMPTS - 1:
                raise
        else:
            return
