"""The routes of the account: place, cancel and query orders, trades and money, for signed requests.

An order whose quirk hides it is not seen by queries at first, as on an exchange that is only eventually consistent;
its cancel finds it, and so does the money.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count

from loopback import shown
from loopback.book import Book
from loopback.drafts import client_id_of, draft_of, wanted
from loopback.market import Market
from loopback.order import NO_LIST, Order, OrderList, Quirk, RefusedError, Trade

Query = Mapping[str, str]
Route = Callable[[Query, Quirk], object]
_MOST = 1000
_NO_ORDER = (-2013, "Order does not exist.")


class OrderRoutes:
    """Answers for one account."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self._made_ids = count(1)

    def table(self) -> dict[tuple[str, str], Route]:
        """What answers each method and path; an answer is ready for JSON, or a RefusedError."""
        return {
            ("GET", "/api/v3/account"): self._money,
            ("POST", "/api/v3/order"): self._place,
            ("GET", "/api/v3/order"): self._query,
            ("DELETE", "/api/v3/order"): self._cancel,
            ("GET", "/api/v3/openOrders"): self._open,
            ("DELETE", "/api/v3/openOrders"): self._cancel_all,
            ("GET", "/api/v3/allOrders"): self._all,
            ("GET", "/api/v3/myTrades"): self._trades,
        }

    def market(self, query: Query) -> Market:
        """The market a request names."""
        found = self.book.prices.candles.markets.get(wanted(query, "symbol"))
        if found is None:
            raise RefusedError(-1121, "Invalid symbol.")
        return found

    def made_id(self, kind: str) -> str:
        """An id for what the client gave none."""
        return f"{kind}-{next(self._made_ids)}"

    def meant(self, query: Query, code: int, words: str) -> Order:
        """The order a request names by either id; of several that had one client id, the newest."""
        market = self.market(query)
        if "orderId" not in query and "origClientOrderId" not in query:
            raise RefusedError(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
        if not query.get("orderId", "0").isdecimal():
            raise RefusedError(
                -1100, "Illegal characters found in parameter 'orderId'; legal range is '^[0-9]{1,20}$'."
            )
        for order in reversed(self.book.orders):
            ids = {"orderId": str(order.id), "origClientOrderId": order.draft.client_id}
            if order.draft.symbol == market.id and all(query.get(name, own) == own for name, own in ids.items()):
                return order
        raise RefusedError(code, words)

    def _place(self, query: Query, quirk: Quirk) -> object:
        market = self.market(query)
        draft = draft_of(query, market, self.book.price(market.id), self.made_id("made"))
        order = self.book.accept(draft, quirk)
        detail = query.get("newOrderRespType", "FULL" if draft.kind in ("MARKET", "LIMIT") else "ACK")
        return shown.placed(order, self._of(order), detail, self.book.now_ms)

    def is_seen(self, order: Order) -> bool:
        """Whether queries see it already."""
        is_late = self.book.now_ms >= order.time_ms + order.quirk.hidden_ms
        return is_late and (not order.quirk.hidden_asks or order.asks > order.quirk.hidden_asks)

    def cancelled_list(self, pair: OrderList) -> object:
        """The answer to the cancel of a list, or of one order of it."""
        reports = [shown.cancelled(order, self.made_id("cancel"), self.book.now_ms) for order in pair.orders]
        return {**shown.listed(pair), "orderReports": reports}

    def fill_first(self, query: Query) -> None:
        """Let the named order trade just before its cancel arrives."""
        order = self.meant(query, -2011, "Unknown order sent.")
        if order.is_open:
            self.book.fill_by_hand(order)

    def _money(self, _query: Query, _quirk: Quirk) -> object:
        return shown.money(self.book.account, self.book.fee_rate, self.book.now_ms)

    def _query(self, query: Query, _quirk: Quirk) -> object:
        order = self.meant(query, *_NO_ORDER)
        order.asks += 1
        if not self.is_seen(order):
            raise RefusedError(*_NO_ORDER)
        return shown.queried(order)

    def _open(self, query: Query, _quirk: Quirk) -> object:
        orders = self.book.open_orders(self.market(query).id if "symbol" in query else None)
        return [shown.queried(order) for order in orders if self.is_seen(order)]

    def _all(self, query: Query, _quirk: Quirk) -> object:
        market, first = self.market(query), int(query.get("orderId", "0"))
        found = [
            order
            for order in self.book.orders
            if order.draft.symbol == market.id and order.id >= first and _is_within(query, order.time_ms)
        ]
        return [shown.queried(order) for order in found[-_limit(query) :] if self.is_seen(order)]

    def _cancel(self, query: Query, quirk: Quirk) -> object:
        order = self.meant(query, -2011, "Unknown order sent.")
        cancel_id = client_id_of(query, "newClientOrderId", self.made_id("cancel"))
        self.book.cancel(order)
        answer = shown.cancelled(order, cancel_id, self.book.now_ms)
        if quirk.renames:
            order.draft = replace(order.draft, client_id=cancel_id)
        if order.list_id != NO_LIST:
            return self.cancelled_list(self.book.lists[order.list_id - 1])
        return answer

    def _cancel_all(self, query: Query, _quirk: Quirk) -> object:
        orders = self.book.open_orders(self.market(query).id)
        if not orders:
            raise RefusedError(-2011, "Unknown order sent.")
        for order in orders:
            if order.is_open:
                self.book.cancel(order)
        return [shown.cancelled(order, self.made_id("cancel"), self.book.now_ms) for order in orders]

    def _trades(self, query: Query, _quirk: Quirk) -> object:
        market, order_id = self.market(query), query.get("orderId")
        found = [
            trade
            for trade in self.book.trades
            if trade.order.draft.symbol == market.id
            and order_id in (None, str(trade.order.id))
            and trade.id >= int(query.get("fromId", "0"))
            and _is_within(query, trade.time_ms)
        ]
        return [shown.traded(trade) for trade in found[-_limit(query) :]]

    def _of(self, order: Order) -> list[Trade]:
        return [trade for trade in self.book.trades if trade.order is order]


def _is_within(query: Query, time_ms: int) -> bool:
    return int(query.get("startTime", "0")) <= time_ms <= int(query.get("endTime", time_ms))


def _limit(query: Query) -> int:
    return min(int(query.get("limit", "500")), _MOST)
