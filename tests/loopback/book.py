"""The matching book: orders of one account against the candles of the exchange. Pure: time is what it is told.

Rules: the range of a candle counts for every order accepted before its last millisecond. A market order, a limit that
is past the price when it is accepted and a hit stop trade at the price of that moment as taker; a waiting limit trades
at its own price as maker. When one candle reaches both orders of a list, the stop loss has it. All of a hold is freed
when nothing needs it.
"""

from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal

from loopback.account import Account, Hold
from loopback.market import MINUTE_MS, Market
from loopback.order import (
    MARKET_KINDS,
    NO_LIST,
    PLAIN,
    STOP_KINDS,
    STOP_LOSS_KINDS,
    Draft,
    Move,
    Order,
    OrderList,
    Quirk,
    RefusedError,
    Trade,
)
from loopback.prices import Prices

SMALLEST = Decimal("0.00000001")


@dataclass(slots=True, kw_only=True)
class Book:
    """Every order ever accepted, oldest first, and the trades."""

    prices: Prices
    account: Account
    fee_rate: Decimal = Decimal("0.001")
    now_ms: int = 0
    orders: list[Order] = field(default_factory=list)
    lists: list[OrderList] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Those that can still trade."""
        return [order for order in self.orders if order.is_open and symbol in (None, order.draft.symbol)]

    def price(self, symbol: str) -> Decimal:
        """The price now."""
        return self.prices.at(symbol, self.now_ms)

    # --- time --------------------------------------------------------------------------------------------------------

    def advance(self, now_ms: int) -> None:
        """Let the market move until now."""
        for minute_ms in range(self.now_ms // MINUTE_MS * MINUTE_MS, now_ms + 1, MINUTE_MS):
            waiting = {order.draft.symbol for order in self.open_orders()}
            if not waiting:
                break
            for symbol in sorted(waiting):
                for move in self.prices.moves(symbol, minute_ms):
                    if self.now_ms < move.time_ms <= now_ms:
                        self._meet(symbol, move)
        self.now_ms = max(self.now_ms, now_ms)

    def _meet(self, symbol: str, move: Move) -> None:
        for order in sorted(self.open_orders(symbol), key=lambda order: order.draft.kind not in STOP_LOSS_KINDS):
            if not order.is_open:
                continue  # the other order of its list traded in this move
            if order.waits_for_stop:
                self._try_stop(order, move)
            elif move.meets(order.draft) and not (order.filled and order.quirk.stays):
                self._fill(order, order.part(self._step(order)), order.draft.price, move.time_ms, is_maker=True)

    def _try_stop(self, order: Order, move: Move) -> None:
        price = move.trigger_price(order.draft)
        if price is None:
            return
        order.working_ms = order.updated_ms = move.time_ms
        self._expire_other(order, move.time_ms)
        if order.draft.kind in MARKET_KINDS:
            self._take(order, price, move.time_ms)
        elif Move(move.time_ms, price, price).meets(order.draft):
            self._fill(order, order.part(self._step(order)), price, move.time_ms, is_maker=False)

    # --- orders ------------------------------------------------------------------------------------------------------

    def accept(self, draft: Draft, quirk: Quirk = PLAIN) -> Order:
        """Put an order in the book, and trade what trades at once.

        Raises:
            RefusedError: its id is in use, its price is on the wrong side, or there is too little money.
        """
        price = self.price(draft.symbol)
        self._refuse_used_id(draft.client_id)
        if words := self._at_once(draft, price):
            raise RefusedError(-2010, words)
        order = self._added(draft, self._held(draft, price, quirk), quirk)
        self._start(order, price)
        return order

    def accept_pair(self, above: Draft, below: Draft, client_id: str, quirk: Quirk = PLAIN) -> OrderList:
        """Put two orders in the book of which one cancels the other; the quantity is held once.

        Raises:
            RefusedError: as for one order.
        """
        price = self.price(above.symbol)
        if any(pair.is_open and pair.client_id == client_id for pair in self.lists):
            raise RefusedError(-2010, "Duplicate order sent.")
        for draft in (above, below):
            self._refuse_used_id(draft.client_id)
            if self._at_once(draft, price):
                raise RefusedError(-2010, "The relationship of the prices for the orders is not correct.")
        dearer = max((above, below), key=lambda draft: draft.price or draft.stop_price)
        hold, list_id = self._held(dearer, price, quirk), len(self.lists) + 1
        first, second = (self._added(draft, hold, quirk, list_id) for draft in (below, above))
        pair = OrderList(
            id=list_id, client_id=client_id, symbol=above.symbol, time_ms=self.now_ms, orders=(first, second)
        )
        self.lists.append(pair)
        return pair

    def cancel(self, order: Order) -> None:
        """End an order, and the other one of its list.

        Raises:
            RefusedError: it has ended already.
        """
        if not order.is_open:
            raise RefusedError(-2011, "Unknown order sent.")
        for one in [order, *self._others(order)]:
            if one.is_open:
                self._end(one, "CANCELED", self.now_ms)

    def fill_by_hand(self, order: Order, quantity: Decimal | None = None, price: Decimal | None = None) -> None:
        """Trade an open order now, whatever the market does; at its own price, the whole rest, if not told."""
        if not order.is_open:
            raise RefusedError(-2011, "Unknown order sent.")
        order.working_ms = self.now_ms
        own = order.draft.price or order.draft.stop_price or self.price(order.draft.symbol)
        self._fill(order, quantity or order.rest, price or own, self.now_ms, is_maker=True)

    def _refuse_used_id(self, client_id: str) -> None:
        if any(order.draft.client_id == client_id for order in self.open_orders()):
            raise RefusedError(-2010, "Duplicate order sent.")

    def _at_once(self, draft: Draft, price: Decimal) -> str | None:
        """What is wrong with an order that should wait, and would not."""
        here = Move(self.now_ms, price, price)
        if draft.stop_price and here.trigger_price(draft) is not None:
            return "Stop price would trigger immediately."
        return "Order would immediately match and take." if draft.kind == "LIMIT_MAKER" and here.meets(draft) else None

    def _held(self, draft: Draft, price: Decimal, quirk: Quirk) -> Hold:
        market = self._market(draft.symbol)
        if draft.side == "SELL":
            hold = self.account.hold(market.base, draft.quantity)
        else:
            worst = price + Decimal(market.price_step) * (quirk.parts - 1)
            hold = self.account.hold(market.quote, draft.quantity * (draft.price or draft.stop_price or worst))
        if hold is None:
            raise RefusedError(-2010, "Account has insufficient balance for requested action.")
        return hold

    def _added(self, draft: Draft, hold: Hold, quirk: Quirk, list_id: int = NO_LIST) -> Order:
        order = Order(
            id=len(self.orders) + 1,
            draft=draft,
            time_ms=self.now_ms,
            hold=hold,
            quirk=quirk,
            list_id=list_id,
            updated_ms=self.now_ms,
            working_ms=-1 if draft.kind in STOP_KINDS else self.now_ms,
        )
        self.orders.append(order)
        return order

    def _start(self, order: Order, price: Decimal) -> None:
        draft = order.draft
        if order.waits_for_stop:
            return
        if draft.kind == "MARKET":
            self._take(order, price, self.now_ms)
        elif Move(self.now_ms, price, price).meets(draft):
            self._fill(order, order.part(self._step(order)), price, self.now_ms, is_maker=False)
        if order.is_open and draft.time_in_force in ("IOC", "FOK"):
            self._end(order, "EXPIRED", self.now_ms)

    # --- trades ------------------------------------------------------------------------------------------------------

    def _take(self, order: Order, price: Decimal, time_ms: int) -> None:
        """Trade at the market: each part one price step worse than the last."""
        step = Decimal(self._market(order.draft.symbol).price_step) * (1 if order.draft.side == "BUY" else -1)
        while order.is_open:
            self._fill(order, order.part(self._step(order)), price, time_ms, is_maker=False)
            price += step
            if order.quirk.stays and order.rest:
                self._end(order, "EXPIRED", time_ms)

    def _fill(self, order: Order, quantity: Decimal, price: Decimal, time_ms: int, *, is_maker: bool) -> None:
        market, is_buy = self._market(order.draft.symbol), order.draft.side == "BUY"
        paid, got = (price * quantity, quantity) if is_buy else (quantity, price * quantity)
        if not self.account.spend(order.hold, paid):
            self._end(order, "EXPIRED", time_ms)
            return
        asset = market.base if is_buy else market.quote
        commission = (got * self.fee_rate).quantize(SMALLEST, ROUND_DOWN)
        self.account.free[asset] += got - commission
        order.filled += quantity
        order.cost += price * quantity
        order.status, order.updated_ms = "PARTIALLY_FILLED", time_ms
        self.trades.append(
            Trade(
                id=len(self.trades) + 1,
                order=order,
                price=price,
                quantity=quantity,
                commission=commission,
                commission_asset=asset,
                time_ms=time_ms,
                is_maker=is_maker,
            )
        )
        self._expire_other(order, time_ms)
        if not order.rest:
            self._end(order, "FILLED", time_ms)

    def _others(self, order: Order) -> list[Order]:
        if order.list_id == NO_LIST:
            return []
        return [one for one in self.lists[order.list_id - 1].orders if one is not order]

    def _expire_other(self, order: Order, time_ms: int) -> None:
        for other in self._others(order):
            if other.is_open:
                self._end(other, "EXPIRED", time_ms)

    def _end(self, order: Order, status: str, time_ms: int) -> None:
        order.status, order.updated_ms = status, time_ms
        if not any(other.is_open for other in self._others(order)):
            self.account.release(order.hold)

    def _step(self, order: Order) -> Decimal:
        return Decimal(self._market(order.draft.symbol).quantity_step)

    def _market(self, symbol: str) -> Market:
        return self.prices.candles.markets[symbol]
