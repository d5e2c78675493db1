"""What holds for every test: no network beyond this computer, and an environment without our or proxy variables."""

import os
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import settings
from servers import PostgresServer, RedisServer, postgres_running, redis_running

# a slow machine is no finding
settings.register_profile("steady", settings.default, deadline=None)
settings.load_profile("steady")

KEPT = ("BACKTESTKIT_SHARED",)


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """Settings of the person who runs the tests do not reach the program under test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name not in KEPT and (name.startswith("BACKTESTKIT_") or name.upper().endswith("_PROXY")):
                patch.delenv(name)
        patch.setenv("NO_COLOR", "1")
        yield


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Connecting anywhere but to this computer is refused."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
        yield


def _guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_here(address[0]):
            raise ConnectionRefusedError(f"a test tried to connect to {address}")
        return connect(self, address)

    return guarded


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis server for all tests of a worker."""
    with redis_running() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for all tests of a worker."""
    with postgres_running() as server:
        yield server
