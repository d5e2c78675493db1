"""What the original tells: our events where they fit, its own where they do not, each with the tick that caused it.

* `when_ms` is the tick; the event's own time may be later (a close inside the followed list). A step that failed as a
  whole has no tick.
* Calls are what the original calls in user code, in order with the events.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from backtestkit_cli.engine.reference.stores import Document
from backtestkit_cli.model.event import Active, Cancelled, Closed, DraftRefused, Idle, LevelReached, Opened, Scheduled
from backtestkit_cli.model.signal import Signal, SignalDraft


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Signal):
    """A signal as the original keeps it: waiting, or pending (open) since `pending_at` (UTC ms).

    `document` is what it was read back from, None for a row made in this run.
    """

    pending_at: int
    is_scheduled: bool
    document: Document | None = field(default=None, compare=False, repr=False)


Offer: TypeAlias = SignalDraft | Row


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRejected:
    """A risk profile refused an unchecked draft, or a signal.

    `note` is None where the original has a text of its own; `by` is the form of the refusing answer.
    """

    time_ms: int
    strategy: str
    symbol: str
    offer: Offer
    profile: str
    price: float
    open_positions: int
    rejection_id: str | None
    note: str | None
    by: Literal["text", "object", "raised"]
    kind: Literal["offer_rejected"] = "offer_rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRaised:
    """A check of a risk profile raised; it counts as a refusal."""

    time_ms: int
    what: str
    kind: Literal["check_raised"] = "check_raised"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailed:
    """A step could not be done; `code` says why. `time_ms` is None unless only the decision failed."""

    time_ms: int | None
    strategy: str
    symbol: str
    code: str
    kind: Literal["step_failed"] = "step_failed"


SignalResult: TypeAlias = Idle | Scheduled | Opened | Active | Closed | Cancelled
ReferenceEvent: TypeAlias = SignalResult | LevelReached | DraftRefused | OfferRejected | CheckRaised | StepFailed

CallName: TypeAlias = Literal[
    "written",
    "restored",
    "opened",
    "closed",
    "scheduled",
    "cancelled",
    "profit",
    "loss",
    "risk_allowed",
    "risk_rejected",
]


class Told(NamedTuple):
    """An event, and the tick that caused it; None where a step failed as a whole."""

    when_ms: int | None
    event: ReferenceEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A call of user code: of a strategy at its tick, of a risk profile at the time it was asked about.

    `price` and `percent` where the call gets them; `offer` is None when nothing is pending any more.
    """

    when_ms: int
    name: CallName
    strategy: str
    symbol: str
    offer: Offer | None
    price: float | None = None
    percent: float | None = None
    profile: str | None = None


@dataclass(slots=True)
class Tape:
    """Everything that was told and called, in order, and what is only counted.

    `asked_at` lists the times at which the strategy was asked; `measured` counts the original's timing events.
    """

    entries: list[Told | Called] = field(default_factory=list)
    asked_at: list[int] = field(default_factory=list)
    progressed: int = 0
    measured: int = 0

    def tell(self, when_ms: int | None, event: ReferenceEvent) -> None:
        """Add an event."""
        self.entries.append(Told(when_ms, event))

    def events(self) -> list[Told]:
        """The events alone."""
        return [entry for entry in self.entries if isinstance(entry, Told)]
