"""What a session hears from other terminals while it runs: requests to stop, and the kill switch.

It looks every two seconds of real time, whatever clock the session has, so people are heard soon. A look that fails is
told, and the next one hears what it missed.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, assert_never

from backtestkit_cli.errors import Problem, Source, StateError
from backtestkit_cli.state.request import StopRequest, asked
from backtestkit_cli.state.session import SessionState

LOOK_SECONDS = 2.0


class Listening(Protocol):
    """The session, as far as it can be asked."""

    def stop(self) -> None: ...
    def leave(self) -> None: ...
    def stop_after(self, after_ms: int) -> None: ...
    def wake(self) -> None: ...


@dataclass(slots=True, eq=False)
class Hearing:
    """The ears of one run of a session; `run` is its word. `on_asked` is told of each request."""

    session: Listening
    state: SessionState
    run: str
    on_asked: Callable[[StopRequest], None]
    on_alarm: Callable[[StateError], None]
    seconds: float = LOOK_SECONDS
    _heard: set[StopRequest] = field(default_factory=set)
    _was_killed: bool = False

    async def listen(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(self.seconds)
            try:
                self.look()
            except StateError as error:
                self.on_alarm(error)
            except OSError as error:
                what, hint = f"other terminals could not be heard: {error.strerror or error}", "it is tried again"
                self.on_alarm(StateError(Problem("state-unreadable", what, Source(key="request"), hint=hint)))

    def look(self) -> None:
        """Do what is asked and was not before.

        Raises:
            StateError: a record is damaged, or cannot be read.
        """
        for request in asked(self.state.store, self.run):
            if request not in self._heard:
                self._heard.add(request)
                self._obey(request)
        is_killed = self.state.is_killed()
        if is_killed != self._was_killed:
            self.session.wake()
        self._was_killed = is_killed

    def _obey(self, request: StopRequest) -> None:
        match request.manner:
            case "gently":
                self.session.stop()
            case "now":
                self.session.leave()
            case "after":
                self.session.stop_after(request.after_ms)
            case _:
                assert_never(request.manner)
        self.on_asked(request)
