"""The lock of a server that forgets it by itself: a lease, renewed by a thread for as long as the state is held.

* A lease that is not renewed lapses after ten seconds, so a killed program keeps nobody out for long. Who finds one
  waits for it to lapse, and gives up as soon as it is renewed: its holder lives.
* The lease decides who may take the state. Who may write is decided by the server with each write: who took it last.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple, Protocol

from backtestkit_cli.state.table import Claim, InUseError

LAPSE_MS = 10_000
RENEW_SECONDS = 2.0
LOOK_SECONDS = 0.25


class Lease(NamedTuple):
    """Who has the lease, and the ms until it lapses."""

    claim: Claim
    left_ms: int


class Leasing(Protocol):
    """A server that leases. Each step is whole."""

    @property
    def errors(self) -> tuple[type[Exception], ...]: ...

    def take(self, claim: Claim, lapse_ms: int) -> Lease | None:
        """Take the lease, if it is free; else the one there is."""
        ...

    def renew(self, claim: Claim, lapse_ms: int) -> None:
        """Begin the lease anew, if nobody else has taken it since."""
        ...

    def release(self, claim: Claim) -> None:
        """Give it back, if nobody else has taken it since."""
        ...


@contextmanager
def leased(server: Leasing, claim: Claim) -> Iterator[None]:
    """Have the lease inside.

    Raises:
        InUseError: another program has it.
    """
    _wait_for(server, claim)
    is_over = threading.Event()
    renewing = threading.Thread(target=_renew, args=(server, claim, is_over), name="state-lease", daemon=True)
    renewing.start()
    try:
        yield
    finally:
        is_over.set()
        renewing.join()
        with suppress(*server.errors):
            server.release(claim)


def _wait_for(server: Leasing, claim: Claim) -> None:
    left_ms = LAPSE_MS
    while (known := server.take(claim, LAPSE_MS)) is not None:
        if known.left_ms > left_ms:
            raise InUseError(str(known.claim))
        left_ms = known.left_ms
        threading.Event().wait(LOOK_SECONDS)


def _renew(server: Leasing, claim: Claim, is_over: threading.Event) -> None:
    while not is_over.wait(RENEW_SECONDS):
        with suppress(*server.errors):  # what it means for the state is told by the next write
            server.renew(claim, LAPSE_MS)
