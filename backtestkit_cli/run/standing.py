"""Where the streams of a run stand, for who asks while it runs: their signals, how far they are, who was asked to stop.

* Any thread may ask; a request is carried out by the thread that runs, at the next instant of the stream.
* A stream whose decisions are rows is computed at once, when nobody has to see its minutes. Until its first event is
  told it stands at its beginning, and with nobody listening it has ended when it is computed.
* What was cancelled tells nobody anything more and ends at its next event or decision.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from backtestkit_cli.model.event import Cancelled, Closed, Event, Idle, Opened, Scheduled
from backtestkit_cli.model.signal import Signal

if TYPE_CHECKING:
    from backtestkit_cli.engine.reference.walk import ReferenceWalk
    from backtestkit_cli.engine.walk import StreamWalk

Key: TypeAlias = tuple[str, str]
"""A stream: strategy and symbol."""


class RunCancelled(Exception):  # noqa: N818  # no error: it was asked for
    """Raised inside a run that nobody wants any more."""


@dataclass(slots=True, eq=False)
class Standing:
    """The standing of each stream of one run. `stopped_ms`: when a stop took effect (UTC ms)."""

    pending: dict[Key, Signal] = field(default_factory=dict)
    waiting: dict[Key, Signal] = field(default_factory=dict)
    reached_ms: dict[Key, int] = field(default_factory=dict)
    stopped_ms: dict[Key, int] = field(default_factory=dict)
    is_cancelled: bool = False
    _asked: set[Key] = field(default_factory=set)
    _walks: "dict[Key, StreamWalk | ReferenceWalk]" = field(default_factory=dict)

    def reset(self) -> None:
        """Begin again: what is known of an earlier run is forgotten, requests that came before this one are not."""
        for known in (self.pending, self.waiting, self.reached_ms, self.stopped_ms, self._walks):
            known.clear()

    def ask_stop(self, key: Key) -> None:
        """Let a stream decide no more: a waiting entry is cancelled, a position is followed to its end."""
        self._asked.add(key)
        walk = self._walks.get(key)
        if walk is not None:
            walk.is_stop_asked = True

    def is_stop_asked(self, key: Key) -> bool:
        """Whether a stream was asked to stop."""
        return key in self._asked

    def begin(self, key: Key, walk: "StreamWalk | ReferenceWalk") -> None:
        """A stream is walked from now on."""
        self._walks[key] = walk  # first known, then asked: a request comes by one way or the other
        walk.is_stop_asked = key in self._asked

    def end(self, key: Key) -> None:
        """A stream has come to its end."""
        walk = self._walks.pop(key, None)
        if walk is not None and walk.stop_ms is not None:
            self.stopped_ms[key] = walk.stop_ms

    def reach(self, key: Key, time_ms: int) -> None:
        """A stream has come to a time.

        Raises:
            RunCancelled: nobody wants the run any more.
        """
        if self.is_cancelled:
            raise RunCancelled
        self.reached_ms[key] = time_ms

    def take(self, key: Key, event: Event) -> None:
        """Something happened in a stream.

        Raises:
            RunCancelled: nobody wants the run any more.
        """
        self.reach(key, event.time_ms)
        match event:
            case Scheduled(signal=signal):
                self.waiting[key] = signal
            case Opened(signal=signal):
                self.waiting.pop(key, None)
                self.pending[key] = signal
            case Closed() | Cancelled() | Idle():  # under `reference` an entry may open, or go away, without an event
                self.waiting.pop(key, None)
                self.pending.pop(key, None)
            case _:
                pass
