"""Random worlds of many streams that share risk profiles: always ten candidates for one place, at equal times.

Every stream wants a position at nearly every decision time, and all have the same decision times, so that markets,
limit entries and freed places compete at one instant. A seed decides a world.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from worlds import POLICIES, START_MS, World, random_candles

from backtestkit_cli.engine.account import Account
from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.engine.gate import Ledger, RiskProfile, Sized, Sizer, SizingQuestion
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.vwap import vwap_all
from backtestkit_cli.engine.walk import walk_together
from backtestkit_cli.model.event import Closed, Event, Opened
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import Costs
from backtestkit_cli.model.signal import Signal
from backtestkit_cli.model.time import MINUTE_MS

MINUTES, FIRST, LAST = 26, 5, 18
KINDS = ("max_positions", "max_per_symbol", "max_per_strategy", "max_long", "max_short")
CANDIDATES_PER_PLACE = 10


@dataclass(frozen=True)
class RiskWorld:
    """Streams and the profiles of each strategy; with `is_sized` they share a balance, and some sizes are nothing."""

    streams: tuple[World, ...]
    profiles: dict[str, list[RiskProfile]]
    is_sized: bool

    def walked(self, order: Sequence[int], *, tells_idle: bool = False) -> tuple[list[Event], list[Funnel]]:
        """Walk the streams, given in that order, against a new ledger; funnels stand in the order of `streams`."""
        ledger = self._ledger()
        walks = {place: self.streams[place].walk() for place in order}
        for walk in walks.values():
            walk.ledger, walk.tells_idle = ledger, tells_idle
        events = list(walk_together(list(walks.values())))
        return events, [walks[place].funnel for place in range(len(walks))]

    def _ledger(self) -> Ledger:
        if not self.is_sized:
            return Ledger(self.profiles)
        sizer: Sizer = share_of_equity
        sizers = {(one.terms.strategy, one.terms.symbol): sizer for one in self.streams}
        return Ledger(self.profiles, account=Account(10_000.0), sizers=sizers)


def risk_world(seed: int) -> RiskWorld:
    """A world of one seed: a limit of one kind, or two profiles for some strategies."""
    random = Random(seed)
    places, kind = random.randint(1, 3), KINDS[seed % len(KINDS)]
    names, symbols = _names(kind, places * CANDIDATES_PER_PLACE)
    first = _profile("first", kind, places)
    profiles = {name: [first] for name in names}
    if random.random() < 0.4:
        second = _profile("second", random.choice(KINDS), random.randint(1, 3))
        for name in random.sample(names, max(1, len(names) // 2)):
            profiles[name].insert(random.randint(0, 1), second)
    policy, side = random.choice(POLICIES), {"max_long": 1, "max_short": -1}.get(kind)
    limits = Limits(average_price_candles=1, min_take_profit_percent=0.1, min_stop_loss_percent=0.1)
    ticks = START_MS + MINUTE_MS * np.arange(FIRST, LAST, dtype=np.int64)
    streams = []
    for symbol in symbols:
        candles = random_candles(random, MINUTES, holes=False)
        for name in names:
            terms = Terms(strategy=name, symbol=symbol, policy=policy, costs=Costs(), limits=limits)
            streams.append(World(candles, eager_rows(random, candles, side), ticks, terms))
    return RiskWorld(tuple(streams), profiles, is_sized=random.random() < 0.5)


def share_of_equity(question: SizingQuestion) -> Sized:
    """A tenth of the equity, so that an order of closings would show; at some minutes nothing."""
    if question.time_ms // MINUTE_MS % 2 == 0:
        return Sized(0.0, "below_step", "too small")
    return Sized(question.equity / 10 / question.signal.price_open)


def _names(kind: str, candidates: int) -> tuple[list[str], list[str]]:
    """Strategies and symbols, so that all candidates share what is limited."""
    rows = {"max_per_symbol": candidates, "max_per_strategy": 1}.get(kind, candidates // 5)
    return [f"strategy {row}" for row in range(rows)], [f"SYMBOL{row}" for row in range(candidates // rows)]


def _profile(name: str, kind: str, places: int) -> RiskProfile:
    return RiskProfile(name=name, **{kind: places})  # type: ignore[arg-type]  # kinds are limits


def eager_rows(random: Random, candles: Candles, side: int | None) -> DraftColumns:
    """A draft at nearly every minute, half of them limit entries; levels are near, lifetimes short."""
    price = vwap_all(candles, 1)
    rows = [row for row in range(FIRST, LAST) if random.random() < 0.9]
    count = len(rows)
    now = price[np.array(rows) - 1]
    sides = np.array([side or random.choice([1, -1]) for _ in rows], dtype=np.int8)
    is_limit = np.array([random.random() < 0.5 for _ in rows])
    entry = now - sides * np.array([random.choice([0.5, 1.0]) for _ in rows])
    way = np.array([random.choice([1.0, 2.0, 3.0]) for _ in rows])
    none = np.zeros(count, dtype=bool)
    return DraftColumns(
        time_ms=START_MS + MINUTE_MS * np.array(rows, dtype=np.int64),
        side=sides,
        ambiguous=none,
        warm_up=none,
        short_history=none,
        price_open=np.where(is_limit, entry, np.nan),
        has_price_open=is_limit,
        price_take_profit=np.where(is_limit, entry, now) + sides * way,
        price_stop_loss=np.where(is_limit, entry, now) - sides * way,
        lifetime_minutes=np.array([float(random.randint(1, 5)) for _ in rows]),
        wait_minutes=np.array([float(random.randint(1, 4)) for _ in rows]),
        distance_problem=np.zeros(count, dtype=np.int8),
    )


def holdings(events: Sequence[Event]) -> Iterator[tuple[Event, list[Signal]]]:
    """Each event with the positions that are held after it, told by events alone."""
    held: dict[tuple[str, str], Signal] = {}
    for event in events:
        match event:
            case Opened(signal=signal):
                held[signal.strategy, signal.symbol] = signal
            case Closed(signal=signal):
                del held[signal.strategy, signal.symbol]
            case _:
                pass
        yield event, list(held.values())


def counts_of(held: Sequence[Signal], signal: Signal) -> Counter[str]:
    """What a limit of each kind counts, for that signal."""
    return Counter(
        {
            "max_positions": len(held),
            "max_per_symbol": sum(one.symbol == signal.symbol for one in held),
            "max_per_strategy": sum(one.strategy == signal.strategy for one in held),
            "max_long": sum(one.is_long for one in held) if signal.is_long else 0,
            "max_short": 0 if signal.is_long else sum(not one.is_long for one in held),
        }
    )
