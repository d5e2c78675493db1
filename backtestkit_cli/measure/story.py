"""The story of one instant of one stream: what each gate saw and decided, and what became of the signal.

Everything is taken over from a walk that was watched and from the events it told; the figures are the run's own.
Times are UTC ms, prices quote currency, percents of a way count from the entry to a level.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from backtestkit_cli.engine.decide import Answer
from backtestkit_cli.engine.rules.sight import SeenRules
from backtestkit_cli.engine.step import Entry
from backtestkit_cli.engine.validation import Figure
from backtestkit_cli.measure.booking import NamedPrice, PnlSteps
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.event import Active, Cancelled, Closed, Event, LevelReached, Opened, Scheduled
from backtestkit_cli.model.policy import FillPolicy
from backtestkit_cli.model.signal import Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSeen:
    """The price at an instant: the minutes of its window that have a candle, oldest first, and what they give."""

    vwap: float
    close: float
    is_bridged: bool
    window: tuple[Candle, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSeen:
    """One limit of a risk profile: what it allows, and what is held or measured."""

    rule: str
    limit: float
    found: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSeen:
    """What a risk profile was asked, and what it said: `rule` and `why` where it refused."""

    time_ms: int
    stage: Literal["decision", "activation"]
    profile: str
    held: tuple[Signal, ...]
    limits: tuple[LimitSeen, ...]
    rule: str | None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeSeen:
    """What a sizing was asked and said: a quantity in base currency from an equity in quote currency; 0 is none."""

    time_ms: int
    stage: Literal["decision", "activation"]
    sizing: str
    equity: float
    quantity: float
    rule: str | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A decision time, gate by gate; None and empty where it did not come so far.

    `history_ms` is the start of history. `entry` and `figures` are those of a draft.
    """

    gate: str
    price: PriceSeen | None
    history_ms: int
    is_short_history: bool
    answer: Answer | None
    rules: SeenRules | None
    entry: Entry | None
    figures: tuple[Figure, ...]
    broken_rules: tuple[str, ...]
    sizes: tuple[SizeSeen, ...]
    profiles: tuple[ProfileSeen, ...]
    signal: Signal | None
    failure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """The nearest that the price came to a level while the position was open, without reaching it."""

    time_ms: int
    price: float
    percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The minute that closed a position: its candle and VWAP, the prices that count, and the percent in steps."""

    candle: Candle
    vwap: float
    counts: tuple[NamedPrice, ...]
    steps: PnlSteps


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What became of a signal: its events, and between them the path of the price.

    `nearest_entry` is for a waiting entry: the price that came nearest to it, percents are of the entry.
    """

    scheduled: Scheduled | None
    wait_until_ms: int | None
    nearest_entry: Nearest | None
    opened: Opened | None
    minutes: int
    levels: tuple[LevelReached, ...]
    nearest_profit: Nearest | None
    nearest_stop: Nearest | None
    closed: Closed | None
    ending: Ending | None
    cancelled: Cancelled | None
    sizes: tuple[SizeSeen, ...]
    profiles: tuple[ProfileSeen, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a stream held at an instant, before the decision of that instant: a position or a waiting entry, since when.

    `ended` closes or cancels it, or turns the waiting entry into a position; None where the events end before.
    """

    signal: Signal
    since_ms: int
    is_waiting: bool
    ended: Opened | Closed | Cancelled | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What was heard of the signal of a decision: the minutes it was open, and what sizing and risk said of it."""

    path: Sequence[Active] = ()
    sizes: Sequence[SizeSeen] = ()
    profiles: Sequence[ProfileSeen] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One instant of one stream.

    `asked_ms` is the instant; `grid_before_ms` and `grid_after_ms` the decision times next to it, None where there is
    none; `data_end_ms` the close of the last candle. `difference` says how the run that was done again differs from
    the stored one; empty where it does not.
    """

    run_id: str
    strategy: str
    symbol: str
    form: str
    interval: str
    asked_ms: int
    is_decision_time: bool
    grid_before_ms: int | None
    grid_after_ms: int | None
    start_ms: int
    end_ms: int
    data_end_ms: int
    policy: FillPolicy
    held: Held | None
    price: PriceSeen | None
    decision: Decision | None
    life: Life | None
    difference: str = ""


def is_of(event: Event, signal: Signal) -> bool:
    """Whether an event belongs to the signal of one decision."""
    own: Signal = getattr(event, "signal", signal)
    return (own.id, own.decided_at) == (signal.id, signal.decided_at)


def nearest_of(path: Sequence[Active], side: Literal["profit", "loss"]) -> Nearest | None:
    """The minute that came nearest to a level, by the share of the way; None where none went that way."""
    shares = [one.take_profit_percent if side == "profit" else one.stop_loss_percent for one in path]
    best = max(range(len(path)), key=shares.__getitem__, default=None)
    if best is None or not shares[best]:
        return None
    return Nearest(time_ms=path[best].time_ms, price=path[best].price, percent=shares[best])
