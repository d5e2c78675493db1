"""What a live session has come to, taken from the lines of its journal while they are written, or read again.

* Memory is bounded: of each stream the newest trades, of each market one price a day. The totals are of all trades.
* After a crash a line may come twice. An event counts once; of two tellings of one decision time the later counts.
* A candle that is missing because nobody was there is no missing candle.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backtestkit_cli.measure.totals import Totals
from backtestkit_cli.model.event import (
    Cancelled,
    Closed,
    DecisionFailed,
    DraftRefused,
    Event,
    Opened,
    QuantityRefused,
    RiskRefused,
    Scheduled,
    key_of,
)
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.signal import Signal
from backtestkit_cli.run.failures import GATE_FAILURES
from backtestkit_cli.run.live.market_tally import MarketTally
from backtestkit_cli.run.standing import Key
from backtestkit_cli.state.journal import said_flat
from backtestkit_cli.state.session import event_of

HELD_TRADES = 250
"""Of each stream; as many as the original holds."""
KNOWN_EVENTS = 1000
MOST_FAILURES = 20
PLAIN_GATES = frozenset(("stopped", "busy", "missed", "no_price", "warm_up", "ambiguous", "no_draft", "errors"))


@dataclass(slots=True, eq=False)
class StreamTally:
    """One stream. `newest` are its last trades, `before` the totals of those that are not held any more, of which the
    last closed at `dropped_ms`. `failures` are texts with the time of the first and their count.
    """

    funnel: Funnel = field(default_factory=Funnel)
    totals: Totals = field(default_factory=Totals)
    before: Totals = field(default_factory=Totals)
    dropped_ms: int | None = None
    newest: deque[Closed] = field(default_factory=deque)
    held: Signal | None = None
    opened_ms: int | None = None
    failures: dict[str, list[int]] = field(default_factory=dict)
    _known: deque[int] = field(default_factory=lambda: deque(maxlen=KNOWN_EVENTS))
    _tick: tuple[int, str] = (0, "")

    def tick(self, time_ms: int, gate: str, *, is_short: bool = False) -> None:
        """A decision time ended at a gate."""
        newest_ms, former = self._tick
        if time_ms < newest_ms:
            return
        if time_ms == newest_ms:
            self._count(former, -1)
        else:
            self.funnel.short_history += is_short
        self._tick = time_ms, gate
        self._count(gate, 1)

    def take(self, event: Event) -> bool:
        """An event; whether it is a new one."""
        mark = hash(event)
        if mark in self._known:
            return False
        self._known.append(mark)
        self._funnel(event)
        return True

    def forget_held(self) -> None:
        """Somebody said that nothing is held."""
        self.held = self.opened_ms = None

    def _count(self, gate: str, change: int) -> None:
        funnel = self.funnel
        funnel.ticks += change
        place = gate if gate in PLAIN_GATES else "drafts"
        setattr(funnel, place, getattr(funnel, place) + change)

    def _funnel(self, event: Event) -> None:
        funnel = self.funnel
        match event:
            case DraftRefused(rules=rules):
                funnel.refuse(rules)
            case DecisionFailed(time_ms=time_ms, what=what):
                self._failed(time_ms, what)
                if self._tick[0] == time_ms and self._tick[1] not in PLAIN_GATES:
                    self.tick(time_ms, "errors")  # what could not be kept was not made
            case QuantityRefused(time_ms=time_ms, stage=stage, rule=rule, why=why):
                funnel.no_quantity += stage == "decision"
                funnel.no_quantity_by_rule[rule] += stage == "decision"
                self._failed(time_ms, why if rule in GATE_FAILURES else "")
            case RiskRefused(time_ms=time_ms, stage=stage, profile=profile, rule=rule, why=why):
                funnel.risk += stage == "decision"
                funnel.risk_by_profile[profile] += stage == "decision"
                self._failed(time_ms, why if rule in GATE_FAILURES else "")
            case Scheduled(signal=signal):
                funnel.scheduled += 1
                self.held, self.opened_ms = signal, None
            case Opened(signal=signal, time_ms=time_ms):
                is_activated = self.held is not None and self.held.id == signal.id
                funnel.activated += is_activated
                funnel.opened_at_decision += not is_activated
                self.held, self.opened_ms = signal, time_ms
            case Closed(reason=reason):
                funnel.closed[reason] += 1
                self.forget_held()
                self._hold(event)
            case Cancelled(reason=cancel_reason):
                funnel.cancelled[cancel_reason] += 1
                self.forget_held()
            case _:
                pass

    def _hold(self, closed: Closed) -> None:
        self.totals.add(closed)
        self.newest.append(closed)
        if len(self.newest) > HELD_TRADES:
            dropped = self.newest.popleft()
            self.before.add(dropped)
            self.dropped_ms = dropped.time_ms

    def _failed(self, time_ms: int, what: str) -> None:
        if what and (what in self.failures or len(self.failures) < MOST_FAILURES):
            self.failures.setdefault(what, [time_ms, 0])[1] += 1


@dataclass(slots=True, eq=False)
class Tally:
    """A session. `start` is its newest beginning, `whole` the totals of all streams in order of closing, `lost_lines`
    those that the disk did not take. `is_over`: it ended with nothing open; None where nobody said how it ended.
    """

    start: dict[str, Any] = field(default_factory=dict)
    starts: int = 0
    streams: dict[Key, StreamTally] = field(default_factory=dict)
    markets: dict[str, MarketTally] = field(default_factory=dict)
    whole: Totals = field(default_factory=Totals)
    reconciled: int = 0
    lost_lines: int = 0
    is_over: bool | None = None

    def take(self, line: Mapping[str, Any]) -> None:
        """One line of the journal.

        Raises:
            KeyError, TypeError, ValueError: it is no line of this version.
        """
        match line["what"]:
            case "start":
                self._begin(line)
            case "candle":
                self.markets[line["symbol"]].take(line["time_ms"], line["candle"])
            case "tick":
                stream = self.streams[line["strategy"], line["symbol"]]
                stream.tick(line["time_ms"], line["gate"], is_short="short" in line)
            case "event":
                self._event(event_of(line["event"]))
            case "end":
                self.is_over = line["is_over"]
            case "reconciled":
                self._reconcile(line["said"])
            case "lost":
                self.lost_lines += line["lines"]
            case _:
                pass

    @property
    def end_ms(self) -> int:
        """The end of the newest minute that it saw."""
        return max((one.end_ms for one in self.markets.values()), default=0)

    @property
    def away_minutes(self) -> int:
        """The longest that any of its markets was not looked at."""
        return max((one.away_minutes for one in self.markets.values()), default=0)

    def _begin(self, line: Mapping[str, Any]) -> None:
        settings = line["config"].get("settings", {})
        window = int(line["price_candles"])
        self.start, self.starts, self.is_over = dict(line), self.starts + 1, None
        for key in line["streams"]:
            self.streams.setdefault((key[0], key[1]), StreamTally())
        for symbol, known_ms in line["known_ms"].items():
            market = self.markets.setdefault(
                symbol, MarketTally(line["started_ms"], window, bridges=settings.get("gap") == "bridge")
            )
            market.begin(known_ms)

    def _event(self, event: Event) -> None:
        if self.streams[key_of(event)].take(event) and isinstance(event, Closed):
            self.whole.add(event)

    def _reconcile(self, said: str) -> None:
        self.reconciled += 1
        for (strategy, symbol), stream in self.streams.items():
            if said == said_flat(strategy, symbol):
                stream.forget_held()
