"""A stop that is asked for on the way: nothing new from there on, and everything before and held as without it."""

from itertools import islice
from random import Random

import pytest
from worlds import World, random_world

from backtestkit_cli.engine.leap import leap
from backtestkit_cli.engine.walk import StreamWalk
from backtestkit_cli.model.event import Cancelled, CancelReason, Closed, Event, Opened, Scheduled

WORLDS = 200


def asked_after(walk: StreamWalk, world_events: list[Event], place: int, *, leaps: bool) -> list[Event]:
    happening = leap(walk) if leaps else walk.run()
    events = list(islice(happening, place))
    assert events == world_events[:place]
    walk.is_stop_asked = True
    return list(happening)


def ends(events: list[Event]) -> dict[str, Event]:
    return {event.signal.id: event for event in events if isinstance(event, Closed)}


@pytest.mark.parametrize("leaps", [False, True])
def test_after_a_stop_nothing_begins_and_what_is_held_ends_as_it_would_have(leaps: bool) -> None:
    reached = {"waiting": 0, "open": 0, "flat": 0}
    for seed in range(WORLDS):
        world = random_world(seed)
        events = walked(world)
        scheduled = [place + 1 for place, event in enumerate(events) if isinstance(event, Scheduled)]
        place = Random(seed).choice(scheduled if scheduled and seed % 4 == 0 else range(len(events) + 1))
        walk = world.walk()
        later = asked_after(walk, events, place, leaps=leaps)
        assert not [event for event in later if isinstance(event, Opened | Scheduled)]
        closed, waiting = ends(later), [event for event in later if isinstance(event, Cancelled)]
        assert all(ends(events)[name] == event for name, event in closed.items())
        assert {event.reason for event in waiting} <= {CancelReason.STOPPED}
        times = [event.time_ms for event in (*events[:place], *later)]
        assert times == sorted(times)
        funnel = walk.funnel
        assert funnel.ticks == funnel.stopped + funnel.busy + funnel.no_price + funnel.decisions
        reached["open" if closed else "waiting" if waiting else "flat"] += 1
    assert min(reached.values()) > 10


def test_a_stop_is_taken_once_and_stays_where_it_was_taken() -> None:
    for seed in range(WORLDS // 4):
        walk = random_world(seed).walk()
        walk.is_stop_asked, first_ms = True, walk.next_ms
        assert list(walk.run()) == []
        assert walk.stop_ms == first_ms


def walked(world: World) -> list[Event]:
    return world.walked()[0]
