"""Laws of the engine: what must hold for every market, draft and policy."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import START_MS, World, random_world

from backtestkit_cli.engine.candles import Candles, Floats
from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.trades import Trades
from backtestkit_cli.model.event import Event
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import PRESETS, Costs
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.model.trade import pnl_percent

SEEDS = st.integers(0, 2**31)
FREE = Costs(fee_percent=0.0, slippage_percent=0.0)


def first_rows(candles: Candles, count: int) -> Candles:
    return Candles(
        start_ms=candles.start_ms,
        open=candles.open[:count],
        high=candles.high[:count],
        low=candles.low[:count],
        close=candles.close[:count],
        volume=candles.volume[:count],
        present=None if candles.present is None else candles.present[:count],
        bridged=None if candles.bridged is None else candles.bridged[:count],
    )


@given(seed=SEEDS, share=st.floats(0.2, 0.9))
@settings(max_examples=60, deadline=None)
def test_what_happened_does_not_change_when_later_candles_are_cut_off(seed: int, share: float) -> None:
    world = random_world(seed)
    count = max(10, int(len(world.candles) * share))
    if world.candles.present is not None:
        count = int(np.flatnonzero(world.candles.present[:count])[-1]) + 1
    end_ms = world.candles.time(count)
    shorter = replace(world, candles=first_rows(world.candles, count))

    def before(events: list[Event]) -> list[Event]:
        return [event for event in events if event.time_ms < end_ms]

    assert before(shorter.walked()[0]) == before(world.walked()[0])
    assert before(list(shorter.in_columns().events())) == before(list(world.in_columns().events()))


@given(seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_every_trade_stays_inside_the_rules(seed: int) -> None:
    world = random_world(seed)
    trades = world.in_columns().trades
    assert (np.diff(trades.opened_ms) >= 0).all()
    assert (trades.opened_ms[1:] >= trades.closed_ms[:-1]).all()
    assert (trades.closed_ms >= trades.opened_ms).all()
    assert (trades.opened_ms >= trades.decided_ms).all()
    waited = trades.opened_ms > trades.decided_ms
    assert (trades.opened_ms[waited] - trades.decided_ms[waited] <= 120 * MINUTE_MS).all()


@given(
    is_long=st.booleans(),
    price_open=st.floats(0.01, 1e6),
    price_close=st.floats(0.01, 1e6),
    fee=st.floats(0, 5),
    slippage=st.floats(0, 5),
    more_fee=st.floats(0, 5),
    more_slippage=st.floats(0, 5),
)
def test_more_cost_never_gives_more_pnl(
    is_long: bool,
    price_open: float,
    price_close: float,
    fee: float,
    slippage: float,
    more_fee: float,
    more_slippage: float,
) -> None:
    less = pnl_percent(is_long, price_open, price_close, Costs(fee_percent=fee, slippage_percent=slippage))
    more_costs = Costs(fee_percent=fee + more_fee, slippage_percent=slippage + more_slippage)
    more = pnl_percent(is_long, price_open, price_close, more_costs)
    assert more <= less + 1e-9 * max(1.0, abs(less))


@given(seed=SEEDS)
@settings(max_examples=40, deadline=None)
def test_costs_change_no_fill_and_never_help(seed: int) -> None:
    world = random_world(seed)
    cheap = replace(world, terms=replace(world.terms, costs=FREE)).in_columns().trades
    dear = replace(world, terms=replace(world.terms, costs=Costs(fee_percent=0.3, slippage_percent=0.2)))
    costly = dear.in_columns().trades
    for name in ("opened_ms", "closed_ms", "price_open", "price_close", "reason"):
        assert np.array_equal(getattr(cheap, name), getattr(costly, name))
    assert (costly.pnl_percent < cheap.pnl_percent).all()


@given(price=st.floats(0.001, 1e6), volume=st.just(0.0) | st.floats(1e-9, 1e6), policy=st.sampled_from(sorted(PRESETS)))
@settings(deadline=None)
def test_a_flat_price_without_costs_gives_no_pnl(price: float, volume: float, policy: str) -> None:
    flat = np.full(200, price)
    candles = Candles(start_ms=START_MS, open=flat, high=flat, low=flat, close=flat, volume=np.full(200, volume))
    trades = one_draft(candles, policy, 1, price * 1.05, price * 0.95, 30).in_columns().trades
    assert len(trades) == 1
    assert abs(trades.pnl_percent[0]) <= 1e-12


@pytest.mark.parametrize("policy", sorted(PRESETS))
@given(seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_a_long_mirrors_a_short_on_reflected_prices(policy: str, seed: int) -> None:
    random = Random(seed)
    steps = np.array([random.choice([-0.7, -0.2, 0.0, 0.2, 0.7]) for _ in range(120)])
    close = 100.0 + np.cumsum(steps)
    opened = np.concatenate(([100.0], close[:-1]))
    high = np.maximum(opened, close) + np.array([random.choice([0.0, 0.3]) for _ in range(120)])
    low = np.minimum(opened, close) - np.array([random.choice([0.0, 0.3]) for _ in range(120)])
    volume = np.array([float(random.randint(0, 3)) for _ in range(120)])
    candles = Candles(start_ms=START_MS, open=opened, high=high, low=low, close=close, volume=volume)
    entry = one_draft(candles, policy, 1, 1000.0, 1.0, 1, free_limits=True).in_columns().trades.price_open[0]

    def reflected(prices: Floats) -> Floats:
        return np.asarray(2 * entry - prices)

    mirror = Candles(
        start_ms=START_MS,
        open=reflected(opened),
        high=reflected(low),
        low=reflected(high),
        close=reflected(close),
        volume=volume,
    )
    # levels off the price grid: an exact touch would depend on the rounding of the reflection
    profit, stop = entry + 1.1237, entry - 1.3391
    long = one_draft(candles, policy, 1, profit, stop, 60).in_columns().trades
    short = one_draft(mirror, policy, -1, 2 * entry - profit, 2 * entry - stop, 60).in_columns().trades
    assert summary(long) == summary(short)
    assert long.pnl_percent == pytest.approx(short.pnl_percent, abs=1e-9)


def summary(trades: Trades) -> list[tuple[int, int, int]]:
    return list(zip(trades.opened_ms.tolist(), trades.closed_ms.tolist(), trades.reason.tolist(), strict=True))


def one_draft(
    candles: Candles,
    policy: str,
    side: int,
    take_profit: float,
    stop_loss: float,
    minutes: int,
    *,
    free_limits: bool = False,
) -> World:
    """A world with a single market draft after ten minutes, without costs."""
    none = np.zeros(1, dtype=bool)
    nothing = np.array([np.nan])
    rows = DraftColumns(
        time_ms=np.array([START_MS + 10 * MINUTE_MS]),
        side=np.array([side], dtype=np.int8),
        ambiguous=none,
        warm_up=none,
        short_history=none,
        price_open=nothing,
        has_price_open=none,
        price_take_profit=np.array([take_profit]),
        price_stop_loss=np.array([stop_loss]),
        lifetime_minutes=np.array([float(minutes)]),
        wait_minutes=nothing,
        distance_problem=np.zeros(1, dtype=np.int8),
    )
    limits = Limits(max_stop_loss_percent=0.0) if free_limits else Limits()
    terms = Terms(strategy="s", symbol="X", policy=PRESETS[policy], costs=FREE, limits=limits)
    ticks = START_MS + MINUTE_MS * np.arange(1, 100, dtype=np.int64)
    return World(candles, rows, ticks, terms)
