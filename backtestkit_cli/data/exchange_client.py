"""One ccxt exchange: how it is made, and how a question to it ends in time, in an answer or in an error of ours.

Rules: ccxt is imported by the first question. With `base_url` nothing is sent anywhere else. A request that has not
ended after `timeout_ms`, however slowly it drips, is abandoned together with its ccxt object. Threads may ask at once:
each has a ccxt object of its own, and all keep one pace and share the list of markets. Texts that leave carry the
exchange's own words only, without key, secret, signature or URL; ccxt's errors never travel along.
"""

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from backtestkit_cli.data.exchange_errors import (
    BAD_SYMBOL,
    NOT_SUPPORTED,
    UNREADABLE,
    Meaning,
    meaning_of,
)
from backtestkit_cli.data.retry import Clock, Patience, Tally
from backtestkit_cli.data.wire import error_code, excerpt, http_date_ms, moved, retry_after_ms, step_of
from backtestkit_cli.errors import (
    BacktestkitError,
    ConfigError,
    DataError,
    ExchangeError,
    Problem,
    RejectedError,
    Source,
)
from backtestkit_cli.model.candle import MarketSteps

LIMIT = 1000
_BANNED = 418
_SILENCING_STATUSES = (_BANNED, 429, 503)
_WRONG_MS = 2_000  # the exchange tells its time in whole seconds
_BAN_MS = 120_000  # the shortest ban of Binance, for an answer that does not say how long


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Account:
    """Which exchange is asked, as whom, and where. Has no repr: it holds secrets."""

    id: str
    api_key: str | None
    secret: str | None
    base_url: str | None
    market: str
    timeout_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The rows of one answer as ccxt read them, in the order they came, and the exchange's time then."""

    rows: list[Any]
    now_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteAnswer:
    """What one request to the account brought: what the exchange `told` (None: nothing that can be read), or its error
    `code`, with the HTTP status (None without an answer) and words fit to be shown.
    """

    told: Any
    code: int | None
    status: int | None
    words: str


@dataclass(slots=True)
class _Wire:
    """One ccxt object and what came with its last request; an abandoned thread can only touch its own."""

    exchange: Any
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    rows: list[Any] = field(default_factory=list)
    is_abandoned: bool = False

    def forget(self) -> None:
        """Begin a request."""
        self.status, self.headers, self.body = None, {}, ""


class _OwnWire(threading.local):
    wire: _Wire | None = None


class ExchangeClient:
    """Questions to one exchange, each asked once; from any thread.

    `ahead_ms` is how far our clock was ahead of the one that its last answer showed, in whole seconds of that.
    """

    def __init__(self, account: Account, *, clock: Clock, patience: Patience, tally: Tally) -> None:
        self._account = account
        self._clock = clock
        self._patience = patience
        self._tally = tally
        self._own = _OwnWire()
        self._loading = threading.Lock()
        self._loaded: Any = None
        self._pacing = threading.Lock()
        self._sent_ms: float = 0
        self.ahead_ms: int | None = None

    def market(self, symbol: str) -> Mapping[str, Any]:
        """The market of a symbol, written `BTC/USDT` or `BTCUSDT`.

        Raises:
            RejectedError: no such market, or no 1m candles at this exchange.
        """
        wire = self._connected()
        where = Source(symbol=symbol)
        self._load_markets(wire, where)
        if wire.exchange.has.get("fetchOHLCV") is not True or "1m" not in (wire.exchange.timeframes or {}):
            raise self._error(NOT_SUPPORTED, wire, where, what="does not offer 1m candles")
        if symbol not in wire.exchange.markets and symbol not in wire.exchange.markets_by_id:
            raise self._unknown_symbol(wire, symbol)
        found: Mapping[str, Any] = self._call(wire, where, "market", symbol)
        return found

    def limit(self, market: Mapping[str, Any]) -> int:
        """How many candles one answer can hold."""
        exchange = self._connected().exchange
        offered = exchange.feature_value(market["symbol"], "fetchOHLCV", "limit", LIMIT)
        return min(LIMIT, int(offered or LIMIT))

    def steps(self, market: Mapping[str, Any]) -> MarketSteps:
        """The market's price and quantity steps."""
        mode = self._connected().exchange.precisionMode
        precision = market.get("precision") or {}
        return MarketSteps(
            price=step_of(precision.get("price"), mode=mode), quantity=step_of(precision.get("amount"), mode=mode)
        )

    def candles(self, market: Mapping[str, Any], since_ms: int | None, limit: int) -> Answer:
        """One answer with 1m candles from `since_ms` on; the newest ones without it."""
        wire = self._connected()
        wire.rows = []
        where = Source(symbol=str(market["symbol"]), time_ms=since_ms)
        read = self._call(wire, where, "fetch_ohlcv", market["symbol"], "1m", since_ms, limit)
        if not wire.body.startswith(("[", "{")):
            raise self._error(UNREADABLE, wire, where)
        return Answer(rows=wire.rows or read, now_ms=self._exchange_time_ms(wire))

    def route(self, name: str, params: Mapping[str, Any]) -> RouteAnswer:
        """Send one signed request, once; `name` is ccxt's for the route. What goes wrong is part of the answer."""
        wire = self._connected()
        wire.forget()
        told = None
        try:
            told = getattr(wire.exchange, name)({**params, "timestamp": self._stamp_ms()})
        except BacktestkitError:
            raise
        except Exception as error:  # noqa: BLE001  # ccxt meets odd answers with any exception
            kind = type(error).__name__
        else:
            kind = ""
        self._heed_silence(wire)
        if wire.headers:
            self._exchange_time_ms(wire)
        secrets = (self._account.api_key, self._account.secret)
        words = excerpt(wire.body, secrets=secrets) if wire.status else kind
        return RouteAnswer(told=told, code=error_code(wire.body), status=wire.status, words=words)

    def account(self, symbol: str) -> Mapping[str, float]:
        """What is free of each asset.

        Raises:
            ExchangeError: the exchange refuses the key, or does not answer.
        """
        wire = self._connected()
        told = self._call(wire, Source(symbol=symbol), "fetch_balance")
        free: Mapping[str, float] = told["free"]
        return free

    def _connected(self) -> _Wire:
        wire = self._own.wire
        if wire is None or wire.is_abandoned:
            wire = self._own.wire = _Wire(self._new_exchange(_ccxt()))
            self._watch(wire)
            if self._loaded is not None:
                wire.exchange.set_markets_from_exchange(self._loaded)
        return wire

    def _load_markets(self, wire: _Wire, where: Source) -> None:
        with self._loading:
            if wire.exchange.markets:
                return
            if self._loaded is not None:
                wire.exchange.set_markets_from_exchange(self._loaded)
            elif self._call(wire, where, "load_markets"):
                self._loaded = wire.exchange
            else:
                raise self._error(UNREADABLE, wire, where)

    def _new_exchange(self, ccxt: ModuleType) -> Any:
        account = self._account
        if account.id not in ccxt.exchanges:
            raise _unknown_exchange(account.id, ccxt.exchanges)
        settings: dict[str, Any] = {"timeout": account.timeout_ms, "enableRateLimit": True}
        if account.api_key:
            settings |= {"apiKey": account.api_key, "secret": account.secret or ""}
        exchange = getattr(ccxt, account.id)(settings)
        exchange.options["defaultType"] = account.market
        offered = exchange.options.get("fetchMarkets")
        if isinstance(offered, dict) and account.market in offered.get("types", ()):
            offered["types"] = [account.market]
        if account.base_url is not None:
            exchange.urls["api"] = moved(exchange.urls["api"], account.base_url)
        return exchange

    def _watch(self, wire: _Wire) -> None:
        """Put ourselves between ccxt and the network, where it offers a seam, on this one object."""
        exchange = wire.exchange
        send, read_candle, wait = exchange.fetch, exchange.parse_ohlcv, exchange.throttle

        def fetch(url: str, *rest: Any, **named: Any) -> Any:
            wire.forget()
            self._refuse_elsewhere(url)
            self._tally.requests += 1
            return self._in_time(wire, lambda: send(url, *rest, **named))

        def on_rest_response(*answer: Any) -> str:
            wire.status, _, _, _, wire.headers, body = answer[:6]
            wire.body = body.strip()
            return wire.body

        def parse_ohlcv(row: Any, market: Any = None) -> Any:
            candle = read_candle(row, market)
            wire.rows.append(candle)
            return candle

        def throttle(cost: Any = None) -> None:
            with self._pacing:  # the next one waits for its own turn
                exchange.lastRestRequestTimestamp = self._sent_ms
                wait(cost)
                self._sent_ms = exchange.milliseconds()

        exchange.fetch, exchange.on_rest_response, exchange.parse_ohlcv = fetch, on_rest_response, parse_ohlcv
        exchange.throttle = throttle

    def _in_time(self, wire: _Wire, send: Callable[[], Any]) -> Any:
        outcome: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()

        def work() -> None:
            try:
                outcome.put((send(), None))
            except Exception as error:  # noqa: BLE001  # raised again below, in the thread that asked
                outcome.put((None, error))

        threading.Thread(target=work, name=f"{self._account.id} request", daemon=True).start()
        try:
            answer, error = outcome.get(timeout=self._account.timeout_ms / 1000)
        except queue.Empty:
            wire.is_abandoned = True
            raise _ccxt().RequestTimeout(self._account.id) from None
        if error is not None:
            raise error
        return answer

    def _call(self, wire: _Wire, where: Source, name: str, *arguments: Any) -> Any:
        try:
            return getattr(wire.exchange, name)(*arguments)
        except BacktestkitError:
            raise
        except Exception as error:  # noqa: BLE001  # ccxt meets odd answers with any exception
            failure = error
        self._heed_silence(wire)
        # Raised out of the except block: the ccxt error, whose text holds the signed URL, must not travel as context.
        raise self._error(meaning_of(failure, wire.status), wire, where)

    def _heed_silence(self, wire: _Wire) -> None:
        if wire.status not in _SILENCING_STATUSES:
            return
        silence_ms = retry_after_ms(wire.headers.get("Retry-After"), self._clock.now_ms())
        if silence_ms is None and wire.status == _BANNED:
            silence_ms = _BAN_MS
        if silence_ms is not None:
            self._patience.keep_silent(silence_ms)

    def _stamp_ms(self) -> int:
        """The time for a signed request: that of the exchange, where our clock is known to be wrong."""
        ahead_ms = self.ahead_ms or 0
        return self._clock.now_ms() - (ahead_ms if abs(ahead_ms) > _WRONG_MS else 0)

    def _exchange_time_ms(self, wire: _Wire) -> int:
        shown_ms, now_ms = http_date_ms(wire.headers.get("Date")), self._clock.now_ms()
        self.ahead_ms = None if shown_ms is None else now_ms - shown_ms
        return now_ms if shown_ms is None else shown_ms

    def _error(
        self, meaning: Meaning, wire: _Wire, where: Source, *, what: str | None = None, hint: str | None = None
    ) -> ExchangeError | DataError:
        account = self._account
        status = f" (HTTP {wire.status})" if wire.status and (wire.status != 200 or meaning is UNREADABLE) else ""
        text = (what or meaning.what).format(symbol=where.symbol)
        return meaning.error(
            Problem(
                code=meaning.code,
                what=f"{account.id} {text}{status}",
                where=where,
                found=excerpt(wire.body, secrets=(account.api_key, account.secret)) if wire.status else None,
                hint=hint or meaning.hint,
            )
        )

    def _unknown_symbol(self, wire: _Wire, symbol: str) -> ExchangeError | DataError:
        near = get_close_matches(
            symbol.upper(), [*wire.exchange.markets, *wire.exchange.markets_by_id], n=1, cutoff=0.5
        )
        wire.status = None
        return self._error(BAD_SYMBOL, wire, Source(symbol=symbol), hint=f"did you mean {near[0]}?" if near else None)

    def _refuse_elsewhere(self, url: str) -> None:
        base_url = self._account.base_url
        if base_url is not None and not url.startswith(base_url.rstrip("/") + "/"):
            raise ConfigError(
                Problem(
                    code="base-url",
                    what=f"{self._account.id} would be asked at {urlsplit(url).netloc}, not at base_url",
                    where=Source(key="base_url"),
                    hint="this exchange cannot be moved to another address",
                )
            )


def _ccxt() -> ModuleType:
    for name in ("ccxt", "urllib3"):  # both write signed URLs at DEBUG
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        import ccxt
    except ImportError as error:
        raise RejectedError(
            Problem(
                code="ccxt-missing",
                what="ccxt, which talks to exchanges, cannot be imported",
                found=str(error),
                hint="install it with: pip install --upgrade ccxt (backtests on stored or sample candles need none)",
            )
        ) from None
    module: ModuleType = ccxt
    return module


def _unknown_exchange(name: str, known: list[str]) -> ConfigError:
    near = get_close_matches(name.lower(), known, n=1)
    return ConfigError(
        Problem(
            code="unknown-exchange",
            what=f"ccxt knows no exchange {name!r}",
            where=Source(key="id"),
            found=name,
            hint=f"did you mean {near[0]}?" if near else "see the list of exchanges in ccxt's documentation",
        )
    )
