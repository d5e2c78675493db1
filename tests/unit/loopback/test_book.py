"""The matching book of the loopback exchange: when orders trade, at what price, and that no money is lost."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback.account import Account
from loopback.book import Book
from loopback.market import MINUTE_MS, Candles, Market, Row
from loopback.order import Draft, Order, Quirk, RefusedError
from loopback.prices import Prices

MARKET = Market(id="AB", base="A", quote="B", price_step="1", quantity_step="0.1", level=1, listed_ms=0)
FLAT = (100.0, 100.0, 100.0, 100.0)


def book_of(*shapes: tuple[float, float, float, float], fee_rate: str = "0") -> Book:
    """A book at the first of these minutes, each open, high, low, close; 10 A and 1000 B in the account."""
    rows: dict[int, Row] = {place * MINUTE_MS: (place * MINUTE_MS, *shape, 1.0) for place, shape in enumerate(shapes)}
    candles = Candles(markets={"AB": MARKET}, rows={"AB": rows})
    return Book(prices=Prices(candles), account=Account.of({"A": "10", "B": "1000"}), fee_rate=Decimal(fee_rate))


def draft(side: str, kind: str, quantity: str = "1", **prices: int) -> Draft:
    made: dict[str, Any] = {name: Decimal(price) for name, price in prices.items()}
    name = f"{side}-{kind}-{sorted(prices.items())}"
    return Draft(symbol="AB", side=side, kind=kind, quantity=Decimal(quantity), client_id=name, **made)  # type: ignore[arg-type]


def after(book: Book, minutes: int) -> Book:
    book.advance(minutes * MINUTE_MS - 1)
    return book


def paid(order: Order) -> tuple[str, float, float]:
    return order.status, float(order.filled), float(order.cost)


def money(book: Book) -> tuple[float, float, float, float]:
    """Free and locked A, free and locked B."""
    free, locked = book.account.free, book.account.locked
    return float(free["A"]), float(locked["A"]), float(free["B"]), float(locked["B"])


def test_the_candle_in_which_an_order_is_accepted_counts_when_it_has_closed() -> None:
    book = book_of((100, 101, 95, 100), FLAT)
    book.advance(30_000)
    order = book.accept(draft("BUY", "LIMIT", price=96))
    book.advance(MINUTE_MS - 2)
    assert order.status == "NEW"
    book.advance(MINUTE_MS - 1)
    assert paid(order) == ("FILLED", 1, 96)
    assert order.updated_ms == MINUTE_MS - 1


def test_a_gap_fills_a_limit_at_its_own_price_and_a_stop_at_the_open() -> None:
    book = book_of(FLAT, (80, 80, 80, 80))
    limit = book.accept(draft("BUY", "LIMIT", price=90))
    stop = book.accept(draft("SELL", "STOP_LOSS", stop_price=90))
    book.advance(MINUTE_MS)
    assert (paid(limit), paid(stop)) == (("FILLED", 1, 90), ("FILLED", 1, 80))
    assert [trade.is_maker for trade in sorted(book.trades, key=lambda trade: trade.order.id)] == [True, False]


@pytest.mark.parametrize(
    ("side", "kind", "stop", "shape"),
    [
        ("SELL", "STOP_LOSS", 95, (100, 100, 95, 100)),
        ("SELL", "TAKE_PROFIT", 105, (100, 105, 100, 100)),
        ("BUY", "STOP_LOSS", 105, (100, 105, 100, 100)),
        ("BUY", "TAKE_PROFIT", 95, (100, 100, 95, 100)),
    ],
)
def test_a_stop_is_hit_at_its_price_and_not_a_step_before(
    side: str, kind: str, stop: int, shape: tuple[float, float, float, float]
) -> None:
    short = (100.0, min(shape[1], 104), max(shape[2], 96), 100.0)
    book = book_of(short, shape)
    order = book.accept(draft(side, kind, stop_price=stop))
    assert after(book, 1).open_orders() == [order]
    assert paid((after(book, 2), order)[1]) == ("FILLED", 1, stop)


def test_a_stop_limit_that_gaps_over_its_limit_waits_there() -> None:
    book = book_of(FLAT, (80, 89, 80, 80), (80, 90, 80, 80))
    order = book.accept(draft("SELL", "STOP_LOSS_LIMIT", stop_price=95, price=90))
    assert paid((after(book, 2), order)[1]) == ("NEW", 0, 0)
    assert order.working_ms == MINUTE_MS
    assert paid((after(book, 3), order)[1]) == ("FILLED", 1, 90)


def test_a_candle_that_reaches_both_orders_of_a_list_belongs_to_the_stop_loss() -> None:
    book = book_of(FLAT, (100, 110, 90, 100))
    pair = book.accept_pair(draft("SELL", "LIMIT_MAKER", price=105), draft("SELL", "STOP_LOSS", stop_price=95), "pair")
    assert book.account.locked["A"] == 1, "held once"
    after(book, 2)
    assert [(order.draft.kind, order.status) for order in pair.orders] == [
        ("STOP_LOSS", "FILLED"),
        ("LIMIT_MAKER", "EXPIRED"),
    ]
    assert money(book) == (9, 0, 1095, 0)


def test_the_stop_loss_of_a_list_may_be_its_order_above() -> None:
    book = book_of(FLAT, (100, 110, 90, 100))
    above, below = draft("BUY", "STOP_LOSS", stop_price=105), draft("BUY", "LIMIT_MAKER", price=95)
    pair = book.accept_pair(above, below, "pair")
    assert book.account.locked["B"] == 105
    after(book, 2)
    assert sorted(order.status for order in pair.orders) == ["EXPIRED", "FILLED"]
    assert money(book) == (11, 0, 895, 0)


def test_cancelling_one_order_of_a_list_cancels_both_and_frees_the_hold_once() -> None:
    book = book_of(FLAT)
    pair = book.accept_pair(draft("SELL", "LIMIT_MAKER", price=105), draft("SELL", "STOP_LOSS", stop_price=95), "pair")
    book.cancel(pair.orders[1])
    assert {order.status for order in pair.orders} == {"CANCELED"}
    assert money(book) == (10, 0, 1000, 0)
    with pytest.raises(RefusedError, match="-2011"):
        book.cancel(pair.orders[0])


def test_what_is_left_of_a_list_stays_held_when_one_order_traded_in_part() -> None:
    book = book_of(FLAT, (100, 105, 100, 100), (100, 105, 100, 100))
    above, below = draft("SELL", "LIMIT_MAKER", price=105), draft("SELL", "STOP_LOSS", stop_price=95)
    stop, profit = book.accept_pair(above, below, "pair", Quirk(parts=2)).orders
    after(book, 2)
    assert (profit.status, stop.status) == ("PARTIALLY_FILLED", "EXPIRED")
    assert money(book) == (9, 0.5, 1052.5, 0)
    after(book, 3)
    assert profit.status == "FILLED"
    assert money(book) == (9, 0, 1105, 0)


def test_a_limit_fills_in_parts_over_time_or_stays_at_the_first() -> None:
    book = book_of(FLAT, *[(100.0, 100.0, 94.0, 100.0)] * 3)
    parted = book.accept(draft("BUY", "LIMIT", price=95), Quirk(parts=3))
    stays = book.accept(draft("BUY", "LIMIT", price=94), Quirk(parts=2, stays=True))
    assert [paid((after(book, minutes), parted)[1])[1] for minutes in (1, 2, 3, 4)] == [0, 0.3, 0.6, 1]
    assert paid(stays) == ("PARTIALLY_FILLED", 0.5, 47)
    assert book.account.locked["B"] == 47


def test_a_market_order_in_parts_gets_worse_by_a_step_each_or_expires_after_the_first() -> None:
    book = book_of(FLAT)
    assert paid(book.accept(draft("BUY", "MARKET", "3"), Quirk(parts=3))) == ("FILLED", 3, 303)
    assert paid(book.accept(draft("SELL", "MARKET", "2"), Quirk(parts=2, stays=True))) == ("EXPIRED", 1, 100)
    assert money(book) == (12, 0, 797, 0)


def test_the_price_now_is_where_the_minute_opened_or_the_last_close() -> None:
    book = book_of((100, 110, 90, 105), FLAT)
    assert book.price("AB") == 100
    book.advance(2 * MINUTE_MS - 1)
    del book.prices.candles.rows["AB"][MINUTE_MS]  # type: ignore[attr-defined]
    assert book.price("AB") == 105
    book.now_ms = 10**12
    with pytest.raises(RefusedError, match="Market is closed"):
        book.price("AB")


KINDS = ("MARKET", "LIMIT", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT", "pair")
prices = st.integers(90, 110)
shapes = st.lists(prices, min_size=4, max_size=4).map(
    lambda p: (float(p[0]), float(max(p)), float(min(p)), float(p[1]))
)
asked = st.tuples(
    st.sampled_from(KINDS), st.sampled_from(["BUY", "SELL"]), st.integers(1, 60), prices, prices, st.integers(1, 4)
)


@given(st.lists(st.tuples(shapes, st.lists(asked, max_size=3)), min_size=2, max_size=8), st.booleans())
def test_no_money_appears_or_is_lost(story: list[tuple[Any, list[Any]]], stays: bool) -> None:
    book = book_of(*(shape for shape, _ in story), fee_rate="0.001")
    for minute, (_, orders) in enumerate(story):
        book.advance(minute * MINUTE_MS)
        for kind, side, tenths, price, stop, parts in orders:
            try_order(book, kind, side, Decimal(tenths) / 10, price, stop, Quirk(parts=parts, stays=stays))
        if minute % 3 == 2 and book.open_orders():
            book.cancel(book.open_orders()[0])
        assert_whole(book)
    after(book, len(story))
    for order in book.open_orders():
        if order.is_open:
            book.cancel(order)
    assert_whole(book)
    assert set(book.account.locked.values()) <= {Decimal(0)}


def try_order(book: Book, kind: str, side: str, quantity: Decimal, price: int, stop: int, quirk: Quirk) -> None:
    number = len(book.orders)
    common: dict[str, Any] = {"symbol": "AB", "side": side, "quantity": quantity}
    priced: dict[str, Any] = {"price": Decimal(price), "stop_price": Decimal(stop)}
    used = {
        name: one
        for name, one in priced.items()
        if (name == "price" and kind.endswith("LIMIT")) or (name == "stop_price" and kind.startswith(("STOP", "TAKE")))
    }
    try:
        if kind != "pair":
            book.accept(Draft(kind=kind, client_id=f"{number}", **common, **used), quirk)
            return
        limit = Draft(kind="LIMIT_MAKER", client_id=f"{number}", price=priced["price"], **common)
        loss = Draft(kind="STOP_LOSS", client_id=f"{number}s", stop_price=priced["stop_price"], **common)
        above, below = (limit, loss) if side == "SELL" else (loss, limit)
        book.accept_pair(above, below, f"{number}", quirk)
    except RefusedError as refusal:
        assert refusal.code == -2010  # noqa: PT017  # not what is tested


def assert_whole(book: Book) -> None:
    """What the account has is what it had, and what its trades moved; nothing is below zero."""
    due = {"A": Decimal(10), "B": Decimal(1000)}
    for trade in book.trades:
        way = 1 if trade.order.draft.side == "BUY" else -1
        due["A"] += way * trade.quantity
        due["B"] -= way * trade.quantity * trade.price
        due[trade.commission_asset] -= trade.commission
    for asset, amount in due.items():
        assert book.account.free[asset] + book.account.locked[asset] == amount
        assert book.account.free[asset] >= 0
        assert book.account.locked[asset] >= 0
    for order in book.orders:
        own = [trade for trade in book.trades if trade.order is order]
        assert order.filled == sum(trade.quantity for trade in own) <= order.draft.quantity
        assert (order.status == "FILLED") == (order.filled == order.draft.quantity)
