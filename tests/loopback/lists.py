"""The routes of order lists: two orders of which one cancels the other, in the current form and in the old one.

Rules: of a sale the take profit is above the price and the stop loss below, of a purchase the other way round; a pair
that stands otherwise is refused whole.
"""

from collections.abc import Mapping

from loopback import shown
from loopback.drafts import client_id_of, draft_of, wanted
from loopback.order import STOP_LOSS_KINDS, Draft, OrderList, Quirk, RefusedError
from loopback.orders import OrderRoutes, Query, Route

_PROFIT_KINDS = ("LIMIT_MAKER", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
_LEG_FIELDS = {
    "Type": "type",
    "Price": "price",
    "StopPrice": "stopPrice",
    "TimeInForce": "timeInForce",
    "ClientOrderId": "newClientOrderId",
}


class ListRoutes:
    """Answers about lists of the account whose single orders `orders` answers."""

    def __init__(self, orders: OrderRoutes) -> None:
        self._orders = orders
        self._book = orders.book

    def table(self) -> dict[tuple[str, str], Route]:
        """What answers each method and path; an answer is ready for JSON, or a RefusedError."""
        return {
            ("POST", "/api/v3/orderList/oco"): self._place,
            ("POST", "/api/v3/order/oco"): lambda query, quirk: self._place(_in_current_form(query), quirk),
            ("GET", "/api/v3/orderList"): self._query,
            ("DELETE", "/api/v3/orderList"): self._cancel,
        }

    def _place(self, query: Query, quirk: Quirk) -> object:
        above, below = self._leg(query, "above"), self._leg(query, "below")
        _refuse_kinds(above, below)
        client_id = client_id_of(query, "listClientOrderId", self._orders.made_id("list"))
        pair = self._book.accept_pair(above, below, client_id, quirk)
        now_ms = self._book.now_ms
        return {**shown.listed(pair), "orderReports": [shown.placed(one, [], "RESULT", now_ms) for one in pair.orders]}

    def _leg(self, query: Query, name: str) -> Draft:
        market = self._orders.market(query)
        wanted(query, f"{name}Type")
        leg = {theirs: query[f"{name}{own}"] for own, theirs in _LEG_FIELDS.items() if f"{name}{own}" in query}
        asked = {"side": wanted(query, "side"), "quantity": wanted(query, "quantity"), **leg}
        return draft_of(asked, market, self._book.price(market.id), self._orders.made_id(name))

    def _query(self, query: Query, _quirk: Quirk) -> object:
        pair = self._meant(query, "origClientOrderId", RefusedError(-2013, "Order list does not exist."))
        if not all(self._orders.is_seen(order) for order in pair.orders):
            raise RefusedError(-2013, "Order list does not exist.")
        return shown.listed(pair)

    def _cancel(self, query: Query, _quirk: Quirk) -> object:
        unknown = RefusedError(-2011, "Unknown order list sent.")
        pair = self._meant(query, "listClientOrderId", unknown)
        if not pair.is_open:
            raise unknown
        self._book.cancel(next(order for order in pair.orders if order.is_open))
        return self._orders.cancelled_list(pair)

    def _meant(self, query: Query, id_name: str, unknown: RefusedError) -> OrderList:
        for pair in reversed(self._book.lists):
            if (
                query.get("orderListId", str(pair.id)) == str(pair.id)
                and query.get(id_name, pair.client_id) == pair.client_id
            ):
                return pair
        raise unknown


def _refuse_kinds(above: Draft, below: Draft) -> None:
    profit, loss = (above, below) if above.side == "SELL" else (below, above)
    if profit.kind not in _PROFIT_KINDS or loss.kind not in STOP_LOSS_KINDS:
        raise RefusedError(-1158, "Order type not supported in OCO.")


def _in_current_form(query: Query) -> Mapping[str, str]:
    """The old form names a limit and a stop; of a sale the limit is above."""
    limit, stop = ("above", "below") if query.get("side") == "SELL" else ("below", "above")
    renamed = {
        "price": f"{limit}Price",
        "limitClientOrderId": f"{limit}ClientOrderId",
        "stopPrice": f"{stop}StopPrice",
        "stopLimitPrice": f"{stop}Price",
        "stopLimitTimeInForce": f"{stop}TimeInForce",
        "stopClientOrderId": f"{stop}ClientOrderId",
    }
    kinds = {
        f"{limit}Type": "LIMIT_MAKER",
        f"{stop}Type": "STOP_LOSS_LIMIT" if "stopLimitPrice" in query else "STOP_LOSS",
    }
    return {**{renamed.get(name, name): value for name, value in query.items()}, **kinds}
