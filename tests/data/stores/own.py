"""A store of live state of one's own: an SQLite file for the records, and a locked file."""

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from backtestkit_cli.disk import Holder
from backtestkit_cli.state.table import Generations, InUseError


class OwnStore:
    """What `settings.state.use` names; `path` is `settings.state.path`."""

    name = "my own store"
    errors = (sqlite3.Error, OSError)

    def __init__(self, path: str) -> None:
        self.folder = Path(path)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lock = self.folder / "holder"

    @contextmanager
    def held(self) -> Iterator[None]:
        with self.lock.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system frees it when the program dies
            except BlockingIOError:
                raise InUseError from None
            self.lock.write_text(f"{os.getpid()} {secrets.token_hex(8)}")
            yield

    def holder(self) -> Holder | None:
        with self.lock.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                process, word = self.lock.read_text().split()
                return Holder(int(process), word)
        return None

    def keys(self, kind: str) -> list[str]:
        with self._open() as db:
            return [key for (key,) in db.execute("SELECT key FROM records WHERE kind = ?", (kind,))]

    def read(self, kind: str, key: str) -> Generations:
        with self._open() as db:
            asked = "SELECT current, previous FROM records WHERE kind = ? AND key = ?"
            return Generations(*(db.execute(asked, (kind, key)).fetchone() or (None, None)))

    def write(self, kind: str, key: str, generations: Generations) -> None:
        with self._open() as db, db:  # one transaction, on disk when it ends
            db.execute("DELETE FROM records WHERE kind = ? AND key = ?", (kind, key))
            if generations != (None, None):
                db.execute("INSERT INTO records VALUES (?, ?, ?, ?)", (kind, key, *generations))

    def set_aside(self, kind: str, key: str, payload: bytes) -> None:
        with self._open() as db, db:
            db.execute("INSERT INTO aside VALUES (?, ?, ?)", (kind, key, payload))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.folder / "own.sqlite")) as db:
            db.execute("PRAGMA synchronous = EXTRA")
            db.execute("CREATE TABLE IF NOT EXISTS records (kind, key, current, previous)")
            db.execute("CREATE TABLE IF NOT EXISTS aside (kind, key, payload)")
            yield db
