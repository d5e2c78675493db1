"""Real ccxt against the loopback exchange: each fault has its documented reaction, and no secret gets out."""

import asyncio
import importlib
import json
import logging
import socket
import subprocess
import sys
import traceback
import urllib.request
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from loopback import FAULT_KINDS, FakeClock, Fault, LoopbackExchange, Market
from loopback.faults import CONNECTION_FAULTS, ROW_FAULTS

from backtestkit_cli.data.exchange import CcxtExchange
from backtestkit_cli.errors import BacktestkitError, DataError, ExchangeError, RejectedError, TransientError
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.time import MINUTE_MS

START_MS = 1_700_000_040_000
MINUTES = 1300
END_MS = START_MS + MINUTES * MINUTE_MS
NOW_MS = START_MS + 3000 * MINUTE_MS + 12_345
TIMEOUT_MS = 5000
SHORT_MS = {"no_reply": 600, "slow_drip": 600}  # only where a time-out is what is tested
KEY, SECRET = "KEYKEYKEY", "SECSECSEC"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW_MS)


@pytest.fixture
def exchange(clock: FakeClock) -> Iterator[LoopbackExchange]:
    with LoopbackExchange(clock=clock) as running:
        yield running
    assert running.errors == []


def source_of(exchange: LoopbackExchange, clock: FakeClock, **settings: Any) -> CcxtExchange:
    return CcxtExchange("binance", base_url=exchange.url, clock=clock, **{"timeout_ms": TIMEOUT_MS} | settings)


def download(source: CcxtExchange, end_ms: int = END_MS) -> list[tuple[Any, ...]]:
    return source.candles("BTC/USDT", START_MS, end_ms).rows()


# --- what is right comes through -------------------------------------------------------------------------------------


def test_two_pages_hold_exactly_the_closed_candles(exchange: LoopbackExchange, clock: FakeClock) -> None:
    source = source_of(exchange, clock)
    assert download(source) == exchange.finished("BTCUSDT", START_MS, END_MS)
    asked = [(int(request.query["startTime"]) - START_MS) // MINUTE_MS for request in exchange.requests()]
    assert asked == [0, 1000]
    assert [request.path for request in exchange.log if request not in exchange.requests()] == ["/api/v3/exchangeInfo"]
    assert (source.tally.requests, source.tally.retries) == (3, 0)


@pytest.mark.parametrize("symbol", ["ETH/USDT", "ETHUSDT"])
def test_a_symbol_may_be_written_both_ways(exchange: LoopbackExchange, clock: FakeClock, symbol: str) -> None:
    source = source_of(exchange, clock)
    frame = source.candles(symbol, START_MS, START_MS + 5 * MINUTE_MS)
    assert frame.rows() == exchange.finished("ETHUSDT", START_MS, START_MS + 5 * MINUTE_MS)


def test_the_unfinished_candle_is_left_out_by_the_clock_of_the_exchange(clock: FakeClock) -> None:
    with LoopbackExchange(clock=FakeClock(NOW_MS - 10 * MINUTE_MS)) as slow:
        rows = source_of(slow, clock).candles("BTCUSDT", NOW_MS - 20 * MINUTE_MS, NOW_MS).rows()
        assert [row[0] for row in rows] == [START_MS + minute * MINUTE_MS for minute in range(2981, 2990)]
        assert rows == slow.finished("BTCUSDT", START_MS + 2981 * MINUTE_MS, END_MS * 2)


def test_real_holes_stay_holes(clock: FakeClock) -> None:
    missing = {START_MS + minute * MINUTE_MS for minute in (0, 5, 6, 7, 999, 1000, *range(1100, 2250))}
    with LoopbackExchange(clock=clock, missing={"BTCUSDT": missing}) as exchange:
        end_ms = START_MS + 2300 * MINUTE_MS
        assert download(source_of(exchange, clock), end_ms) == exchange.finished("BTCUSDT", START_MS, end_ms)
        assert len(exchange.requests()) <= 14


def test_before_its_listing_a_market_has_no_candles(clock: FakeClock) -> None:
    late = Market(
        id="NEWUSDT", base="NEW", quote="USDT", price_step="0.1", quantity_step="1", level=5, listed_ms=END_MS
    )
    with LoopbackExchange(clock=clock, markets=[late]) as exchange:
        source = source_of(exchange, clock)
        assert source.candles("NEWUSDT", START_MS, END_MS).is_empty()
        assert source.candles("NEWUSDT", START_MS, END_MS + MINUTE_MS)["time"].to_list() == [END_MS]


def test_after_its_end_a_market_has_no_candles(clock: FakeClock) -> None:
    gone = Market(
        id="OLDUSDT", base="OLD", quote="USDT", price_step="0.1", quantity_step="1", level=5, delisted_ms=END_MS
    )
    with LoopbackExchange(clock=clock, markets=[gone]) as exchange:
        source = source_of(exchange, clock)
        rows = source.candles("OLDUSDT", END_MS - 2 * MINUTE_MS, END_MS + 600 * MINUTE_MS)
        assert rows["time"].to_list() == [END_MS - 2 * MINUTE_MS, END_MS - MINUTE_MS]
        assert source.candles("OLDUSDT", END_MS, END_MS + 600 * MINUTE_MS).is_empty()


def test_given_rows_are_served(clock: FakeClock) -> None:
    rows = [(START_MS + minute * MINUTE_MS, 1.0, 3.0, 0.5, 2.0, float(minute)) for minute in range(4)]
    with LoopbackExchange(clock=clock, rows={"BTCUSDT": rows}) as exchange:
        assert source_of(exchange, clock).candles("BTCUSDT", START_MS, START_MS + 4 * MINUTE_MS).rows() == rows


def test_steps_are_those_of_the_market(exchange: LoopbackExchange, clock: FakeClock) -> None:
    source = source_of(exchange, clock)
    steps = {symbol: source.steps(symbol) for symbol in ("BTC/USDT", "ETHUSDT", "DOGEBTC")}
    assert steps == {
        "BTC/USDT": MarketSteps(price=0.01, quantity=0.00001),
        "ETHUSDT": MarketSteps(price=0.05, quantity=0.001),
        "DOGEBTC": MarketSteps(price=0.00000001, quantity=1.0),
    }
    assert source.tally.requests == 1


# --- what goes wrong -------------------------------------------------------------------------------------------------

FATAL = {
    "http_403_html": (
        "exchange-forbidden",
        "binance refuses requests from this address (HTTP 403)",
        "an HTML page",
        "its firewall blocks this network, or asked too often; wait, or ask from elsewhere",
    ),
    "http_451": (
        "exchange-location",
        "binance does not serve this location (HTTP 451)",
        '{"code": 0, "msg": "Restricted location."}',
        "choose an exchange, or an id of this one, that serves your country",
    ),
    "bad_symbol_200": (
        "unknown-symbol",
        "binance does not know the symbol BTC/USDT",
        '{"code": -1121, "msg": "Invalid symbol."}',
        "write it as the exchange does, such as BTC/USDT or BTCUSDT",
    ),
    "bad_symbol_400": (
        "unknown-symbol",
        "binance does not know the symbol BTC/USDT (HTTP 400)",
        '{"code": -1121, "msg": "Invalid symbol."}',
        "write it as the exchange does, such as BTC/USDT or BTCUSDT",
    ),
    "authentication": (
        "exchange-authentication",
        "binance refuses the API key (HTTP 401)",
        '{"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}',
        "check api_key, secret and the key's list of allowed addresses; public candles need no key at all",
    ),
    "clock_skew": (
        "clock-skew",
        "binance refuses the request because of its time (HTTP 400)",
        '{"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}',
        "set this computer's clock (time synchronisation is off, or behind)",
    ),
}
HARMLESS = ("duplicate_row", "reversed")
SURVIVABLE = [kind for kind in FAULT_KINDS if kind not in FATAL]
LASTING = {
    "http_429": "exchange-throttled",
    "http_418": "exchange-throttled",
    "http_500": "exchange-unavailable",
    "http_502_html": "exchange-unavailable",
    "http_503_html": "exchange-unavailable",
    "html_page": "exchange-answer-unreadable",
    "empty_body": "exchange-answer-unreadable",
    "null": "exchange-answer-unreadable",
    "empty_object": "no-candles",
    "empty_list": "no-candles",
    "gap": "candles-disagree",
    "no_reply": "exchange-timeout",
    "slow_drip": "exchange-timeout",
    "close": "exchange-unreachable",
    "reset": "exchange-unreachable",
    "cut_short": "exchange-unreachable",
}


@pytest.mark.parametrize("kind", SURVIVABLE)
def test_a_fault_that_strikes_once_leaves_the_right_candles(
    exchange: LoopbackExchange, clock: FakeClock, kind: str
) -> None:
    exchange.faults = [Fault([kind], count=1, after=1)]
    source = source_of(exchange, clock, timeout_ms=SHORT_MS.get(kind, TIMEOUT_MS))
    assert download(source) == exchange.finished("BTCUSDT", START_MS, END_MS)
    assert [request.fault for request in exchange.requests()][1] == kind
    assert source.tally.retries == (0 if kind in HARMLESS else 1)
    assert source.tally.duplicates == (1 if kind == "duplicate_row" else 0)
    waits = {"http_418": [120.0]}.get(kind, [5.0])
    assert clock.sleeps == ([] if kind in HARMLESS else waits)


@pytest.mark.parametrize("kind", [kind for kind in SURVIVABLE if kind not in HARMLESS])
def test_a_fault_that_stays_is_an_error_and_never_no_candles(
    exchange: LoopbackExchange, clock: FakeClock, kind: str
) -> None:
    exchange.faults = [Fault([kind])]
    expected = TransientError if kind in LASTING else DataError
    with pytest.raises(expected) as caught:
        download(source_of(exchange, clock, retries=1, timeout_ms=SHORT_MS.get(kind, TIMEOUT_MS)))
    (problem,) = caught.value.problems
    assert problem.code == LASTING.get(kind, "broken-candle")
    assert problem.what.endswith("; no better after 1 retry")
    assert problem.hint
    assert problem.where is not None
    assert problem.where.symbol == "BTC/USDT"


@pytest.mark.parametrize("kind", sorted(FATAL))
def test_what_is_refused_for_good_is_asked_once_and_explained(
    exchange: LoopbackExchange, clock: FakeClock, kind: str
) -> None:
    exchange.faults = [Fault([kind])]
    with pytest.raises(RejectedError) as caught:
        download(source_of(exchange, clock))
    (problem,) = caught.value.problems
    assert (problem.code, problem.what, problem.found, problem.hint) == FATAL[kind]
    assert len(exchange.requests()) == 1
    assert clock.sleeps == []


@pytest.mark.parametrize("kind", ["http_500", "html_page", "empty_body", "null", "empty_object", "cut_short"])
def test_a_list_of_markets_that_fails_once_is_asked_for_again(
    exchange: LoopbackExchange, clock: FakeClock, kind: str
) -> None:
    exchange.faults = [Fault([kind], path="/api/v3/exchangeInfo", count=1)]
    assert len(download(source_of(exchange, clock))) == MINUTES
    assert len(exchange.requests("/api/v3/exchangeInfo")) == 2


def test_an_unknown_symbol_is_answered_with_the_nearest_one(exchange: LoopbackExchange, clock: FakeClock) -> None:
    with pytest.raises(RejectedError) as caught:
        source_of(exchange, clock).candles("BTCUSD", START_MS, END_MS)
    (problem,) = caught.value.problems
    assert (problem.code, problem.what) == ("unknown-symbol", "binance does not know the symbol BTCUSD")
    assert problem.hint == "did you mean BTCUSDT?"
    assert exchange.requests() == []


def test_an_exchange_that_is_down_is_an_error_after_the_retries(clock: FakeClock) -> None:
    exchange = LoopbackExchange(clock=clock)
    exchange.stop()
    with pytest.raises(TransientError) as caught:
        download(source_of(exchange, clock))
    assert str(caught.value) == ("binance could not be reached, or the connection broke; no better after 3 retries")
    assert clock.sleeps == [5.0, 10.0, 20.0]


@pytest.mark.parametrize("status", ["http_429", "http_418", "http_503_html"])
def test_retry_after_is_obeyed_to_the_second(exchange: LoopbackExchange, clock: FakeClock, status: str) -> None:
    exchange.faults = [Fault([status], count=2, after=1, retry_after="17")]
    source = source_of(exchange, clock)
    assert len(download(source)) == MINUTES
    times = [request.time_ms - NOW_MS for request in exchange.requests()]
    assert times == [0, 0, 17_000, 34_000]
    assert clock.sleeps == [17.0, 17.0]


def test_a_long_ban_ends_the_call_and_nothing_is_sent_inside_it(exchange: LoopbackExchange, clock: FakeClock) -> None:
    exchange.faults = [Fault(["http_418"], count=1, retry_after="3600")]
    source = source_of(exchange, clock)
    for _ in range(3):
        with pytest.raises(TransientError) as caught:
            download(source)
        assert caught.value.code == "exchange-ban"
    assert len(exchange.requests()) == 1
    clock.time_ms += 3_600_000
    assert len(download(source)) == MINUTES


@pytest.mark.parametrize("seed", range(1, 11))
def test_with_faults_in_a_fifth_of_all_calls_the_download_is_the_same(
    exchange: LoopbackExchange, clock: FakeClock, seed: int
) -> None:
    kinds = [kind for kind in SURVIVABLE if kind not in ("no_reply", "slow_drip")]
    exchange.faults = [Fault(kinds, path="*", rate=0.2, seed=seed)]
    source = source_of(exchange, clock, retries=8)
    for first in range(0, 4000, 250):
        start_ms, end_ms = (START_MS + minute * MINUTE_MS for minute in (first, first + 250))
        rows = source.candles("BTC/USDT", start_ms, end_ms).rows()
        assert rows == exchange.finished("BTCUSDT", start_ms, end_ms)
    assert any(request.fault for request in exchange.log)


def test_an_abandoned_request_does_not_disturb_the_next(exchange: LoopbackExchange, clock: FakeClock) -> None:
    exchange.faults = [Fault(["slow_drip"], count=1)]
    source = source_of(exchange, clock, timeout_ms=600)
    source.steps("BTCUSDT")
    before = source._client._own.wire
    assert download(source) == exchange.finished("BTCUSDT", START_MS, END_MS)
    assert source._client._own.wire is not before
    assert len(exchange.requests("/api/v3/exchangeInfo")) == 1


def test_a_request_that_drips_is_ended_as_a_whole(exchange: LoopbackExchange, clock: FakeClock) -> None:
    exchange.faults, exchange.drip_seconds = [Fault(["slow_drip"], count=1)], 0.4
    source = source_of(exchange, clock, timeout_ms=600, retries=0)
    with pytest.raises(TransientError, match=r"^binance did not answer in time$"):
        source.candles("BTCUSDT", NOW_MS + MINUTE_MS, NOW_MS + 9 * MINUTE_MS)  # two bytes in 800 ms


def test_threads_that_ask_at_once_share_pace_and_markets_and_mix_nothing(
    exchange: LoopbackExchange, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent_before: list[float] = []
    monkeypatch.setattr(
        importlib.import_module("ccxt").Exchange,
        "throttle",
        lambda self, _cost=None: sent_before.append(self.lastRestRequestTimestamp),
    )
    source, symbols = source_of(exchange, clock), ("BTCUSDT", "ETHUSDT", "DOGEBTC")
    with ThreadPoolExecutor(3) as threads:
        frames = list(threads.map(lambda symbol: source.candles(symbol, START_MS, END_MS), symbols))
    for symbol, frame in zip(symbols, frames, strict=True):
        assert frame.rows() == exchange.finished(symbol, START_MS, END_MS)
    assert len(exchange.requests("/api/v3/exchangeInfo")) == 1
    assert sent_before.count(0) == 1  # every request but the first knows of the one before it, whoever sent that
    assert sent_before == sorted(sent_before)


# --- secrets and addresses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["http_500", "authentication", "clock_skew", "no_reply", "close", "http_418"])
def test_no_secret_is_in_any_text_at_any_log_level(
    exchange: LoopbackExchange,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    kind: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    exchange.faults = [Fault([kind], path="/sapi/v1/capital/config/getall")]
    source = source_of(
        exchange, clock, api_key=KEY, secret=SECRET, retries=0, timeout_ms=SHORT_MS.get(kind, TIMEOUT_MS)
    )
    with pytest.raises(ExchangeError) as caught:
        download(source)
    (signed, *_) = exchange.requests("/sapi/v1/capital/config/getall")
    assert "signature" in signed.query
    error = caught.value
    texts = [caplog.text, *capfd.readouterr(), "".join(traceback.format_exception(error)), repr(error), repr(source)]
    assert error.__cause__ is None
    assert not [
        text for text in texts for word in (KEY, SECRET, "signature=", signed.query["signature"]) if word in text
    ]


def test_an_answer_that_repeats_the_key_does_not_carry_it_out(exchange: LoopbackExchange, clock: FakeClock) -> None:
    source = source_of(exchange, clock, api_key="Restricted", secret=SECRET)
    exchange.faults = [Fault(["http_451"])]
    with pytest.raises(RejectedError) as caught:
        download(source)
    assert caught.value.problems[0].found == '{"code": 0, "msg": "*** location."}'


def test_every_address_of_ccxt_is_moved_to_the_base_url(exchange: LoopbackExchange, clock: FakeClock) -> None:
    source = source_of(exchange, clock)
    source.steps("BTCUSDT")
    wire = source._client._own.wire
    assert wire is not None
    addresses = wire.exchange.urls["api"]
    assert len(addresses) > 15
    assert [url for url in addresses.values() if not url.startswith(f"{exchange.url}/")] == []
    with pytest.raises(BacktestkitError, match=r"would be asked at api\.binance\.com, not at base_url"):
        wire.exchange.fetch("https://api.binance.com/api/v3/ping")


def test_tests_reach_no_other_computer() -> None:
    with pytest.raises(ConnectionRefusedError, match="a test tried to connect"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)


# --- the loopback exchange itself, with ccxt as it is ----------------------------------------------------------------


def plain(ccxt: ModuleType, exchange: LoopbackExchange, **settings: Any) -> Any:
    options = {"timeout": TIMEOUT_MS, "enableRateLimit": False, "options": {"fetchMarkets": {"types": ["spot"]}}}
    made = ccxt.binance({**options, **settings})
    made.urls["api"] = {name: exchange.url + "/" + url.split("/", 3)[3] for name, url in made.urls["api"].items()}
    return made


@asynccontextmanager
async def plain_async(exchange: LoopbackExchange, **settings: Any) -> AsyncIterator[Any]:
    made = plain(importlib.import_module("ccxt.async_support"), exchange, **settings)
    try:
        yield made
    finally:
        await made.close()


def test_prices_round_and_amounts_are_cut(exchange: LoopbackExchange) -> None:
    made = plain(importlib.import_module("ccxt"), exchange)
    made.load_markets()
    assert made.price_to_precision("BTC/USDT", 123.456789) == "123.46"
    assert made.amount_to_precision("BTC/USDT", 0.123456789) == "0.12345"
    assert made.price_to_precision("ETH/USDT", 1234.5678) == "1234.55"
    assert made.amount_to_precision("DOGE/BTC", 12345.67) == "12345"


def test_ccxt_pages_through_three_thousand_candles(exchange: LoopbackExchange) -> None:
    made = plain(importlib.import_module("ccxt"), exchange)
    since_ms = START_MS - 1000 * MINUTE_MS
    window = {"paginate": True, "paginationCalls": 10, "until": since_ms + 3000 * MINUTE_MS - 1}
    rows = made.fetch_ohlcv("BTC/USDT", "1m", since_ms, 3000, window)
    assert [row[0] for row in rows] == [since_ms + minute * MINUTE_MS for minute in range(3000)]


def test_the_newest_candle_is_the_forming_one(exchange: LoopbackExchange, clock: FakeClock) -> None:
    made = plain(importlib.import_module("ccxt"), exchange)
    rows = made.fetch_ohlcv("BTC/USDT", "1m", None, 3)
    assert rows[-1][0] == NOW_MS // MINUTE_MS * MINUTE_MS
    forming = rows[-1]
    clock.time_ms += MINUTE_MS
    assert made.fetch_ohlcv("BTC/USDT", "1m", None, 2)[0] != forming


def test_larger_candles_are_made_of_minutes(exchange: LoopbackExchange) -> None:
    made = plain(importlib.import_module("ccxt"), exchange)
    start_ms = START_MS // 3_600_000 * 3_600_000
    (row,) = made.fetch_ohlcv("BTC/USDT", "1h", start_ms, 1)
    minutes = exchange.finished("BTCUSDT", start_ms, start_ms + 60 * MINUTE_MS)
    assert row[:5] == [start_ms, minutes[0][1], max(m[2] for m in minutes), min(m[3] for m in minutes), minutes[-1][4]]
    with pytest.raises(importlib.import_module("ccxt").BadRequest):
        made.fetch_ohlcv("BTC/USDT", "7m", start_ms, 1)


def test_until_is_inclusive_and_the_log_counts_weight(exchange: LoopbackExchange) -> None:
    made = plain(importlib.import_module("ccxt"), exchange)
    rows = made.fetch_ohlcv("BTC/USDT", "1m", START_MS + 1, 500, {"until": START_MS + 3 * MINUTE_MS})
    assert [row[0] for row in rows] == [START_MS + minute * MINUTE_MS for minute in (1, 2, 3)]
    assert made.last_response_headers["x-mbx-used-weight-1m"] == "4"


def test_a_missing_route_is_loud(exchange: LoopbackExchange) -> None:
    with pytest.raises(urllib.request.HTTPError, match="404") as caught:
        urllib.request.urlopen(f"{exchange.url}/api/v3/depth")
    with caught.value as answer:
        assert json.load(answer) == {"code": -1, "msg": "no /api/v3/depth"}


def test_signed_routes_answer(exchange: LoopbackExchange) -> None:
    made = plain(importlib.import_module("ccxt"), exchange, apiKey=KEY, secret=SECRET)
    assert made.fetch_balance()["USDT"]["free"] == 1000.0
    assert {request.path for request in exchange.log} >= {
        "/sapi/v1/capital/config/getall",
        "/sapi/v1/margin/allPairs",
        "/sapi/v1/margin/isolated/allPairs",
        "/api/v3/account",
    }


def test_fifty_calls_at_once_are_all_answered(exchange: LoopbackExchange) -> None:
    async def ask() -> list[Any]:
        async with plain_async(exchange) as made:
            await made.load_markets()
            calls = (made.fetch_ohlcv("BTC/USDT", "1m", START_MS + n * MINUTE_MS, 5) for n in range(50))
            return await asyncio.gather(*calls)

    answers = asyncio.run(ask())
    assert [answer[0][0] for answer in answers] == [START_MS + n * MINUTE_MS for n in range(50)]


def test_a_cancelled_call_raises_that_and_nothing_else(exchange: LoopbackExchange) -> None:
    async def ask() -> None:
        async with plain_async(exchange) as made:
            await made.load_markets()
            exchange.faults = [Fault(["no_reply"])]
            task = asyncio.create_task(made.fetch_ohlcv("BTC/USDT", "1m", START_MS, 5))
            while not exchange.requests():  # the log is filled by another thread
                await asyncio.sleep(0.01)
            task.cancel()
            await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(ask())


# fault: what ccxt makes of it, sync and async (None: it returns an empty list; "rows": it returns rows)
FINDINGS: dict[str, tuple[str | None, str | None]] = {
    "http_429": ("DDoSProtection", "DDoSProtection"),
    "http_418": ("DDoSProtection", "DDoSProtection"),
    "http_500": ("ExchangeNotAvailable", "ExchangeNotAvailable"),
    "http_502_html": ("ExchangeNotAvailable", "ExchangeNotAvailable"),
    "http_503_html": ("ExchangeNotAvailable", "ExchangeNotAvailable"),
    "http_403_html": ("ExchangeNotAvailable", "ExchangeNotAvailable"),
    "http_451": ("ExchangeNotAvailable", "ExchangeNotAvailable"),
    "no_reply": ("RequestTimeout", "RequestTimeout"),
    "close": ("NetworkError", "ExchangeNotAvailable"),
    "cut_short": ("NetworkError", "ExchangeError"),
    "html_page": (None, None),
    "empty_body": (None, None),
    "null": (None, None),
    "empty_object": (None, None),
    "empty_list": (None, None),
    "seconds": (None, None),
    "bad_symbol_200": ("BadSymbol", "BadSymbol"),
    "bad_symbol_400": ("BadSymbol", "BadSymbol"),
    "authentication": ("AuthenticationError", "AuthenticationError"),
    "clock_skew": ("InvalidNonce", "InvalidNonce"),
    **dict.fromkeys(
        ["duplicate_row", "reversed", "gap", "text_time", "null_row", "short_row", "nan_price", "infinite_price"],
        ("rows", "rows"),
    ),
    "negative_price": ("rows", "rows"),
}


def test_every_fault_but_two_has_a_finding() -> None:
    assert set(FAULT_KINDS) - set(FINDINGS) == {"reset", "slow_drip"}
    assert {*ROW_FAULTS, *CONNECTION_FAULTS} <= set(FAULT_KINDS)


def test_ccxt_makes_of_each_fault_what_we_rely_on(exchange: LoopbackExchange) -> None:
    made = plain(importlib.import_module("ccxt"), exchange)
    made.load_markets()
    met: dict[str, str | None] = {}
    for kind in FINDINGS:
        exchange.faults, made.timeout = [Fault([kind])], SHORT_MS.get(kind, TIMEOUT_MS)
        try:
            met[kind] = "rows" if made.fetch_ohlcv("BTC/USDT", "1m", START_MS, 9) else None
        except importlib.import_module("ccxt").BaseError as error:
            met[kind] = type(error).__name__
    assert met == {kind: sync for kind, (sync, _) in FINDINGS.items()}


def test_async_ccxt_makes_of_each_fault_what_we_rely_on(exchange: LoopbackExchange) -> None:
    async def ask() -> dict[str, str | None]:
        met: dict[str, str | None] = {}
        async with plain_async(exchange) as made:
            await made.load_markets()
            for kind in FINDINGS:
                exchange.faults, made.timeout = [Fault([kind])], SHORT_MS.get(kind, TIMEOUT_MS)
                try:
                    met[kind] = "rows" if await made.fetch_ohlcv("BTC/USDT", "1m", START_MS, 9) else None
                except importlib.import_module("ccxt").BaseError as error:
                    met[kind] = type(error).__name__
        return met

    assert asyncio.run(ask()) == {kind: found for kind, (_, found) in FINDINGS.items()}


def test_sync_ccxt_alone_does_not_end_a_slow_drip(exchange: LoopbackExchange) -> None:
    made = plain(importlib.import_module("ccxt"), exchange, timeout=600)
    made.load_markets()
    exchange.faults, exchange.drip_seconds = [Fault(["slow_drip"])], 0.4
    rows = made.fetch_ohlcv("BTC/USDT", "1m", NOW_MS + MINUTE_MS, 5)  # two bytes in 800 ms
    assert rows == []


def test_it_runs_in_a_process_of_its_own(clock: FakeClock) -> None:
    tests = Path(__file__).parent.parent
    command = [sys.executable, "-m", "loopback", "--now", str(NOW_MS), "--fault", "kind=http_500;count=1"]
    with subprocess.Popen(command, cwd=tests, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        url = child.stdout.readline().strip()
        source = CcxtExchange("binance", base_url=url, clock=clock)
        assert len(source.candles("BTCUSDT", START_MS, START_MS + 3 * MINUTE_MS)) == 3
        assert source.tally.retries == 1
        with urllib.request.urlopen(f"{url}/_test/clock?set={NOW_MS + 5}") as answer:
            assert json.load(answer) == {"serverTime": NOW_MS + 5}
        with urllib.request.urlopen(f"{url}/_test/log") as answer:
            assert [entry["fault"] for entry in json.load(answer)] == [None, "http_500", None]
        child.terminate()
        assert child.wait(10) == 0
