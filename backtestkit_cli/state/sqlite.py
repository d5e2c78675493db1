"""Live state in one SQLite file. Every write is synced before it returns, with the folder."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from backtestkit_cli.disk import DISK, Holder, folder_lock, holder_of, refuse_lost
from backtestkit_cli.state.table import NO_GENERATIONS, Generations

FILE = "state.sqlite"
BUSY_SECONDS = 5.0
_TABLES = (
    "CREATE TABLE IF NOT EXISTS records (kind TEXT, key TEXT, current BLOB, previous BLOB, PRIMARY KEY (kind, key))",
    "CREATE TABLE IF NOT EXISTS aside (kind TEXT, key TEXT, payload BLOB)",
)


class SqliteTable:
    """The file `state.sqlite` of a folder."""

    errors: tuple[type[Exception], ...] = (sqlite3.Error, OSError)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = str(folder / FILE)
        self._holder: Holder | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder."""
        with folder_lock(self.folder) as self._holder:
            yield

    def holder(self) -> Holder | None:
        """Who holds the folder."""
        return holder_of(self.folder)

    def keys(self, kind: str) -> list[str]:
        """The keys of a kind."""
        asked = "SELECT key FROM records WHERE kind = ? AND coalesce(current, previous) IS NOT NULL"
        return [str(key) for (key,) in self._found(asked, kind)]

    def read(self, kind: str, key: str) -> Generations:
        """Both generations."""
        found = self._found("SELECT current, previous FROM records WHERE kind = ? AND key = ?", kind, key)
        return Generations(*found[0]) if found else NO_GENERATIONS

    def write(self, kind: str, key: str, generations: Generations) -> None:
        """Put both generations in one step."""
        if self._holder is not None:
            refuse_lost(self.folder, self._holder)
        with self._open() as open_, open_:
            open_.execute("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)", (kind, key, *generations))

    def set_aside(self, kind: str, key: str, payload: bytes) -> None:
        """Keep a damaged generation."""
        with self._open() as open_, open_:
            open_.execute("INSERT INTO aside VALUES (?, ?, ?)", (kind, key, payload))

    def _found(self, asked: str, *values: str) -> list[tuple[Any, ...]]:
        """What a query finds; who only looks makes no file."""
        if not Path(self.name).exists():
            return []
        with self._open() as open_:
            return open_.execute(asked, values).fetchall()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own each time: threads and forks share none, and no descriptor stays open."""
        DISK.make_folder(self.folder)
        with closing(sqlite3.connect(self.name, timeout=BUSY_SECONDS)) as open_:
            open_.execute("PRAGMA synchronous = EXTRA")
            for table in _TABLES:
                open_.execute(table)
            yield open_
