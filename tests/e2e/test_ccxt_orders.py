"""Real ccxt trades on the loopback exchange, sync and async: orders, their ids, queries, money, and what goes wrong."""

import asyncio
import contextlib
import importlib
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from loopback import FakeClock, Fault, LoopbackExchange, RefusedError, Row
from loopback.faults import CONNECTION_FAULTS, HTML, ORDER_REPLIES, REPLIES, order_faults

from backtestkit_cli.data.wire import moved
from backtestkit_cli.model.time import MINUTE_MS

START_MS = 1_700_000_040_000
PRICES = [100.0, 100.0, 99.0, 101.0, 102.0, 95.0, 110.0, 100.0, 100.0, 100.0]  # where each minute opens
ROWS: list[Row] = [
    (START_MS + minute * MINUTE_MS, price, price + 0.5, price - 0.5, price, 9.0) for minute, price in enumerate(PRICES)
]
SYMBOL, ORDER = "BTC/USDT", "/api/v3/order"
Trader = Callable[..., Any]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START_MS + 1000)


@pytest.fixture
def exchange(clock: FakeClock) -> Iterator[LoopbackExchange]:
    balances = {"USDT": "1000", "BTC": "2"}
    with LoopbackExchange(clock=clock, rows={"BTCUSDT": ROWS}, balances=balances) as running:
        yield running
    assert running.errors == []


def settings(**more: Any) -> dict[str, Any]:
    return {
        "apiKey": "KEYKEYKEY",
        "secret": "SECSECSEC",
        "enableRateLimit": False,
        "timeout": 5000,
        "options": {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False},
        **more,
    }


@pytest.fixture(params=["sync", "async"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def trader(way: str, exchange: LoopbackExchange) -> Iterator[Trader]:
    """Calls a method of ccxt's Binance by its name."""
    if way == "sync":
        made = importlib.import_module("ccxt").binance(settings())
        made.urls["api"] = moved(made.urls["api"], exchange.url)
        yield lambda name, *given, **named: getattr(made, name)(*given, **named)
        return
    with asyncio.Runner() as runner:
        later = importlib.import_module("ccxt.async_support").binance(settings(asyncio_loop=runner.get_loop()))
        later.timeout_on_exit = 0
        later.urls["api"] = moved(later.urls["api"], exchange.url)

        async def call(name: str, *given: Any, **named: Any) -> Any:
            found = getattr(later, name)(*given, **named)
            return await found if asyncio.iscoroutine(found) else found

        yield lambda name, *given, **named: runner.run(call(name, *given, **named))
        runner.run(later.close())


def total(trader: Trader) -> dict[str, tuple[float, float]]:
    balance = trader("fetch_balance")
    return {asset: (balance["free"][asset], balance["used"][asset]) for asset in ("USDT", "BTC")}


def by_client_id(trader: Trader, client_id: str) -> Any:
    return trader("fetch_order", None, SYMBOL, {"origClientOrderId": client_id})


# --- what is right ---------------------------------------------------------------------------------------------------


def test_a_market_order_trades_at_the_price_now_and_pays_in_what_it_got(trader: Trader) -> None:
    bought = trader("create_order", SYMBOL, "market", "buy", 0.5, None, {"newClientOrderId": "entry-1"})
    assert (bought["status"], bought["clientOrderId"], bought["average"]) == ("closed", "entry-1", 100.0)
    assert (bought["filled"], bought["cost"], bought["fee"]) == (0.5, 50.0, {"cost": 0.0005, "currency": "BTC"})
    assert total(trader) == {"USDT": (950.0, 0.0), "BTC": (2.4995, 0.0)}
    sold = trader("create_order", SYMBOL, "market", "sell", 1, None, {"newClientOrderId": "exit-1"})
    assert sold["fee"] == {"cost": 0.1, "currency": "USDT"}
    assert total(trader) == {"USDT": (1049.9, 0.0), "BTC": (1.4995, 0.0)}
    (trade,) = trader("fetch_my_trades", SYMBOL, None, None, {"orderId": bought["id"]})
    assert (trade["order"], trade["price"], trade["amount"], trade["takerOrMaker"]) == (
        bought["id"],
        100.0,
        0.5,
        "taker",
    )
    assert len(trader("fetch_my_trades", SYMBOL)) == 2


def test_a_limit_order_waits_for_its_price_and_holds_its_money(trader: Trader, clock: FakeClock) -> None:
    placed = trader("create_order", SYMBOL, "limit", "buy", 1, 98.5, {"newClientOrderId": "entry-1"})
    assert (placed["status"], placed["filled"]) == ("open", 0.0)
    assert total(trader)["USDT"] == (901.5, 98.5)
    (waiting,) = trader("fetch_open_orders", SYMBOL)
    assert waiting["id"] == placed["id"]
    clock.time_ms = START_MS + 3 * MINUTE_MS - 2  # the candle that comes to 98.5 has not closed
    assert by_client_id(trader, "entry-1")["status"] == "open"
    clock.time_ms += 1
    filled = by_client_id(trader, "entry-1")
    assert (filled["status"], filled["average"], filled["clientOrderId"]) == ("closed", 98.5, "entry-1")
    assert filled["lastTradeTimestamp"] == clock.time_ms
    assert trader("fetch_open_orders", SYMBOL) == []
    assert total(trader) == {"USDT": (901.5, 0.0), "BTC": (2.999, 0.0)}
    assert trader("fetch_my_trades", SYMBOL)[0]["takerOrMaker"] == "maker"
    assert [order["id"] for order in trader("fetch_orders", SYMBOL)] == [placed["id"]]


def test_a_limit_past_the_price_trades_at_once_at_the_better_price(trader: Trader) -> None:
    bought = trader("create_order", SYMBOL, "limit", "buy", 1, 105)
    assert (bought["status"], bought["average"], bought["price"]) == ("closed", 100.0, 105.0)
    assert total(trader)["USDT"] == (900.0, 0.0)


@pytest.mark.parametrize(
    ("kind", "price", "trigger", "minute", "average"),
    [
        ("market", None, {"stopLossPrice": 97}, 5, 95.0),  # the gap is paid
        ("limit", 96.5, {"stopLossPrice": 97}, 6, 96.5),  # the limit waits below no more: 95 opened, 110 comes
        ("limit", 94, {"stopLossPrice": 97}, 5, 95.0),
        ("market", None, {"takeProfitPrice": 101.25}, 3, 101.25),
        ("limit", 102, {"takeProfitPrice": 101.25}, 4, 102.0),
    ],
)
def test_a_stop_waits_for_its_price_then_trades(
    trader: Trader,
    clock: FakeClock,
    kind: str,
    price: float | None,
    trigger: dict[str, float],
    minute: int,
    average: float,
) -> None:
    placed = trader("create_order", SYMBOL, kind, "sell", 1, price, {"newClientOrderId": "stop-1", **trigger})
    assert (placed["status"], placed["info"]["status"]) == ("open", "NEW")
    clock.time_ms = START_MS + minute * MINUTE_MS - 1
    assert by_client_id(trader, "stop-1")["status"] == "open"
    clock.time_ms = START_MS + (minute + 1) * MINUTE_MS
    done = by_client_id(trader, "stop-1")
    assert (done["status"], done["average"]) == ("closed", average)
    assert total(trader)["BTC"] == (1.0, 0.0)


def test_a_cancel_frees_the_money_and_an_ended_order_cannot_be_cancelled(trader: Trader) -> None:
    placed = trader("create_order", SYMBOL, "limit", "buy", 1, 90, {"newClientOrderId": "entry-1"})
    gone = trader("cancel_order", None, SYMBOL, {"origClientOrderId": "entry-1"})
    assert (gone["id"], gone["status"]) == (placed["id"], "canceled")
    assert gone["clientOrderId"] != "entry-1", "ccxt shows the id of the cancel"
    assert gone["info"]["origClientOrderId"] == "entry-1"
    assert by_client_id(trader, "entry-1")["status"] == "canceled"
    assert total(trader)["USDT"] == (1000.0, 0.0)
    for name, given in (
        ("cancel_order", (placed["id"], SYMBOL)),
        ("cancel_order", ("99", SYMBOL)),
        ("fetch_order", ("99", SYMBOL)),
        ("fetch_order", (None, SYMBOL, {"origClientOrderId": "nobody"})),
    ):
        with pytest.raises(importlib.import_module("ccxt").OrderNotFound):
            trader(name, *given)


def test_a_client_id_is_used_once_at_a_time(trader: Trader, exchange: LoopbackExchange) -> None:
    used = {"newClientOrderId": "entry-1"}
    first = trader("create_order", SYMBOL, "limit", "buy", 1, 90, used)
    with pytest.raises(importlib.import_module("ccxt").InvalidOrder, match="Duplicate order sent"):
        trader("create_order", SYMBOL, "limit", "buy", 1, 91, used)
    trader("cancel_order", first["id"], SYMBOL)
    second = trader("create_order", SYMBOL, "limit", "buy", 1, 91, used)
    assert by_client_id(trader, "entry-1")["id"] == second["id"]
    assert [order["clientOrderId"] for order in exchange.orders()] == ["entry-1", "entry-1"]
    assert len(exchange.requests(ORDER, "POST")) == 3


# what is asked, what ccxt raises, what the exchange said
REFUSED: list[tuple[tuple[Any, ...], str, str]] = [
    (("limit", "buy", 11, 100), "InsufficientFunds", "insufficient balance"),
    (("market", "sell", 3), "InsufficientFunds", "insufficient balance"),
    (("limit", "buy", 0.04, 100), "BadRequest", "NOTIONAL"),
    (("market", "buy", 0.04), "BadRequest", "NOTIONAL"),
    (("limit", "sell", 1, 1_500_000), "InvalidOrder", "order price is invalid"),
    (("limit", "buy", 9_500_000, 1), "InvalidOrder", "lot size"),
    (("market", "sell", 1, None, {"stopLossPrice": 101}), "OrderImmediatelyFillable", "trigger immediately"),
    (("limit", "buy", 1, 101, {"postOnly": True}), "OrderImmediatelyFillable", "immediately match"),
    (("limit", "buy", 1, 90, {"newClientOrderId": "a.b:c"}), "BadRequest", "-1100"),
    (("limit", "buy", 1, 90, {"newClientOrderId": "x" * 37}), "BadRequest", "-1100"),
]


def test_what_the_exchange_refuses_is_one_of_these_classes(trader: Trader, exchange: LoopbackExchange) -> None:
    for asked, name, words in REFUSED:
        with pytest.raises(importlib.import_module("ccxt").BaseError, match=words) as caught:
            trader("create_order", SYMBOL, *asked)
        assert (asked, type(caught.value).__name__) == (asked, name)
    assert exchange.orders() == []


def test_requests_are_signed_and_sent_at_the_time_of_the_exchange(clock: FakeClock) -> None:
    ccxt = importlib.import_module("ccxt")
    with LoopbackExchange(clock=clock, is_strict=True) as exchange:
        made = ccxt.binance(settings())
        made.urls["api"] = moved(made.urls["api"], exchange.url)
        made.nonce = clock.now_ms
        made.load_markets()
        for offset_ms, is_right in ((0, True), (999, True), (1001, False), (-10_000, True), (-10_001, False)):
            made.nonce = lambda offset_ms=offset_ms: clock.time_ms + offset_ms
            if is_right:
                assert made.fetch_balance()["USDT"]["free"] == 1000.0
            else:
                with pytest.raises(ccxt.InvalidNonce):
                    made.fetch_balance()
        for headers, code in (({}, -2014), ({"X-MBX-APIKEY": "k"}, -2015)):
            asked = urllib.request.Request(f"{exchange.url}/api/v3/account", headers=headers)
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(asked)
            with caught.value as answer:
                assert (answer.code, json.load(answer)["code"]) == (401, code)
        assert exchange.errors == []


# --- by hand ---------------------------------------------------------------------------------------------------------


def test_a_person_fills_cancels_and_sells_outside(trader: Trader, exchange: LoopbackExchange) -> None:
    for client_id in ("first", "second"):
        trader("create_order", SYMBOL, "limit", "buy", 1, 90, {"newClientOrderId": client_id})
    exchange.by_hand("fill", symbol="BTCUSDT", origClientOrderId="first", quantity="0.4", price="89")
    exchange.by_hand("cancel", symbol="BTCUSDT", origClientOrderId="second")
    first, second = (by_client_id(trader, client_id) for client_id in ("first", "second"))
    assert (first["status"], first["filled"], first["average"]) == ("open", 0.4, 89.0)
    assert second["status"] == "canceled"
    with urllib.request.urlopen(f"{exchange.url}/_test/sell?symbol=BTCUSDT&quantity=2") as answer:
        assert json.load(answer)["status"] == "FILLED"
    with urllib.request.urlopen(f"{exchange.url}/_test/orders") as answer:
        told = json.load(answer)
    assert [(order["status"], len(order["trades"])) for order in told] == [
        ("PARTIALLY_FILLED", 1),
        ("CANCELED", 0),
        ("FILLED", 1),
    ]
    exchange.by_hand("balance", asset="BTC", free="7")
    assert total(trader)["BTC"] == (7.0, 0.0)
    with pytest.raises(RefusedError, match="insufficient"):
        exchange.by_hand("sell", symbol="BTCUSDT", quantity="8")


# --- two orders of which one cancels the other ------------------------------------------------------------------------

BRACKET = {
    "symbol": "BTCUSDT",
    "side": "SELL",
    "quantity": "1.00000",
    "listClientOrderId": "bracket",
    "aboveType": "LIMIT_MAKER",
    "abovePrice": "108.00",
    "aboveClientOrderId": "profit",
    "belowType": "STOP_LOSS",
    "belowStopPrice": "97.00",
    "belowClientOrderId": "loss",
}
OLD_BRACKET = {
    "symbol": "BTCUSDT",
    "side": "SELL",
    "quantity": "1.00000",
    "listClientOrderId": "bracket",
    "price": "108.00",
    "limitClientOrderId": "profit",
    "stopPrice": "97.00",
    "stopClientOrderId": "loss",
}
BOTH_FORMS = pytest.mark.parametrize(
    ("route", "asked"),
    [("privatePostOrderListOco", BRACKET), ("privatePostOrderOco", OLD_BRACKET)],
    ids=["current", "old"],
)


@BOTH_FORMS
def test_one_order_of_a_list_cancels_the_other(
    trader: Trader, clock: FakeClock, exchange: LoopbackExchange, route: str, asked: dict[str, str]
) -> None:
    trader("load_markets")
    placed = trader(route, dict(asked))
    assert (placed["listOrderStatus"], placed["listClientOrderId"]) == ("EXECUTING", "bracket")
    reports = {report["clientOrderId"]: trader("parse_order", report) for report in placed["orderReports"]}
    assert {(report["status"], report["amount"]) for report in reports.values()} == {("open", 1.0)}
    assert (reports["profit"]["price"], reports["loss"]["triggerPrice"]) == (108.0, 97.0)
    assert total(trader)["BTC"] == (1.0, 1.0), "held once for both"
    assert {order["clientOrderId"] for order in trader("fetch_open_orders", SYMBOL)} == {"profit", "loss"}
    clock.time_ms = START_MS + 5 * MINUTE_MS
    assert [by_client_id(trader, name)["status"] for name in ("loss", "profit")] == ["closed", "expired"]
    assert by_client_id(trader, "loss")["average"] == 95.0
    assert trader("privateGetOrderList", {"origClientOrderId": "bracket"})["listOrderStatus"] == "ALL_DONE"
    assert total(trader)["BTC"] == (1.0, 0.0)


def test_the_profit_cancels_the_stop_when_it_comes_first(trader: Trader, clock: FakeClock) -> None:
    trader("load_markets")
    trader("privatePostOrderListOco", {**BRACKET, "belowStopPrice": "90.00"})
    clock.time_ms = START_MS + 7 * MINUTE_MS
    profit, loss = (by_client_id(trader, name) for name in ("profit", "loss"))
    assert (profit["status"], profit["average"], loss["status"]) == ("closed", 108.0, "expired")


def test_a_list_is_cancelled_whole_by_its_id_or_by_one_of_its_orders(trader: Trader) -> None:
    trader("load_markets")
    trader("privatePostOrderListOco", dict(BRACKET))
    gone = trader("privateDeleteOrderList", {"symbol": "BTCUSDT", "listClientOrderId": "bracket"})
    assert [report["status"] for report in gone["orderReports"]] == ["CANCELED", "CANCELED"]
    trader("privatePostOrderListOco", dict(BRACKET))
    answered = trader("cancel_order", None, SYMBOL, {"origClientOrderId": "loss"})
    assert (answered["id"], answered["status"]) == (None, None), "a list is answered, which ccxt does not read"
    assert len(answered["info"]["orderReports"]) == 2
    assert [by_client_id(trader, name)["status"] for name in ("loss", "profit")] == ["canceled", "canceled"]
    ccxt = importlib.import_module("ccxt")
    for route, asked in (
        ("privateDeleteOrderList", {"symbol": "BTCUSDT", "listClientOrderId": "bracket"}),
        ("privateGetOrderList", {"origClientOrderId": "nobody"}),
    ):
        with pytest.raises(ccxt.OrderNotFound):
            trader(route, asked)
    assert total(trader)["BTC"] == (2.0, 0.0)


def test_a_list_that_cannot_stand_is_refused_whole(trader: Trader, exchange: LoopbackExchange) -> None:
    trader("load_markets")
    for change, name in (
        ({"belowStopPrice": "101.00"}, "InvalidOrder"),
        ({"abovePrice": "99.00"}, "InvalidOrder"),
        ({"quantity": "3.00000"}, "InsufficientFunds"),
        ({"aboveType": "STOP_LOSS", "aboveStopPrice": "108.00"}, "ExchangeError"),
        ({"abovePrice": "108.001"}, "InvalidOrder"),
    ):
        with pytest.raises(importlib.import_module("ccxt").BaseError) as caught:
            trader("privatePostOrderListOco", {**BRACKET, **change})
        assert (change, type(caught.value).__name__) == (change, name)
    exchange.faults = [Fault(["oco_refused"], path="/api/v3/orderList/oco", count=1)]
    with pytest.raises(importlib.import_module("ccxt").InvalidOrder, match="relationship of the prices"):
        trader("privatePostOrderListOco", dict(BRACKET))
    assert exchange.orders() == []


# --- what goes wrong -------------------------------------------------------------------------------------------------

# fault: what ccxt makes of it for a new order, sync and async (None: an order without id or status)
FINDINGS: dict[str, tuple[str | None, str | None]] = {
    "authentication": ("AuthenticationError", "AuthenticationError"),  # first: any answer before it would change it
    "http_429": ("DDoSProtection", "DDoSProtection"),
    "http_418": ("DDoSProtection", "DDoSProtection"),
    "http_500": ("ExchangeNotAvailable", "ExchangeNotAvailable"),
    "http_502_html": ("ExchangeNotAvailable", "ExchangeNotAvailable"),
    "http_503_html": ("ExchangeNotAvailable", "ExchangeNotAvailable"),
    "http_403_html": ("ExchangeNotAvailable", "ExchangeNotAvailable"),
    "http_451": ("ExchangeNotAvailable", "ExchangeNotAvailable"),
    "no_reply": ("RequestTimeout", "RequestTimeout"),
    "close": ("NetworkError", "ExchangeNotAvailable"),
    "reset": ("NetworkError", "ExchangeNotAvailable"),
    "cut_short": ("NetworkError", "ExchangeError"),
    "html_page": (None, None),
    "empty_body": (None, None),
    "null": (None, None),
    "empty_object": (None, None),
    "empty_list": (None, None),
    "bad_symbol_200": ("BadSymbol", "BadSymbol"),
    "bad_symbol_400": ("BadSymbol", "BadSymbol"),
    "clock_skew": ("InvalidNonce", "InvalidNonce"),
    "insufficient_balance": ("InsufficientFunds", "InsufficientFunds"),
    "duplicate": ("InvalidOrder", "InvalidOrder"),
    "account_disabled": ("InvalidOrder", "InvalidOrder"),
    "rejected": ("InvalidOrder", "InvalidOrder"),
    "oco_refused": ("InvalidOrder", "InvalidOrder"),
    "market_closed": ("MarketClosed", "MarketClosed"),
    "lot_size": ("InvalidOrder", "InvalidOrder"),
    "price_filter": ("InvalidOrder", "InvalidOrder"),
    "notional": ("BadRequest", "BadRequest"),
    "cancel_rejected": ("OrderNotFound", "OrderNotFound"),
    "no_such_order": ("OrderNotFound", "OrderNotFound"),
    "status_unknown": ("RequestTimeout", "RequestTimeout"),
    "too_many_orders": ("DDoSProtection", "DDoSProtection"),
}


def test_every_fault_of_a_new_order_has_a_finding() -> None:
    assert set(FINDINGS) == {*REPLIES, *CONNECTION_FAULTS, *ORDER_REPLIES} - {"slow_drip"}


@pytest.mark.parametrize("accepted", [True, False], ids=["after", "before"])
def test_ccxt_says_the_same_whether_the_order_was_accepted_or_not(
    trader: Trader, exchange: LoopbackExchange, way: str, accepted: bool
) -> None:
    trader("load_markets")
    met: dict[str, str | None] = {}
    for kind in FINDINGS:
        trader("__setattr__", "timeout", 250 if kind == "no_reply" else 5000)
        exchange.faults = [Fault([kind], path=ORDER, method="POST", accepted=accepted)]
        try:
            made = trader("create_order", SYMBOL, "limit", "buy", 0.06, 90, {"newClientOrderId": kind})
            met[kind] = made["id"] or made["status"]
        except importlib.import_module("ccxt").BaseError as error:
            met[kind] = type(error).__name__
    assert met == {kind: found[way == "async"] for kind, found in FINDINGS.items()}
    arrived = [asked.query["newClientOrderId"] for asked in exchange.requests(ORDER, "POST")]
    assert arrived == list(FINDINGS), "none is sent twice"
    assert [order["clientOrderId"] for order in exchange.orders()] == (arrived if accepted else [])


# an answer that is none: what the list queries of ccxt make of it (a number: so many rows)
UNREADABLE: dict[str, tuple[str | int, int]] = {
    "html_page": ("AttributeError", len(HTML)),
    "empty_body": ("AttributeError", 0),
    "null": ("AttributeError", 4),
    "empty_object": (0, 0),
    "empty_list": (0, 0),
}


def test_a_query_answered_with_none_ends_in_nothing_in_letters_or_in_an_error_that_is_not_of_ccxt(
    trader: Trader, exchange: LoopbackExchange
) -> None:
    trader("create_order", SYMBOL, "limit", "buy", 1, 90, {"newClientOrderId": "entry-1"})
    met: dict[str, tuple[str | int, int]] = {}
    for kind in UNREADABLE:
        exchange.faults = [Fault([kind], path="*")]
        found = by_client_id(trader, "entry-1")
        assert (found["id"], found["status"]) == (None, None)
        assert trader("fetch_balance")["free"] == {}
        trades = trader("fetch_my_trades", SYMBOL)
        assert {trade["id"] for trade in trades} <= {None}, "a trade for each letter"
        try:
            met[kind] = (len(trader("fetch_open_orders", SYMBOL)), len(trades))
        except AttributeError as error:
            met[kind] = (type(error).__name__, len(trades))
    assert met == UNREADABLE


def test_a_refused_key_is_called_overload_once_a_key_has_worked(trader: Trader, exchange: LoopbackExchange) -> None:
    trader("fetch_balance")
    exchange.faults = [Fault(["authentication"], path=ORDER)]
    with pytest.raises(importlib.import_module("ccxt").DDoSProtection):
        trader("create_order", SYMBOL, "limit", "buy", 1, 90)


def test_a_cancel_whose_reply_is_lost_is_sent_again_by_async_ccxt_alone(
    trader: Trader, exchange: LoopbackExchange, way: str
) -> None:
    trader("create_order", SYMBOL, "limit", "buy", 1, 90, {"newClientOrderId": "entry-1"})
    exchange.faults = [Fault(["close"], path=ORDER, method="DELETE", count=1)]
    ccxt = importlib.import_module("ccxt")
    with pytest.raises(ccxt.OrderNotFound if way == "async" else ccxt.NetworkError):
        trader("cancel_order", None, SYMBOL, {"origClientOrderId": "entry-1"})
    assert len(exchange.requests(ORDER, "DELETE")) == (2 if way == "async" else 1)
    assert by_client_id(trader, "entry-1")["status"] == "canceled"


def test_an_accepted_order_may_be_unknown_to_queries_at_first(
    trader: Trader, exchange: LoopbackExchange, clock: FakeClock
) -> None:
    ccxt = importlib.import_module("ccxt")
    for client_id, asks, hidden_ms in (("asked", 2, 0), ("timed", 0, 3000)):
        exchange.faults = [Fault(["hidden"], path=ORDER, method="POST", asks=asks, hidden_ms=hidden_ms)]
        trader("create_order", SYMBOL, "limit", "buy", 1, 90, {"newClientOrderId": client_id})
        for _ in range(2):
            assert trader("fetch_open_orders", SYMBOL) == []
            assert trader("fetch_orders", SYMBOL) == []
            with pytest.raises(ccxt.OrderNotFound):
                by_client_id(trader, client_id)
        clock.time_ms += hidden_ms
        assert by_client_id(trader, client_id)["status"] == "open"
        assert len(trader("fetch_open_orders", SYMBOL)) == 1
        trader("cancel_order", None, SYMBOL, {"origClientOrderId": client_id})
        exchange.book.orders.clear()


def test_orders_fill_in_parts_and_a_late_reply_is_a_reply(
    trader: Trader, exchange: LoopbackExchange, clock: FakeClock
) -> None:
    exchange.faults = [Fault(["partial"], path=ORDER, parts=2)]
    bought = trader("create_order", SYMBOL, "market", "buy", 1)
    assert (bought["status"], bought["average"], len(bought["trades"])) == ("closed", 100.005, 2)
    placed = trader("create_order", SYMBOL, "limit", "buy", 1, 99.5)
    clock.time_ms = START_MS + MINUTE_MS - 1
    half = trader("fetch_order", placed["id"], SYMBOL)
    assert (half["status"], half["filled"], half["remaining"]) == ("open", 0.5, 0.5)
    exchange.faults = [Fault(["late"], path=ORDER, seconds=0.05)]
    assert trader("create_order", SYMBOL, "market", "buy", 1)["status"] == "closed"


def test_a_cancel_may_come_after_the_fill_or_take_the_id_away(trader: Trader, exchange: LoopbackExchange) -> None:
    ccxt = importlib.import_module("ccxt")
    trader("create_order", SYMBOL, "limit", "buy", 1, 90, {"newClientOrderId": "entry-1"})
    exchange.faults = [Fault(["filled_first"], path=ORDER, method="DELETE")]
    with pytest.raises(ccxt.OrderNotFound):
        trader("cancel_order", None, SYMBOL, {"origClientOrderId": "entry-1"})
    assert by_client_id(trader, "entry-1")["status"] == "closed"
    placed = trader("create_order", SYMBOL, "limit", "buy", 1, 90, {"newClientOrderId": "entry-2"})
    exchange.faults = [Fault(["renamed"], path=ORDER, method="DELETE")]
    trader("cancel_order", None, SYMBOL, {"origClientOrderId": "entry-2"})
    with pytest.raises(ccxt.OrderNotFound):
        by_client_id(trader, "entry-2")
    assert trader("fetch_order", placed["id"], SYMBOL)["status"] == "canceled"


def test_a_seeded_mix_of_lost_replies_is_the_same_each_time(clock: FakeClock) -> None:
    first, again, other = (mixed(clock, seed) for seed in (3, 3, 4))
    assert first == again
    assert first != other
    for struck, accepted in (first, other):
        assert {"close", "reset", "http_500"} <= set(struck)
        assert 100 - len(struck) < accepted < 100, "some were accepted before their reply was lost, and some were not"


def mixed(clock: FakeClock, seed: int) -> tuple[list[str], int]:
    """The faults that a hundred orders met, and how many of those were accepted."""
    with LoopbackExchange(
        clock=clock, faults=order_faults(0.3, seed, method="POST"), balances={"USDT": "9e9"}
    ) as exchange:
        made = importlib.import_module("ccxt").binance(settings())
        made.urls["api"] = moved(made.urls["api"], exchange.url)
        for _ in range(100):
            with contextlib.suppress(importlib.import_module("ccxt").BaseError):
                made.create_order(SYMBOL, "limit", "buy", 1, 20_000)
        return [asked.fault for asked in exchange.requests(ORDER) if asked.fault], len(exchange.orders())
