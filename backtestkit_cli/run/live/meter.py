"""The figures of a live session for Prometheus: what its journal tells, counted since this process began.

The text is that of the exposition format 0.0.4. It holds names of the config, numbers and codes, no secret.
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from backtestkit_cli.model.signal import Position
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.run.clock import Clock
from backtestkit_cli.run.live.view import StreamView

Labels: TypeAlias = Mapping[str, str]
Samples: TypeAlias = Iterable[tuple[Labels, float]]
SIDES = frozenset(Position)


@dataclass(slots=True, eq=False)
class Meter:
    """The figures of one session; they are counted in one thread and read in others."""

    clock: Clock
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _views: Sequence[StreamView] = ()
    _questions: int = 0
    _trades: Counter[tuple[str, str]] = field(default_factory=Counter)
    _percent: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    _quote: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    _ends_ms: dict[str, int] = field(default_factory=dict)
    _troubles: Counter[str] = field(default_factory=Counter)

    def take(self, line: Mapping[str, Any]) -> None:
        """A line was added to the journal."""
        with self._turn:
            match line["what"]:
                case "start":
                    self._ends_ms.update(line["known_ms"])
                case "candle":
                    self._ends_ms[line["symbol"]] = line["time_ms"] + MINUTE_MS
                case "trouble":
                    self._troubles[line["code"]] += 1
                case "event" if line["event"]["kind"] == "closed":
                    self._close(line["event"])
                case _:
                    pass

    def minute(self, views: Sequence[StreamView], questions: int) -> None:
        """A minute is done: the streams as they are now, and how often the exchange was asked."""
        with self._turn:
            self._views, self._questions = views, questions

    def text(self) -> str:
        """Write all figures."""
        with self._turn:
            return "\n".join(self._lines()) + "\n"

    def _close(self, event: Mapping[str, Any]) -> None:
        key = event["signal"]["strategy"], event["signal"]["symbol"]
        self._trades[key] += 1
        self._percent[key] += event["pnl_percent"]
        self._quote[key] += event["pnl_quote"] or 0.0

    def _lines(self) -> Iterator[str]:
        now_ms = self.clock.now_ms()
        keys = [(view.strategy, view.symbol) for view in self._views]
        held = [float(view.state in SIDES) for view in self._views]
        yield from _metric("positions_open", "gauge", "Open positions.", _by_stream(keys, held))
        yield from _metric("trades_closed_total", "counter", "Closed trades.", _by_stream(keys, self._of(self._trades)))
        told = "Sum of the percents of closed trades, net of costs."
        yield from _metric("profit_percent", "gauge", told, _by_stream(keys, self._of(self._percent)))
        told = "Profit of closed trades in quote currency; 0 where nothing is sized."
        yield from _metric("profit_quote", "gauge", told, _by_stream(keys, self._of(self._quote)))
        ages = [({"symbol": symbol}, (now_ms - end_ms) / 1000) for symbol, end_ms in sorted(self._ends_ms.items())]
        yield from _metric("last_minute_age_seconds", "gauge", "Since the end of the newest candle.", ages)
        codes = [({"code": code}, float(count)) for code, count in sorted(self._troubles.items())]
        yield from _metric("troubles_total", "counter", "What went wrong, by code.", codes)
        told = "Questions for candles to the exchange."
        yield from _metric("questions_total", "counter", told, [({}, float(self._questions))])

    def _of(self, counted: Mapping[tuple[str, str], float]) -> list[float]:
        return [float(counted.get((view.strategy, view.symbol), 0)) for view in self._views]


def _by_stream(keys: Iterable[tuple[str, str]], values: Iterable[float]) -> Samples:
    pairs = zip(keys, values, strict=True)
    return [({"strategy": strategy, "symbol": symbol}, value) for (strategy, symbol), value in pairs]


def _metric(name: str, kind: str, told: str, samples: Samples) -> Iterator[str]:
    yield f"# HELP backtestkit_{name} {told}"
    yield f"# TYPE backtestkit_{name} {kind}"
    for labels, value in samples:
        written = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"backtestkit_{name}{f'{{{written}}}' if written else ''} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
