"""Live state that needs somebody to say what is true: what it is, what each generation says, and the ways out.

* Looking changes nothing. Saying what is true needs the folder for itself, so no session runs meanwhile.
* Nothing is deleted: what is not true is renamed, and the journal of the session keeps what was said.
* A position that is said to be flat is forgotten without a result: what it made is not in the account.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from backtestkit_cli.config.merge import Config
from backtestkit_cli.engine.orders.errand import Disputed, may_be_there
from backtestkit_cli.errors import BacktestkitError, Problem, Source, StateError, UsageError
from backtestkit_cli.model.signal import Flat
from backtestkit_cli.plugins.registry import ROOT, Registry
from backtestkit_cli.run.clock import Clock, WallClock
from backtestkit_cli.run.live.identity import fingerprint_of
from backtestkit_cli.run.live.status import StreamStatus, stream_status
from backtestkit_cli.run.plan import plan_live
from backtestkit_cli.run.request import Request
from backtestkit_cli.run.stores import LockedStore, store_for
from backtestkit_cli.state.generations import Generation, Which
from backtestkit_cli.state.journal import Journal, said_flat
from backtestkit_cli.state.left_open import left_open
from backtestkit_cli.state.order import ORDER, OrderState
from backtestkit_cli.state.request import REQUEST, asked
from backtestkit_cli.state.session import (
    MONEY,
    SESSION,
    STREAM,
    SWITCH,
    SessionRecord,
    SessionState,
    StreamRecord,
    stream_key,
    stream_of,
    stream_record,
)

BOTH: tuple[Which, ...] = get_args(Which)
SHARED = (SESSION, MONEY, SWITCH, REQUEST)
"""Kinds of records that belong to no stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one generation of a record says; `fault` is why it cannot be read. `stream` for streams alone."""

    which: Which
    number: int | None
    saved_ms: int | None
    stream: StreamStatus | None
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsettled:
    """Something that only a person can settle: the record, why, what each generation says, and the ways out."""

    kind: str
    key: str
    what: str
    said: tuple[Said, ...]
    ways: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Reconciling:
    """The state of a project that somebody looks through, and says what is true of it."""

    config: Config
    folder: Path
    logs: Path
    clock: Clock = field(default_factory=WallClock)
    registry: Registry = field(default_factory=ROOT.child)

    def unsettled(self) -> tuple[Unsettled, ...]:
        """All that needs a word; nothing where a session can just begin."""
        return (*self._shared(), *self._damaged(), *self._disputed(), *self._under_other_settings())

    def say_flat(self, strategy: str, symbol: str) -> tuple[str, ...]:
        """Nothing is open in a stream and nothing waits, at an exchange neither; where its records are now.

        Raises:
            UsageError: there is no such stream, or a session runs.
            StateError: it could not be written.
        """
        key = stream_key(strategy, symbol)
        with self._alone() as store:
            decided_ms = 0
            with suppress(StateError):  # what was decided once is not decided again
                decided_ms = SessionState(store).stream(strategy, symbol).decided_ms
            elsewhere = left_open(self.logs, [(strategy, symbol)])
            there = [kind for kind in (ORDER, STREAM) if key in store.stored_keys(kind)]
            kinds = there or ([] if elsewhere else [STREAM])
            kept = tuple(path for kind in kinds for path in self._put_away(store, kind, key, *BOTH))
            SessionState(store).keep(StreamRecord(strategy=strategy, symbol=symbol, decided_ms=decided_ms))
            self._take_down(said_flat(strategy, symbol), kept, {folder.name for folder in elsewhere})
        return kept

    def say_previous(self, strategy: str, symbol: str) -> tuple[str, ...]:
        """The generation before is the true one; where the current one is now.

        Raises:
            UsageError: there is no such stream, no good generation before, or a session runs.
            StateError: it could not be renamed.
        """
        key = stream_key(strategy, symbol)
        with self._alone() as store:
            if not any(one.which == "previous" and one.stream for one in self._said(STREAM, key)):
                what = f"{strategy} on {symbol} has no good generation before"
                hint = "say --flat if nothing is open there"
                raise UsageError(Problem("no-generation", what, Source(file=str(self.folder)), hint=hint))
            kept = self._put_away(store, STREAM, key, "current")
            self._take_down(f"{strategy} on {symbol} is what the generation before says", kept)
        return kept

    def put_aside(self, kind: str) -> tuple[str, ...]:
        """A record that belongs to no stream does not count any more; where it is now.

        Raises:
            UsageError: there is none, a position still needs it, or a session runs.
            StateError: it could not be renamed.
        """
        if kind not in SHARED:
            raise UsageError(Problem("unknown-record", f"there is no record {kind}", expected=", ".join(SHARED)))
        with self._alone() as store:
            held = [key for key in store.stored_keys(STREAM) if self._is_held(key)]
            if kind == SESSION and held:
                what = f"the session is still needed for {', '.join(held)}"
                hint = "say first what has become of it, with --flat"
                raise UsageError(Problem("still-open", what, Source(file=str(self.folder)), hint=hint))
            kept = tuple(path for key in store.stored_keys(kind) for path in self._put_away(store, kind, key, *BOTH))
            self._take_down(f"the record {kind} does not count", kept)
        return kept

    # what there is

    def _store(self, *, is_outside: bool = True) -> LockedStore:
        return store_for(self.config, self.folder, self.clock.now_ms, self.registry, is_outside=is_outside)

    def _session(self) -> SessionRecord | None:
        try:
            return SessionState(self._store()).session()
        except StateError:
            return None

    def _shared(self) -> Iterator[Unsettled]:
        store = self._store()
        state = SessionState(store)
        reads: dict[str, Callable[[], object]] = {
            SESSION: state.session,
            MONEY: state.money,
            SWITCH: state.is_killed,
            REQUEST: lambda: asked(store, ""),
        }
        for kind in SHARED:
            try:
                reads[kind]()
            except StateError as error:
                said = tuple(one for key in store.stored_keys(kind) for one in self._said(kind, key))
                yield Unsettled(kind=kind, key=kind, what=str(error), said=said, ways=(f"--set-aside {kind}",))

    def _damaged(self) -> Iterator[Unsettled]:
        state = SessionState(self._store())
        for key in self._store().stored_keys(STREAM):
            try:
                state.stream(*stream_of(key))
            except StateError as error:
                said = self._said(STREAM, key)
                previous = [f"--previous {key}" for one in said if one.which == "previous" and one.stream]
                yield Unsettled(kind=STREAM, key=key, what=str(error), said=said, ways=(f"--flat {key}", *previous))

    def _disputed(self) -> Iterator[Unsettled]:
        """Orders that somebody has to look at, at the exchange."""
        store = self._store()
        for key in store.stored_keys(ORDER):
            try:
                errand = OrderState(store).errand(*stream_of(key))
            except StateError as error:
                what = str(error)
            else:
                if isinstance(errand, Disputed):
                    what = f"{errand.what}; sell or keep what is left at the exchange, and cancel its orders there"
                elif errand is not None and may_be_there(errand) and not self._is_held(key):
                    what = "orders are on their way, and the record of the stream says that nothing is open"
                else:
                    continue
            yield Unsettled(kind=ORDER, key=key, what=what, said=self._said(ORDER, key), ways=(f"--flat {key}",))

    def _under_other_settings(self) -> Iterator[Unsettled]:
        """What is held by a session that a start with the config of now would not go on with."""
        why = self._difference(self._session())
        for key in self._store().stored_keys(STREAM) if why else ():
            if self._is_held(key):
                said = self._said(STREAM, key)
                ways = ("put the settings back until it has closed", f"--flat {key}")
                yield Unsettled(kind=STREAM, key=key, what=f"something was left here, and {why}", said=said, ways=ways)

    def _difference(self, session: SessionRecord | None) -> str | None:
        if session is None:
            return "the record of its session is damaged or gone"
        request = Request(strategies=session.strategies, symbols=session.symbols, exchange=session.exchange)
        try:
            is_real = session.broker != "paper"
            plan = plan_live(self.config, request, broker=session.broker, is_real=is_real)
        except BacktestkitError as error:
            return f"session {session.session} cannot go on: {error}"
        is_same = fingerprint_of(self.config, plan) == session.fingerprint and not session.is_ended
        return None if is_same else f"session {session.session} had other settings than the config has now"

    def _is_held(self, key: str) -> bool:
        try:
            record = SessionState(self._store()).stream(*stream_of(key))
        except StateError:
            return True
        return not isinstance(record.state, Flat) or bool(record.untold)

    def _said(self, kind: str, key: str) -> tuple[Said, ...]:
        return tuple(_said(kind, one) for one in self._store().generations(kind, key))

    # what is true

    def _known(self, kind: str, key: str) -> tuple[Generation, ...]:
        found = self._store().generations(kind, key)
        if not found:
            known = ", ".join(self._store().stored_keys(kind)) or "none"
            what = f"the state has no record of {key}"
            raise UsageError(Problem("unknown-record", what, Source(file=str(self.folder)), expected=known))
        return found

    @contextmanager
    def _alone(self) -> Iterator[LockedStore]:
        """Nobody else changes anything meanwhile."""
        store = self._store(is_outside=False)
        with store.held():
            yield store

    def _put_away(self, store: LockedStore, kind: str, key: str, *which: Which) -> tuple[str, ...]:
        return tuple(store.set_aside(kind, key, one.which) for one in self._known(kind, key) if one.which in which)

    def _take_down(self, said: str, kept: Sequence[str], elsewhere: Collection[str] = ()) -> None:
        """Keep in the journal what was said, and in those of other sessions that it is about."""
        session = self._session()
        for name in sorted({*elsewhere, *([session.session] if session else [])}):
            journal = Journal(self.logs / "live" / name)
            journal.add("reconciled", self.clock.now_ms(), said=said, kept=kept)
            journal.close()


def _said(kind: str, one: Generation) -> Said:
    record, stream, fault = one.record, None, one.fault
    if record is not None and kind == STREAM:
        try:
            stream = stream_status(stream_record(record.body))
        except StateError as error:
            fault = str(error)
    return Said(
        which=one.which,
        number=record.generation if record else None,
        saved_ms=record.saved_at_ms if record else None,
        stream=stream,
        fault=fault,
    )
