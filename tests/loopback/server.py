"""The loopback exchange: Binance's spot market and one account of it, on 127.0.0.1, with fault switches.

The time it shows (`serverTime`, `Date`) is its clock's, not the wall's, when it has one. Candles are pure; the account
and its orders follow them. Under `/_test/` it answers about itself: `clock`, `log`, `fault`, `faults`, and what
`by_hand` does. Signed routes want an API key and a signature, and with `is_strict` a timestamp of its own time.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from itertools import takewhile
from random import Random
from types import TracebackType
from typing import Any, Self

from loopback.account import Account
from loopback.book import Book
from loopback.by_hand import by_hand, every_order
from loopback.clock import FakeClock, ShownClock
from loopback.data_routes import data_answer
from loopback.faults import ORDER_REPLIES, REPLIES, Fault, fault_from
from loopback.listener import OWN_ROUTES, Listener, Reply, Request, Struck
from loopback.lists import ListRoutes
from loopback.market import MARKETS, MINUTE_MS, Candles, Market, Row
from loopback.order import PLAIN, Quirk, RefusedError
from loopback.orders import OrderRoutes, Query
from loopback.prices import Prices
from loopback.signing import refuse_other_time, refuse_stranger

EMPTY_ROUTES = ("/sapi/v1/capital/config/getall", "/sapi/v1/margin/allPairs", "/sapi/v1/margin/isolated/allPairs")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRequest:
    """One request the server saw, with the fault that struck it. `weight` is the used weight after it."""

    method: str
    path: str
    query: dict[str, str]
    time_ms: int
    weight: int
    fault: str | None = None


class LoopbackExchange:
    """Start and stop it with `with`; `url` is what to hand to the program under test."""

    def __init__(
        self,
        *,
        port: int = 0,
        clock: ShownClock | None = None,
        seed: int = 7,
        markets: Iterable[Market] = MARKETS,
        rows: Mapping[str, Sequence[Row]] | None = None,
        missing: Mapping[str, set[int]] | None = None,
        faults: Iterable[Fault] = (),
        latency_ms: tuple[float, float] = (0.0, 0.0),
        balances: Mapping[str, str] | None = None,
        fee_rate: str = "0.001",
        is_strict: bool = False,
    ) -> None:
        self.clock = clock
        self.candles = Candles(
            seed=seed,
            markets={market.id: market for market in markets},
            rows={symbol: {row[0]: row for row in given} for symbol, given in (rows or {}).items()},
            missing=missing or {},
        )
        account = Account.of({"USDT": "1000"} if balances is None else balances)
        self.book = Book(prices=Prices(self.candles), account=account, fee_rate=Decimal(fee_rate))
        self.faults = list(faults)
        self.latency_ms = latency_ms
        self.is_strict = is_strict
        self.drip_seconds = 0.1
        self.log: list[LoggedRequest] = []
        self.errors: list[BaseException] = []
        self.stopping = threading.Event()
        self._routes = OrderRoutes(self.book)
        self._account_routes = {
            **self._routes.table(),
            **ListRoutes(self._routes).table(),
            **{("GET", path): _nothing for path in EMPTY_ROUTES},
        }
        self._random = Random(seed)
        self._lock = threading.Lock()
        self._book_lock = threading.Lock()
        self._http = Listener(("127.0.0.1", port), self)
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

    # --- what a test asks --------------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """The exchange's time."""
        return time.time_ns() // 1_000_000 if self.clock is None else self.clock.now_ms()

    def requests(self, path: str = "/api/v3/klines", method: str | None = None) -> list[LoggedRequest]:
        """What was asked of one path so far."""
        return [one for one in self.log if one.path == path and method in (None, one.method)]

    def finished(self, symbol: str, start_ms: int, end_ms: int) -> list[Row]:
        """The true candles that open in `[start_ms, end_ms)` and have closed."""
        last_ms = min(end_ms, self.now_ms() - MINUTE_MS + 1)
        minutes = (self.candles.minute(symbol, at) for at in range(start_ms, last_ms, MINUTE_MS))
        return [row for row in minutes if row is not None]

    def orders(self) -> list[dict[str, Any]]:
        """All orders ever accepted, as they are now, each with its `trades`."""
        with self._book_lock:
            self.book.advance(self.now_ms())
            return every_order(self._routes)

    def by_hand(self, action: str, **query: str) -> Any:
        """Do what a `/_test/` route does: `fill`, `cancel`, `sell`, `buy`, `balance`.

        Raises:
            RefusedError: the exchange says no to that too.
        """
        with self._book_lock:
            self.book.advance(self.now_ms())
            return by_hand(self._routes, action, query)

    # --- what the listener asks --------------------------------------------------------------------------------------

    def used_weight(self) -> int:
        """The weight after the last request."""
        return self.log[-1].weight if self.log else 0

    def pause(self, seconds: float) -> bool:
        """Wait; True when the exchange is stopping."""
        return self.stopping.wait(seconds)

    def delay_seconds(self) -> float:
        """How late this answer comes."""
        with self._lock:
            return self._random.uniform(*self.latency_ms) / 1000

    def seen(self, request: Request) -> Struck | None:
        """Log a request and draw its fault."""
        with self._lock:
            drawn = ((fault, fault.strikes(request.path, request.method)) for fault in self.faults)
            struck = next(((fault, kind) for fault, kind in drawn if kind), None)
            self.log.append(
                LoggedRequest(
                    method=request.method,
                    path=request.path,
                    query=request.query,
                    time_ms=self.now_ms(),
                    weight=self._weight(),
                    fault=struck[1] if struck else None,
                )
            )
            return struck

    def _weight(self) -> int:
        """Two for each request of the last minute, and this one."""
        since_ms = self.now_ms() - MINUTE_MS
        return 2 + sum(2 for _ in takewhile(lambda one: one.time_ms > since_ms, reversed(self.log)))

    def answer(self, request: Request, struck: Struck | None) -> Reply:
        """The reply to one request, bent by its fault."""
        kind = struck[1] if struck else ""
        bent = REPLIES.get(kind) or ORDER_REPLIES.get(kind)
        reply = Reply("{}")
        if struck is None or struck[0].is_accepted(kind):
            reply = self._told(lambda: self._found(request, struck), f"no {request.path}")
        if struck is None or bent is None:
            return reply
        retry_after = struck[0].retry_after
        return Reply(bent[2], bent[0], bent[1], {"Retry-After": retry_after} if retry_after else {})

    def about_itself(self, path: str, query: dict[str, str]) -> Reply:
        """The `/_test/` routes: `clock[?set=MS]`, `log`, `fault?kind=K[&count=N]…`, `faults?clear=1`, and by hand."""
        match path.removeprefix(OWN_ROUTES):
            case "clock":
                if "set" in query:
                    self.clock = FakeClock(int(query["set"]))
                return _json({"serverTime": self.now_ms()})
            case "log":
                return _json([asdict(request) for request in self.log])
            case "fault":
                self.faults.append(fault_from(query))
                return Reply("{}")
            case "faults":
                self.faults.clear()
                return Reply("{}")
            case action:
                return self._told(lambda: self.by_hand(action, **query), f"no {path}")

    def _told(self, ask: Callable[[], object], missing: str) -> Reply:
        try:
            found = ask()
        except RefusedError as refusal:
            return _json({"code": refusal.code, "msg": refusal.text}, refusal.status)
        return _json({"code": -1, "msg": missing}, 404) if found is None else _json(found)

    def _found(self, request: Request, struck: Struck | None) -> object:
        kind = struck[1] if struck else None
        found = data_answer(self.candles, self.now_ms(), request.path, request.query, kind)
        if found is not None:
            return found
        with self._book_lock:
            return self._account_answer(request, struck)

    def _account_answer(self, request: Request, struck: Struck | None) -> object:
        route = self._account_routes.get((request.method, request.path))
        if route is None:
            return None
        refuse_stranger(request)
        if self.is_strict:
            refuse_other_time(request, self.now_ms())
        self.book.advance(self.now_ms())
        if struck and struck[1] == "filled_first":
            self._routes.fill_first(request.query)
        return route(request.query, struck[0].quirk(struck[1]) if struck else PLAIN)


def _nothing(_query: Query, _quirk: Quirk) -> object:
    return []


def _json(found: object, status: int = 200) -> Reply:
    return Reply(json.dumps(found), status)
