"""A live session is the backtest of the same candles, event for event, in random worlds of an hour.

`make parity` tries a thousand.
"""

from collections import Counter
from pathlib import Path

import pytest
from accelerated import unsynced
from live_worlds import LiveWorld, by_stream, live_world

from backtestkit_cli.model.event import Cancelled, Closed, Event, RiskRefused

SCENARIOS = 100
WANTED = {"take_profit": 50, "stop_loss": 50, "time_expired": 20, "wait_over": 20, "stop_level": 3}
WANTED |= {"scheduled": 50, "risk_refused": 50, "quantity_refused": 20, "draft_refused": 50, "restarts": 50}


@pytest.mark.timeout(600)
def test_sessions_of_random_worlds_tell_the_events_of_the_backtest(tmp_path: Path) -> None:
    met: Counter[str] = Counter()
    assert differing_seeds(tmp_path, SCENARIOS, met) == []
    assert {name: met[name] for name, least in WANTED.items() if met[name] < least} == {}


def differing_seeds(folder: Path, scenarios: int, met: Counter[str] | None = None) -> list[int]:
    """The worlds that differ; `met` counts what the worlds get to."""
    found = []
    with unsynced():
        for seed in range(scenarios):
            place = folder / str(seed)
            place.mkdir()
            world = live_world(seed, place)
            sessions = world.live()
            told = [event for one in sessions for event in one.events]
            whole = world.backtest()
            has_trouble = any(one.troubles for one in sessions)
            found += [seed] if has_trouble or by_stream(told) != by_stream(whole) else []
            if met is not None:
                met += reach(world, whole)
    return found


def reach(world: LiveWorld, events: list[Event]) -> Counter[str]:
    """How often a world gets to what sessions are made of."""
    found: Counter[str] = Counter()
    found.update(event.kind for event in events)
    found.update(str(event.reason) for event in events if isinstance(event, Closed | Cancelled))
    found.update(f"risk at {event.stage}" for event in events if isinstance(event, RiskRefused))
    found["restarts"] += len(world.cuts_ms)
    return found
