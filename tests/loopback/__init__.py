"""A small exchange on 127.0.0.1 that speaks Binance's spot market protocol, for tests with real ccxt code.

It has markets, candles and one account whose orders trade by those candles. What ccxt 4.5.90 does with a spot account,
each held by a test:

* Two orders of which one cancels the other have no method of their own: `create_order` sends single orders only. They
  are sent by the methods made from routes, `privatePostOrderListOco(params)` with the exchange's own names and texts
  as values (`symbol: "BTCUSDT"`, `price_to_precision` for prices), cancelled by `privateDeleteOrderList`, asked by
  `privateGetOrderList`; the old `privatePostOrderOco` exists too. Answers come raw: `parse_order(report)` reads each of
  `orderReports`. Errors are ccxt's classes. The cancel of one order answers the list, which ccxt reads as an order
  without id and status.
* A price given to a market order turns its amount into a cost (`quoteOrderQty`).
* A client order id is asked by `fetch_order(None, symbol, {"origClientOrderId": id})`. Spot allows letters, digits,
  `-` and `_`, at most 36; it must differ from those of open orders, and may be used again after that.
* What `cancel_order` answers has the client id of the cancel; the order's own is `info["origClientOrderId"]`.
* A new order is never sent twice by itself, sync or async. Async sends a cancel (and a query) again when its connection
  breaks, so a cancel that worked can end in OrderNotFound.
* An answer of status 200 that is no JSON reads as an order without id and status, as balances of nothing, and as one
  empty trade for each of its letters, without an error; queries of open or all orders raise a plain AttributeError.
* A refused key (-2015) is DDoSProtection once any private answer came, an AuthenticationError only before.
"""

from loopback.clock import FakeClock
from loopback.faults import FAULT_KINDS, ORDER_FAULTS, Fault
from loopback.market import Market, Row
from loopback.order import RefusedError
from loopback.server import LoopbackExchange

__all__ = ["FAULT_KINDS", "ORDER_FAULTS", "FakeClock", "Fault", "LoopbackExchange", "Market", "RefusedError", "Row"]
