"""What an order is: what was asked, what became of it, and the trades it made. Amounts are exact decimals."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, TypeAlias

from loopback.account import Hold

Side: TypeAlias = Literal["BUY", "SELL"]
ZERO = Decimal(0)
NO_LIST = -1
MARKET_KINDS = ("MARKET", "STOP_LOSS", "TAKE_PROFIT")
STOP_LOSS_KINDS = ("STOP_LOSS", "STOP_LOSS_LIMIT")
STOP_KINDS = (*STOP_LOSS_KINDS, "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
PRICED_KINDS = ("LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
ORDER_KINDS = ("MARKET", "LIMIT", "LIMIT_MAKER", *STOP_KINDS)


class RefusedError(Exception):
    """The exchange says no: its code and its words, for the wire."""

    def __init__(self, code: int, text: str, status: int = 400) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is asked for. Prices an order kind has none of are zero."""

    symbol: str
    side: Side
    kind: str
    quantity: Decimal
    client_id: str
    price: Decimal = ZERO
    stop_price: Decimal = ZERO
    time_in_force: str = "GTC"

    @property
    def triggers_below(self) -> bool:
        """Whether its stop price is hit from above."""
        return (self.kind in STOP_LOSS_KINDS) == (self.side == "SELL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirk:
    """How an order misbehaves: it fills in parts (or stays at the first), queries do not see it at first, or its cancel
    takes its client id away."""

    parts: int = 1
    stays: bool = False
    hidden_asks: int = 0
    hidden_ms: int = 0
    renames: bool = False


PLAIN = Quirk()


@dataclass(slots=True, kw_only=True)
class Order:
    """An accepted order. `working_ms` is -1 while a stop waits for its price."""

    id: int
    draft: Draft
    time_ms: int
    hold: Hold
    quirk: Quirk = PLAIN
    list_id: int = NO_LIST
    status: str = "NEW"
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    updated_ms: int = 0
    working_ms: int = -1
    asks: int = field(default=0, repr=False)

    @property
    def is_open(self) -> bool:
        """Whether it can still trade."""
        return self.status in ("NEW", "PARTIALLY_FILLED")

    @property
    def waits_for_stop(self) -> bool:
        """Whether its stop price has not been hit yet."""
        return self.draft.kind in STOP_KINDS and self.working_ms < 0

    @property
    def rest(self) -> Decimal:
        """The quantity not filled."""
        return self.draft.quantity - self.filled

    def part(self, step: Decimal) -> Decimal:
        """What trades at once: an equal part, in steps of the market; the last one is what is left."""
        part = max(step, self.draft.quantity / self.quirk.parts // step * step)
        return part if self.rest - part >= part else self.rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One fill. The commission is in what was received: base for a buy, quote for a sell."""

    id: int
    order: Order
    price: Decimal
    quantity: Decimal
    commission: Decimal
    commission_asset: str
    time_ms: int
    is_maker: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderList:
    """Two orders of which one cancels the other."""

    id: int
    client_id: str
    symbol: str
    time_ms: int
    orders: tuple[Order, Order]

    @property
    def is_open(self) -> bool:
        """Whether a leg can still trade."""
        return any(order.is_open for order in self.orders)


@dataclass(frozen=True, slots=True)
class Move:
    """The price goes over all of `[low, high]` until `time_ms`."""

    time_ms: int
    low: Decimal
    high: Decimal

    def trigger_price(self, draft: Draft) -> Decimal | None:
        """Where a stop is hit, if it is; past its price already, it is hit at once."""
        if self.low > draft.stop_price if draft.triggers_below else self.high < draft.stop_price:
            return None
        return min(max(draft.stop_price, self.low), self.high)

    def meets(self, draft: Draft) -> bool:
        """Whether the price comes to a limit, or is better."""
        return self.low <= draft.price if draft.side == "BUY" else self.high >= draft.price
