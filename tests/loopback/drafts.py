"""What a request asks to be traded, checked as the exchange does: parameters first, then the filters of the market."""

import re
from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import cast

from loopback.market import Market
from loopback.order import ORDER_KINDS, PRICED_KINDS, STOP_KINDS, ZERO, Draft, RefusedError, Side

CLIENT_ID = "^[a-zA-Z0-9-_]{1,36}$"
_NUMBER = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_LIMITED_KINDS = ("LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
LARGEST_PRICE, LARGEST_QUANTITY = Decimal(1_000_000), Decimal(9_000_000)


def wanted(query: Mapping[str, str], name: str) -> str:
    """A parameter that must be there."""
    if not query.get(name):
        raise RefusedError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return query[name]


def number(query: Mapping[str, str], name: str) -> Decimal:
    """An exact number that must be there."""
    text = wanted(query, name)
    if not re.match(_NUMBER, text):
        raise RefusedError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{_NUMBER}'.")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise RefusedError(-1100, f"Illegal characters found in parameter '{name}'.") from None


def client_id_of(query: Mapping[str, str], name: str, made: str) -> str:
    """The id the client gave, or the one made for it."""
    text = query.get(name, made)
    if not re.match(CLIENT_ID, text):
        raise RefusedError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{CLIENT_ID}'.")
    return text


def draft_of(query: Mapping[str, str], market: Market, price: Decimal, made_id: str) -> Draft:
    """The order of a request; `price` is the market's.

    Raises:
        RefusedError: a parameter is missing or wrong, or the order is against a filter.
    """
    kind, side = wanted(query, "type"), wanted(query, "side")
    if kind not in ORDER_KINDS:
        raise RefusedError(-1116, "Invalid orderType.")
    if side not in ("BUY", "SELL"):
        raise RefusedError(-1117, "Invalid side.")
    if kind in _LIMITED_KINDS and wanted(query, "timeInForce") not in ("GTC", "IOC", "FOK"):
        raise RefusedError(-1115, "Invalid timeInForce.")
    draft = Draft(
        symbol=market.id,
        side=cast("Side", side),
        kind=kind,
        quantity=_quantity(query, market, price),
        client_id=client_id_of(query, "newClientOrderId", made_id),
        price=number(query, "price") if kind in PRICED_KINDS else ZERO,
        stop_price=number(query, "stopPrice") if kind in STOP_KINDS else ZERO,
        time_in_force=query.get("timeInForce", "GTC"),
    )
    _filter(draft, market, price)
    return draft


def _quantity(query: Mapping[str, str], market: Market, price: Decimal) -> Decimal:
    if "quoteOrderQty" not in query:
        return number(query, "quantity")
    step = Decimal(market.quantity_step)
    return (number(query, "quoteOrderQty") / price / step).to_integral_value(ROUND_DOWN) * step


def _filter(draft: Draft, market: Market, price: Decimal) -> None:
    quantity_step, price_step = Decimal(market.quantity_step), Decimal(market.price_step)
    if not quantity_step <= draft.quantity <= LARGEST_QUANTITY or draft.quantity % quantity_step:
        raise RefusedError(-1013, "Filter failure: LOT_SIZE")
    prices = [
        one for one, kinds in ((draft.price, PRICED_KINDS), (draft.stop_price, STOP_KINDS)) if draft.kind in kinds
    ]
    if any(not price_step <= one <= LARGEST_PRICE or one % price_step for one in prices):
        raise RefusedError(-1013, "Filter failure: PRICE_FILTER")
    if draft.quantity * (prices[0] if prices else price) < Decimal(market.smallest_cost):
        raise RefusedError(-1013, "Filter failure: NOTIONAL")
