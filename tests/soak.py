"""`make soak`: a live session of many days on an exchange that fails in one of fifty calls; 1 unless all is well.

The exchange is a process of its own, so that memory, descriptors and threads are those of the session. The ledger is
held against a backtest that does not enter at the decision times which the session says it missed.
"""

import gc
import json
import os
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any
from urllib.parse import urlencode, urlsplit

import ccxt
import pytest
from accelerated import JumpingClock, unsynced
from loopback import FAULT_KINDS

from backtestkit_cli import Idle, Kit, SignalDraft
from backtestkit_cli.data.exchange import CcxtExchange
from backtestkit_cli.model.event import Active
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, iso, parse_time
from backtestkit_cli.state.journal import read_journal
from backtestkit_cli.state.session import event_body

START_MS = parse_time("2023-03-01")
SYMBOLS = ("BTC/USDT", "ETH/USDT", "DOGE/BTC")
RATE = 0.02
TIMEOUT_MS = 400
READINGS = 24
MOST_GROWTH_MB = 5.0
Missed = set[tuple[str, str, int]]


@dataclass(slots=True, kw_only=True)
class ShownClock(JumpingClock):
    """A jumping clock that the exchange follows."""

    showing: HTTPConnection
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def sleep(self, seconds: float) -> None:
        """Move on at once; any thread may."""
        with self._turn:
            JumpingClock.sleep(self, seconds)
            self._show()

    async def wait_until(self, time_ms: int, woken: Any) -> None:
        """Move on at once."""
        await JumpingClock.wait_until(self, time_ms, woken)
        with self._turn:
            self._show()

    def _show(self) -> None:
        self.showing.request("GET", f"/_test/clock?set={self.time_ms}")
        self.showing.getresponse().read()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a process holds."""

    memory_mb: float
    descriptors: int
    threads: int

    @classmethod
    def now(cls) -> "Reading":
        """Of this process, now."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        memory_mb = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        return cls(memory_mb, len(list(Path("/proc/self/fd").iterdir())), threading.active_count())


@dataclass(frozen=True, slots=True, kw_only=True)
class Soaked:
    """What a soak came to. `missed` are decision times that were learnt of too late."""

    minutes: int
    symbols: int
    requests: int
    faults: Counter[str]
    told: Counter[str]
    ticks: int
    missed: int
    trades: int
    is_equal: bool
    readings: tuple[Reading, ...]
    seconds: float

    @property
    def failures(self) -> list[str]:
        """What is not as it should be."""
        third = len(self.readings) // 3
        early, late = self.readings[:third], self.readings[-third:]
        found = [] if self.is_equal else ["the ledger differs from the one without faults"]
        if min(one.memory_mb for one in late) - max(one.memory_mb for one in early) > MOST_GROWTH_MB:
            found.append("memory grows")
        if min(one.descriptors for one in late) > max(one.descriptors for one in early):
            found.append("descriptors are left open")
        if min(one.threads for one in late) > max(one.threads for one in early):
            found.append("threads are left running")
        return found

    def __str__(self) -> str:
        first, last = self.readings[len(self.readings) // 3 - 1], self.readings[-1]
        held = (("memory in MB", "memory_mb"), ("descriptors", "descriptors"), ("threads", "threads"))
        return "\n".join(
            [
                f"minutes: {self.minutes:,}, symbols: {self.symbols}, requests: {self.requests:,}",
                f"faults: {self.faults.total():,} of {len(self.faults)} kinds",
                f"told: {', '.join(f'{count} {code}' for code, count in self.told.most_common())}",
                f"missed: {self.missed} of {self.ticks:,} decision times",
                f"ledger: {self.trades:,} trades, {'equal' if self.is_equal else 'NOT EQUAL'} to those without faults",
                *(f"{name}: {getattr(first, key):.5g}, at the end {getattr(last, key):.5g}" for name, key in held),
                f"took {self.seconds:.0f} s",
            ]
        )


def soak(folder: Path, minutes: int, symbols: Sequence[str], seed: int) -> Soaked:
    """Run a session of so many minutes, and the backtest of them."""
    began, end_ms = time.monotonic(), START_MS + minutes * MINUTE_MS
    readings: list[Reading] = []
    told: Counter[str] = Counter()
    missed: Missed = set()
    with _exchange() as url, closing(HTTPConnection(urlsplit(url).netloc)) as showing, _patient(), unsynced():
        kit = _project(folder, url, missed)
        live = kit.live(symbols=symbols, exchange="loop")
        clock = live.clock = ShownClock(time_ms=START_MS - 20_000, showing=showing)
        faults = urlencode({"kind": ",".join(FAULT_KINDS), "rate": RATE, "seed": seed})
        clock.at = {START_MS + 1: lambda: _ask(f"{url}/_test/fault?{faults}"), end_ms + 20_000: live.leave}
        for number in range(1, READINGS + 1):
            at_ms = START_MS + minutes * number // READINGS * MINUTE_MS
            clock.at[at_ms] = lambda: readings.append(Reading.now())
        live.on_trouble = lambda error: told.update([error.code])
        clock.sleep(0)
        for _ in live:
            pass
        log = _ask(f"{url}/_test/log")
        _ask(f"{url}/_test/faults?clear=1")
        _ask(f"{url}/_test/clock?set={end_ms + 2 * DAY_MS}")
        lines = list(read_journal(live.journal_path.parent, without=("candle",)))
        ticks = [line for line in lines if line["what"] == "tick"]
        missed |= {(one["strategy"], one["symbol"], one["time_ms"]) for one in ticks if one["gate"] == "missed"}
        ledger = _by_stream(line["event"] for line in lines if line["what"] == "event")
        whole = _by_stream(_backtested(kit, symbols, end_ms))
    return Soaked(
        minutes=minutes,
        symbols=len(symbols),
        requests=len(log),
        faults=Counter(one["fault"] for one in log if one["fault"]),
        told=told,
        ticks=len(ticks),
        missed=len(missed),
        trades=sum(event["kind"] == "closed" for events in whole.values() for event in events),
        is_equal=ledger == whole,
        readings=tuple(readings),
        seconds=time.monotonic() - began,
    )


def _project(folder: Path, url: str, missed: Missed) -> Kit:
    """Two strategies; nothing is entered at what was missed."""
    kit = Kit.empty(folder)
    kit.add_exchange(name="loop", use="ccxt", id="binance", base_url=url)
    for name, interval in (("quick", "1m"), ("calm", "15m")):
        kit.add_strategy(name=name, interval=interval, use=_asked(name, missed), warm_up="1h")
    return kit


def _asked(name: str, missed: Missed) -> Callable[[Any], SignalDraft | None]:
    def asked(market: Any) -> SignalDraft | None:
        if (name, market.symbol, market.now) in missed:
            return None
        closes = market.candles("1m", 5).close
        move = closes[-1] / closes[0] - 1
        if abs(move) < 0.0005:
            return None
        way = 1 if move > 0 else -1
        return SignalDraft(
            position="long" if way > 0 else "short",
            price_take_profit=market.price * (1 + way * 0.006),
            price_stop_loss=market.price * (1 - way * 0.006),
            lifetime_minutes=15,
        )

    return asked


def _backtested(kit: Kit, symbols: Sequence[str], end_ms: int) -> Iterator[dict[str, Any]]:
    for symbol in symbols:
        kit.fetch("loop", symbol, f"{iso(START_MS - DAY_MS)}..{iso(end_ms + DAY_MS)}")
    job = kit.backtest(symbols=symbols, exchange="loop", range=f"{iso(START_MS)}..{iso(end_ms + MINUTE_MS)}")
    for event in job:
        if not isinstance(event, Idle | Active) and event.time_ms <= end_ms:
            yield event_body(event)


def _by_stream(events: Any) -> dict[tuple[str, str], list[dict[str, Any]]]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for event in events:
        named = event.get("signal", event)
        found.setdefault((named["strategy"], named["symbol"]), []).append(event)
    return found


@contextmanager
def _exchange() -> Iterator[str]:
    """A loopback exchange in a process of its own; its URL."""
    tests = Path(__file__).parent
    command = [sys.executable, "-m", "loopback", "--now", str(START_MS), "--drip", "0.05"]
    with Popen(command, cwd=tests, stdout=PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@contextmanager
def _patient() -> Iterator[None]:
    """An adapter that does not wait in real time, and not long for an answer."""
    defaults = CcxtExchange.__init__.__kwdefaults__
    assert defaults is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ccxt.Exchange, "throttle", lambda *_: None)
        patch.setitem(defaults, "timeout_ms", TIMEOUT_MS)
        yield


def _ask(url: str) -> Any:
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)


def main(days: int, seed: int) -> int:
    """Soak, and print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        soaked = soak(Path(folder), days * DAY_MS // MINUTE_MS, SYMBOLS, seed)
    print(soaked)
    print(*(f"WRONG: {failure}" for failure in soaked.failures), sep="\n", end="")
    return 1 if soaked.failures else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
