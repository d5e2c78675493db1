"""The column form tells the same story as walk, event by event, on worlds that are shown to reach the rare cases."""

import os
from collections import Counter

import numpy as np
from worlds import World, random_world

from backtestkit_cli.engine.trades import REASONS, trades_of
from backtestkit_cli.model.event import Cancelled, CancelReason, Closed, CloseReason, DraftRefused, Event, Opened

WORLDS = int(os.environ.get("BACKTESTKIT_WORLDS", "650"))
LEAST = 50


def reach(world: World, events: list[Event]) -> Counter[str]:
    """What a world's events came across."""
    met: Counter[str] = Counter()
    candles = world.candles
    for event in events:
        match event:
            case Closed(signal=signal, reason=reason, opened_at=opened_at):
                row = candles.row(event.time_ms) - 1
                high, low = candles.high[row], candles.low[row]
                top = max(signal.price_take_profit, signal.price_stop_loss)
                bottom = min(signal.price_take_profit, signal.price_stop_loss)
                by_level = reason in (CloseReason.TAKE_PROFIT, CloseReason.STOP_LOSS)
                first = candles.row(opened_at)
                met["followed after a stop request"] += world.stop_ms is not None and event.time_ms > world.stop_ms
                met["both levels in one minute"] += by_level and bool(high >= top and low <= bottom)
                gap_side = (
                    candles.open[row] < signal.price_stop_loss
                    if signal.is_long
                    else candles.open[row] > signal.price_stop_loss
                )
                met["gap through stop"] += reason is CloseReason.STOP_LOSS and bool(gap_side)
                beyond = (
                    candles.open[row] > signal.price_take_profit
                    if signal.is_long
                    else candles.open[row] < signal.price_take_profit
                )
                met["gap through take profit"] += reason is CloseReason.TAKE_PROFIT and bool(beyond)
                seen = (event.price, high, low, *world_price(world, row))
                met["exact touch"] += by_level and bool(
                    {signal.price_take_profit, signal.price_stop_loss} & set(seen[1:])
                )
                met[f"closed {reason}"] += 1
                count = world.terms.limits.average_price_candles
                volumes = candles.volume[max(0, first - count) : first]
                met["zero-volume window"] += bool(np.nansum(volumes) == 0)
                met["hole inside a position"] += (
                    candles.present is not None and not candles.present[first : row + 1].all()
                )
                met["bridged trade"] += event.is_bridged
                met["ambiguous"] += event.ambiguous_minutes > 0
            case Cancelled(reason=cancel, price=price):
                met[f"cancelled {cancel}"] += 1
                met["cancelled without a fresh price"] += price is None
            case Opened(signal=signal) if event.time_ms > signal.decided_at:
                met["limit entry"] += 1
            case DraftRefused(rules=rules):
                met["refused"] += 1
                met["refused for a distance"] += "take_profit_distance" in rules
            case _:
                pass
    return met


def world_price(world: World, row: int) -> tuple[float, ...]:
    from backtestkit_cli.engine.vwap import vwap_at

    return tuple(vwap_at(world.candles, np.array([row]), world.terms.limits.average_price_candles).tolist())


def test_the_column_form_equals_walk_and_the_rare_cases_are_reached() -> None:
    met: Counter[str] = Counter()
    for seed in range(WORLDS):
        world = random_world(seed)
        events, funnel = world.walked()
        result = world.in_columns()
        told = list(result.events())
        assert told == events, f"seed {seed}: {next((a, b) for a, b in zip(told, events, strict=False) if a != b)}"
        assert result.funnel == funnel, f"seed {seed}"
        if world.stop_ms is None:
            assert world.leapt() == (events, funnel), f"seed {seed}"
        assert result.funnel.broken_sums() == [], f"seed {seed}"
        collected = trades_of(events)
        for name in ("closed_ms", "pnl_percent", "price_close", "vwap_lag_percent", "reason", "is_bridged"):
            assert np.array_equal(getattr(result.trades, name), getattr(collected, name)), f"seed {seed}: {name}"
        met += reach(world, events)
    wanted = {
        "both levels in one minute",
        "gap through stop",
        "gap through take profit",
        "exact touch",
        "zero-volume window",
        "hole inside a position",
        "bridged trade",
        "ambiguous",
        "limit entry",
        "refused",
        "refused for a distance",
        *(f"closed {reason}" for reason in REASONS),
        *(f"cancelled {reason}" for reason in CancelReason if reason is not CancelReason.RISK),
    }
    assert {name: met[name] for name in wanted if met[name] < LEAST} == {}
