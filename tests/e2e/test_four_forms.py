"""All four forms of a strategy, through the public door, against an oracle that shares nothing with the engine.

The drafts are found here a second time by plain code, the fills by `oracles.brute_force`; every number is compared
for equality. The made candles have holes and minutes without volume, the real ones are used where they are.
"""

import importlib.util
import shutil
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest
from oracles.brute_force import MINUTE_MS, Bar, Draft, Trade, market_price, price_at, trades
from shared import SHARED, needs_shared

from backtestkit_cli import Kit
from backtestkit_cli.engine.result import StreamResult
from backtestkit_cli.engine.trades import REASONS
from backtestkit_cli.model.event import Closed, Opened
from backtestkit_cli.model.time import parse_time

PROJECT = Path(__file__).parent.parent / "data" / "forms"
REAL = SHARED / "data" / "binanceus_BTCUSDT_1m_2023-03.parquet"
FORMS = ("rules", "decision", "vector", "signals")
POLICIES = ("honest", "touch", "vwap")
ROW_MS, HOUR_MS = 5 * MINUTE_MS, 60 * MINUTE_MS
START_MS = parse_time("2023-03-01")
HISTORY_MINUTES = {"rules": 21 * 5, "decision": 60, "vector": 120, "signals": 0}

Row = tuple[int, float, float, float, float, float]
"""A closed five-minute candle: its close in UTC ms, open, high, low, close, volume."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """A project with candles; `end_ms` is the close of the last one."""

    project: Path
    candles: list[Bar]
    bars: dict[int, Bar]
    wishes: list[Draft]
    end_ms: int
    range: str
    inner_range: str
    fewest_trades: int
    overrides: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What one run is made with."""

    range: str
    policy: str = "honest"
    fee: float = 0.1
    slippage: float = 0.1
    average: int = 5
    gap: str = "skip"

    @property
    def overrides(self) -> tuple[str, ...]:
        return (
            f"settings.fill={self.policy}",
            f"settings.costs.fee_percent={self.fee}",
            f"settings.costs.slippage_percent={self.slippage}",
            f"settings.limits.average_price_candles={self.average}",
            f"settings.gap={self.gap}",
        )

    @property
    def bounds_ms(self) -> tuple[int, int]:
        start, end = self.range.split("..")
        return parse_time(start), parse_time(end)


def made_candles() -> list[Bar]:
    """Two days of minutes in whole hundredths: jumps, holes, stretches without volume; the first is off every grid."""
    random = Random(20230301)

    def below(count: int) -> int:
        return int(random.random() * count)

    made: list[Bar] = []
    price, drift, missing, silent = 20_000, 0, 0, 0
    for minute in range(3, 3003):
        if below(90) == 0:
            drift = below(17) - 8
        if below(110) == 0:
            missing = (1, 2, 4, 8, 90)[below(5)]
        if below(110) == 0:
            silent = 1 + below(12)
        first = price + (below(601) - 300 if below(50) == 0 else below(11) - 5)
        price = first + below(61) - 30 + drift
        high, low = max(first, price) + below(20), min(first, price) - below(20)
        volume = 0 if silent else 1 + below(400)
        if not missing:
            open_ms = START_MS + minute * MINUTE_MS
            made.append((open_ms, first / 100, high / 100, low / 100, price / 100, volume / 100))
        missing, silent = max(0, missing - 1), max(0, silent - 1)
    return made


def wished(bars: dict[int, Bar], end_ms: int) -> list[Draft]:
    """Signals of a program that knows the future: some levels are a VWAP or an extreme to come, some break a limit."""
    random = Random(7)
    last_ms = (end_ms - 15 * MINUTE_MS) // ROW_MS * ROW_MS
    price = bars[min(bars)][4]
    found: list[Draft] = []
    for now in range(START_MS - HOUR_MS, last_ms - 5 * HOUR_MS, ROW_MS):
        price = price_at(bars, now, 5) or price
        sign = 1 if random.random() < 0.5 else -1
        profit = price * (1 + sign * random.uniform(0.004, 0.014))
        stop = price * (1 - sign * random.uniform(0.004, 0.014))
        ahead = [time for time in range(now, now + 30 * MINUTE_MS, MINUTE_MS) if time in bars]
        if ahead and random.random() < 0.4:
            profit = _level(bars, ahead, sign, is_vwap=random.random() < 0.5)
        if ahead and random.random() < 0.4:
            stop = _level(bars, ahead, -sign, is_vwap=random.random() < 0.5)
        minutes = (1, 7, 20, 45, 90, 200, 0, 1441)[int(random.random() * 8)]
        if random.random() < 0.6:
            found.append((now, "long" if sign > 0 else "short", profit, stop, minutes))
    final = price_at(bars, last_ms, 5) or price
    late = (end_ms + 2 * HOUR_MS) // ROW_MS * ROW_MS
    return [*found, (last_ms, "long", final * 1.19, final * 0.81, 1440), (late, "long", final * 1.01, final * 0.99, 60)]


def _level(bars: dict[int, Bar], opens: Sequence[int], sign: int, *, is_vwap: bool) -> float:
    """The highest (sign 1) or lowest VWAP, or traded price, of some minutes."""
    farthest = max if sign > 0 else min
    if is_vwap:
        return farthest(price_at(bars, time + MINUTE_MS, 5) or bars[time][4] for time in opens)
    return farthest(bars[time][2 if sign > 0 else 3] for time in opens)


def write_signals(path: Path, wishes: Sequence[Draft]) -> None:
    """Write the wishes as a CSV, among rows without a position and rows of another symbol."""
    lines = ["time,symbol,position,price_take_profit,price_stop_loss,lifetime_minutes"]
    for row, (now, side, profit, stop, minutes) in enumerate(wishes):
        lines.append(f"{now},{'BTCUSDT' if row % 2 else ''},{side},{profit!r},{stop!r},{minutes}")
        if row % 3 == 0:
            lines.append(f"{now},ETHUSDT,short,1.0,2.0,60")
        if row % 5 == 0 and row + 1 < len(wishes) and wishes[row + 1][0] > now + ROW_MS:
            lines.append(f"{now + ROW_MS},,{'wait' if row % 2 else ''},,,")
    path.write_text("\n".join(lines) + "\n")


def _world(project: Path, candles: list[Bar], **values: Any) -> World:
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("__pycache__"))
    bars = {bar[0]: bar for bar in candles}
    end_ms = candles[-1][0] + MINUTE_MS
    wishes = wished(bars, end_ms)
    write_signals(project / "data" / "signals.csv", wishes)
    return World(project=project, candles=candles, bars=bars, wishes=wishes, end_ms=end_ms, **values)


def _made_world(project: Path) -> World:
    return _world(
        project,
        made_candles(),
        range="2023-03-01..2023-03-03T03:00Z",
        inner_range="2023-03-01T20:02Z..2023-03-02T09:00Z",
        fewest_trades=12,
        overrides=(),
    )


def _real_world(project: Path) -> World:
    world = _world(
        project,
        pl.read_parquet(REAL).rows(),
        range="2023-03-01..2023-03-22",
        inner_range="2023-03-08T07:01Z..2023-03-12",
        fewest_trades=100,
        overrides=("exchanges.files.path=data/{symbol}_1m.parquet",),
    )
    shutil.copyfile(REAL, project / "data" / "BTCUSDT_1m.parquet")
    return world


@pytest.fixture(scope="module", params=["made", pytest.param("real", marks=needs_shared)])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    make = {"made": _made_world, "real": _real_world}[request.param]
    return make(tmp_path_factory.mktemp(request.param) / "project")


@cache
def results(world: World, setting: Setting) -> dict[str, StreamResult]:
    """Run the project through the public door."""
    kit = Kit.load(world.project / "configs", overrides=[*world.overrides, *setting.overrides])
    run = kit.backtest(*FORMS, symbols=["BTCUSDT"], exchange="files", range=setting.range).run()
    return {stream.strategy: stream.result for stream in run.streams}


def taken(result: StreamResult) -> list[Trade]:
    """The trades of a run as the oracle writes them."""
    found = result.trades
    sides = ["long" if side > 0 else "short" for side in found.side.tolist()]
    reasons = [REASONS[code].value for code in found.reason.tolist()]
    columns = (found.price_open, found.closed_ms, found.price_close)
    opened, closed, left = (column.tolist() for column in columns)
    return list(
        zip(found.decided_ms.tolist(), sides, opened, closed, left, reasons, found.pnl_percent.tolist(), strict=True)
    )


def expected(world: World, setting: Setting, form: str) -> list[Trade]:
    """The trades by brute force."""
    start_ms, end_ms = setting.bounds_ms
    drafts = [draft for draft in _drafts(world, setting, form) if start_ms <= draft[0]]
    valid = [draft for draft in drafts if _is_valid(draft, world.bars, setting)]
    return trades(world.candles, valid, setting.policy, setting.fee, setting.slippage, setting.average, end_ms)


def _is_valid(draft: Draft, bars: dict[int, Bar], setting: Setting) -> bool:
    """Whether the default limits let a market entry pass."""
    now, side, profit, stop, minutes = draft
    price = price_at(bars, now, setting.average)
    if price is None:
        return False
    entry = market_price(price, bars[now - MINUTE_MS], side == "long", setting.policy)
    sign = 1 if side == "long" else -1
    gain, loss = (100 * sign * (profit - entry) / entry, 100 * sign * (entry - stop) / entry)
    is_inside = sign * stop < sign * price < sign * profit
    return is_inside and gain >= 0.5 - 1e-9 and 0.5 - 1e-9 <= loss <= 20 + 1e-9 and 1 <= minutes <= 1440


def _drafts(world: World, setting: Setting, form: str) -> list[Draft]:
    if form == "signals":
        return world.wishes
    start_ms = setting.bounds_ms[0] - (HISTORY_MINUTES[form] + setting.average) * MINUTE_MS
    rows = closed_rows(world.candles, start_ms)
    prices = [price_at(world.bars, row[0], setting.average) for row in rows]
    if form == "vector":
        return vector_drafts(world, rows, prices)
    find: Callable[[list[Row], int], int] = rules_side if form == "rules" else decision_side
    return [
        _draft(form, row[0], side, price)
        for at, (row, price) in enumerate(zip(rows, prices, strict=True))
        if price is not None and (side := find(rows, at))
    ]
