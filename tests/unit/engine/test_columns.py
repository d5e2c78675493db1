"""The column form where the worlds of the property test do not come: many long trades, limits that are off."""

from dataclasses import replace

import numpy as np
import pytest
from worlds import START_MS, World, random_world

from backtestkit_cli.engine.candles import Candles, Floats
from backtestkit_cli.engine.columns import levels
from backtestkit_cli.engine.columns.candidates import _is_clearly_valid
from backtestkit_cli.engine.draft import TOLERANCE_PERCENT, broken_rules
from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.engine.result import ToldEvents
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.model.event import LevelReached
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import PRESETS, Costs
from backtestkit_cli.model.time import MINUTE_MS

OFF = Limits(min_take_profit_percent=0, min_stop_loss_percent=0, max_stop_loss_percent=0, max_lifetime_minutes=0)
ONE_CHANGED = [
    Limits(min_take_profit_percent=0),
    Limits(min_stop_loss_percent=0),
    Limits(max_stop_loss_percent=0),
    Limits(max_lifetime_minutes=0),
    Limits(long_only=True),
]
EXACTLY = [  # a distance of 2 percent lies on the limit itself, its tolerance counted
    Limits(min_take_profit_percent=2 + TOLERANCE_PERCENT),
    Limits(min_stop_loss_percent=2 + TOLERANCE_PERCENT),
    Limits(max_stop_loss_percent=2 - TOLERANCE_PERCENT),
]


def column(random: np.random.Generator, values: list[float], count: int) -> Floats:
    return random.choice(np.array(values, dtype=np.float64), count)


@pytest.mark.parametrize("limits", [Limits(), OFF, *ONE_CHANGED, *EXACTLY])
def test_a_draft_is_clearly_valid_where_no_rule_is_broken(limits: Limits) -> None:
    random, count = np.random.default_rng(7), 20_000
    edge = TOLERANCE_PERCENT
    up = [0.5, 0.5 - edge / 2, 0.5 - 3 * edge, 0.4, 0.0, -1.0, 2.0, 20.0, 20.0 + edge / 2, 20.0 + 3 * edge, 21.0]
    odd = [0.0, -1.0, np.nan, np.inf]
    is_long, is_market = random.random(count) < 0.5, random.random(count) < 0.5
    sign = np.where(is_long, 1.0, -1.0)
    entry = column(random, [100.0] * 20 + odd, count)
    given = {
        "price": column(random, [100.0, 100.0, 98.0, 100.5, 99.5, 102.0], count),  # a market has a price
        "take_profit": 100 + sign * column(random, [*up, np.nan], count),
        "stop_loss": np.where(
            random.random(count) < 0.05, column(random, odd, count), 100 - sign * column(random, up, count)
        ),
        "lifetime": column(random, [1, 60, 1440, 1441, 2.5, *odd], count),
        "wait": column(random, [1, 30, 1440, 1441, 2.5, 0, np.nan], count),
    }
    found = _is_clearly_valid(
        sign,
        is_market,
        given["price"],
        entry,
        given["take_profit"],
        given["stop_loss"],
        given["lifetime"],
        given["wait"],
        limits,
    )
    rules = broken_rules(is_long=is_long, is_scheduled=~is_market, price_open=entry, limits=limits, **given)
    broken = np.zeros(count, dtype=bool)
    for _, where in rules:
        broken |= where
    assert np.flatnonzero(found == broken).tolist() == []
    assert found.sum() > 100


def dense_world(minutes: int, lifetimes: Floats, policy: str) -> World:
    """A draft at every minute on a market that moves a little; a trade ends with its time or at a level."""
    random = np.random.default_rng(3)
    close = 100 + np.round(np.cumsum(random.choice([-0.05, 0.0, 0.05], minutes)), 2)
    candles = Candles(
        start_ms=START_MS, open=close, high=close + 0.05, low=close - 0.05, close=close, volume=np.ones(minutes)
    )
    rows = np.arange(1, minutes)
    count = len(rows)
    time_ms = START_MS + rows * MINUTE_MS
    nothing = np.zeros(count, dtype=bool)
    side = np.where(np.arange(count) % 3, 1, -1)
    drafts = DraftColumns(
        time_ms=time_ms,
        side=side.astype(np.int8),
        ambiguous=nothing,
        warm_up=nothing,
        short_history=nothing,
        price_open=np.full(count, np.nan),
        has_price_open=nothing,
        price_take_profit=close[rows - 1] + side * 9.0,
        price_stop_loss=close[rows - 1] - side * 9.0,
        lifetime_minutes=lifetimes[:count].astype(np.float64),
        wait_minutes=np.full(count, np.nan),
        distance_problem=np.zeros(count, dtype=np.int8),
    )
    terms = Terms(strategy="s", symbol="X", policy=PRESETS[policy], costs=Costs(), limits=Limits())
    return World(candles, drafts, time_ms, terms)


LONG, SHORT = np.full(14_000, 700.0), np.full(14_000, 1.0)
MIXED = np.concatenate([np.full(3_000, 700.0), np.full(4_000, 1.0), np.full(3_000, 400.0), np.full(4_000, 2.0)])


@pytest.mark.parametrize(
    ("lifetimes", "policy"),
    [
        pytest.param(LONG, "honest", id="long"),
        pytest.param(MIXED, "honest", id="long and short"),
        pytest.param(MIXED, "touch", id="by touch"),
        pytest.param(SHORT, "vwap", id="short"),
    ],
)
def test_however_many_drafts_a_trade_outlives_the_same_are_taken(lifetimes: Floats, policy: str) -> None:
    world = dense_world(14_000, lifetimes, policy)
    events, funnel = world.leapt()
    result = world.in_columns()
    assert list(result.events()) == events
    assert result.funnel == funnel


def test_a_stream_without_a_draft_has_ticks_alone() -> None:
    world = dense_world(300, LONG, "honest")
    nothing = replace(world, rows=replace(world.rows, side=np.zeros(len(world.rows), dtype=np.int8)))
    result = nothing.in_columns()
    assert (list(result.events()), len(result.trades)) == ([], 0)
    assert result.funnel == nothing.walked()[1]
    empty = replace(world, ticks=world.ticks[:0])
    assert list(empty.in_columns().events()) == []


def test_a_single_tick_is_a_grid_of_its_own() -> None:
    world = dense_world(300, LONG, "honest")
    single = replace(world, ticks=world.ticks[40:41])
    assert list(single.in_columns().events()) == single.walked()[0]
    assert len(single.in_columns().trades) == 1
    assert single.in_columns().funnel == single.walked()[1]


@pytest.mark.parametrize("ends", [slice(0, 3), slice(1, 2), slice(290, 300), slice(299, 302)])
def test_decisions_at_the_ends_of_the_candles_are_counted_as_walk_counts_them(ends: slice) -> None:
    world = dense_world(300, LONG, "honest")
    minutes = np.arange(0, 310, dtype=np.int64)[ends]
    quiet = replace(world.rows, side=np.zeros(len(world.rows), dtype=np.int8))
    cut = replace(world, ticks=world.candles.start_ms + minutes * MINUTE_MS, rows=quiet)
    assert cut.in_columns().funnel == cut.walked()[1]


def test_decisions_on_filled_in_minutes_are_counted_as_walk_counts_them() -> None:
    counted = []
    for seed in range(60):
        world = random_world(seed)
        walk = world.walk()
        events = list(walk.run())
        result = world.in_columns()
        assert list(result.events()) == events
        assert result.bridged_decisions == walk.bridged_decisions, seed
        counted.append(walk.bridged_decisions)
    assert sum(count > 0 for count in counted) > 5


def test_without_levels_the_rest_of_the_story_is_the_same() -> None:
    told = 0
    for seed in range(20):
        result = random_world(seed).in_columns()
        whole = list(result.events())
        rest = [event for event in whole if not isinstance(event, LevelReached)]
        assert list(result.events(with_levels=False)) == rest, seed
        assert list(ToldEvents(tuple(whole))(with_levels=False)) == rest, seed
        assert list(ToldEvents(tuple(whole))()) == whole, seed
        told += len(whole) - len(rest)
    assert told > 100


@pytest.mark.parametrize("minutes", [1, 100])
def test_levels_are_the_same_however_many_positions_are_looked_at_together(
    minutes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    worlds = [random_world(seed) for seed in range(20)]
    whole = [list(world.in_columns().events()) for world in worlds]
    monkeypatch.setattr(levels, "_BLOCK_MINUTES", minutes)
    assert [list(world.in_columns().events()) for world in worlds] == whole
    assert sum(isinstance(event, LevelReached) for story in whole for event in story) > 100
