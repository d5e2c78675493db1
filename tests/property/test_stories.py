"""A story tells what the run did: its figures are those of the events, and its gates are counted by the funnel."""

from collections import Counter

import numpy as np
import pytest
from worlds import World, random_world

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.walk import walk_together
from backtestkit_cli.engine.watch import GATES, WatchedWalk, watched
from backtestkit_cli.measure.booking import worst_of
from backtestkit_cli.measure.story import Decision, Heard, Life, Nearest
from backtestkit_cli.measure.telling import decision_of, held_at, life_of
from backtestkit_cli.model.event import (
    Active,
    Cancelled,
    CancelReason,
    Closed,
    CloseReason,
    DraftRefused,
    Event,
    Opened,
    Scheduled,
)
from backtestkit_cli.model.signal import Flat, SignalDraft, WaitingEntry

WORLDS = 50
FUNNELS = 3
ENOUGH = 40
TOLERANCE = 1e-9
UNREACHED = {f"cancelled {CancelReason.RISK}", f"cancelled {CancelReason.NO_QUANTITY}"}
"""What a stream alone never comes across."""


def watch(world: World, moment_ms: int) -> tuple[WatchedWalk, list[Event], list[Active]]:
    """Walk a world once more, watched at an instant: its events but active ones, and the active ones of its signal."""
    walk = watched(world.walk(), moment_ms)
    walk.tells_active = True
    told = list(walk_together([walk]))
    path = [one for one in told if isinstance(one, Active) and one.signal.decided_at == moment_ms]
    return walk, [one for one in told if not isinstance(one, Active)], path


def tell(world: World, moment_ms: int) -> tuple[Decision, Life | None, WatchedWalk, list[Event]]:
    walk, events, path = watch(world, moment_ms)
    decision = decision_of(walk, None, Heard())
    assert decision is not None
    return decision, life_of(walk, events, decision, Heard(path=path)), walk, events


def test_the_figures_of_every_story_are_those_of_the_events() -> None:
    met: Counter[str] = Counter()
    for seed in range(WORLDS):
        world = random_world(seed)
        events, _ = world.walked()
        for event in events:
            if not isinstance(event, Closed | Cancelled) or met[f"{event.kind} {event.reason}"] >= ENOUGH:
                continue
            decision, life, walk, told = tell(world, event.signal.decided_at)
            assert told == events, seed
            assert life is not None
            assert decision.signal is not None
            assert decision.entry is not None
            assert decision.entry.price == event.signal.price_open
            assert not any(one.is_broken for one in decision.figures)
            assert (life.closed or life.cancelled) == event, seed
            assert (life.scheduled is None) == decision.entry.is_market
            met[f"{event.kind} {event.reason}"] += 1
            if isinstance(event, Cancelled):
                assert life.nearest_entry == nearest(world.candles, event), seed
            if isinstance(event, Closed):
                ending = life.ending
                assert ending is not None
                assert worst_of(ending.counts, is_long=event.signal.is_long) == event.price, seed
                assert ending.steps.pnl_percent == event.pnl_percent
                assert ending.steps.before_fees_percent - ending.steps.fees_percent == event.pnl_percent
                assert ending.candle.time + 60_000 == event.time_ms
                assert walk.price[world.candles.row(event.time_ms) - 1] == ending.vwap
                shares = [one.percent for one in (life.nearest_profit, life.nearest_stop) if one]
                assert all(0 < share <= 100 for share in shares)
    reasons = {f"closed {one}" for one in CloseReason} | {f"cancelled {one}" for one in CancelReason}
    assert reasons - set(met) == UNREACHED, met


def nearest(candles: Candles, event: Cancelled) -> Nearest | None:
    """The first of the minutes of a wait that came nearest to the entry, found one minute after the other."""
    signal, found = event.signal, None
    sign = 1 if signal.is_long else -1
    for row in range(candles.row(signal.decided_at), candles.row(event.time_ms)):
        price = float((candles.low if signal.is_long else candles.high)[row])
        if candles.has(row) and (found is None or sign * price < sign * found.price):
            percent = sign * (price - signal.price_open) / signal.price_open * 100
            found = Nearest(time_ms=candles.time(row + 1), price=price, percent=percent)
    return found


def test_every_decision_time_ends_at_the_gate_that_the_funnel_counts() -> None:
    for seed in range(FUNNELS):
        world = random_world(seed)
        events, funnel = world.walked()
        counted: Counter[str] = Counter()
        for tick in world.ticks.tolist():
            walk, _, _ = watch(world, tick)
            decided = walk.decided
            if decided is None:
                assert tick > world.candles.end_ms or isinstance(walk.state, Flat)
                is_stopped = walk.stop_ms is not None and tick >= walk.stop_ms
                counted["stopped" if is_stopped else "no_price"] += 1
                continue
            counted[decided.gate] += 1
            held = held_at(events, tick)
            assert (held is None) == isinstance(decided.state, Flat)
            if held is not None and not isinstance(decided.state, Flat):
                assert held.signal == decided.state.signal
                assert held.is_waiting == isinstance(decided.state, WaitingEntry)
        assert {gate: counted[gate] for gate in GATES} == {gate: getattr(funnel, gate) for gate in GATES}, seed


@pytest.mark.parametrize("seed", range(12))
def test_the_figures_of_a_refused_draft_say_what_is_broken(seed: int) -> None:
    world = random_world(seed)
    events, _ = world.walked()
    for event in [one for one in events if isinstance(one, DraftRefused)][:6]:
        decision, life, _, _ = tell(world, event.time_ms)
        assert decision.gate == "invalid"
        assert decision.broken_rules == event.rules
        assert life is None
        if isinstance(decision.answer, SignalDraft):
            assert {one.rule for one in decision.figures if one.is_broken} == set(event.rules)
            for one in decision.figures:
                assert one.is_broken != holds(one.figure, one.relation, one.limit), one


def holds(figure: float, relation: str, limit: float | None) -> bool:
    """Whether a figure stands to its limit as it must; a comparison with NaN breaks nothing."""
    if relation == "finite":
        return bool(np.isfinite(figure))
    if relation == "whole":
        return bool(np.isfinite(figure)) and figure == np.floor(figure)
    assert limit is not None
    if np.isnan(figure) or np.isnan(limit):
        return True
    return {
        ">": figure > limit,
        "<": figure < limit,
        ">=": figure >= limit - TOLERANCE,
        "<=": figure <= limit + TOLERANCE,
    }[relation]


def test_events_that_were_made_at_once_are_those_of_the_decision() -> None:
    world = random_world(1)
    events, _ = world.walked()
    for event in [one for one in events if isinstance(one, Scheduled | Opened)][:10]:
        if event.time_ms == event.signal.decided_at:
            walk, _, _ = watch(world, event.time_ms)
            assert walk.decided is not None
            assert event in walk.decided.events
