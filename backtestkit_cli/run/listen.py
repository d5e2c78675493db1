"""Who is told of what happens, and in which order.

* The class of an event is the topic; a union of classes, such as `SignalEvent`, is told of each of them.
* One at a time, in the order of subscription: callbacks of the config before all others. A backtest waits for them, a
  live session does not.
* A listener, or its `where`, that raises is reported and stops nothing: not the run, not the next listener.
* `once` is over before the call, so one that raises, or starts another run, is not called again.
* What somebody subscribes to is told from then on; idle and active events from the next stream on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import RLock
from types import UnionType
from typing import Any, TypeAlias, TypeVar, get_args, overload

from backtestkit_cli.errors import Problem, UsageError
from backtestkit_cli.model.event import Event, ListenerFailed, Notice
from backtestkit_cli.plugins.places import place_of, raised
from backtestkit_cli.plugins.ports import Mode
from backtestkit_cli.run.context import CURRENT, Context

Told: TypeAlias = Event | Notice
Heard = TypeVar("Heard")
_TOPICS = frozenset(get_args(Told))
_MODES = get_args(Mode)


@dataclass(slots=True, kw_only=True, eq=False)
class Subscription:
    """One listener; `cancel` ends it."""

    event_type: type | UnionType
    function: Callable[[Any], object]
    where: Callable[[Any], object] | None
    mode: Mode | None
    once: bool
    owner: "Listeners"
    is_over: bool = False

    def cancel(self) -> None:
        """Be told no more; a second time changes nothing."""
        self.owner.remove(self)


class Listeners:
    """Subscriptions in their order."""

    def __init__(self) -> None:
        self._subscriptions: tuple[Subscription, ...] = ()
        self._by_topic: dict[tuple[type, Mode], tuple[Subscription, ...]] = {}
        self.turn = RLock()

    def __len__(self) -> int:
        return len(self._subscriptions)

    @overload
    def on(
        self,
        event_type: type[Heard],
        function: Callable[[Heard], object],
        *,
        where: Callable[[Heard], object] | None = None,
        mode: Mode | None = None,
        once: bool = False,
    ) -> Subscription: ...

    @overload
    def on(
        self,
        event_type: UnionType,
        function: Callable[[Any], object],
        *,
        where: Callable[[Any], object] | None = None,
        mode: Mode | None = None,
        once: bool = False,
    ) -> Subscription: ...

    def on(
        self,
        event_type: type | UnionType,
        function: Callable[[Any], object],
        *,
        where: Callable[[Any], object] | None = None,
        mode: Mode | None = None,
        once: bool = False,
    ) -> Subscription:
        """Tell a function of every event of a class, or of a union of classes, for which `where` is true.

        Raises:
            UsageError: nothing of that class is ever told, there is no such mode, or a function is none.
        """
        _refuse_wrong(event_type, (function, where or function), mode)
        added = Subscription(event_type=event_type, function=function, where=where, mode=mode, once=once, owner=self)
        with self.turn:
            self._set((*self._subscriptions, added))
        return added

    def remove(self, subscription: Subscription) -> None:
        """End a subscription."""
        with self.turn:
            subscription.is_over = True
            self._set(tuple(one for one in self._subscriptions if one is not subscription))

    def of(self, topic: type, mode: Mode) -> tuple[Subscription, ...]:
        """Who is to be told of a class of events in a mode."""
        found = self._by_topic.get((topic, mode))
        if found is None:
            with self.turn:  # another thread may subscribe just now
                found = self._by_topic[topic, mode] = tuple(
                    one for one in self._subscriptions if one.mode in (None, mode) and issubclass(topic, one.event_type)
                )
        return found

    def _set(self, subscriptions: tuple[Subscription, ...]) -> None:
        self._subscriptions = subscriptions
        self._by_topic = {}


class Audience:
    """Everybody who hears one run, where they are when they hear it, and what went wrong among them."""

    def __init__(self, mode: Mode, *listeners: Listeners, exchange: str, frame: str) -> None:
        self._mode = mode
        self._listeners = listeners
        self._exchange = exchange
        self._frame = frame
        self._contexts: dict[tuple[str, str], Context] = {}
        self._failures: dict[tuple[str | None, int | None, str], tuple[str, int]] = {}

    def wants(self, *topics: type) -> bool:
        """Whether anybody listens for one of some classes."""
        return any(one.of(topic, self._mode) for one in self._listeners for topic in topics)

    @property
    def is_empty(self) -> bool:
        """Whether nobody hears anything of this mode."""
        return not self.wants(*_TOPICS)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What raised, one text for each line and class of exception."""
        return tuple(f"{what}{f' ({count} times)' if count > 1 else ''}" for what, count in self._failures.values())

    def context(self, strategy: str, symbol: str) -> Context:
        """The one context of a stream in this run."""
        found = self._contexts.get((strategy, symbol))
        if found is None:
            found = Context(exchange=self._exchange, frame=self._frame, strategy=strategy, symbol=symbol)
            self._contexts[strategy, symbol] = found
        return found

    def tell(self, event: Told) -> None:
        """Tell everybody, one after the other."""
        for listeners in self._listeners:
            subscriptions = listeners.of(type(event), self._mode)
            if subscriptions:
                self._tell(listeners, subscriptions, event)

    def _tell(self, listeners: Listeners, subscriptions: Sequence[Subscription], event: Told) -> None:
        context = self.context(*stream_of(event))
        context.time_ms = event.time_ms
        before = CURRENT.set(context)
        try:
            with listeners.turn:
                for subscription in subscriptions:
                    self._call(subscription, event)
        finally:
            CURRENT.reset(before)

    def _call(self, subscription: Subscription, event: Told) -> None:
        function: Callable[[Any], object] = subscription.where or subscription.function
        try:
            if subscription.is_over or (subscription.where is not None and not self._run(subscription.where, event)):
                return
            if subscription.once:
                subscription.cancel()
            function = subscription.function
            self._run(function, event)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # a guard around user code, `sys.exit` too: told, and on it goes
            self._failed(function, event, error)

    def _run(self, function: Callable[[Any], object], event: Told) -> object:
        return function(event)

    def _failed(self, function: Callable[[Any], object], event: Told, error: BaseException) -> None:
        problem = raised(error, place_of(function), f"when it was told of an event {event.kind}")
        where = problem.where
        key = (where.file if where else None, where.line if where else None, type(error).__name__)
        first, count = self._failures.get(key, (problem.what, 0))
        self._failures[key] = first, count + 1
        if not isinstance(event, ListenerFailed):
            self.tell(ListenerFailed(time_ms=event.time_ms, event=event.kind, what=problem.what))


def stream_of(event: Told) -> tuple[str, str]:
    """Strategy and symbol of an event, empty where it has none."""
    named = getattr(event, "signal", event)
    return getattr(named, "strategy", ""), getattr(named, "symbol", "")


def _refuse_wrong(event_type: object, functions: tuple[object, object], mode: object) -> None:
    asked = get_args(event_type) if isinstance(event_type, UnionType) else (event_type,)
    if not _TOPICS.issuperset(asked):
        expected = ", ".join(sorted(topic.__name__ for topic in _TOPICS))
        name = getattr(event_type, "__name__", str(event_type))
        raise UsageError(Problem("unknown-event", f"there is no event {name}", found=name, expected=expected))
    if mode is not None and mode not in _MODES:
        raise UsageError(Problem("unknown-mode", f"there is no mode {mode}", expected=", ".join(_MODES)))
    if not all(callable(one) for one in functions):
        raise UsageError(Problem("not-callable", "a listener, and its where, must be functions"))
