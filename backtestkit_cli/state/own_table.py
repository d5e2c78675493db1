"""A table that the user wrote: whatever it raises, and what it answers that is no answer, is told as trouble of its
database, and a live session goes on as with any other.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager

from backtestkit_cli.disk import Holder
from backtestkit_cli.state.table import Generations, Table


class OwnTable:
    """A table behind a guard; `name` is the reference to it."""

    errors: tuple[type[Exception], ...] = (Exception,)

    def __init__(self, table: Table, name: str) -> None:
        self.table = table
        self.name = name

    def held(self) -> AbstractContextManager[Sequence[str] | None]:
        """Keep every other program out."""
        return self.table.held()

    def holder(self) -> Holder | None:
        """Who keeps every other program out."""
        found: object = self.table.holder()
        if not (found is None or isinstance(found, Holder)):
            raise TypeError(f"holder() gave {type(found).__name__}, not a Holder or None")
        return found

    def keys(self, kind: str) -> list[str]:
        """The keys of a kind."""
        found: object = self.table.keys(kind)
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise TypeError(f"keys() gave {type(found).__name__}, not a list of texts")
        return found

    def read(self, kind: str, key: str) -> Generations:
        """Both generations."""
        found: object = self.table.read(kind, key)
        if not isinstance(found, tuple) or len(found) != len(Generations._fields):
            raise TypeError(f"read() gave {type(found).__name__}, not Generations")
        if not all(one is None or isinstance(one, bytes) for one in found):
            raise TypeError("read() gave generations that are neither bytes nor None")
        return Generations(*found)

    def write(self, kind: str, key: str, generations: Generations) -> None:
        """Put both generations in one step."""
        self.table.write(kind, key, generations)

    def set_aside(self, kind: str, key: str, payload: bytes) -> None:
        """Keep a damaged generation."""
        self.table.set_aside(kind, key, payload)
