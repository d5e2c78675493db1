"""Live sessions seen and steered from another terminal, while one runs or none does, without its lock.

* What a session is comes from the state, what it did from its journal. Looking changes nothing on disk.
* A stop request is for the run that holds the state just now; the kill switch stays until it is released.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from backtestkit_cli.config.merge import Config
from backtestkit_cli.disk import Holder
from backtestkit_cli.errors import Problem, Source, StateError, UsageError
from backtestkit_cli.model.signal import Position
from backtestkit_cli.plugins.registry import ROOT, Registry
from backtestkit_cli.run.clock import Clock, WallClock
from backtestkit_cli.run.live.identity import begun_ms
from backtestkit_cli.run.live.status import StreamStatus, orders_text, stream_status
from backtestkit_cli.run.reconcile import Reconciling
from backtestkit_cli.run.stores import LockedStore, store_for
from backtestkit_cli.state.journal import JOURNAL, read_journal
from backtestkit_cli.state.order import OrderState
from backtestkit_cli.state.request import Manner, StopRequest, ask, insist
from backtestkit_cli.state.session import (
    ONLY,
    STREAM,
    SWITCH,
    SessionRecord,
    SessionState,
    stream_of,
)

Standing = Literal["running", "left", "ended"]
"""It runs now; it does not, and the next start goes on with it; it is over."""
SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionBrief:
    """One session in a line. `trades` are the closed ones in its journal, `process` the one that runs it.

    `started_ms` is the moment of its first start. `stops_ms` is when a running one stops by itself, or, once it
    `is_stopping`, when its last position closes at the latest; None where nobody knows. `is_killed`: the kill switch
    keeps it from opening anything.
    """

    session: str
    started_ms: int
    standing: Standing
    process: int | None
    streams: int
    open_positions: int
    trades: int
    is_stopping: bool = False
    stops_ms: int | None = None
    is_killed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStatus:
    """One session with its streams; none once another session has taken its place in the state."""

    brief: SessionBrief
    exchange: str | None
    is_killed: bool
    streams: tuple[StreamStatus, ...]
    journal: Path
    warnings: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Sessions:
    """The sessions of a project: those with a journal in `logs`, and the one in the state folder."""

    config: Config
    folder: Path
    logs: Path
    clock: Clock = field(default_factory=WallClock)
    registry: Registry = field(default_factory=ROOT.child)

    def list(self) -> tuple[SessionBrief, ...]:
        """Every session, the newest last.

        Raises:
            StateError: the record of the session in the state is damaged.
        """
        kept = self._state().session()
        return tuple(self._brief(name, kept) for name in self._names(kept))

    def status(self, session: str | None = None) -> SessionStatus:
        """One session by its id, a unique beginning of it, or `last`; without a name the one in the state.

        Raises:
            UsageError: there is none.
            StateError: the record of the session in the state is damaged.
        """
        store = self._store()
        state = SessionState(store)
        kept = state.session()
        name = self._named(session, kept)
        is_kept = kept is not None and kept.session == name
        streams = tuple(self._streams(kept, store)) if kept is not None and is_kept else ()
        return SessionStatus(
            brief=self._brief(name, kept),
            exchange=kept.exchange if kept is not None and is_kept else None,
            is_killed=is_killed(state),
            streams=streams,
            journal=self.logs / "live" / name / JOURNAL,
            warnings=tuple(store.warnings),
        )

    def report(self, session: str = "last", format: str = "md") -> str:  # noqa: A002  # the option's word
        """The report of a session as its journal tells it; of the tables of CSV that of the newest trades.

        Raises:
            UsageError: there is none, its journal keeps too little, or there is no such format.
            ConfigError: this version cannot read its config.
        """
        from backtestkit_cli.report.written import formats_named, text_of
        from backtestkit_cli.run.live.so_far import session_report

        report = session_report(find_session(self.logs, session), self.config.project)
        return text_of(report, "trades", formats_named(format)[0])

    def stop(self, session: str | None = None, *, manner: Manner = "gently", after_ms: int = 0) -> Holder:
        """Ask the session that runs to stop; who was asked. It hears within seconds.

        Raises:
            UsageError: none runs, or not the one that is meant.
            StateError: the request could not be written.
        """
        holder = self._store().holder()
        if holder is None:
            raise UsageError(_none_runs(self.folder))
        if session is not None and self.status(session).brief.standing != "running":
            what, hint = f"session {session} is not the one that runs", "`backtestkit session list` shows which does"
            raise UsageError(Problem("session-not-running", what, Source(file=str(self.folder)), hint=hint))
        now_ms = self.clock.now_ms()
        ask(self._store(), StopRequest(run=holder.word, manner=manner, asked_ms=now_ms, after_ms=after_ms))
        return holder

    def kill(self, *, is_killed: bool = True) -> Holder | None:
        """Throw the kill switch, or release it; who runs and hears of it.

        Raises:
            StateError: it could not be written.
        """
        insist(self._store(), SWITCH, ONLY, {"is_killed": is_killed})
        return self._store().holder()

    @property
    def is_killed(self) -> bool:
        """Whether the kill switch is on."""
        return is_killed(self._state())

    def reconciling(self) -> Reconciling:
        """The state, to be looked through and to be told what is true."""
        return Reconciling(
            config=self.config, folder=self.folder, logs=self.logs, clock=self.clock, registry=self.registry
        )

    def _store(self) -> LockedStore:
        return store_for(self.config, self.folder, self.clock.now_ms, self.registry, is_outside=True)

    def _state(self) -> SessionState:
        return SessionState(self._store())

    def _names(self, kept: SessionRecord | None) -> Sequence[str]:
        journals = {path.parent.name for path in (self.logs / "live").glob(f"*/{JOURNAL}")}
        return sorted(journals | ({kept.session} if kept else set()))

    def _named(self, text: str | None, kept: SessionRecord | None) -> str:
        names = self._names(kept)
        if text is None and kept is not None:
            return kept.session
        if text in (None, "last") and names:
            return names[-1]
        return session_named(text, names)

    def _brief(self, name: str, kept: SessionRecord | None) -> SessionBrief:
        told = _told(self.logs / "live" / name)
        if kept is None or kept.session != name:
            return told
        holder = self._store().holder()
        is_running = holder is not None and holder.word == kept.run
        held = [one for one in self._streams(kept, self._store()) if one.state in tuple(Position)]
        until_ms = max((one.until_ms or 0 for one in held), default=None)
        return replace(
            told,
            session=name,
            standing="running" if is_running else "ended" if kept.is_ended else "left",
            process=holder.process if holder is not None and is_running else None,
            streams=len(kept.strategies) * len(kept.symbols),
            open_positions=len(held),
            is_stopping=told.is_stopping and is_running,
            stops_ms=None if not is_running else until_ms if told.is_stopping else told.stops_ms,
            is_killed=not kept.is_ended and self.is_killed,
        )

    def _streams(self, kept: SessionRecord, store: LockedStore) -> Iterator[StreamStatus]:
        """The streams of the session, and whatever else is open or damaged."""
        state = SessionState(store)
        own = {(name, symbol) for name in kept.strategies for symbol in kept.symbols}
        for key in sorted(own | {stream_of(key) for key in store.stored_keys(STREAM)}):
            try:
                found = stream_status(state.stream(*key))
                found = replace(found, orders=orders_text(OrderState(store).errand(*key)))
            except StateError:
                found = StreamStatus(strategy=key[0], symbol=key[1], state="damaged")
            if key in own or found.state != "flat":
                yield found


def find_session(logs: Path, text: str) -> Path:
    """Find the folder of a session by its id, a unique beginning of it, or `last`.

    Raises:
        UsageError: there is none.
    """
    names = sorted(path.parent.name for path in (logs / "live").glob(f"*/{JOURNAL}"))
    return logs / "live" / (names[-1] if text == "last" and names else session_named(text, names))


def session_named(text: str | None, names: Sequence[str]) -> str:
    """The one name that is, or begins with, a text.

    Raises:
        UsageError: there is none, or more than one.
    """
    found = [one for one in names if one == text] or [one for one in names if text and one.startswith(text)]
    if len(found) == 1:
        return found[0]
    raise UsageError(_not_found(text, found, names))


def is_killed(state: SessionState) -> bool:
    """Whether nothing may be opened; a damaged switch is a thrown one."""
    try:
        return state.is_killed()
    except StateError:
        return True


def _told(folder: Path) -> SessionBrief:
    """What the journal of a session tells."""
    started_ms = begun_ms(folder.name) or 0
    is_stopping, stops_ms = False, None
    streams: set[tuple[str, ...]] = set()
    closed: set[tuple[str, str, str, int]] = set()  # after a crash an event may be told twice
    for line in read_journal(folder, without=("candle", "tick")):
        started_ms = started_ms or line.get("time_ms", 0)
        match line["what"]:
            case "start":
                streams.update(map(tuple, line.get("streams", ())))
                is_stopping, stops_ms = False, None
            case "stops_at":
                stops_ms = line.get("stop_at_ms")
            case "stopping":
                is_stopping = True
            case "event" if line["event"]["kind"] == "closed":
                signal = line["event"]["signal"]
                closed.add((signal["strategy"], signal["symbol"], signal["id"], signal["decided_at"]))
            case _:
                pass
    return SessionBrief(
        session=folder.name,
        started_ms=started_ms,
        standing="ended",
        process=None,
        streams=len(streams),
        open_positions=0,
        trades=len(closed),
        is_stopping=is_stopping,
        stops_ms=stops_ms,
    )


def _none_runs(folder: Path) -> Problem:
    hint = "`backtestkit session list` shows the sessions; one that was left is gone on with by `backtestkit live`"
    return Problem("session-not-running", "no session runs here", Source(file=str(folder)), hint=hint)


def _not_found(text: str | None, found: Sequence[str], names: Sequence[str]) -> Problem:
    if not names:
        return Problem("unknown-session", "no session has run here yet", hint="start one with `backtestkit live`")
    what = f"several sessions begin with {text}" if found else f"there is no session {text}"
    return Problem("unknown-session", what, found=text, expected=", ".join((found or names)[-SHOWN:]))
