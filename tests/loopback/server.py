"""The loopback exchange: an HTTP server on 127.0.0.1 with Binance's spot market routes and fault switches.

Answers are sent in one piece; the time it shows (`serverTime`, `Date`) is its clock's, not the wall's, when it has one.
Under `/_test/` it answers about itself: `clock`, `log`, `fault`.
"""

import contextlib
import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from loopback.clock import FakeClock
from loopback.faults import REPLIES, ROW_FAULTS, Fault, Rows
from loopback.market import INTERVALS, MARKETS, MINUTE_MS, Candles, Market, Row, on_wire

SIGNED = {
    "/sapi/v1/capital/config/getall": [],
    "/sapi/v1/margin/allPairs": [],
    "/sapi/v1/margin/isolated/allPairs": [],
    "/api/v3/account": {
        "balances": [{"asset": "USDT", "free": "1000.00000000", "locked": "0.00000000"}],
        "permissions": ["SPOT"],
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRequest:
    """One request the server saw, with the fault that struck it. `weight` is the used weight after it."""

    path: str
    query: dict[str, str]
    time_ms: int
    weight: int
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    body: str
    status: int = 200
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class LoopbackExchange:
    """Start and stop it with `with`; `url` is what to hand to the program under test."""

    def __init__(
        self,
        *,
        port: int = 0,
        clock: FakeClock | None = None,
        seed: int = 7,
        markets: Iterable[Market] = MARKETS,
        rows: Mapping[str, Sequence[Row]] | None = None,
        missing: Mapping[str, set[int]] | None = None,
        faults: Iterable[Fault] = (),
        latency_ms: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self.clock = clock
        self.candles = Candles(
            seed=seed,
            markets={market.id: market for market in markets},
            rows={symbol: {row[0]: row for row in given} for symbol, given in (rows or {}).items()},
            missing=missing or {},
        )
        self.faults = list(faults)
        self.latency_ms = latency_ms
        self.drip_seconds = 0.1
        self.log: list[LoggedRequest] = []
        self.errors: list[BaseException] = []
        self.stopping = threading.Event()
        self._random = Random(seed)
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), name="loopback", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Refuse connections from now on and end the open ones."""
        self.stopping.set()
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()
        self._http.hang_up()

    def now_ms(self) -> int:
        """The exchange's time."""
        return time.time_ns() // 1_000_000 if self.clock is None else self.clock.now_ms()

    def requests(self, path: str = "/api/v3/klines") -> list[LoggedRequest]:
        """What was asked of one path so far."""
        return [request for request in self.log if request.path == path]

    def finished(self, symbol: str, start_ms: int, end_ms: int) -> list[Row]:
        """The true candles that open in `[start_ms, end_ms)` and have closed."""
        last_ms = min(end_ms, self.now_ms() - MINUTE_MS + 1)
        minutes = (self.candles.minute(symbol, at) for at in range(start_ms, last_ms, MINUTE_MS))
        return [row for row in minutes if row is not None]

    def seen(self, path: str, query: dict[str, str]) -> tuple[Fault, str] | None:
        """Log a request and draw its fault."""
        with self._lock:
            struck = next(((fault, kind) for fault in self.faults if (kind := fault.strikes(path))), None)
            weight = sum(2 for request in self.log if request.time_ms > self.now_ms() - MINUTE_MS) + 2
            fault = struck[1] if struck else None
            self.log.append(LoggedRequest(path=path, query=query, time_ms=self.now_ms(), weight=weight, fault=fault))
            return struck

    def answer(self, path: str, query: dict[str, str], key: str | None, fault: tuple[Fault, str] | None) -> Reply:
        """The reply to one request, bent by its fault."""
        if fault and fault[1] in REPLIES:
            status, kind, body = REPLIES[fault[1]]
            retry_after = fault[0].retry_after
            return Reply(body, status, kind, {"Retry-After": retry_after} if retry_after else {})
        if path == "/api/v3/klines":
            return self._klines(query, fault[1] if fault else None)
        if path in SIGNED:
            if not key or "signature" not in query:
                return _refusal(401, -2014, "API-key format invalid.")
            return Reply(json.dumps(SIGNED[path]))
        match path:
            case "/api/v3/exchangeInfo":
                listed = [market.as_json() for market in self.candles.markets.values()]
                return Reply(json.dumps({**self._time(), "timezone": "UTC", "rateLimits": [], "exchangeFilters": [],
                                         "symbols": listed}))  # fmt: skip
            case "/fapi/v1/exchangeInfo" | "/dapi/v1/exchangeInfo":
                return Reply(json.dumps({"symbols": []}))
            case "/api/v3/time":
                return Reply(json.dumps(self._time()))
            case "/api/v3/ping":
                return Reply("{}")
            case _:
                return _refusal(404, -1, f"no {path}")

    def about_itself(self, path: str, query: dict[str, str]) -> Reply:
        """The `/_test/` routes: `clock[?set=MS]`, `log`, `fault?kind=K[&count=N][&rate=R][&path=P]`."""
        match path.removeprefix("/_test/"):
            case "clock":
                if "set" in query:
                    self.clock = FakeClock(int(query["set"]))
                return Reply(json.dumps(self._time()))
            case "log":
                return Reply(json.dumps([asdict(request) for request in self.log]))
            case "fault":
                self.faults.append(fault_from(query))
                return Reply("{}")
            case _:
                return _refusal(404, -1, f"no {path}")

    def delay_seconds(self) -> float:
        """How late this answer comes."""
        with self._lock:
            return self._random.uniform(*self.latency_ms) / 1000

    def _time(self) -> dict[str, int]:
        return {"serverTime": self.now_ms()}

    def _klines(self, query: dict[str, str], fault: str | None) -> Reply:
        symbol, interval = query.get("symbol", ""), query.get("interval", "")
        if symbol not in self.candles.markets:
            return _refusal(400, -1121, "Invalid symbol.")
        if interval not in INTERVALS:
            return _refusal(400, -1120, "Invalid interval.")
        rows = self.candles.klines(
            symbol,
            interval,
            now_ms=self.now_ms(),
            limit=min(int(query.get("limit", "500")), 1000),
            start_ms=int(query["startTime"]) if "startTime" in query else None,
            end_ms=int(query["endTime"]) if "endTime" in query else None,
        )
        wire: Rows = [on_wire(row, INTERVALS[interval] * MINUTE_MS) for row in rows]
        if fault in ROW_FAULTS and wire:
            wire = ROW_FAULTS[fault](wire, len(wire) // 2)
        return Reply(json.dumps(wire))


def fault_from(query: Mapping[str, str]) -> Fault:
    """A fault from texts: kind (several with commas), path, count, rate, seed, after, retry_after."""
    return Fault(
        kinds=tuple(query["kind"].split(",")),
        path=query.get("path", "/api/v3/klines"),
        count=int(query["count"]) if "count" in query else None,
        rate=float(query["rate"]) if "rate" in query else None,
        seed=int(query.get("seed", "1")),
        after=int(query.get("after", "0")),
        retry_after=query.get("retry_after"),
    )


def _refusal(status: int, code: int, text: str) -> Reply:
    return Reply(json.dumps({"code": code, "msg": text}), status)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # one send per answer, else delayed ACKs cost 40 ms each
    disable_nagle_algorithm = True
    server: "_Server"

    def do_GET(self) -> None:
        exchange = self.server.exchange
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode() if length else ""
        query = dict(parse_qsl(parts.query, keep_blank_values=True) + parse_qsl(body))
        if parts.path.startswith("/_test/"):
            self.send(exchange.about_itself(parts.path, query))
            return
        struck = exchange.seen(parts.path, query)
        exchange.stopping.wait(exchange.delay_seconds())
        reply = exchange.answer(parts.path, query, self.headers.get("X-MBX-APIKEY"), struck)
        match struck[1] if struck else None:
            case "no_reply":
                exchange.stopping.wait(30)
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
            case _:
                self.send(reply)

    do_POST = do_GET  # noqa: N815  # names of the standard library
    do_DELETE = do_GET  # noqa: N815

    def send(self, reply: Reply, share: float = 1.0) -> None:
        """Headers and body, or only the first share of the body."""
        body = reply.body.encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header(
            "x-mbx-used-weight-1m", str(self.server.exchange.log[-1].weight if self.server.exchange.log else 0)
        )
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: int(len(body) * share)])
        self.wfile.flush()

    def drip(self, body: bytes) -> None:
        """One byte at a time."""
        for byte in body:
            if self.server.exchange.stopping.wait(self.server.exchange.drip_seconds):
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


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def __init__(self, address: tuple[str, int], exchange: LoopbackExchange) -> None:
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
