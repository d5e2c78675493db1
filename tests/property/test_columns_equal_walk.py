"""The column form tells the same story as walk, event by event, on worlds that are shown to reach the rare cases."""

import os
from collections import Counter

import numpy as np
from reach import OF_ONE_STREAM, OF_THE_FUNNEL, reach
from recount import recount
from worlds import random_world

from backtestkit_cli.engine.trades import trades_of
from backtestkit_cli.model.event import Idle

WORLDS = int(os.environ.get("BACKTESTKIT_WORLDS", "950"))
LEAST = 50


def test_the_column_form_equals_walk_and_the_rare_cases_are_reached() -> None:
    met: Counter[str] = Counter()
    for seed in range(WORLDS):
        world = random_world(seed)
        with_idle, funnel = world.walked(tells_idle=True)
        events = [event for event in with_idle if not isinstance(event, Idle)]
        result = world.in_columns()
        told = list(result.events())
        assert told == events, f"seed {seed}: {next((a, b) for a, b in zip(told, events, strict=False) if a != b)}"
        assert result.funnel == funnel, f"seed {seed}"
        assert recount(world, with_idle) == funnel, f"seed {seed}"
        assert result.funnel.broken_sums() == [], f"seed {seed}"
        if world.stop_ms is None:
            assert world.leapt() == (events, funnel), f"seed {seed}"
        collected = trades_of(events)
        for name in ("closed_ms", "pnl_percent", "price_close", "vwap_lag_percent", "reason", "is_bridged"):
            assert np.array_equal(getattr(result.trades, name), getattr(collected, name)), f"seed {seed}: {name}"
        met += reach(world, events, funnel)
    assert {name: met[name] for name in (*OF_ONE_STREAM, *OF_THE_FUNNEL) if met[name] < LEAST} == {}
