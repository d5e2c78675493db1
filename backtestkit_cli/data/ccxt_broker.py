"""The broker of an exchange's spot market through ccxt: what Binance's routes for orders answer, in our words.

* Each request is sent once. A broken connection, a time-out, a 5xx and whatever cannot be read is `Unanswered`; only an
  answer of the exchange itself that says no is `Refused`.
* Every order has our client id. An order that exists already, by that id, is asked for instead.
* Quantities are cut to the market's step, prices rounded to it.
* Fees that were taken in the base currency are read from the trades, because only the rest can be sold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, assert_never

from backtestkit_cli.data.exchange_client import ExchangeClient, RouteAnswer
from backtestkit_cli.data.retry import Patience
from backtestkit_cli.engine.orders.tracked import RECEIVE_MS
from backtestkit_cli.errors import Problem, RejectedError, Source, TransientError
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.order import (
    Answer,
    AtLimit,
    AtMarket,
    NotSent,
    NotThere,
    Order,
    Pair,
    Refused,
    Report,
    Stop,
    Unanswered,
)
from backtestkit_cli.model.rounding import write_price, write_quantity

EXCHANGES = ("binance",)
_NOT_THERE = (-2011, -2013)
_NOT_SENT = (-1003, -1015, -1021)
_UNKNOWN = (-1000, -1001, -1004, -1006, -1007, -1008)
_DUPLICATE = "Duplicate order"
_TOO_MANY = (418, 429)
_STATUSES: Mapping[str, Literal["open", "filled", "cancelled"]] = {
    "NEW": "open",
    "PENDING_NEW": "open",
    "PARTIALLY_FILLED": "open",
    "PENDING_CANCEL": "open",
    "FILLED": "filled",
    "CANCELED": "cancelled",
    "EXPIRED": "cancelled",
    "EXPIRED_IN_MATCH": "cancelled",
    "REJECTED": "cancelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tradable:
    """A market that orders can be placed in. `least_value` is what an order must be worth, in quote currency."""

    id: str
    base: str
    quote: str
    steps: MarketSteps
    least_value: float


@dataclass(slots=True, eq=False)
class CcxtBroker:
    """Spot orders at one exchange; its markets have to be `admitted` first."""

    client: ExchangeClient
    patience: Patience
    markets: dict[str, Tradable] = field(default_factory=dict)

    def admit(self, symbol: str) -> Tradable:
        """Look a market up, and whether all that is needed can be ordered there.

        Raises:
            RejectedError: it cannot.
            ExchangeError: the exchange does not answer.
        """
        known = self.client.market(symbol)
        info = known["info"]
        kinds = info.get("orderTypes", ())
        if not (known.get("spot") and known.get("active") and {"LIMIT", "MARKET", "STOP_LOSS"} <= set(kinds)):
            what = f"{symbol} is no spot market that takes market, limit and stop orders just now"
            raise RejectedError(Problem("market-not-tradable", what, Source(symbol=symbol), hint="take another market"))
        least = (known["limits"].get("cost") or {}).get("min") or 0.0
        self.markets[symbol] = Tradable(
            id=known["id"],
            base=known["base"],
            quote=known["quote"],
            steps=self.client.steps(known),
            least_value=float(least),
        )
        return self.markets[symbol]

    def free(self, symbol: str) -> float:
        """How much quote currency of a market the account has free.

        Raises:
            ExchangeError: the exchange refuses the key, or does not answer.
        """
        return float(self.client.account(symbol).get(self.markets[symbol].quote) or 0.0)

    def resting(self, symbol: str) -> tuple[str, ...]:
        """The ids of all orders that rest in a market, whoever placed them.

        Raises:
            TransientError: the exchange does not say.
        """
        answer = self._send("privateGetOpenOrders", {"symbol": self.markets[symbol].id})
        if not isinstance(answer.told, list):
            what = f"the exchange does not say which orders rest in {symbol}: {answer.words}"
            raise TransientError(Problem("order-unanswered", what, Source(symbol=symbol), hint="try again later"))
        return tuple(str(one["clientOrderId"]) for one in answer.told)

    # the port

    def place(self, order: Order) -> Answer:
        """Send an order, once."""
        match order.way:
            case Pair():
                answer = self._send("privatePostOrderListOco", self._pair(order, order.way))
                failed = _failure(answer)
                return self.query(order) if failed is None else failed
            case AtMarket() | AtLimit() | Stop():
                answer = self._send("privatePostOrder", self._single(order))
                return self._reported(order, answer)
            case _:
                assert_never(order.way)

    def query(self, order: Order) -> Answer:
        """What became of an order; of a pair, of both together."""
        if isinstance(order.way, Pair):
            return _together(self._found(order, order.way.take_profit_id), self._found(order, order.way.stop_loss_id))
        found = self._found(order, order.client_id)
        is_stop = isinstance(order.way, Stop) and isinstance(found, Report) and found.quantity > 0
        return replace(found, level="stop_loss") if is_stop and isinstance(found, Report) else found

    def cancel(self, order: Order) -> Answer:
        """Ask for the end of an order; what it traded is asked afterwards."""
        market = self.markets[order.symbol]
        if isinstance(order.way, Pair):
            answer = self._send("privateDeleteOrderList", {"symbol": market.id, "listClientOrderId": order.client_id})
        else:
            # the order may be known by the id of its cancel afterwards, so that is the same
            ids = {"origClientOrderId": order.client_id, "newClientOrderId": order.client_id}
            answer = self._send("privateDeleteOrder", {"symbol": market.id, **ids})
        return _failure(answer) or Unanswered(why="the cancel was taken")

    # requests

    def _send(self, name: str, params: Mapping[str, Any]) -> RouteAnswer:
        if self.patience.is_silent:
            return RouteAnswer(told=None, code=_NOT_SENT[0], status=429, words="the exchange asks for no requests")
        return self.client.route(name, {**params, "recvWindow": RECEIVE_MS})

    def _found(self, order: Order, client_id: str) -> Answer:
        market = self.markets[order.symbol]
        answer = self._send("privateGetOrder", {"symbol": market.id, "origClientOrderId": client_id})
        return self._reported(order, answer)

    def _single(self, order: Order) -> dict[str, str]:
        market = self.markets[order.symbol]
        asked = {
            "symbol": market.id,
            "side": order.side.upper(),
            "quantity": write_quantity(order.quantity, market.steps.quantity),
            "newClientOrderId": order.client_id,
            "newOrderRespType": "FULL",
        }
        match order.way:
            case AtMarket():
                return {**asked, "type": "MARKET"}
            case AtLimit(price=price):
                return {**asked, "type": "LIMIT", "timeInForce": "GTC", "price": self._price(order, price)}
            case Stop(price=price):
                return {**asked, "type": "STOP_LOSS", "stopPrice": self._price(order, price)}
            case _:
                raise ValueError(f"{order.way} is no single order")

    def _pair(self, order: Order, pair: Pair) -> dict[str, str]:
        market = self.markets[order.symbol]
        return {
            "symbol": market.id,
            "side": order.side.upper(),
            "quantity": write_quantity(order.quantity, market.steps.quantity),
            "listClientOrderId": order.client_id,
            "aboveType": "LIMIT_MAKER",
            "abovePrice": self._price(order, pair.take_profit),
            "aboveClientOrderId": pair.take_profit_id,
            "belowType": "STOP_LOSS",
            "belowStopPrice": self._price(order, pair.stop_loss),
            "belowClientOrderId": pair.stop_loss_id,
        }

    def _price(self, order: Order, price: float) -> str:
        return write_price(price, self.markets[order.symbol].steps.price)

    # answers

    def _reported(self, order: Order, answer: RouteAnswer) -> Answer:
        failed = _failure(answer)
        if failed is not None:
            return failed
        try:
            return self._report(order, answer.told)
        except (KeyError, TypeError, ValueError):
            return Unanswered(why="the answer cannot be read")

    def _report(self, order: Order, told: Mapping[str, Any]) -> Answer:
        quantity, value = float(told["executedQty"]), float(told["cummulativeQuoteQty"])
        report = Report(status=_STATUSES[told["status"]], quantity=quantity, value=value)
        if order.side == "sell" or report.status == "open" or not quantity:
            return report
        trades = told.get("fills") or self._trades(order, told["orderId"])
        if abs(sum(float(one["qty"]) for one in trades) - quantity) > quantity * 1e-9:
            return replace(report, fee_quantity=None)
        base = self.markets[order.symbol].base
        fees = [float(one["commission"]) for one in trades if one["commissionAsset"] == base]
        return replace(report, fee_quantity=sum(fees))

    def _trades(self, order: Order, order_id: Any) -> Sequence[Mapping[str, Any]]:
        market = self.markets[order.symbol]
        answer = self._send("privateGetMyTrades", {"symbol": market.id, "orderId": order_id})
        return answer.told if isinstance(answer.told, list) else ()


def _failure(answer: RouteAnswer) -> Answer | None:
    """What an answer means that is no success."""
    code, words = answer.code, answer.words
    if code is None and answer.status is not None and answer.status < 300 and isinstance(answer.told, dict):
        return None if answer.told else Unanswered(why="an empty answer")
    if answer.status in _TOO_MANY or code in _NOT_SENT:
        return NotSent(why=words)
    if code in _NOT_THERE:
        return NotThere()
    if code is None or code in _UNKNOWN or answer.status is None or answer.status >= 500 or _DUPLICATE in words:
        return Unanswered(why=words)
    return Refused(why=words)


def _together(profit: Answer, stop: Answer) -> Answer:
    """Two orders of which one cancels the other, as one."""
    if isinstance(profit, NotThere) and isinstance(stop, NotThere):
        return NotThere()
    if not (isinstance(profit, Report) and isinstance(stop, Report)):
        return Unanswered(why="only one order of the pair is known")
    legs = (profit, stop)
    statuses = {one.status for one in legs}
    quantity = sum(one.quantity for one in legs)
    return Report(
        status="filled" if "filled" in statuses else "open" if "open" in statuses else "cancelled",
        quantity=quantity,
        value=sum(one.value for one in legs),
        level=None if not quantity else "take_profit" if profit.quantity >= stop.quantity else "stop_loss",
    )
