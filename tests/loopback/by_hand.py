"""The account in a person's own hands: what `/_test/` routes do to orders and money."""

from collections.abc import Mapping
from decimal import Decimal

from loopback import shown
from loopback.drafts import draft_of, wanted
from loopback.orders import OrderRoutes

_UNKNOWN = (-2013, "Order does not exist.")


def by_hand(routes: OrderRoutes, action: str, query: Mapping[str, str]) -> object:
    """The answer, ready for JSON; None when there is no such action.

    `orders`; `fill?symbol=&orderId=|origClientOrderId=[&quantity=][&price=]`; `cancel?symbol=&…`;
    `sell?symbol=&quantity=` and `buy?…` at the market; `balance?asset=&free=`.

    Raises:
        RefusedError: the exchange says no to that too.
    """
    match action:
        case "orders":
            return every_order(routes)
        case "fill":
            order = routes.meant(query, *_UNKNOWN)
            given = (Decimal(query[name]) if name in query else None for name in ("quantity", "price"))
            routes.book.fill_by_hand(order, *given)
            return shown.queried(order)
        case "cancel":
            order = routes.meant(query, *_UNKNOWN)
            routes.book.cancel(order)
            return shown.queried(order)
        case "sell" | "buy":
            market = routes.market(query)
            asked = {**query, "side": action.upper(), "type": "MARKET"}
            draft = draft_of(asked, market, routes.book.price(market.id), routes.made_id("web"))
            return shown.queried(routes.book.accept(draft))
        case "balance":
            routes.book.account.free[wanted(query, "asset")] = Decimal(wanted(query, "free"))
            return shown.money(routes.book.account, routes.book.fee_rate, routes.book.now_ms)
        case _:
            return None


def every_order(routes: OrderRoutes) -> list[shown.Shown]:
    """All orders ever accepted, oldest first, each with its trades."""
    trades = routes.book.trades
    return [
        {**shown.queried(order), "trades": [shown.traded(trade) for trade in trades if trade.order is order]}
        for order in routes.book.orders
    ]
