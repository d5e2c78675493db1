"""What a live session keeps: who it is, each stream with its position, and the money they share.

* One record per stream holds position, waiting entry and levels together, so that they never disagree; the positions
  that risk counts are those of the streams.
* `untold` are events that happened and are not known to have been told. They are told again after a crash, with the
  same ids: at least once.
* `booked` names the last position of each stream that is in the money, by its id and its decision time. So a crash
  between two records books none twice.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from backtestkit_cli.errors import Problem, Source, StateError
from backtestkit_cli.model.event import Event
from backtestkit_cli.model.signal import Flat, SignalState
from backtestkit_cli.plugins.ports import StateStore
from backtestkit_cli.state.record import BadRecord
from backtestkit_cli.state.signal import signal_body, signal_state

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Made = TypeVar("Made")

SESSION, STREAM, MONEY, SWITCH = "session", "stream", "money", "switch"
ONLY = "only"
"""The key of records of which there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """Which session it is. `history_start_ms` by strategy; `fingerprint` of everything that changes its meaning.

    `run` is the word of the holder of the folder that began it, or went on with it last.
    """

    session: str
    started_ms: int
    exchange: str
    strategies: tuple[str, ...]
    symbols: tuple[str, ...]
    history_start_ms: Mapping[str, int]
    fingerprint: str
    is_ended: bool = False
    run: str = ""
    broker: str = "paper"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRecord:
    """One stream: its state after the instant `at_ms`, the last decision it made, and events not known to be told."""

    strategy: str
    symbol: str
    state: SignalState = field(default_factory=Flat)
    at_ms: int = 0
    decided_ms: int = 0
    untold: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyRecord:
    """The account of a session, the newest closed percents of each stream, and the last signal booked of each.

    `booked_decided_ms` is the decision time of each of those; records of older versions have none.
    """

    session: str
    account: Mapping[str, float]
    closed_percents: Mapping[str, tuple[float, ...]]
    booked: Mapping[str, str]
    booked_decided_ms: Mapping[str, int] = field(default_factory=dict)


def stream_key(strategy: str, symbol: str) -> str:
    """The key of a stream's record; a name has no blank."""
    return f"{strategy} {symbol}"


def stream_of(key: str) -> tuple[str, str]:
    """The strategy and the symbol of a record's key."""
    strategy, _, symbol = key.partition(" ")
    return strategy, symbol


@cache
def _events() -> "TypeAdapter[tuple[Event, ...]]":
    from pydantic import Field, TypeAdapter

    return TypeAdapter(tuple[Annotated[Event, Field(discriminator="kind")], ...])


def event_body(event: Event) -> dict[str, Any]:
    """An event as plain JSON values."""
    (body,) = _events().dump_python((event,), mode="json")
    return dict(body)


def event_of(body: Mapping[str, Any]) -> Event:
    """The event of a body.

    Raises:
        ValueError: it is none.
    """
    (event,) = _events().validate_python((dict(body),))
    return event


class SessionState:
    """The records of one state folder, typed."""

    def __init__(self, store: StateStore) -> None:
        self.store = store

    def session(self) -> SessionRecord | None:
        """The session that was here last.

        Raises:
            StateError: its record is damaged.
        """
        body = self.store.load(SESSION, ONLY)
        return None if body is None else made(SessionRecord, body, "session")

    def begin(self, record: SessionRecord) -> None:
        """Remember who we are.

        Raises:
            StateError: it could not be written.
        """
        self.store.save(SESSION, ONLY, asdict(record))

    def end(self, record: SessionRecord) -> None:
        """Remember that a session ended with nothing open.

        Raises:
            StateError: it could not be written.
        """
        self.begin(replace(record, is_ended=True))

    def stream(self, strategy: str, symbol: str) -> StreamRecord:
        """A stream as it was left; flat where there never was one.

        Raises:
            StateError: its record is damaged.
        """
        body = self.store.load(STREAM, stream_key(strategy, symbol))
        return StreamRecord(strategy=strategy, symbol=symbol) if body is None else stream_record(body)

    def streams(self) -> tuple[StreamRecord, ...]:
        """All streams that were ever here.

        Raises:
            StateError: a record is damaged.
        """
        return tuple(self.stream(*stream_of(key)) for key in self.store.keys(STREAM))

    def keep(self, record: StreamRecord) -> None:
        """Keep a stream; once this returns it survives a power cut.

        Raises:
            StateError: it could not be written.
        """
        body = {
            "strategy": record.strategy,
            "symbol": record.symbol,
            "state": signal_body(record.state),
            "at_ms": record.at_ms,
            "decided_ms": record.decided_ms,
            "untold": [event_body(event) for event in record.untold],
        }
        self.store.save(STREAM, stream_key(record.strategy, record.symbol), body)

    def money(self) -> MoneyRecord | None:
        """The money; None where none was ever kept.

        Raises:
            StateError: its record is damaged.
        """
        body = self.store.load(MONEY, ONLY)
        return None if body is None else made(MoneyRecord, body, "money")

    def keep_money(self, record: MoneyRecord) -> None:
        """Keep the money.

        Raises:
            StateError: it could not be written.
        """
        self.store.save(MONEY, ONLY, asdict(record))

    def is_killed(self) -> bool:
        """Whether the kill switch is on: nothing may be opened.

        Raises:
            StateError: its record is damaged.
        """
        body = self.store.load(SWITCH, ONLY)
        return body is not None and body.get("is_killed") is not False


def stream_record(body: Mapping[str, Any]) -> StreamRecord:
    """Read the record of a stream.

    Raises:
        StateError: it has something that no such record has.
    """
    told = dict(body)
    key = stream_key(str(told.get("strategy")), str(told.get("symbol")))
    try:
        state = signal_state(told.pop("state"))
        untold = _events().validate_python(told.pop("untold"))
    except (BadRecord, KeyError, ValueError) as error:
        raise _unreadable(key, str(error)) from None
    return made(StreamRecord, {**told, "state": state, "untold": untold}, key)


def made(kind: type[Made], body: Mapping[str, Any], name: str) -> Made:
    """Build a record from its body.

    Raises:
        StateError: it has something that no such record has.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(body)
    except ValidationError as error:
        raise _unreadable(name, str(error.errors(include_url=False)[0]["msg"])) from None


def _unreadable(name: str, why: str) -> StateError:
    what = f"the state of {name} is whole but has something that no state has: {why}"
    hint = "it was written by another version, or by hand; `backtestkit session reconcile` says what can be done"
    return StateError(Problem("state-unreadable", what, Source(key=name), hint=hint))
