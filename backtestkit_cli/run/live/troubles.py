"""What goes wrong in a live session while it goes on: into the journal, to the screen, and to the people who are told.

* State that is not kept is told once a minute. Where another program goes on with it, this one ends.
* Who could not be told is told of on the screen, and not to people again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from backtestkit_cli.errors import BacktestkitError, Problem, Source, StateError, StrategyError
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.run.clock import Clock
from backtestkit_cli.run.live.people import People
from backtestkit_cli.state.journal import Journal


@dataclass(slots=True, eq=False)
class Troubles:
    """The troubles of one session, which has `people` and a `journal` as soon as it has begun.

    `on_trouble` is the screen; `on_lost` is told that another program has taken the state.
    """

    clock: Clock
    on_trouble: Callable[[BacktestkitError], None]
    on_lost: Callable[[StateError], None]
    people: People = field(default_factory=lambda: People((), str))
    journal: Journal | None = None
    _alarmed_ms: int = 0

    def tell(self, symbol: str, error: BacktestkitError) -> None:
        """Tell everybody."""
        self.people.trouble(self.clock.now_ms(), error)
        self.show(symbol, error)

    def show(self, symbol: str, error: BacktestkitError) -> None:
        """Tell the journal and the screen."""
        if self.journal is not None:
            self.journal.add("trouble", self.clock.now_ms(), symbol=symbol, code=error.code, text=str(error))
        self.on_trouble(error)

    def alarm(self, error: StateError) -> None:
        """Tell of state that is not kept, or cannot be read."""
        if error.code == "state-taken-over":
            self.on_lost(error)
            return
        minute = self.clock.now_ms() // MINUTE_MS
        if minute != self._alarmed_ms:
            self._alarmed_ms = minute
            self.tell("", error)

    def of_orders(self, symbol: str, error: BacktestkitError) -> None:
        """Tell of an order, or of its record."""
        if isinstance(error, StateError) and error.code != "order-disputed":
            self.alarm(error)
        else:
            self.tell(symbol, error)

    def of_call(self, message: str) -> None:
        """Tell of a call that was left behind."""
        self.tell("", StrategyError(Problem("call-timed-out", message)))

    def of_listener(self, problem: Problem) -> None:
        """Tell of a listener."""
        self.tell("", StrategyError(problem))

    def of_store(self, warnings: list[str]) -> None:
        """Tell of records that were damaged, and of a server that may forget."""
        for warning in warnings:
            self.tell("", StateError(Problem("state-warning", warning)))
        warnings.clear()

    def look(self) -> None:
        """Tell of people who could not be told, and of what the journal could not take."""
        for error in self.people.failures():
            self.show("", error)
        if self.journal is not None and (failure := self.journal.new_failure()) is not None:
            what = f"the journal could not be written: {failure.strerror}"
            where, hint = Source(file=str(self.journal.path)), "make space; the session goes on without these lines"
            self.tell("", StateError(Problem("journal-not-written", what, where, hint=hint)))
