"""Where live state is kept: the store that `settings.state` names."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from backtestkit_cli.config.settings import StateSchema
from backtestkit_cli.disk import Holder
from backtestkit_cli.plugins.ports import StateStore
from backtestkit_cli.state.generations import Generation, Which
from backtestkit_cli.state.store import FileStore

AVAILABLE = ("files", "sqlite")


class LockedStore(StateStore, Protocol):
    """A store that one program can hold, and others look into. `warnings` tell of damaged records."""

    warnings: list[str]

    def held(self) -> AbstractContextManager[object]:
        """Keep every other program out.

        Raises:
            UsageError: another program holds it.
        """
        ...

    def holder(self) -> Holder | None:
        """Who holds it just now."""
        ...

    def stored_keys(self, kind: str) -> tuple[str, ...]:
        """The keys of all records of a kind, damaged ones too."""
        ...

    def generations(self, kind: str, key: str) -> tuple[Generation, ...]:
        """Both generations of a record, as far as there are any."""
        ...

    def set_aside(self, kind: str, key: str, which: Which) -> str:
        """Keep a generation where it does not count any more; where that is."""
        ...


def store_for(state: StateSchema, folder: Path, now_ms: Callable[[], int], *, is_outside: bool = False) -> LockedStore:
    """Open the store of a project; `folder` is where local ones lie. Who `is_outside` looks while another holds it."""
    if state.use == "sqlite":
        from backtestkit_cli.state.database import DatabaseStore
        from backtestkit_cli.state.sqlite import SqliteTable

        return DatabaseStore(SqliteTable(folder), now_ms, is_outside=is_outside)
    return FileStore(folder, now_ms, is_outside=is_outside)
