"""The port of a database for live state: single steps, each of them whole and durable when it returns.

* What a record is, which generation counts and what damage means is no matter of a table: `DatabaseStore` knows.
* Who took the state last may write, and nobody else who holds it: a table whose lock can be lost proves it with each
  write, so that a program that slept too long harms nothing.
* Who only looks, or leaves a word for the holder, holds nothing and may write too.
"""

import os
import secrets
import socket
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from backtestkit_cli.disk import Holder
from backtestkit_cli.model.time import iso


class Generations(NamedTuple):
    """The two newest generations of a record, as bytes; None where there is none."""

    current: bytes | None
    previous: bytes | None


NO_GENERATIONS = Generations(None, None)


class InUseError(Exception):
    """Another program holds the state; the text says who."""


class TakenOverError(Exception):
    """Another program has taken the state since this one did; nothing was written."""


class Table(Protocol):
    """What a database does for live state. `name` stands in messages, `errors` are what it raises."""

    @property
    def name(self) -> str: ...

    @property
    def errors(self) -> tuple[type[Exception], ...]: ...

    def held(self) -> AbstractContextManager[Sequence[str] | None]:
        """Keep every other program out; gives what people should know about how safe the state is.

        Raises:
            InUseError: another program holds it.
        """
        ...

    def holder(self) -> Holder | None:
        """Who keeps every other program out just now."""
        ...

    def keys(self, kind: str) -> list[str]:
        """The keys of a kind that have a generation."""
        ...

    def read(self, kind: str, key: str) -> Generations:
        """Both generations."""
        ...

    def write(self, kind: str, key: str, generations: Generations) -> None:
        """Put both generations in one step.

        Raises:
            TakenOverError: this program held the state, and another one has taken it.
        """
        ...

    def set_aside(self, kind: str, key: str, payload: bytes) -> None:
        """Keep a generation that does not count any more."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who takes the state of a server: a word that no other claim has, the process, its computer, and since when."""

    word: str
    process: int
    host: str
    since_ms: int

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, since {iso(self.since_ms)}"

    @property
    def holder(self) -> Holder:
        """As a holder; the computer is named if it is another one."""
        return Holder(self.process, self.word, "" if self.host == socket.gethostname() else self.host)


def own_claim(now_ms: int) -> Claim:
    """A claim of this process."""
    return Claim(word=secrets.token_hex(8), process=os.getpid(), host=socket.gethostname(), since_ms=now_ms)
