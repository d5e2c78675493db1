"""Telling people of a live session at the addresses of `settings.notify`, without ever waiting for them.

* Each address has a thread and a queue of its own, so one that hangs holds up nobody. What its queue does not take is
  left out.
* What goes wrong is for the session to tell, once until the address works again. The same trouble is told once an hour,
  and so is the same refusal of a stream.
* No secret leaves in a text, and nothing of an address stands in a message but its scheme.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, Full, Queue, SimpleQueue
from typing import assert_never

from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.settings import EventName
from backtestkit_cli.errors import BacktestkitError, ConfigError, ExchangeError, Problem, Source
from backtestkit_cli.model.event import (
    Active,
    Cancelled,
    Closed,
    DecisionFailed,
    DraftRefused,
    Event,
    Idle,
    LevelReached,
    Opened,
    QuantityRefused,
    RiskRefused,
    Scheduled,
    key_of,
)
from backtestkit_cli.run.live.line import line_of

ROOM = 100
ATTEMPTS = 3
PAUSE_SECONDS = 2.0
CLOSE_SECONDS = 3.0
SAME_TROUBLE_MS = 3_600_000

Deliver = Callable[[str, str], str | None]
"""Sends a title and a text; why it could not, or None."""


@dataclass(slots=True, eq=False)
class Address:
    """One address. `scheme` is what may be told of it; a message is a title and a text."""

    where: Source
    scheme: str
    events: frozenset[EventName]
    deliver: Deliver
    failures: "SimpleQueue[ExchangeError]" = field(default_factory=SimpleQueue)
    thread: threading.Thread = field(init=False)
    _messages: "Queue[tuple[str, str] | None]" = field(default_factory=lambda: Queue(ROOM))
    _closing: threading.Event = field(default_factory=threading.Event)
    _is_failing: bool = False

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._work, name=f"notify {self.scheme}", daemon=True)
        self.thread.start()

    def put(self, title: str, text: str) -> None:
        """Have a message sent, if there is room for it."""
        try:
            self._messages.put_nowait((title, text))
        except Full:
            self._failed(f"{ROOM} messages wait for it already, so others are left out")

    def close(self) -> None:
        """Send what waits, and end."""
        self._closing.set()
        with suppress(Full):  # it hangs
            self._messages.put_nowait(None)

    def _work(self) -> None:
        while (message := self._messages.get()) is not None:
            why = self._sent(*message)
            if why is None:
                self._is_failing = False
            else:
                self._failed(why)
            if self._closing.is_set() and self._messages.empty():
                return

    def _sent(self, title: str, text: str) -> str | None:
        why: str | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                self._closing.wait(PAUSE_SECONDS)
            try:
                why = self.deliver(title, text)
            except Exception as error:  # noqa: BLE001  # a service of somebody else; the session goes on whatever it does
                why = f"{type(error).__name__}: {error}"
            if why is None:
                return None
        return why

    def _failed(self, why: str) -> None:
        if not self._is_failing:
            self._is_failing = True
            what = f"the address {self.scheme}://… of settings.notify was not told: {why}"
            hint = "look whether the address is right and reachable; no position waits for it"
            self.failures.put(ExchangeError(Problem("not-told", what, self.where, hint=hint)))


@dataclass(slots=True, eq=False)
class People:
    """Everybody who is told of a session. `clean` masks secrets."""

    addresses: tuple[Address, ...]
    clean: Callable[[str], str]
    _told_ms: dict[tuple[str, ...], int] = field(default_factory=dict)

    def wants(self, name: EventName) -> bool:
        """Whether anybody is told of this."""
        return any(name in address.events for address in self.addresses)

    def event(self, event: Event) -> None:
        """Tell of an event; of the same refusal of a stream once an hour."""
        names = set(names_of(event))
        if not self._is_new(event):
            return
        for address in self.addresses:
            if names & address.events:
                strategy, symbol = key_of(event)
                address.put(
                    f"{event.kind.replace('_', ' ')}: {strategy} on {symbol}", self.clean(line_of(event) or event.kind)
                )

    def _is_new(self, event: Event) -> bool:
        match event:
            case RiskRefused():
                why = f"{event.profile}: {event.rule}"
            case QuantityRefused():
                why = event.rule
            case DraftRefused():
                why = " ".join(event.rules)
            case _:
                return True
        return self._is_due(event.time_ms, (event.kind, *key_of(event), why))

    def _is_due(self, now_ms: int, key: tuple[str, ...]) -> bool:
        """Whether the same was not told within the hour."""
        is_due = now_ms - self._told_ms.get(key, -SAME_TROUBLE_MS) >= SAME_TROUBLE_MS
        if is_due:
            self._told_ms[key] = now_ms
        return is_due

    def trouble(self, now_ms: int, error: BacktestkitError) -> None:
        """Tell of something that went wrong while the session goes on."""
        problem = error.problems[0]
        key = problem.code, (problem.where and problem.where.symbol) or ""
        if self._is_due(now_ms, key):
            self.note(("error",), f"error: {problem.code}", str(error))

    def stopped(self, text: str) -> None:
        """Tell that the session is over."""
        self.note(("stopped",), "stopped", text)

    def note(self, names: tuple[EventName, ...], title: str, text: str) -> None:
        """Tell those who hear of any of these names."""
        for address in self.addresses:
            if not address.events.isdisjoint(names):
                address.put(self.clean(title), self.clean(text))

    def failures(self) -> Iterator[ExchangeError]:
        """What could not be told since the last question."""
        for address in self.addresses:
            with suppress(Empty):
                while True:
                    yield address.failures.get_nowait()

    def close(self) -> None:
        """Send what waits; who hangs is not waited for long."""
        for address in self.addresses:
            address.close()
        for address in self.addresses:
            address.thread.join(CLOSE_SECONDS / len(self.addresses))


def people_of(config: Config) -> People:
    """Everybody whom the config names.

    Raises:
        ConfigError: Apprise is not installed, an address is none, or a variable of the environment is not set.
    """
    addresses = []
    for place, one in enumerate(config.settings.notify):
        where = config.where("settings", "notify", place, "url")
        url = config.secret(one.url)
        config.redactor.register(url)
        addresses.append((where, url, frozenset(one.events)))
    made = [(where, url, events, _apprise(url, where, config.redactor.clean)) for where, url, events in addresses]
    return People(
        tuple(Address(where, url.partition("://")[0], events, deliver) for where, url, events, deliver in made),
        config.redactor.clean,
    )


def names_of(event: Event) -> tuple[EventName, ...]:
    """Under which names of `settings.notify` an event is told."""
    match event:
        case Idle() | Scheduled() | Opened() | Active() | Closed() | Cancelled():
            return (event.kind,)
        case LevelReached(side="profit"):
            return ("partial_profit",)
        case LevelReached():
            return ("partial_loss",)
        case RiskRefused():
            return ("risk", "rejected")
        case DraftRefused() | QuantityRefused():
            return ("rejected",)
        case DecisionFailed():
            return ("error",)
        case _:
            assert_never(event)


def _apprise(url: str, where: Source, clean: Callable[[str], str]) -> Deliver:
    try:
        import apprise
    except ImportError:
        what, hint = "settings.notify needs Apprise", "install it with: pip install 'backtestkit-cli[notify]'"
        raise ConfigError(Problem("notify-not-installed", what, where, hint=hint)) from None
    log = logging.getLogger("apprise")
    log.addHandler(logging.NullHandler())
    log.propagate = False  # its messages quote addresses; what it has to say comes with each result
    service = apprise.Apprise(asset=apprise.AppriseAsset(app_id="backtestkit", app_desc="backtestkit", app_url=""))
    if not service.add(url):
        what, expected = "Apprise knows no such address", "one of its services, such as tgram://TOKEN/CHAT"
        raise ConfigError(Problem("bad-notify-address", what, where, expected=expected))

    def deliver(title: str, text: str) -> str | None:
        result = service.notify(title=title, body=text)
        said = [entry.message for entry in result.logs()]
        return None if result else clean(said[-1] if said else "it refuses, or does not answer")

    return deliver
