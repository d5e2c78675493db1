"""No limit of a risk profile is ever exceeded, and the order in which streams are given changes nothing.

Limits are checked against the positions that events tell of, not against the ledger. `make risk-orders` tries a
thousand orders.
"""

import os
from collections import Counter
from collections.abc import Sequence
from random import Random

from recount import recount
from risk_worlds import KINDS, RiskWorld, counts_of, holdings, risk_world

from backtestkit_cli.model.event import CancelReason, Closed, Event, Opened, QuantityRefused, RiskRefused, key_of

ORDERS = int(os.environ.get("BACKTESTKIT_ORDERS", "40"))
LEAST = 50


def test_no_limit_is_exceeded_and_no_order_of_streams_changes_anything() -> None:
    met: Counter[str] = Counter()
    for seed in range(ORDERS):
        world = risk_world(seed)
        order = list(range(len(world.streams)))
        events, funnels = world.walked(order)
        Random(seed).shuffle(order)
        assert world.walked(order) == (events, funnels), f"seed {seed}"
        broken = broken_limits(world, events)
        assert broken == [], f"seed {seed}"
        met += reach(world, events)
    print(f"\n{ORDERS} orders, no limit exceeded: " + ", ".join(f"{name} {met[name]}" for name in sorted(met)))
    wanted = ["refused at decision", "refused at activation", "freed and taken at one instant", "refused by second"]
    wanted += ["no quantity at decision", "no quantity at activation", *(f"{kind} reached" for kind in KINDS)]
    assert {name: met[name] for name in wanted if met[name] < LEAST} == {}


def test_the_funnel_of_every_stream_equals_a_count_of_its_events() -> None:
    met: Counter[str] = Counter()
    for seed in range(10):
        world = risk_world(seed)
        events, funnels = world.walked(range(len(world.streams)), tells_idle=True)
        for stream, funnel in zip(world.streams, funnels, strict=True):
            own = [event for event in events if key_of(event) == (stream.terms.strategy, stream.terms.symbol)]
            assert recount(stream, own) == funnel, f"seed {seed}: {stream.terms}"
            met.update(risk=funnel.risk, cancelled=funnel.cancelled[CancelReason.RISK])
    assert min(met["risk"], met["cancelled"]) >= 10


def broken_limits(world: RiskWorld, events: Sequence[Event]) -> list[str]:
    """Positions beyond a limit, and refusals by a limit that was not reached."""
    found = []
    for event, held in holdings(events):
        if not isinstance(event, Opened | RiskRefused):
            continue
        signal = event.signal
        for profile in world.profiles[signal.strategy]:
            counts = counts_of([one for one in held if profile in world.profiles[one.strategy]], signal)
            limits = {kind: getattr(profile, kind) for kind in KINDS if getattr(profile, kind) is not None}
            over = [kind for kind, limit in limits.items() if counts[kind] > limit]
            found += [f"{event.time_ms}: {profile.name} {kind} is {counts[kind]}" for kind in over]
            if isinstance(event, RiskRefused) and event.profile == profile.name:
                is_right = counts[event.rule] == limits[event.rule] and event.open_positions == counts["max_positions"]
                found += [] if is_right else [f"{event.time_ms}: {event.rule} refused at {counts[event.rule]}"]
    return found


def reach(world: RiskWorld, events: Sequence[Event]) -> Counter[str]:
    """What the events came across."""
    met: Counter[str] = Counter()
    closed_ms = None
    for event, held in holdings(events):
        match event:
            case RiskRefused():
                met.update([f"refused at {event.stage}", f"refused by {event.profile}"])
            case QuantityRefused():
                met[f"no quantity at {event.stage}"] += 1
            case Opened(signal=signal):
                met["opened"] += 1
                met["freed and taken at one instant"] += event.time_ms == closed_ms
                for profile in world.profiles[signal.strategy]:
                    counts = counts_of([one for one in held if profile in world.profiles[one.strategy]], signal)
                    met.update(f"{kind} reached" for kind in KINDS if counts[kind] == getattr(profile, kind))
            case Closed():
                closed_ms = event.time_ms
            case _:
                pass
    return met
