"""All four forms of a strategy live over the loopback exchange, with real ccxt code, and the backtest of it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random

import ccxt
import polars as pl
import pytest
from accelerated import run_live, unsynced
from loopback import FakeClock, LoopbackExchange, Row
from shared import SHARED

from backtestkit_cli import Idle, Kit
from backtestkit_cli.model.event import Active, Closed, Event, RiskRefused, Scheduled, key_of
from backtestkit_cli.model.signal import OpenPosition
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, iso, parse_time

REAL = SHARED / "data" / "binanceus_BTCUSDT_1m_2023-03.parquet"
FORMS = ("decision", "rules", "signals", "vector")
SYMBOL, START_MS = "BTC/USDT", parse_time("2023-03-01")
DAY_MINUTES = DAY_MS // MINUTE_MS
HISTORY_MINUTES = 4 * DAY_MINUTES
CONFIG = """
settings: {balance: 10000}
exchanges:
  - {name: loop, use: ccxt, id: binance, base_url: "URL"}
sizings: [{name: risk, method: atr-based, risk_percentage: 1, atr: "atr(14)"}]
risks: [{name: calm, max_positions: 2}]
strategies:
  - name: rules
    interval: 15m
    rules:
      long: "close > sma(close, 8)"
      short: "close < sma(close, 8)"
      entry: {limit: "0.05%", wait: 15m}
      take_profit: "0.7%"
      stop_loss: "0.6%"
      lifetime: 80m
    risk: calm
    sizing: risk
  - {name: decision, interval: 15m, use: "strategies.py:decision", warm_up: 1h}
  - {name: vector, interval: 15m, use: "strategies.py:vector", warm_up: 1h, risk: calm, sizing: risk}
  - {name: signals, interval: 15m, signals: signals.csv, risk: calm}
"""
CODE = """
import ccxt
import polars as pl


def decision(market):
    closes = market.candles("15m", 3).close
    way = 1 if closes[-1] > closes[0] else -1
    return {
        "position": "long" if way > 0 else "short",
        "price_take_profit": market.price * (1 + way * 0.006),
        "price_stop_loss": market.price * (1 - way * 0.006),
        "lifetime_minutes": 90,
    }


def vector(candles):
    price = pl.col("price")
    return candles.filter(pl.col("close") < pl.col("open"), price.is_not_null()).select(
        "time",
        position=pl.lit("short"),
        price_take_profit=price * 0.994,
        price_stop_loss=price * 1.007,
        lifetime_minutes=pl.lit(75),
    )
"""


@dataclass(frozen=True, slots=True)
class FormsRun:
    """A project on a running loopback exchange, over some days."""

    kit: Kit
    exchange: LoopbackExchange
    end_ms: int

    def live(self, names: Sequence[str], restarts: int) -> tuple[list[Event], int]:
        """Run a session that is left and started again; its events, and how often a position was open then."""
        step = (self.end_ms - START_MS) // (restarts + 1) // MINUTE_MS * MINUTE_MS
        cuts = [START_MS + step * place + 30_000 for place in range(1, restarts + 1)]
        told: list[Event] = []
        held = 0
        for start_ms, end_ms in pairwise([START_MS - 20_000, *cuts, self.end_ms + 20_000]):
            with unsynced():
                session = run_live(
                    self.kit,
                    *names,
                    start=start_ms,
                    end=end_ms,
                    symbols=[SYMBOL],
                    exchange="loop",
                    prepared=lambda live: setattr(self.exchange, "clock", live.clock),
                )
            assert session.troubles == ()
            told += session.events
            is_held = any(isinstance(one.walk.state, OpenPosition) for one in session.live.streams.values())
            held += is_held and end_ms in cuts
        return told, held

    def backtest(self, names: Sequence[str]) -> list[Event]:
        """What the backtest of the same candles tells by the end of the session."""
        self.exchange.clock = FakeClock(self.end_ms + 2 * DAY_MS)
        self.kit.fetch("loop", SYMBOL, f"{iso(START_MS - HISTORY_MINUTES * MINUTE_MS)}..{iso(self.end_ms + DAY_MS)}")
        # the session decides at its last instant too
        within = f"{iso(START_MS)}..{iso(self.end_ms + MINUTE_MS)}"
        job = self.kit.backtest(*names, symbols=[SYMBOL], exchange="loop", range=within)
        told = [event for event in job if not isinstance(event, Idle | Active)]
        return [event for event in told if event.time_ms <= self.end_ms]


@contextmanager
def forms_run(folder: Path, minutes: int, *, is_real: bool) -> Iterator[FormsRun]:
    """A project in a folder; real candles begin at the start, after a history that is flat."""
    rows = {"BTCUSDT": real_rows()} if is_real else None
    with LoopbackExchange(clock=FakeClock(START_MS), rows=rows) as exchange, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ccxt.Exchange, "throttle", lambda *_: None)  # it would wait in real time
        (folder / "configs").mkdir(parents=True)
        (folder / "configs" / "forms.yaml").write_text(CONFIG.replace("URL", exchange.url), encoding="utf-8")
        (folder / "strategies.py").write_text(CODE, encoding="utf-8")
        closes = {row[0]: row[4] for row in rows["BTCUSDT"]} if rows else {}
        (folder / "signals.csv").write_text(signals(minutes, closes), encoding="utf-8")
        yield FormsRun(Kit.load(folder / "configs"), exchange, START_MS + minutes * MINUTE_MS)
    assert exchange.errors == []


def real_rows() -> list[Row]:
    """The 21 days, with minutes of one price before and a day of it after them."""
    real: list[Row] = pl.read_parquet(REAL).rows()
    first, last = real[0], real[-1]
    before = range(START_MS - HISTORY_MINUTES * MINUTE_MS, first[0], MINUTE_MS)
    after = range(last[0] + MINUTE_MS, last[0] + 2 * DAY_MS, MINUTE_MS)
    flat: list[Row] = [
        (time_ms, price, price, price, price, 1.0)
        for times, price in ((before, first[1]), (after, last[4]))
        for time_ms in times
    ]
    return sorted([*real, *flat])


def signals(minutes: int, closes: dict[int, float]) -> str:
    """A signal at each quarter of an hour, around the last close."""
    random, lines = (
        Random(1),
        ["time,position,price_open,price_take_profit,price_stop_loss,lifetime_minutes,wait_minutes"],
    )
    for minute in range(0, minutes + 1, 15):
        time_ms = START_MS + minute * MINUTE_MS
        price, way = closes.get(time_ms - MINUTE_MS, 30_000.0), random.choice([1, -1])
        given = random.choice(["", f"{price * (1 - way * 0.0005):.2f}"])
        levels = f"{price * (1 + way * 0.008):.2f},{price * (1 - way * 0.008):.2f}"
        side, minutes_held = "long" if way > 0 else "short", random.choice([30, 60, 120])
        lines.append(f"{time_ms},{side},{given},{levels},{minutes_held},30")
    return "\n".join(lines) + "\n"


def counts(events: Sequence[Event]) -> dict[str, Counter[str]]:
    """What happened in each form."""
    found: dict[str, Counter[str]] = {}
    for event in events:
        own = found.setdefault(key_of(event)[0], Counter())
        own[event.kind] += 1
        if isinstance(event, Closed):
            own[str(event.reason)] += 1
        own["limit entries"] += isinstance(event, Scheduled)
        own["risk rejections"] += isinstance(event, RiskRefused)
    return found
