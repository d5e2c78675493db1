"""How the loopback exchange listens: HTTP on 127.0.0.1, answers in one piece, and broken connections on demand."""

import contextlib
import socket
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from loopback.faults import Fault

Struck = tuple[Fault, str]
OWN_ROUTES = "/_test/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request: parameters of the address and the body together, and the API key."""

    method: str
    path: str
    query: dict[str, str]
    key: str | None


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    body: str
    status: int = 200
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Exchange(Protocol):
    """What the listener asks."""

    drip_seconds: float
    errors: list[BaseException]

    def now_ms(self) -> int:
        """The exchange's time."""

    def used_weight(self) -> int:
        """The weight after the last request."""

    def pause(self, seconds: float) -> bool:
        """Wait; True when the exchange is stopping."""

    def delay_seconds(self) -> float:
        """How late this answer comes."""

    def seen(self, request: Request) -> Struck | None:
        """Log a request and draw its fault."""

    def answer(self, request: Request, struck: Struck | None) -> Reply:
        """The reply to one request, bent by its fault."""

    def about_itself(self, path: str, query: dict[str, str]) -> Reply:
        """The reply of one of its own routes."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # one send per answer, else delayed ACKs cost 40 ms each
    disable_nagle_algorithm = True
    server: "Listener"

    def do_GET(self) -> None:
        exchange, request = self.server.exchange, self.request_read()
        if request.path.startswith(OWN_ROUTES):
            self.send(exchange.about_itself(request.path, request.query))
            return
        struck = exchange.seen(request)
        exchange.pause(exchange.delay_seconds())
        reply = exchange.answer(request, struck)
        match struck[1] if struck else None:
            case "no_reply":
                exchange.pause(30)
                self.hang_up()
            case "close":
                self.hang_up()
            case "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.hang_up()
            case "cut_short":
                self.send(reply, share=0.5)
                self.hang_up()
            case "slow_drip":
                self.send(reply, share=0.0)
                self.drip(reply.body.encode())
            case "late" if struck:
                exchange.pause(struck[0].seconds)
                self.send(reply)
            case _:
                self.send(reply)

    do_POST = do_GET  # noqa: N815  # names of the standard library
    do_DELETE = do_GET  # noqa: N815

    def request_read(self) -> Request:
        """The request, whole."""
        parts, length = urlsplit(self.path), int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode() if length else ""
        query = dict(parse_qsl(parts.query, keep_blank_values=True) + parse_qsl(body))
        return Request(method=self.command, path=parts.path, query=query, key=self.headers.get("X-MBX-APIKEY"))

    def send(self, reply: Reply, share: float = 1.0) -> None:
        """Headers and body, or only the first share of the body."""
        body = reply.body.encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-mbx-used-weight-1m", str(self.server.exchange.used_weight()))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: int(len(body) * share)])
        self.wfile.flush()

    def drip(self, body: bytes) -> None:
        """One byte at a time."""
        for byte in body:
            if self.server.exchange.pause(self.server.exchange.drip_seconds):
                break
            self.wfile.write(bytes([byte]))
            self.wfile.flush()

    def hang_up(self) -> None:
        """End the connection really: every file object of it, then the socket."""
        self.close_connection = True
        for part in (self.wfile, self.rfile, self.connection):
            with contextlib.suppress(OSError):
                part.close()
        raise ConnectionAbortedError("hung up on purpose")

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(self.server.exchange.now_ms() // 1000 if timestamp is None else timestamp)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Stay silent."""


class Listener(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def __init__(self, address: tuple[str, int], exchange: Exchange) -> None:
        self.exchange = exchange
        self._connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError):
            self.exchange.errors.append(error)
