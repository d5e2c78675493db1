"""All four forms of a strategy, through the public door, against an oracle that shares nothing with the engine.

The drafts are found here a second time by plain code, the fills by `oracles.brute_force`; every number is compared
for equality. The made candles have holes and minutes without volume, the real ones are used where they are.
"""

import importlib.util
import shutil
from collections.abc import Sequence
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
from backtestkit_cli.model.event import Closed, CloseReason, Opened
from backtestkit_cli.model.time import iso, parse_time

PROJECT = Path(__file__).parent.parent / "data" / "forms"
REAL = SHARED / "data" / "binanceus_BTCUSDT_1m_2023-03.parquet"
FORMS = ("rules", "decision", "vector", "signals")
POLICIES = ("honest", "touch", "vwap")
REASONS = tuple(CloseReason)
ROW_MS, HOUR_MS = 5 * MINUTE_MS, 60 * MINUTE_MS
START_MS = parse_time("2023-03-01")
HISTORY_MINUTES = {"rules": 21 * 5, "decision": 50, "vector": 70, "signals": 0}

Row = tuple[int, float, float, float, float, float]
"""A closed five-minute candle: its close in UTC ms, open, high, low, close, volume."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """A project with candles; the inner range ends before they do."""

    project: Path
    candles: list[Bar]
    bars: dict[int, Bar]
    wishes: list[Draft]
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
    for minute in range(3, 3005):
        if below(90) == 0:
            drift = below(17) - 8
        if below(110) == 0:
            missing = (1, 2, 4, 8, 90)[below(5)]
        if below(110) == 0:
            silent = 1 + below(12)
        first = price + (below(601) - 300 if below(50) == 0 else below(11) - 5)
        price = first + below(61) - 30 + drift
        spread = 220 if below(70) == 0 else 20
        high, low = max(first, price) + below(spread), min(first, price) - below(spread)
        volume = 0 if silent else 1 + below(400)
        if not missing:
            open_ms = START_MS + minute * MINUTE_MS
            made.append((open_ms, first / 100, high / 100, low / 100, price / 100, volume / 100))
        missing, silent = max(0, missing - 1), max(0, silent - 1)
    return made


def candle_text(candles: Sequence[Bar]) -> str:
    """The made candles as the CSV that is kept."""
    lines = ["time,open,high,low,close,volume", *(",".join(map(repr, bar)) for bar in candles)]
    return "\n".join(lines) + "\n"


def wished(candles: Sequence[Bar]) -> list[Draft]:
    """Signals of a program that knows the future: some levels are a VWAP or an extreme to come, some break a limit."""
    random = Random(7)
    bars, end_ms = {bar[0]: bar for bar in candles}, candles[-1][0] + MINUTE_MS
    last_ms = (end_ms - 15 * MINUTE_MS) // ROW_MS * ROW_MS
    price = bars[min(bars)][4]
    found: list[Draft] = []
    for now in range(START_MS - HOUR_MS, last_ms - 5 * HOUR_MS, ROW_MS):
        price = price_at(bars, now, 5) or price
        sign = 1 if random.random() < 0.5 else -1
        profit = price * (1 + sign * random.uniform(0.004, 0.014))
        stop = price * (1 - sign * random.uniform(0.004, 0.014))
        ahead = [time for time in range(now, now + HOUR_MS, MINUTE_MS) if time in bars]
        if ahead and random.random() < 0.4:
            profit = _level(bars, ahead, sign, is_vwap=random.random() < 0.5)
        if ahead and random.random() < 0.4:
            stop = _level(bars, ahead, -sign, is_vwap=random.random() < 0.5)
        minutes = (1, 7, 20, 45, 90, 200, 240, 0, 1441)[int(random.random() * 9)]
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
        time = iso(now) if row % 4 == 1 else now
        lines.append(f"{time},{'BTCUSDT' if row % 2 else ''},{side},{profit!r},{stop!r},{minutes}")
        if row % 3 == 0:
            lines.append(f"{now},ETHUSDT,short,1.0,2.0,60")
        if row % 5 == 0 and row + 1 < len(wishes) and wishes[row + 1][0] > now + ROW_MS:
            lines.append(f"{now + ROW_MS},,{'wait' if row % 2 else ''},,,")
    path.write_text("\n".join(lines) + "\n")


def _world(project: Path, candles: list[Bar], wishes: list[Draft], **values: Any) -> World:
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("__pycache__"))
    write_signals(project / "data" / "signals.csv", wishes)
    bars = {bar[0]: bar for bar in candles}
    return World(project=project, candles=candles, bars=bars, wishes=wishes, **values)


def _made_world(project: Path, wishes: list[Draft] | None = None) -> World:
    candles = made_candles()
    return _world(
        project,
        candles,
        wished(candles) if wishes is None else wishes,
        range="2023-03-01..2023-03-03T03:00Z",
        inner_range="2023-03-01T20:01Z..2023-03-02T09:00Z",
        fewest_trades=30,
        overrides=(),
    )


def _real_world(project: Path) -> World:
    candles = pl.read_parquet(REAL).rows()
    world = _world(
        project,
        candles,
        wished(candles),
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
    candles = bridged(world.candles) if setting.gap == "bridge" else world.candles
    bars = {bar[0]: bar for bar in candles}
    drafts = drafts_of(world, bars, setting, form)
    valid = [draft for draft in drafts if draft[0] >= start_ms and _is_valid(draft, bars, setting)]
    return trades(candles, valid, setting.policy, setting.fee, setting.slippage, setting.average, end_ms)


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


def drafts_of(world: World, bars: dict[int, Bar], setting: Setting, form: str) -> list[Draft]:
    """What a form wishes at any time, found without the product."""
    if form == "signals":
        return world.wishes
    start_ms = setting.bounds_ms[0] - (HISTORY_MINUTES[form] + setting.average) * MINUTE_MS
    rows = closed_rows(bars, start_ms)
    prices = [price_at(bars, row[0], setting.average) for row in rows]
    if form == "vector":
        return faded(world.project, rows, prices)
    find, profit, stop, minutes = (broken_out, 0.011, 0.009, 50) if form == "rules" else (moved, 0.009, 0.007, 60)
    drafts: list[Draft] = []
    for at, price in enumerate(prices):
        sign = find(rows, at)
        if sign and price is not None:
            side = "long" if sign > 0 else "short"
            target = price + sign * (profit * price) if form == "rules" else price * (1 + sign * profit)
            drafts.append((rows[at][0], side, target, price * (1 - sign * stop), minutes))
    return drafts


def bridged(candles: Sequence[Bar]) -> list[Bar]:
    """Fill holes with flat candles without volume at the close before."""
    filled = [candles[0]]
    for bar in candles[1:]:
        close = filled[-1][4]
        missing = range(filled[-1][0] + MINUTE_MS, bar[0], MINUTE_MS)
        filled += [*((time, close, close, close, close, 0.0) for time in missing), bar]
    return filled


def closed_rows(bars: dict[int, Bar], start_ms: int) -> list[Row]:
    """Build the five-minute candles that open at or after the start of history."""
    names = ["time", "open", "high", "low", "close", "volume"]
    minutes = pl.DataFrame(list(bars.values()), schema=names, orient="row").with_columns(
        time=pl.col("time") // ROW_MS * ROW_MS
    )
    built = minutes.group_by("time", maintain_order=True).agg(
        pl.first("open"), pl.max("high"), pl.min("low"), pl.last("close"), pl.sum("volume")
    )
    first_ms = max(start_ms, min(bars))
    return built.filter(pl.col("time") >= first_ms).with_columns(time=pl.col("time") + ROW_MS).rows()


def broken_out(rows: Sequence[Row], at: int) -> int:
    """The sign of the rules: outside the range of the 20 candles before, with no candle missing among the 21."""
    if at < 20 or rows[at][0] - rows[at - 20][0] != 20 * ROW_MS:
        return 0
    before, close = rows[at - 20 : at], rows[at][4]
    return (close > max(row[2] for row in before)) - (close < min(row[3] for row in before))


def moved(rows: Sequence[Row], at: int) -> int:
    """The sign of the strategy per decision: a quarter percent over the last 12 candles that exist."""
    if at < 11:
        return 0
    percent = 100 * (rows[at][4] / rows[at - 11][4] - 1)
    return (percent >= 0.25) - (percent <= -0.25)


def faded(project: Path, rows: Sequence[Row], prices: Sequence[float | None]) -> list[Draft]:
    """The answer of the vectorised function itself, on candles built here."""
    spec = importlib.util.spec_from_file_location("fade_of_the_test", project / "strategies" / "fade.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    names = ["time", "open", "high", "low", "close", "volume"]
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(price=pl.Series(prices, dtype=pl.Float64))
    answer = module.fade(frame.lazy(), channel=15).collect()
    return [row for row in answer.rows() if row[1] is not None and row[2] is not None]


VARIANTS: dict[str, dict[str, Any]] = {
    "one-candle-average": {"average": 1},
    "other-costs": {"average": 3, "fee": 0.03, "slippage": 0.13, "policy": "touch"},
    "bridged-holes": {"gap": "bridge"},
}

each_form = pytest.mark.parametrize("form", FORMS)
each_policy = pytest.mark.parametrize("policy", POLICIES)


def test_the_kept_candles_are_what_the_script_makes() -> None:
    assert (PROJECT / "data" / "BTCUSDT_1m.csv").read_text() == candle_text(made_candles())


@each_form
@each_policy
def test_every_trade_is_the_one_of_the_oracle(world: World, policy: str, form: str) -> None:
    setting = Setting(range=world.range, policy=policy)
    assert taken(results(world, setting)[form]) == expected(world, setting, form)


@each_form
@each_policy
def test_both_sides_and_every_way_to_close_are_among_the_trades(world: World, policy: str, form: str) -> None:
    found = taken(results(world, Setting(range=world.range, policy=policy))[form])
    assert len(found) >= world.fewest_trades
    assert {trade[1] for trade in found} == {"long", "short"}
    reasons = {trade[5] for trade in found}
    assert reasons >= {"take_profit", "stop_loss", "time_expired"}
    assert form != "signals" or "end_of_data" in reasons


@each_form
@each_policy
def test_a_frame_that_ends_early_agrees_too(world: World, policy: str, form: str) -> None:
    setting = Setting(range=world.inner_range, policy=policy)
    found = taken(results(world, setting)[form])
    assert found
    assert found == expected(world, setting, form)


def test_a_frame_that_ends_early_is_followed_beyond_its_end(world: World) -> None:
    setting = Setting(range=world.inner_range)
    last = [taken(result)[-1] for result in results(world, setting).values()]
    assert all(trade[0] < setting.bounds_ms[1] for trade in last)
    assert any(trade[3] > setting.bounds_ms[1] for trade in last)


@each_form
@pytest.mark.parametrize("variant", VARIANTS)
def test_other_settings_agree_too(world: World, variant: str, form: str) -> None:
    setting = Setting(range=world.inner_range, **VARIANTS[variant])
    found = taken(results(world, setting)[form])
    assert found
    assert found == expected(world, setting, form)


@each_policy
def test_nothing_opens_at_the_end_and_a_lifetime_over_there_is_expired(tmp_path: Path, policy: str) -> None:
    end_ms, frame_end_ms = START_MS + 3005 * MINUTE_MS, START_MS + 24 * HOUR_MS
    starts = {START_MS + ROW_MS: 30, frame_end_ms: 30, end_ms - HOUR_MS: 60, end_ms: 60}
    bars = {bar[0]: bar for bar in made_candles()}
    prices = {now: price_at(bars, now, 5) or 0.0 for now in starts}
    wishes: list[Draft] = [(now, "long", prices[now] * 1.19, prices[now] * 0.81, starts[now]) for now in starts]
    world = _made_world(tmp_path / "project", wishes)
    short = Setting(range="2023-03-01..2023-03-02", policy=policy)
    whole = Setting(range=world.range, policy=policy)
    found = {setting: taken(results(world, setting)["signals"]) for setting in (short, whole)}
    assert found == {setting: expected(world, setting, "signals") for setting in (short, whole)}
    assert [trade[0] for trade in found[short]] == [START_MS + ROW_MS]
    assert [trade[0] for trade in found[whole]] == [START_MS + ROW_MS, frame_end_ms, end_ms - HOUR_MS]
    assert found[whole][-1][3:6:2] == (end_ms, "time_expired")


@each_form
def test_events_tell_the_same_trades(world: World, form: str) -> None:
    result = results(world, Setting(range=world.range))[form]
    opened = [event for event in result.events() if isinstance(event, Opened)]
    closed = [event for event in result.events() if isinstance(event, Closed)]
    told = [
        (
            start.signal.decided_at,
            start.signal.position.value,
            start.signal.price_open,
            end.time_ms,
            end.price,
            end.reason.value,
            end.pnl_percent,
        )
        for start, end in zip(opened, closed, strict=True)
    ]
    assert told == taken(result)
    assert [event.signal for event in opened] == [event.signal for event in closed]
    assert [event.time_ms for event in opened] == [event.opened_at for event in closed]


@each_form
def test_trades_keep_the_levels_and_the_lifetime_of_their_drafts(world: World, form: str) -> None:
    setting = Setting(range=world.range)
    found = results(world, setting)[form].trades
    drafts = {draft[0]: draft for draft in drafts_of(world, world.bars, setting, form)}
    columns = (found.price_take_profit, found.price_stop_loss, found.lifetime_minutes)
    decided = found.decided_ms.tolist()
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == [drafts[time][2:] for time in decided]
    assert found.opened_ms.tolist() == decided


def test_the_made_candles_hold_the_hard_cases(tmp_path: Path) -> None:
    world = _made_world(tmp_path / "project")
    honest, touch = (results(world, Setting(range=world.range, policy=policy)) for policy in ("honest", "touch"))
    met = {
        "exact touch": sum(_is_exact(world, trade) for trade in _with_levels(honest)),
        "gap through a stop": sum(
            trade[0][5] == "stop_loss" and trade[0][4] != trade[2] for trade in _with_levels(touch)
        ),
        "both levels in one minute": sum(_holds_both(world, trade) for trade in _with_levels(touch)),
        "hole in a position": sum(_is_holed(world, trade) for trade, *_ in _with_levels(honest)),
        "lifetime over in a hole": sum(
            trade[5] == "time_expired" and trade[3] > trade[0] + minutes * MINUTE_MS
            for trade, _, _, minutes in _with_levels(honest)
        ),
        "no volume": sum(_is_silent(world, trade) for trade, *_ in _with_levels(honest)),
    }
    assert {name: count for name, count in met.items() if count < 3} == {}


Held = tuple[Trade, float, float, float]
"""A trade with its take profit, stop loss and lifetime."""


def _with_levels(found: dict[str, StreamResult]) -> list[Held]:
    held: list[Held] = []
    for result in found.values():
        columns = (
            result.trades.price_take_profit,
            result.trades.price_stop_loss,
            result.trades.lifetime_minutes,
        )
        held += zip(taken(result), *(column.tolist() for column in columns), strict=True)
    return held


def _is_exact(world: World, held: Held) -> bool:
    trade, profit, stop, _ = held
    return price_at(world.bars, trade[3], 5) in (profit, stop)


def _holds_both(world: World, held: Held) -> bool:
    trade, profit, stop, _ = held
    _, _, high, low, _, _ = world.bars[trade[3] - MINUTE_MS]
    return low <= min(profit, stop) and high >= max(profit, stop)


def _is_holed(world: World, trade: Trade) -> bool:
    return any(time not in world.bars for time in range(trade[0], trade[3], MINUTE_MS))


def _is_silent(world: World, trade: Trade) -> bool:
    """Whether entry or exit is the mean of closes."""
    windows = (range(now - 5 * MINUTE_MS, now, MINUTE_MS) for now in (trade[0], trade[3]))
    return any(not any(world.bars[time][5] for time in window if time in world.bars) for window in windows)
