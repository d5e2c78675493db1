"""What the journal of a live session tells, made ready to be compared.

* A signal may be told twice, after a crash; the first telling counts. So does the first of a candle.
* Sessions that an older version wrote down keep too little to be done again, and are refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backtestkit_cli.errors import Problem, Source, UsageError
from backtestkit_cli.measure.lived import Key, Lived
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.event import Event
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.state.journal import JOURNAL, read_journal
from backtestkit_cli.state.session import event_of


@dataclass(slots=True)
class JournalReader:
    """What has been read so far of a journal. `start` is its newest beginning, `stops` those since then, `ends_ms`
    the end of the newest candle of each market."""

    start: dict[str, Any] = field(default_factory=dict)
    events: dict[str, Event] = field(default_factory=dict)
    gates: dict[tuple[Key, int], str] = field(default_factory=dict)
    awake_ms: set[int] = field(default_factory=set)
    candles: dict[str, dict[int, tuple[Candle, int]]] = field(default_factory=dict)
    expected_ms: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    stopped_ms: dict[Key, list[tuple[int, int]]] = field(default_factory=dict)
    stops: dict[Key, int] = field(default_factory=dict)
    ends_ms: dict[str, int] = field(default_factory=dict)

    def take(self, line: Mapping[str, Any]) -> None:
        """Read one line; kinds that say nothing of signals are only signs of life."""
        time_ms = int(line["time_ms"])
        match line["what"]:
            case "start" if "config" in line:
                self._begin(line, time_ms)
            case "candle":
                self._candle(line, time_ms)
                return
            case "tick":
                self.gates.setdefault(((line["strategy"], line["symbol"]), time_ms), line["gate"])
                return
            case "event":
                event = event_of(line["event"])
                self.events.setdefault(repr(event), event)
                return
            case "stop":
                self.stops[line["strategy"], line["symbol"]] = time_ms
            case _:
                pass
        self.awake_ms.add(time_ms)

    def _begin(self, line: Mapping[str, Any], time_ms: int) -> None:
        for key, stop_ms in self.stops.items():
            self.stopped_ms.setdefault(key, []).append((stop_ms, time_ms))
        self.stops.clear()
        self.start = dict(line)
        for symbol, known_ms in line["known_ms"].items():
            self.expected_ms.setdefault(symbol, []).append((known_ms, known_ms))
            self._reach(symbol, known_ms)

    def _candle(self, line: Mapping[str, Any], time_ms: int) -> None:
        symbol, now_ms = line["symbol"], int(line["now_ms"])
        self.awake_ms.add(now_ms)
        self.candles.setdefault(symbol, {}).setdefault(time_ms, (Candle(time_ms, *line["candle"]), now_ms))
        spans = self.expected_ms[symbol]
        first_ms, last_ms = spans[-1]
        spans[-1] = first_ms, max(last_ms, time_ms + MINUTE_MS)
        self._reach(symbol, time_ms + MINUTE_MS)

    def _reach(self, symbol: str, end_ms: int) -> None:
        self.ends_ms[symbol] = max(self.ends_ms.get(symbol, 0), end_ms)

    @property
    def lived(self) -> Lived:
        """What was read."""
        return Lived(
            events=tuple(self.events.values()),
            gates=self.gates,
            awake_ms=tuple(sorted(self.awake_ms)),
            candles=self.candles,
            expected_ms=self.expected_ms,
            stopped_ms=self.stopped_ms,
            is_carried=self.start.get("broker", "paper") != "paper",
        )


def read_lived(folder: Path) -> JournalReader:
    """Read the journal of a session.

    Raises:
        UsageError: it does not keep what is needed to do the session again.
    """
    reader = JournalReader()
    for line in read_journal(folder):
        try:
            reader.take(line)
        except (KeyError, TypeError, ValueError):
            continue  # a line of another version, or one that was damaged
    if not reader.start:
        what = f"session {folder.name} does not keep what is needed to do it again as a backtest"
        where, hint = Source(file=str(folder / JOURNAL)), "an older version wrote it; run a new session"
        raise UsageError(Problem("session-not-repeatable", what, where, hint=hint))
    return reader
