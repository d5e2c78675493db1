"""Random live sessions of a few hours, to be held against the backtest of the same candles.

A seed decides a world: candles with holes and jumps on two markets, a policy, strategies of all forms that share a
risk profile and a balance or neither, limit entries, and the moments at which the session is restarted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import polars as pl
from accelerated import Session, run_live
from worlds import POLICIES, START_MS, random_candles

from backtestkit_cli import Idle, Kit, SignalDraft
from backtestkit_cli.data.border import SCHEMA
from backtestkit_cli.data.store import CandleStore, Market
from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.event import Active, Event, key_of
from backtestkit_cli.model.policy import policy_keys
from backtestkit_cli.model.time import MINUTE_MS, TimeRange, iso
from backtestkit_cli.run.clock import Clock, WallClock

SYMBOLS = ("AAA", "BBB")
HISTORY_MINUTES = 60
BEFORE_MS = 20_000
SIZINGS: tuple[dict[str, Any], ...] = (
    {"method": "fixed-percentage", "risk_percentage": 1},
    {"method": "atr-based", "risk_percentage": 1, "atr": "atr(2)"},
    {"method": "kelly-criterion", "from_trades": 5, "max_position_percentage": 50},
)
STEPS = MarketSteps()


@dataclass(slots=True)
class Tape:
    """An exchange in this process: rows by symbol, of which it shows those that have closed.

    `delayed_ms` is how much later the candle that opens at a time is shown.
    """

    rows: dict[str, pl.DataFrame]
    clock: Clock = field(default_factory=WallClock)
    delayed_ms: dict[int, int] = field(default_factory=dict)

    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        """The candles of a window that are known by now; one that is late holds back those after it."""
        now_ms = self.clock.now_ms()
        shown = self.rows[symbol].filter(pl.col("time").is_between(start_ms, min(end_ms, now_ms) - MINUTE_MS))
        late = [time for time, by_ms in self.delayed_ms.items() if time + MINUTE_MS + by_ms > now_ms]
        return shown.filter(pl.col("time") < min(late)) if late else shown

    def steps(self, symbol: str) -> MarketSteps:
        """The same for all."""
        return STEPS

    def store(self, folder: Path) -> None:
        """Put all candles where backtests read them."""
        store = CandleStore(folder / "data")
        for symbol, rows in self.rows.items():
            store.write_market(Market(exchange="tape", symbol=symbol, steps=STEPS, source="tape"))
            asked = TimeRange(int(rows["time"][0]), int(rows["time"][-1]) + MINUTE_MS)
            store.write_month("tape", symbol, "2024-01", rows, asked)


@dataclass(frozen=True, slots=True)
class LiveWorld:
    """A project, what runs in it, and from when to when; `cuts_ms` are restarts on the way."""

    kit: Kit
    tape: Tape
    start_ms: int
    end_ms: int
    cuts_ms: tuple[int, ...]

    @property
    def sessions(self) -> Iterator[tuple[int, int]]:
        """The session as it is started and left."""
        moments = (self.start_ms - BEFORE_MS, *self.cuts_ms, self.end_ms + BEFORE_MS)
        return pairwise(moments)

    def live(self, sessions: Sequence[tuple[int, int]] | None = None) -> list[Session]:
        """Run the session, left and started again at the cuts, or when it is said."""
        return [
            run_live(
                self.kit,
                start=start_ms,
                end=end_ms,
                symbols=SYMBOLS,
                exchange="tape",
                prepared=lambda live: setattr(self.tape, "clock", live.clock),
            )
            for start_ms, end_ms in sessions or tuple(self.sessions)
        ]

    def backtest(self) -> list[Event]:
        """What the backtest of the same candles tells by the end of the session."""
        self.tape.store(self.kit.config.project)
        # the session decides at its last instant too
        within = f"{iso(self.start_ms)}..{iso(self.end_ms + MINUTE_MS)}"
        job = self.kit.backtest(symbols=SYMBOLS, exchange="tape", range=within)
        told = [event for event in job if not isinstance(event, Idle | Active)]
        return [event for event in told if event.time_ms <= self.end_ms]


def by_stream(events: Sequence[Event]) -> dict[tuple[str, str], list[Event]]:
    """The events of each stream, in the order in which they were told."""
    found: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        found.setdefault(key_of(event), []).append(event)
    return found


def live_world(seed: int, folder: Path, *, longest_minutes: int = 60) -> LiveWorld:
    """A world of one seed; its files are in the folder."""
    random = Random(seed)
    minutes = random.randint(longest_minutes // 2, longest_minutes)
    # the candles go on after the session, so that the backtest has no end of data in it
    markets = {symbol: random_candles(random, HISTORY_MINUTES + minutes + 200) for symbol in SYMBOLS}
    start_ms = START_MS + HISTORY_MINUTES * MINUTE_MS
    end_ms = start_ms + minutes * MINUTE_MS
    tape = Tape({symbol: frame_of(candles) for symbol, candles in markets.items()})
    kit = Kit.empty(folder)
    kit.configure(random_settings(random))
    kit.add_exchange(name="tape", use=lambda: tape)
    kit.add_risk(name="calm", max_positions=random.choice([1, 2]), min_reward_risk=random.choice([None, 0.9]))
    kit.add_sizing(name="share", **random.choice(SIZINGS))
    for name in random.sample(sorted(FORMS), random.choice([1, 2, 2, 3])):
        shared: dict[str, Any] = {"risk": "calm"} if random.random() < 0.6 else {}
        shared |= {"sizing": "share"} if random.random() < 0.5 else {}
        strategy = FORMS[name](random, markets, folder, start_ms, minutes)
        interval = "5m" if name == "rows" else random.choice(["1m", "3m", "5m"])  # a call of theirs takes long
        kit.add_strategy(name=name, interval=interval, **strategy, **shared)
    cuts = sorted(random.sample(range(1, minutes), random.choice([0, 0, 1, 2])))
    second = random.choice([2_000, 30_000, 59_000])
    return LiveWorld(kit, tape, start_ms, end_ms, tuple(start_ms + cut * MINUTE_MS + second for cut in cuts))


def frame_of(candles: Candles) -> pl.DataFrame:
    """The candles that are there, as an exchange gives them; those of holes are left out."""
    times = candles.start_ms + MINUTE_MS * np.arange(len(candles))
    there = np.ones(len(candles), dtype=bool) if candles.present is None else candles.present
    there = there if candles.bridged is None else there & ~candles.bridged
    columns = (times, candles.open, candles.high, candles.low, candles.close, candles.volume)
    return pl.DataFrame({name: column[there] for name, column in zip(SCHEMA, columns, strict=True)}, schema=SCHEMA)


def random_settings(random: Random) -> dict[str, Any]:
    """A policy by its name or its keys, costs, windows and waits."""
    policy = random.choice(POLICIES)
    fill = random.choice(["honest", "touch", "vwap", {key: getattr(policy, key) for key in policy_keys()}])
    return {
        "fill": fill,
        "balance": 10_000,
        "costs": {"fee_percent": random.choice([0, 0.1]), "slippage_percent": random.choice([0, 0.1])},
        "limits": {
            "average_price_candles": random.choice([1, 2, 5]),
            "schedule_await_minutes": random.choice([3, 10, 30]),
            "min_take_profit_percent": 0.4,
            "min_stop_loss_percent": 0.3,
        },
    }


Markets = dict[str, Candles]


def _rules(random: Random, _markets: Markets, _folder: Path, _start_ms: int, _minutes: int) -> dict[str, Any]:
    entry: Any = random.choice(["market", {"limit": random.choice(["0.5%", "1"]), "wait": "10m"}])
    rules = {
        "long": random.choice(["close > open", "crosses_above(close, sma(close, 4))", "close > highest(high, 3)[1]"]),
        "short": random.choice(["close < low[1]", "crosses_below(close, sma(close, 4))"]),
        "entry": entry,
        "take_profit": random.choice(["0.8%", "1", "max(1, atr(2))"]),
        "stop_loss": random.choice(["0.8%", "1"]),
        "lifetime": random.choice(["5m", "15m", "1h"]),
    }
    return {"rules": rules}


def _table(random: Random, markets: Markets, start_ms: int, minutes: int) -> dict[tuple[str, int], dict[str, Any]]:
    """Drafts near the market at some minutes, some of which make no sense."""
    table = {}
    for symbol, candles in markets.items():
        for minute in range(minutes + 1):
            if random.random() < 0.5:
                continue
            time_ms = start_ms + minute * MINUTE_MS
            now = float(np.nan_to_num(candles.close[candles.row(time_ms) - 1], nan=100.0))
            side = random.choice([1, -1])
            table[symbol, time_ms] = {
                "position": "long" if side > 0 else "short",
                "price_open": None if random.random() < 0.5 else now - side * random.choice([-0.5, 0.5, 1.0, 2.0]),
                "price_take_profit": now + side * random.choice([-0.5, 1.0, 2.0, 4.0]),
                "price_stop_loss": now - side * random.choice([1.0, 2.0, 4.0]),
                "lifetime_minutes": random.choice([1, 5, 15, 60]),
                "wait_minutes": random.choice([None, 1, 3, 20]),
            }
    return table


def _asked(random: Random, markets: Markets, _folder: Path, start_ms: int, minutes: int) -> dict[str, Any]:
    table = _table(random, markets, start_ms, minutes)

    def asked(market: Any) -> SignalDraft | None:
        market.candles("1m", 2)
        found = table.get((market.symbol, market.now))
        return None if found is None else SignalDraft(**found)

    return {"use": asked, "warm_up": random.choice(["2m", "55m"])}


def _rows(random: Random, _markets: Markets, _folder: Path, _start_ms: int, _minutes: int) -> dict[str, Any]:
    way, stop = random.choice([1.005, 1.01]), random.choice([0.99, 0.995])

    def rows(candles: Any) -> Any:
        return candles.filter(pl.col("close") > pl.col("open"), pl.col("price").is_not_null()).select(
            "time",
            position=pl.lit("long"),
            price_take_profit=pl.col("price") * way,
            price_stop_loss=pl.col("price") * stop,
            lifetime_minutes=pl.lit(20),
        )

    return {"use": rows}


def _listed(random: Random, markets: Markets, folder: Path, start_ms: int, minutes: int) -> dict[str, Any]:
    table = _table(random, markets, start_ms, minutes)
    names = ("position", "price_open", "price_take_profit", "price_stop_loss", "lifetime_minutes", "wait_minutes")
    lines = [",".join(("time", "symbol", *names))]
    for (symbol, time_ms), draft in table.items():
        if time_ms % (15 * MINUTE_MS) == 0:  # on every grid that a strategy may have
            values = ["" if draft[name] is None else str(draft[name]) for name in names]
            lines.append(",".join((str(time_ms), symbol, *values)))
    (folder / "listed.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {"signals": "listed.csv"}


FORMS = {"asked": _asked, "listed": _listed, "rows": _rows, "rules": _rules}
