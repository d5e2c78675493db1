"""How orders, trades, lists and the account look on the wire: numbers as texts of eight places, times in UTC ms."""

from collections.abc import Sequence
from decimal import Decimal
from typing import TypeAlias

from loopback.account import Account
from loopback.order import ZERO, Order, OrderList, Trade

Shown: TypeAlias = dict[str, object]


def placed(order: Order, trades: Sequence[Trade], detail: str, now_ms: int) -> Shown:
    """The answer to a new order: `ACK`, `RESULT` or `FULL`."""
    short = {**_ids(order), "clientOrderId": order.draft.client_id, "transactTime": now_ms}
    if detail == "ACK":
        return short
    return {**short, **_state(order), **({"fills": [_fill(trade) for trade in trades]} if detail == "FULL" else {})}


def queried(order: Order) -> Shown:
    """An order as queries answer it."""
    return {
        **_ids(order),
        "clientOrderId": order.draft.client_id,
        **_state(order),
        "stopPrice": text(order.draft.stop_price),
        "icebergQty": text(ZERO),
        "time": order.time_ms,
        "updateTime": order.updated_ms,
        "isWorking": not order.waits_for_stop,
    }


def cancelled(order: Order, cancel_id: str, now_ms: int) -> Shown:
    """The answer to a cancel: the order's own client id has another name there."""
    own = {"origClientOrderId": order.draft.client_id, "clientOrderId": cancel_id, "transactTime": now_ms}
    return {**_ids(order), **own, **_state(order)}


def listed(pair: OrderList) -> Shown:
    """A list of orders as queries answer it."""
    return {
        "orderListId": pair.id,
        "contingencyType": "OCO",
        "listStatusType": "EXEC_STARTED" if pair.is_open else "ALL_DONE",
        "listOrderStatus": "EXECUTING" if pair.is_open else "ALL_DONE",
        "listClientOrderId": pair.client_id,
        "transactionTime": pair.time_ms,
        "symbol": pair.symbol,
        "orders": [
            {"symbol": pair.symbol, "orderId": order.id, "clientOrderId": order.draft.client_id}
            for order in pair.orders
        ],
    }


def traded(trade: Trade) -> Shown:
    """A trade as `myTrades` answers it."""
    is_buyer = trade.order.draft.side == "BUY"
    return {
        "symbol": trade.order.draft.symbol,
        "id": trade.id,
        "orderId": trade.order.id,
        "orderListId": trade.order.list_id,
        "price": text(trade.price),
        "qty": text(trade.quantity),
        "quoteQty": text(trade.price * trade.quantity),
        "commission": text(trade.commission),
        "commissionAsset": trade.commission_asset,
        "time": trade.time_ms,
        "isBuyer": is_buyer,
        "isMaker": trade.is_maker,
        "isBestMatch": True,
    }


def money(account: Account, fee_rate: Decimal, now_ms: int) -> Shown:
    """The account, with what is free and what orders lock."""
    return {
        "makerCommission": int(fee_rate * 10_000),
        "takerCommission": int(fee_rate * 10_000),
        "canTrade": True,
        "accountType": "SPOT",
        "updateTime": now_ms,
        "balances": [
            {"asset": asset, "free": text(account.free[asset]), "locked": text(account.locked[asset])}
            for asset in account.assets()
        ],
        "permissions": ["SPOT"],
    }


def text(number: Decimal) -> str:
    """A number of eight places."""
    return f"{number:.8f}"


def _ids(order: Order) -> Shown:
    return {"symbol": order.draft.symbol, "orderId": order.id, "orderListId": order.list_id}


def _state(order: Order) -> Shown:
    draft = order.draft
    return {
        "price": text(draft.price),
        "origQty": text(draft.quantity),
        "executedQty": text(order.filled),
        "origQuoteOrderQty": text(ZERO),
        "cummulativeQuoteQty": text(order.cost),
        "status": order.status,
        "timeInForce": draft.time_in_force,
        "type": draft.kind,
        "side": draft.side,
        **({"stopPrice": text(draft.stop_price)} if draft.stop_price else {}),
        "workingTime": order.working_ms,
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }


def _fill(trade: Trade) -> Shown:
    return {
        "price": text(trade.price),
        "qty": text(trade.quantity),
        "commission": text(trade.commission),
        "commissionAsset": trade.commission_asset,
        "tradeId": trade.id,
    }
