"""Real database servers on this computer, for tests: on a free port, in a folder of their own, gone afterwards."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "canary pass/word"
"""Of the servers that ask for one; it has what an address must encode."""
QUOTED = "canary%20pass%2Fword"
SECONDS = 30


def found(program: str) -> str | None:
    """Where a program is; Debian keeps those of PostgreSQL apart."""
    places = [*sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)]
    return shutil.which(program) or shutil.which(program, path=os.pathsep.join(places))


def free_port() -> int:
    """A port that nobody has just now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@dataclass(slots=True)
class Server(ABC):
    """A server that can be killed and started again on what it kept."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Its address, with the password if it has one."""

    @abstractmethod
    def command(self) -> list[str]:
        """What starts it."""

    @abstractmethod
    def connect(self) -> Any:
        """A connection of its library; raises while it does not answer."""

    @abstractmethod
    def empty(self) -> None:
        """Forget everything that tests kept."""

    @property
    def user(self) -> str | None:
        """Who runs it, if somebody else."""
        return None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process = subprocess.Popen(
            self.command(), user=self.user, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                self.connect().close()
            except Exception:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """Kill it and all its children, as a power cut of its computer does."""
        if self.process is not None:
            for process in (self.process.pid, *_children(self.process.pid)):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            self.process.wait()
            self.process = None


class RedisServer(Server):
    """Redis as it has to be for live state."""

    @property
    def url(self) -> str:
        return f"redis://:{QUOTED}@127.0.0.1:{self.port}/3"

    def command(self) -> list[str]:
        durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        place = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        return [str(found("redis-server")), *place, *durable, "--requirepass", PASSWORD]

    def connect(self) -> Any:
        import redis

        client = redis.Redis.from_url(self.url, retry=None)
        client.ping()
        return client

    def empty(self) -> None:
        client = self.connect()
        client.flushall()
        for name, value in (("appendonly", "yes"), ("appendfsync", "always")):
            client.config_set(name, value)
        client.close()


class PostgresServer(Server):
    """PostgreSQL as it is installed."""

    @property
    def url(self) -> str:
        return f"postgresql://tester:{QUOTED}@127.0.0.1:{self.port}/postgres"

    @property
    def user(self) -> str | None:
        if os.geteuid() != 0:
            return None
        known = {one.pw_name for one in pwd.getpwall()}
        return "postgres" if "postgres" in known else "nobody"

    def command(self) -> list[str]:
        place = ["-D", str(self.folder), "-p", str(self.port), "-c", "listen_addresses=127.0.0.1"]
        return [str(found("postgres")), *place, "-c", "unix_socket_directories="]

    def connect(self) -> Any:
        import psycopg

        return psycopg.connect(self.url, autocommit=True)

    def empty(self) -> None:
        with self.connect() as open_:
            open_.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")

    def make(self) -> None:
        """Make the folder of a new server."""
        if self.user is not None:
            shutil.chown(self.folder, self.user)
        word = self.folder / "password"
        word.write_text(PASSWORD)
        word.chmod(0o644)
        command = [str(found("initdb")), "-D", str(self.folder / "data"), "-U", "tester", "-A", "scram-sha-256"]
        command += [f"--pwfile={word}", "--no-sync", "--no-instructions"]
        subprocess.run(command, user=self.user, cwd=self.folder, check=True, capture_output=True)
        self.folder /= "data"


def _children(process: int) -> list[int]:
    """The processes that one has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            found += [int(stat.parent.name)] if parent == process else []
    return found


@contextmanager
def redis_running() -> Iterator[RedisServer]:
    """A Redis server; where there is none the test is skipped."""
    _skip_without("redis-server", "redis")
    with _folder() as folder:
        yield from _started(RedisServer(folder))


@contextmanager
def postgres_running() -> Iterator[PostgresServer]:
    """A PostgreSQL server; where there is none the test is skipped."""
    _skip_without("initdb", "psycopg")
    with _folder() as folder:
        server = PostgresServer(folder)
        server.make()
        yield from _started(server)


def _started(server: Any) -> Iterator[Any]:
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder that another user can reach too."""
    folder = Path(tempfile.mkdtemp(prefix="backtestkit-server-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _skip_without(program: str, library: str) -> None:
    if found(program) is None:
        pytest.skip(f"{program} is not installed: apt-get install redis-server postgresql")
    if find_spec(library) is None:
        pytest.skip(f"the library {library} is not installed: make setup EXTRAS=dev,redis,postgres")
