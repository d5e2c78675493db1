"""Where live state is kept: the store that `settings.state` names."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from backtestkit_cli.config.settings import StateSchema
from backtestkit_cli.plugins.ports import StateStore
from backtestkit_cli.state.store import FileStore

AVAILABLE = ("files", "sqlite")


class LockedStore(StateStore, Protocol):
    """A store that one program can hold."""

    def held(self) -> AbstractContextManager[object]:
        """Keep every other program out.

        Raises:
            UsageError: another program holds it.
        """
        ...


def store_for(state: StateSchema, folder: Path, now_ms: Callable[[], int]) -> LockedStore:
    """Open the store of a project; `folder` is where local ones lie."""
    if state.use == "sqlite":
        from backtestkit_cli.state.database import DatabaseStore
        from backtestkit_cli.state.sqlite import SqliteTable

        return DatabaseStore(SqliteTable(folder), now_ms)
    return FileStore(folder, now_ms)
