"""Many lives of one live session: started, killed, started again, with a ledger of all that was ever told.

The ledger is the parent's: what stood on stdout before the kill. Events may be told twice, never otherwise than before.
"""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

import pytest
from e2e.project import Project

from backtestkit_cli.kit import Kit
from backtestkit_cli.model.event import Active, Idle
from backtestkit_cli.model.signal import Flat, OpenPosition
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, iso, parse_time
from backtestkit_cli.state.session import SessionState, StreamRecord, event_body
from crash.shown_clock import mapped, read_ms

TESTS = Path(__file__).parents[1]
CONFIG = """
settings: {{balance: 10000}}
exchanges: [{{name: made, use: sample, seed: {seed}}}]
sizings: [{{name: risk, method: atr-based, risk_percentage: 1, atr: "atr(14)"}}]
risks: [{{name: calm, max_positions: 3}}]
strategies:
  - name: limits
    interval: 3m
    rules:
      long: "close > sma(close, 3)"
      short: "close <= sma(close, 3)"
      entry: {{limit: "0.05%", wait: 4m}}
      take_profit: "0.6%"
      stop_loss: "0.6%"
      lifetime: 6m
    risk: calm
    sizing: risk
  - name: market
    interval: 1m
    rules: {{long: "close > open", short: "close <= open", take_profit: "0.6%", stop_loss: "0.6%", lifetime: 5m}}
    risk: calm
    sizing: risk
"""
LOOPBACK = """
exchanges:
  - {{name: loop, use: ccxt, id: binance, base_url: "{url}", {market}
     api_key: "${{CANARY_KEY}}", secret: "${{CANARY_SECRET}}"}}
"""
START_MS = parse_time("2023-03-01")
SYMBOLS = ("BTCUSDT", "ETHUSDT")
STRATEGIES = ("limits", "market")
SECRETS = {"CANARY_KEY": "KEYKEYKEYCANARY", "CANARY_SECRET": "SECSECSECCANARY"}
"""What only the exchange may see, in the environment of every life."""
SECONDS = 20
"""How long a life may take to come as far as it should."""


class Nursery:
    """A process that forks lives. Its own protocol: one question, one answer."""

    def __enter__(self) -> Self:
        environ = {**os.environ, **SECRETS, "PYTHONPATH": os.pathsep.join((str(TESTS), str(TESTS.parent)))}
        script = [sys.executable, str(TESTS / "crash" / "nursery.py")]
        self._process = subprocess.Popen(script, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate(timeout=SECONDS)

    def start(self, **asked: Any) -> int:
        """Begin a life; its process id."""
        return self._answered({"start": asked})

    def wait(self, process: int) -> int:
        """The exit code of a life that ended, or is about to."""
        return self._answered({"wait": process})

    def look(self, process: int) -> int | None:
        """The exit code of a life; None while it goes on. Asked once after the end."""
        return self._ask({"look": process})

    def _answered(self, question: object) -> int:
        answer = self._ask(question)
        assert answer is not None
        return answer

    def _ask(self, question: object) -> int | None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer: int | None = json.loads(self._process.stdout.readline())
        return answer


@dataclass(slots=True)
class Lives:
    """One session with its many lives. `told` holds each event once, in order; `deaths` counts what death struck,
    `most_leftovers` the temp files that one writer left at once.

    `state` is where it keeps its state, as `settings.state` has it; files where it is None. One that `orders` sends
    its orders to the exchange.
    """

    project: Project
    nursery: Nursery
    seed: int
    exchange_url: str | None = None
    state: str | None = None
    orders: bool = False
    verbosity: tuple[str, ...] = ()
    told: list[dict[str, Any]] = field(default_factory=list)
    repeated: int = 0
    deaths: Counter[str] = field(default_factory=Counter)
    most_leftovers: int = 0
    slowest_seconds: float = 0.0
    _lives: int = 0
    _known: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.project.write("configs/crash.yaml", CONFIG.format(seed=self.seed))
        if self.exchange_url is not None:
            self.project.write(
                "configs/loop.yaml",
                LOOPBACK.format(url=self.exchange_url, market="market: spot," if self.orders else ""),
            )
        if self.state is not None:
            self.project.write("configs/state.yaml", f"settings: {{state: {self.state}}}\n")
        self._clock.write_bytes(struct.pack("<q", START_MS - 20_000))

    @property
    def exchange(self) -> str:
        """The exchange of the session: the one on this computer where there is one, else the made one."""
        return "made" if self.exchange_url is None else "loop"

    @property
    def _clock(self) -> Path:
        return self.project.folder / "clock"

    @property
    def now_ms(self) -> int:
        """The time of the session."""
        with mapped(self._clock) as shown:
            return read_ms(shown)

    def begin(
        self,
        *,
        pause_seconds: float,
        end_ms: int,
        point: str | None = None,
        begins: float = 0.0,
        stops_now: bool = True,
    ) -> int:
        """Begin a life, not before a monotonic time; it ends at a failpoint, or waits at `end_ms`. Its process id."""
        self._lives += 1
        for name in (".out", ".err"):
            self._output.with_suffix(name).touch()
        symbols = [part for symbol in SYMBOLS for part in ("--symbol", symbol)]
        return self.nursery.start(
            folder=str(self.project.folder),
            arguments=[
                "live",
                *STRATEGIES,
                *symbols,
                "--exchange",
                self.exchange,
                *(["--stop-now"] if stops_now else []),
                *(["--broker", "ccxt", "--real", "--confirm", "loop"] if self.orders else []),
                "--json",
                *self.verbosity,
            ],
            output=str(self._output),
            clock={
                "path": str(self._clock),
                "pause_seconds": pause_seconds,
                "end_ms": end_ms,
                "exchange_url": self.exchange_url,
            },
            point=point,
            begins=begins,
        )

    def killed_at_random(self, random: Random, *, share_at_start: float = 0.15) -> None:
        """One life that is killed while it starts, or somewhere in one of its first minutes."""
        began_ms = self.now_ms
        process = self.begin(pause_seconds=0.002, end_ms=began_ms + 1000 * MINUTE_MS)
        if random.random() < share_at_start:
            time.sleep(random.uniform(0, 0.3))
        else:
            self.wait_until(began_ms + random.randint(1, 8) * MINUTE_MS, process)
            time.sleep(random.uniform(0, 0.02))
        os.kill(process, signal.SIGKILL)
        self._died(process)

    def killed_at(self, point: str) -> None:
        """One life that ends at a failpoint."""
        process = self.begin(pause_seconds=0.0, end_ms=self.now_ms + 1000 * MINUTE_MS, point=point)
        self._died(process)

    def live_on(self, minutes: int) -> None:
        """One life without harm: it ends by SIGTERM once it has done some more minutes."""
        end_ms = self.now_ms // MINUTE_MS * MINUTE_MS + minutes * MINUTE_MS + 30_000
        process = self.begin(pause_seconds=0.0, end_ms=end_ms)
        self.wait_until(end_ms, process)
        self.stop(process)

    def stop(self, process: int) -> None:
        """End a life by SIGTERM."""
        os.kill(process, signal.SIGTERM)
        code = self.nursery.wait(process)
        assert code == 143, (code, self.errors)
        self.take()

    def output_of(self, life: int) -> str:
        """What a life wrote to stdout; the first is 0."""
        return (self.project.folder / f"life-{life + 1}.out").read_text("utf-8")

    def wait_until(self, time_ms: int, process: int) -> None:
        """Wait until a life has come to a time; a life that began anew takes a while to its first minute."""
        began, began_ms = time.monotonic(), self.now_ms
        with mapped(self._clock) as shown:
            while (now_ms := read_ms(shown)) < time_ms:
                if time.monotonic() - began > SECONDS or '"error"' in self.errors:
                    os.kill(process, signal.SIGUSR1)
                    time.sleep(0.5)
                    pytest.fail(f"it stands since {iso(now_ms)}: {self.errors}")
                if now_ms == began_ms:
                    self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)
                time.sleep(0.002)

    @property
    def errors(self) -> str:
        """What the newest life wrote to stderr, and the error on stdout where there is one."""
        lines = self._output.with_suffix(".out").read_text("utf-8").splitlines()
        return "\n".join(
            [self._output.with_suffix(".err").read_text("utf-8"), *(one for one in lines if '"error"' in one)]
        )

    def backtested(self) -> list[dict[str, Any]]:
        """What the backtest of the same candles tells until now."""
        end_ms = self.now_ms // MINUTE_MS * MINUTE_MS
        kit = Kit.load(self.project.folder / "configs")
        range_ = f"{iso(START_MS)}..{iso(end_ms + 60 * MINUTE_MS)}"
        if self.exchange_url is not None:
            for symbol in SYMBOLS:
                kit.fetch(self.exchange, symbol, f"{iso(START_MS - DAY_MS)}..{iso(end_ms + 60 * MINUTE_MS)}")
        job = kit.backtest(*STRATEGIES, symbols=SYMBOLS, exchange=self.exchange, range=range_)
        return [event_body(event) for event in job if not isinstance(event, Idle | Active) and event.time_ms <= end_ms]

    def records(self) -> tuple[StreamRecord, ...]:
        """The streams as they are kept; nothing may be damaged."""
        store = Kit.load(self.project.folder / "configs").sessions._store()
        records = SessionState(store).streams()
        assert store.warnings == []
        assert not list(self.project.folder.rglob("*.corrupt-*"))
        return records

    # after a death

    def _died(self, process: int) -> None:
        code = self.nursery.wait(process)
        assert code == -signal.SIGKILL, (code, self.errors)
        assert "Traceback" not in self.errors
        self.take()
        records = self.records()
        self._nothing_told_is_lost(records)
        self.deaths["while busy" if any(map(_is_busy, records)) else "while idle"] += 1
        self.most_leftovers = max(self.most_leftovers, *self._leftovers())

    def _leftovers(self) -> tuple[int, int]:
        """Temp files of the state and of the reports, which two threads write."""
        found = list(self.project.folder.rglob("*.tmp"))
        reports = [path for path in found if self.project.folder / "logs" in path.parents]
        return len(found) - len(reports), len(reports)

    def _nothing_told_is_lost(self, records: tuple[StreamRecord, ...]) -> None:
        """What was told is on disk: open positions are held there, closed ones are not."""
        opened = {event["signal"]["id"] for event in self.told if event["kind"] == "opened"}
        closed = {event["signal"]["id"] for event in self.told if event["kind"] == "closed"}
        held = {one.state.signal.id for one in records if isinstance(one.state, OpenPosition)}
        untold = {
            event["signal"]["id"] for one in records for event in map(event_body, one.untold) if "signal" in event
        }
        assert opened - closed <= held | untold
        assert not closed & held

    def take(self) -> None:
        """Take into the ledger what stood on stdout; a line that the kill cut off was never told."""
        for line in self._output.with_suffix(".out").read_text("utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                if '"error"' in line:
                    assert json.loads(line)["error"]["code"] == "interrupted", line
                    continue
                self.repeated += line in self._known
                if line not in self._known:
                    self._known.add(line)
                    told = json.loads(line)
                    self.told += [told] if told["kind"] != "session" else []  # the first line names the session

    @property
    def _output(self) -> Path:
        return self.project.folder / f"life-{self._lives}"


def _is_busy(record: StreamRecord) -> bool:
    return not isinstance(record.state, Flat) or bool(record.untold)
