"""How a live session survives: every change is on disk before anybody is told of it.

* After a step the money is kept, then the stream with the events of the step, then people are told, then the stream is
  kept again without them. A crash in between repeats, it never loses: what closes again is not booked again.
* What cannot be kept is not opened. Positions that are open go on in memory, nothing new is opened until all is kept
  again, and it is tried again every minute.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from backtestkit_cli.errors import StateError
from backtestkit_cli.model.event import Active, Closed, DecisionFailed, Event, Idle, Opened
from backtestkit_cli.model.signal import Flat, OpenPosition, SignalState
from backtestkit_cli.run.live.stream import Booked, LiveLedger, LiveStream
from backtestkit_cli.run.standing import Key
from backtestkit_cli.state.session import MoneyRecord, SessionState, StreamRecord, stream_key, stream_of

NEWEST_PERCENTS = 1000
NOT_KEPT = "the state could not be written, so nothing was opened"


@dataclass(slots=True, eq=False)
class Keeping:
    """The records of a session's streams. `on_alarm` is told when something cannot be kept.

    The money belongs to one `session`: the next one begins with the balance of the config.
    """

    state: SessionState
    ledger: LiveLedger
    on_alarm: Callable[[StateError], None]
    session: str = ""
    is_carried: bool = False
    _unkept: dict[Key, LiveStream] = field(default_factory=dict)
    _is_money_unkept: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether everything that happened is on disk."""
        return not self._unkept

    def restore_money(self) -> None:
        """Bring the account to where it was.

        Raises:
            StateError: its record is damaged.
        """
        kept, account, booked = self.state.money(), self.ledger.account, self.ledger.booked
        if account is None:
            return
        if kept is not None and kept.session == self.session:
            account.restore(kept.account)
            decided = kept.booked_decided_ms
            booked.update({stream_of(key): Booked(id_, decided.get(key)) for key, id_ in kept.booked.items()})
            account.closed_percents = {stream_of(key): list(some) for key, some in kept.closed_percents.items()}

    def keep(self, stream: LiveStream, before: SignalState, events: Sequence[Event]) -> tuple[Event, ...]:
        """Keep a stream after a step; give the events that may be told now."""
        stored = tuple(event for event in events if not isinstance(event, Idle | Active))
        if stream.walk.state == before and not stored:
            return tuple(events)
        kinds = {type(event) for event in stored}
        self._is_money_unkept |= Closed in kinds and self.ledger.account is not None
        try:
            self._save(stream, stored)
        except StateError as error:
            self.on_alarm(error)
            self._unkept[stream.key] = stream
            if self._can_be_taken_back(before, kinds):
                return self._not_opened(stream, before, stored)
        return tuple(events)

    def told(self, stream: LiveStream) -> None:
        """The events of the last step have been told."""
        self._try(stream)

    def try_again(self) -> None:
        """Keep what could not be kept before."""
        for stream in tuple(self._unkept.values()):
            self._try(stream)

    def _can_be_taken_back(self, before: SignalState, kinds: Collection[type]) -> bool:
        """Whether an entry is only ours so far; what an exchange has filled is true, whatever the disk says."""
        if self.is_carried:
            return isinstance(before, Flat)
        return Closed not in kinds and (Opened in kinds or not isinstance(before, OpenPosition))

    def _not_opened(self, stream: LiveStream, before: SignalState, events: Sequence[Event]) -> tuple[Event, ...]:
        """Take an entry back, as if it had never been made."""
        for event in events:
            if isinstance(event, Opened):
                self.ledger.let_go(event.signal)
        stream.walk.state = before
        strategy, symbol = stream.key
        return (DecisionFailed(time_ms=stream.at_ms, strategy=strategy, symbol=symbol, what=NOT_KEPT),)

    def _try(self, stream: LiveStream) -> None:
        try:
            self._save(stream, ())
            self._unkept.pop(stream.key, None)
        except StateError as error:
            if stream.key in self._unkept:
                self.on_alarm(error)
            self._unkept[stream.key] = stream

    def _save(self, stream: LiveStream, untold: tuple[Event, ...]) -> None:
        self._save_money()
        strategy, symbol = stream.key
        self.state.keep(
            StreamRecord(
                strategy=strategy,
                symbol=symbol,
                state=stream.walk.state,
                at_ms=stream.at_ms,
                decided_ms=stream.decided_ms,
                untold=untold,
            )
        )

    def _save_money(self) -> None:
        account = self.ledger.account
        if account is None or not self._is_money_unkept:
            return
        percents = {stream_key(*key): tuple(known[-NEWEST_PERCENTS:]) for key, known in account.closed_percents.items()}
        booked = {stream_key(*key): one for key, one in self.ledger.booked.items()}
        self.state.keep_money(
            MoneyRecord(
                session=self.session,
                account=account.body,
                closed_percents=percents,
                booked={key: one.signal_id for key, one in booked.items()},
                booked_decided_ms={key: one.decided_ms for key, one in booked.items() if one.decided_ms is not None},
            )
        )
        self._is_money_unkept = False
