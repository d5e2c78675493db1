"""Random worlds for laws of the engine: candles with holes and dead minutes, drafts near the market, policies.

Prices lie on a coarse grid and moves are big, so that rare things (gaps, both levels in one minute, exact touches)
happen often. A seed decides a world.
"""

from dataclasses import dataclass, replace
from itertools import product
from random import Random

import numpy as np

from backtestkit_cli.engine.candles import Candles, Ints
from backtestkit_cli.engine.columns import run_columns
from backtestkit_cli.engine.decide import RowDecider, decision_ticks
from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.engine.leap import leap
from backtestkit_cli.engine.result import StreamResult
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.vwap import vwap_all
from backtestkit_cli.engine.walk import StreamWalk, off_grid_rows
from backtestkit_cli.model.event import Event, Opened, Scheduled
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import Costs, FillPolicy, policy_keys
from backtestkit_cli.model.time import MINUTE_MS

START_MS = 1_704_067_200_000
POLICIES = [
    FillPolicy(**dict(zip(policy_keys(), values, strict=True)))  # type: ignore[arg-type]  # legal values by construction
    for values in product(*policy_keys().values())
]


@dataclass(frozen=True)
class World:
    """One stream with everything it needs."""

    candles: Candles
    rows: DraftColumns
    ticks: Ints
    terms: Terms
    stop_ms: int | None = None

    def walked(self, *, tells_idle: bool = False) -> tuple[list[Event], Funnel]:
        walk = self.walk()
        walk.tells_idle = tells_idle
        events = list(walk.run())
        walk.funnel.off_grid = off_grid_rows(self.rows.time_ms[self.rows.side != 0], self.ticks)
        return events, walk.funnel

    def leapt(self) -> tuple[list[Event], Funnel]:
        walk = self.walk()
        events = list(leap(walk))
        walk.funnel.off_grid = off_grid_rows(self.rows.time_ms[self.rows.side != 0], self.ticks)
        return events, walk.funnel

    def walk(self) -> StreamWalk:
        return StreamWalk(
            candles=self.candles,
            price=vwap_all(self.candles, self.terms.limits.average_price_candles),
            ticks=self.ticks,
            decider=RowDecider(self.rows),
            terms=self.terms,
            stop_ms=self.stop_ms,
        )

    def in_columns(self) -> StreamResult:
        return run_columns(self.candles, self.rows, self.ticks, self.terms, self.stop_ms)


def random_candles(random: Random, minutes: int, *, holes: bool = True) -> Candles:
    """A random walk on a grid of 0.5 around 100."""
    price, rows = 100.0, []
    hole, often = 0, random.choice([0.01, 0.12])
    for minute in range(minutes):
        if holes and hole == 0 and random.random() < often:
            hole = random.choice([1, 2, 5, 12])
        jump = random.choice([-2.0, -1.5, -0.5, 0.5, 1.5, 2.0]) if random.random() < 0.16 else 0.0
        opened = max(20.0, price + jump)
        close = max(20.0, opened + random.choice([-1.0, -0.5, 0.0, 0.0, 0.5, 1.0]))
        high = max(opened, close) + random.choice([0.0, 0.0, 0.5, 2.0])
        low = max(10.0, min(opened, close) - random.choice([0.0, 0.0, 0.5, 2.0]))
        volume = 0.0 if random.random() < 0.3 or minute % 97 < 8 else float(random.randint(1, 9))
        if hole and 0 < minute < minutes - 1:
            hole -= 1
        else:
            rows.append((START_MS + minute * MINUTE_MS, opened, high, low, close, volume))
        price = close
    table = np.array(rows, dtype=np.float64)
    bridge = holes and random.random() < 0.3
    return Candles.from_rows(
        table[:, 0].astype(np.int64), *(table[:, column].copy() for column in range(1, 6)), bridge=bridge
    )


def random_world(seed: int) -> World:
    """A world of one seed."""
    random = Random(seed)
    candles = random_candles(random, random.randint(120, 500), holes=random.random() < 0.7)
    limits = Limits(
        average_price_candles=random.choice([1, 1, 2, 5]),
        schedule_await_minutes=random.choice([3, 10, 30]),
        min_take_profit_percent=0.4,
        min_stop_loss_percent=0.3,
        max_lifetime_minutes=random.choice([60, 1440]),
        long_only=seed % 16 == 5,
    )
    interval = random.choice([1, 1, 3, 5])
    first = random.choice([0, 0, 7, 10]) * MINUTE_MS
    frame_end = START_MS + random.choice([60, 200, 400, 600]) * MINUTE_MS
    ticks = decision_ticks(START_MS + first, frame_end, random.choice([1, 1, 2]) * MINUTE_MS, interval * MINUTE_MS)
    terms = Terms(
        strategy="s",
        symbol="X",
        policy=random.choice(POLICIES),
        costs=Costs(fee_percent=random.choice([0.0, 0.1]), slippage_percent=random.choice([0.0, 0.1])),
        limits=limits,
    )
    world = World(candles, random_rows(random, candles, limits, frame_end), ticks, terms)
    return with_stop(random, world) if random.random() < 0.4 else world


def with_stop(random: Random, world: World) -> World:
    """The world with a stop request: soon after an entry began to wait or to be held, or anywhere, at any instant."""
    kind = random.choice([Scheduled, Scheduled, Scheduled, Opened, Opened, None])
    begun = [event.time_ms for event in world.walked()[0] if kind is not None and isinstance(event, kind)]
    time_ms = random.choice(begun or [START_MS + random.randint(-2, len(world.candles) + 3) * MINUTE_MS])
    return replace(world, stop_ms=time_ms + random.choice([0, 0, 1, 2]) * MINUTE_MS + random.choice([0, 1, 59_999]))


def random_rows(random: Random, candles: Candles, limits: Limits, frame_end: int) -> DraftColumns:
    """Drafts around the price at their time; some sit on prices that will be seen, some make no sense."""
    price = vwap_all(candles, limits.average_price_candles)
    share, limits_from = random.choice([0.1, 0.3, 0.9]), random.choice([0.0, 0.0, 0.7])  # the last: no market entries
    columns: dict[str, list[float]] = {name: [] for name in ("time", "side", "open", "profit", "stop", "life", "wait")}
    marks: list[tuple[bool, bool, bool, int]] = []
    for row in range(1, min(len(candles), (frame_end - START_MS) // MINUTE_MS) + 3):
        last_chance = row == len(candles) - 3
        if random.random() > share and not last_chance:
            continue
        seen = price[min(row, len(price)) - 1]
        now = float(seen) if not np.isnan(seen) else 100.0
        side = random.choice([1, -1])
        later = price[min(len(price) - 1, row + random.randint(0, 6))]
        profit = now + side * random.choice([0.5, 1.0, 2.0, 4.0]) if random.random() < 0.8 else float(later)
        stop = now - side * random.choice([0.5, 1.0, 2.0, 4.0]) if random.random() < 0.8 else float(later)
        kind = random.uniform(limits_from, 1)
        opened = np.nan if kind < 0.6 else now - side * random.choice([-0.5, 0.0, 0.5, 1.0, 2.0])
        tight = 0.78 < kind < 0.97
        if tight:
            stop = opened - side * random.choice([0.4, 0.5])
        if last_chance:
            far = now - side * 6.0
            opened, profit, stop = random.choice([(far, now, far - side), (np.nan, now + side * 9, now - side * 9)])
        if random.random() < 0.05:
            profit, stop = random.choice([(stop, profit), (np.nan, stop), (profit, -1.0), (np.inf, stop)])
        life = (
            random.choice([1, 2, 5, 15, 60, 60, 300, 1.5, 0]) if random.random() < 0.3 else random.choice([5, 15, 60])
        )
        wait = 20 if last_chance else random.choice([1, 1, 1, 20] if tight else [np.nan, 1, 2, 2, 3, 5, 20])
        if random.random() < 0.02:
            wait = random.choice([0, 1.5, 2000])
        for name, value in zip(
            columns,
            (START_MS + row * MINUTE_MS, side, opened, profit, stop, life, wait),
            strict=True,
        ):
            columns[name].append(float(value))
        quirk = random.random()
        marks.append((quirk < 0.01, 0.01 < quirk < 0.02, quirk > 0.98, 1 if 0.02 < quirk < 0.03 else 0))
    table = {name: np.array(values, dtype=np.float64) for name, values in columns.items()}
    flags = np.array(marks, dtype=np.int64).reshape(len(marks), 4)
    sides = np.where(flags[:, 0] + flags[:, 1] > 0, 0, table["side"]).astype(np.int8)
    return DraftColumns(
        time_ms=table["time"].astype(np.int64),
        side=sides,
        ambiguous=flags[:, 0].astype(bool),
        warm_up=flags[:, 1].astype(bool),
        short_history=flags[:, 2].astype(bool),
        price_open=table["open"],
        has_price_open=~np.isnan(table["open"]),
        price_take_profit=table["profit"],
        price_stop_loss=table["stop"],
        lifetime_minutes=table["life"],
        wait_minutes=table["wait"],
        distance_problem=flags[:, 3].astype(np.int8),
    )
