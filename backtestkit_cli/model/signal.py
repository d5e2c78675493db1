"""What a strategy returns, and what becomes of it.

`SignalDraft` is a wish. Accepted, it is a `Signal`. `SignalState` is what must survive a crash: nothing, a waiting
entry, or an open position.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias


class Position(StrEnum):
    """The side of a signal."""

    LONG = "long"
    SHORT = "short"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalDraft:
    """A wish for a position, as a strategy states it; nothing in it is checked yet.

    Prices are absolute, in quote currency. Without `price_open` the entry is the market, now; with it a limit entry
    that waits `wait_minutes` (default `limits.schedule_await_minutes`) unless the market is already better.
    """

    position: Position | str
    price_take_profit: float
    price_stop_loss: float
    lifetime_minutes: int | float
    price_open: float | None = None
    wait_minutes: int | float | None = None
    note: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """An accepted draft. `decided_at` is the decision time in UTC ms; `price_open` the entry.

    `quantity` is in base currency, None where nothing is sized and as long as a limit entry waits.
    """

    id: str
    strategy: str
    symbol: str
    position: Position
    price_open: float
    price_take_profit: float
    price_stop_loss: float
    lifetime_minutes: int
    decided_at: int
    note: str = ""
    quantity: float | None = None

    @property
    def is_long(self) -> bool:
        """Whether the position gains when the price rises."""
        return self.position is Position.LONG


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """Nothing is held and nothing waits."""

    kind: Literal["flat"] = "flat"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingEntry:
    """A limit entry that waits for its price until `wait_until` (UTC ms, inclusive)."""

    signal: Signal
    wait_until: int
    kind: Literal["waiting_entry"] = "waiting_entry"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPosition:
    """A position since `opened_at`; its lifetime is over at `expires_at`.

    `entry_vwap` and `entry_worse` are the two prices a market entry could book; both are the entry of a limit entry.
    `profit_level` and `loss_level` are the highest tens of percent of the way to the levels reported so far.
    `is_bridged`: entered in a filled-in minute. `is_entry_ambiguous`: its activating minute also held the take profit.
    """

    signal: Signal
    opened_at: int
    expires_at: int
    entry_vwap: float
    entry_worse: float
    is_bridged: bool = False
    is_entry_ambiguous: bool = False
    profit_level: int = 0
    loss_level: int = 0
    kind: Literal["open_position"] = "open_position"


SignalState: TypeAlias = Flat | WaitingEntry | OpenPosition
