"""Live state in one PostgreSQL database: one row for each record, each step one statement.

* The lock is an advisory one of the connection that writes. Whoever is killed loses both at once, and nobody writes
  without it.
* A connection that was lost is opened anew, with the lock, unless another program has taken the state meanwhile.
* A commit is waited for whatever the server's default is.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from backtestkit_cli.disk import Holder
from backtestkit_cli.state.table import NO_GENERATIONS, Claim, Generations, InUseError, TakenOverError, own_claim

LOCK = 1_650_746_228
"""The key of the advisory lock: one state in each database."""
DEFAULTS = {
    "application_name": "backtestkit",
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "2",
    "tcp_user_timeout": "5000",
}
_SETTINGS = """
SET statement_timeout = '5s';
SET tcp_keepalives_idle = 5;
SET tcp_keepalives_interval = 2;
SET tcp_keepalives_count = 3;
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""
"""Nobody is waited for long, the lock of a computer that is gone is freed in seconds, and a commit is on disk."""
_TABLES = """
CREATE TABLE IF NOT EXISTS backtestkit_records
    (kind text, key text, current bytea, previous bytea, PRIMARY KEY (kind, key));
CREATE TABLE IF NOT EXISTS backtestkit_aside
    (kind text, key text, payload bytea, at timestamptz DEFAULT now());
CREATE TABLE IF NOT EXISTS backtestkit_holder
    (is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only), word text, process int, host text, since_ms bigint);
"""
_WRITE = """
WITH allowed AS MATERIALIZED (SELECT 1 FROM {source})
INSERT INTO backtestkit_records SELECT %(kind)s, %(key)s, %(current)s, %(previous)s FROM allowed
ON CONFLICT (kind, key) DO UPDATE SET current = excluded.current, previous = excluded.previous
"""
_WRITE_HELD = _WRITE.format(source="backtestkit_holder WHERE word = %(word)s FOR SHARE")
_WRITE_OUTSIDE = _WRITE.format(source="(VALUES (1)) AS always")
_TAKE = """
INSERT INTO backtestkit_holder (word, process, host, since_ms) VALUES (%s, %s, %s, %s)
ON CONFLICT (is_only) DO UPDATE
SET word = excluded.word, process = excluded.process, host = excluded.host, since_ms = excluded.since_ms
"""
_HOLDER = "SELECT word, process, host, since_ms FROM backtestkit_holder"
_IS_LOCKED = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE locktype = 'advisory' AND granted AND classid = 0 AND objid = %s AND objsubid = 1 AND datname = current_database()
"""


class PostgresTable:
    """The database that an address names; `name` is that address without who logs in.

    Raises:
        ValueError: it is no address of PostgreSQL.
    """

    def __init__(self, url: str, name: str, now_ms: int) -> None:
        import psycopg

        self.name = name
        self.errors: tuple[type[Exception], ...] = (psycopg.Error, OSError)
        self._address = _with_defaults(url)
        self._now_ms = now_ms
        self._claim: Claim | None = None
        self._held: Any = None

    @contextmanager
    def held(self) -> Iterator[list[str]]:
        """Hold the database for this program."""
        self._claim = own_claim(self._now_ms)
        try:
            self._held = self._locked()
            _make_tables(self._held)
            self._take(self._claim)
            yield _weaknesses(self._held)
        finally:
            if self._held is not None:
                self._held.close()
            self._held = self._claim = None

    def holder(self) -> Holder | None:
        """Who holds the database."""
        with self._open() as open_:
            claim = _claim_in(open_)
            (is_locked,) = open_.execute(_IS_LOCKED, (LOCK,)).fetchone()
        return claim.holder if claim is not None and is_locked else None

    def keys(self, kind: str) -> list[str]:
        """The keys of a kind."""
        asked = "SELECT key FROM backtestkit_records WHERE kind = %s AND num_nonnulls(current, previous) > 0"
        with self._open() as open_:
            return [str(key) for (key,) in _rows(open_, asked, kind)]

    def read(self, kind: str, key: str) -> Generations:
        """Both generations."""
        asked = "SELECT current, previous FROM backtestkit_records WHERE kind = %s AND key = %s"
        with self._open() as open_:
            found = _rows(open_, asked, kind, key)
        return Generations(*found[0]) if found else NO_GENERATIONS

    def write(self, kind: str, key: str, generations: Generations) -> None:
        """Put both generations in one step, if nobody else has taken the state since."""
        values = {"kind": kind, "key": key, "current": generations.current, "previous": generations.previous}
        with self._open() as open_:
            if self._claim is None:
                _make_tables(open_)
                open_.execute(_WRITE_OUTSIDE, values)
            elif not open_.execute(_WRITE_HELD, {**values, "word": self._claim.word}).rowcount:
                raise TakenOverError

    def set_aside(self, kind: str, key: str, payload: bytes) -> None:
        """Keep a damaged generation."""
        with self._open() as open_:
            open_.execute(
                "INSERT INTO backtestkit_aside (kind, key, payload) VALUES (%s, %s, %s)", (kind, key, payload)
            )

    def _take(self, claim: Claim) -> None:
        self._held.execute(_TAKE, (claim.word, claim.process, claim.host, claim.since_ms))

    @contextmanager
    def _open(self) -> Iterator[Any]:
        """The connection of who holds the state; who only looks leaves none open."""
        if self._claim is None:
            with closing(self._connected()) as open_:
                yield open_
            return
        if self._held.closed:
            self._held = self._locked_again(self._claim)
        yield self._held

    def _locked(self) -> Any:
        """A new connection with the lock."""
        import psycopg

        open_ = self._connected()
        try:
            open_.execute("SET lock_timeout = '1s'")  # a killed program may need a moment to be gone
            open_.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        except psycopg.errors.LockNotAvailable:
            claim = _claim_in(open_)
            open_.close()
            raise InUseError("" if claim is None else str(claim)) from None
        except BaseException:
            open_.close()
            raise
        return open_

    def _locked_again(self, claim: Claim) -> Any:
        """A new connection in the place of one that was lost."""
        import psycopg

        try:
            open_ = self._locked()
        except InUseError:
            with closing(self._connected()) as looking:
                found = _claim_in(looking)
            if found == claim:
                raise psycopg.OperationalError("the connection that was lost still has the lock") from None
            raise TakenOverError from None
        found = _claim_in(open_)
        if found != claim:
            open_.close()
            raise TakenOverError
        return open_

    def _connected(self) -> Any:
        import psycopg

        open_ = psycopg.connect(self._address, autocommit=True)
        open_.execute(_SETTINGS)
        return open_


def _with_defaults(url: str) -> str:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    try:
        known = conninfo_to_dict(url)
        whole: str = make_conninfo(url, **{name: value for name, value in DEFAULTS.items() if name not in known})
    except psycopg.Error:
        raise ValueError("no address of PostgreSQL") from None
    return whole


def _make_tables(open_: Any) -> None:
    """Make the tables where they are missing; who may not make any can be given them."""
    if open_.execute("SELECT to_regclass('backtestkit_holder')").fetchone() == (None,):
        open_.execute(_TABLES)


def _rows(open_: Any, asked: str, *values: str) -> list[tuple[Any, ...]]:
    """What a query finds; nothing where nobody has ever kept anything."""
    import psycopg

    try:
        return list(open_.execute(asked, values).fetchall())
    except psycopg.errors.UndefinedTable:
        return []


def _claim_in(open_: Any) -> Claim | None:
    found = _rows(open_, _HOLDER)
    if not found:
        return None
    word, process, host, since_ms = found[0]
    return Claim(word=word, process=process, host=host, since_ms=since_ms)


def _weaknesses(open_: Any) -> list[str]:
    """What of the server's settings lets it lose what it has answered for."""
    found = [name for name in ("fsync", "full_page_writes") if open_.execute(f"SHOW {name}").fetchone() == ("off",)]
    return [f"PostgreSQL has {name} off, and may lose positions: set {name} = on in postgresql.conf" for name in found]
