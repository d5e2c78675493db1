"""A live session is the backtest of the same candles, event for event, in random worlds of an hour.

`make parity` tries a thousand.
"""

import os
from collections import Counter
from pathlib import Path

import pytest
from accelerated import unsynced
from live_worlds import LiveWorld, by_stream, live_world

from backtestkit_cli.model.event import Cancelled, Closed, Event, RiskRefused

SCENARIOS = int(os.environ.get("BACKTESTKIT_SCENARIOS", "100"))
WANTED = {"take_profit": 50, "stop_loss": 50, "time_expired": 20, "wait_over": 20, "stop_level": 3}
WANTED |= {"scheduled": 50, "risk_refused": 50, "quantity_refused": 20, "draft_refused": 50, "restarts": 50}


@pytest.mark.timeout(1800)
def test_sessions_of_random_worlds_tell_the_events_of_the_backtest(tmp_path: Path) -> None:
    met: Counter[str] = Counter()
    with unsynced():
        for seed in range(SCENARIOS):
            folder = tmp_path / str(seed)
            folder.mkdir()
            world = live_world(seed, folder)
            sessions = world.live()
            told = [event for one in sessions for event in one.events]
            assert [error for one in sessions for error in one.troubles] == [], f"seed {seed}"
            whole = world.backtest()
            assert by_stream(told) == by_stream(whole), f"seed {seed}"
            met += reach(world, whole)
    print(f"\n{SCENARIOS} / {SCENARIOS} equal: " + ", ".join(f"{name} {met[name]}" for name in sorted(met)))
    assert {name: met[name] for name, least in WANTED.items() if met[name] < least} == {}


def reach(world: LiveWorld, events: list[Event]) -> Counter[str]:
    """How often a world gets to what sessions are made of."""
    found: Counter[str] = Counter()
    found.update(event.kind for event in events)
    found.update(str(event.reason) for event in events if isinstance(event, Closed | Cancelled))
    found.update(f"risk at {event.stage}" for event in events if isinstance(event, RiskRefused))
    found["restarts"] += len(world.cuts_ms)
    return found
