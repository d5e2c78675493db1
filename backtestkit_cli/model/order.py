"""An order for an exchange, and what an exchange answers: the words that every broker shares.

An order is known by its client id alone, which follows from the signal: the same signal never gets two of them. A
broker that does not know what became of an order says so (`Unanswered`) and never guesses.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeAlias

from backtestkit_cli.model.signal import Signal

Side: TypeAlias = Literal["buy", "sell"]
Level: TypeAlias = Literal["take_profit", "stop_loss"]
Role: TypeAlias = Literal["e", "g", "t", "s", "c"]
"""Entry, guard (the pair), take profit and stop of a pair, close."""
OURS = "bk"
"""How the id of every order of ours begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtMarket:
    """Now, at what the market gives."""

    kind: Literal["at_market"] = "at_market"


@dataclass(frozen=True, slots=True, kw_only=True)
class AtLimit:
    """At a price or better; it waits."""

    price: float
    kind: Literal["at_limit"] = "at_limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Take profit and stop, of which one cancels the other; each has a client id of its own."""

    take_profit: float
    stop_loss: float
    take_profit_id: str
    stop_loss_id: str
    kind: Literal["pair"] = "pair"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A stop alone."""

    price: float
    kind: Literal["stop"] = "stop"


Way: TypeAlias = AtMarket | AtLimit | Pair | Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order; quantity in base currency, prices in quote currency, neither rounded to the exchange's steps."""

    client_id: str
    symbol: str
    side: Side
    quantity: float
    way: Way


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The exchange knows the order: what it traded so far.

    `quantity` is in base, `value` in quote currency, both before fees; `fee_quantity` is the part of the quantity that
    the exchange kept as its fee, None where it is over and nobody knows that yet. `level` is what traded of a pair, or
    of a stop. A pair is open while one of it is.
    """

    status: Literal["open", "filled", "cancelled"]
    quantity: float = 0.0
    value: float = 0.0
    fee_quantity: float | None = 0.0
    level: Level | None = None
    kind: Literal["report"] = "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotThere:
    """The exchange says that it knows no such order, which may change: it is not always consistent at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The exchange says no, for good."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """It did certainly not arrive, and may be sent again."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """Nobody knows whether it arrived."""

    why: str


Answer: TypeAlias = Report | NotThere | Refused | NotSent | Unanswered


def client_id(signal: Signal, role: Role, number: int = 1) -> str:
    """The id of an order of a signal: at most 36 of `[a-z0-9]`; `number` tells orders of one role apart."""
    return f"{order_name(signal)}{role}{number}"


def order_name(signal: Signal) -> str:
    """How the ids of all orders of a signal begin. A strategy may give an id again, so its decision time counts too."""
    told = "\n".join((signal.strategy, signal.symbol, signal.id, str(signal.decided_at)))
    return OURS + hashlib.sha256(told.encode()).hexdigest()[:30]
