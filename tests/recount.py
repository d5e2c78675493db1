"""The funnel counted anew from events alone, in another way than the engine does: by looking at each decision time.

What a flat decision time without a draft says (warm-up, both sides at once, short history) stands in no event but in
the strategy's rows, and is read there; everything else is read off the events, idle ones included.
"""

from collections.abc import Iterable, Mapping

from worlds import World

from backtestkit_cli.model.event import (
    Cancelled,
    CancelReason,
    Closed,
    CloseReason,
    DraftRefused,
    Event,
    Idle,
    Opened,
    QuantityRefused,
    RiskRefused,
    Scheduled,
)
from backtestkit_cli.model.funnel import Funnel


def recount(world: World, events: Iterable[Event]) -> Funnel:
    """Count one stream; `events` are all it told, idle ones too."""
    told = list(events)
    funnel = Funnel(ticks=len(world.ticks))
    _count_events(funnel, told)
    rows = {time: row for row, time in enumerate(world.rows.time_ms.tolist())}
    _count_times(funnel, world, told, rows)
    ticks = set(world.ticks.tolist())
    funnel.off_grid = sum(_has_position(world, row) for time, row in rows.items() if time not in ticks)
    return funnel


def _count_events(funnel: Funnel, told: list[Event]) -> None:
    """Drafts and what became of them."""
    scheduled: set[str] = set()
    for event in told:
        match event:
            case DraftRefused(rules=rules):
                funnel.invalid += 1
                for rule in rules:
                    funnel.invalid_by_rule[rule] += 1
            case QuantityRefused(stage="decision", rule=rule):
                funnel.no_quantity += 1
                funnel.no_quantity_by_rule[rule] += 1
            case RiskRefused(stage="decision", profile=profile):
                funnel.risk += 1
                funnel.risk_by_profile[profile] += 1
            case Scheduled(signal=signal):
                scheduled.add(signal.id)
                funnel.scheduled += 1
            case Opened(signal=signal) if signal.id in scheduled:
                funnel.activated += 1
            case Opened():
                funnel.opened_at_decision += 1
            case Closed(reason=reason):
                funnel.closed[reason] += 1
            case Cancelled(reason=cancel_reason):
                funnel.cancelled[cancel_reason] += 1
            case _:
                pass
    refused = funnel.invalid + funnel.no_quantity + funnel.risk
    funnel.drafts = refused + funnel.scheduled + funnel.opened_at_decision


def _count_times(funnel: Funnel, world: World, told: list[Event], rows: Mapping[int, int]) -> None:
    """Where each decision time ended."""
    busy = _busy_times(told)
    priceless = {event.time_ms for event in told if isinstance(event, Idle) and event.price is None}
    for time in world.ticks.tolist():
        row = rows.get(time)
        if world.stop_ms is not None and time >= world.stop_ms:
            funnel.stopped += 1
        elif any(start < time < end for start, end in busy):
            funnel.busy += 1
            funnel.late += row is not None and _has_position(world, row)
        elif time > world.candles.end_ms or time in priceless:
            funnel.no_price += 1
        elif row is not None:
            _count_row(funnel, world, row)
        else:
            funnel.no_draft += 1


def _busy_times(told: list[Event]) -> list[tuple[int, float]]:
    """From a decision to the end of what came of it, both outside; the end of data comes after that tick."""
    found = []
    for event in told:
        if isinstance(event, Closed | Cancelled):
            is_after = event.reason in (CloseReason.END_OF_DATA, CancelReason.END_OF_DATA)
            found.append((event.signal.decided_at, event.time_ms + 0.5 * is_after))
    return found


def _count_row(funnel: Funnel, world: World, row: int) -> None:
    rows = world.rows
    funnel.short_history += bool(rows.short_history[row])
    if rows.warm_up[row]:
        funnel.warm_up += 1
    elif rows.ambiguous[row]:
        funnel.ambiguous += 1
    elif not rows.side[row]:
        funnel.no_draft += 1


def _has_position(world: World, row: int) -> bool:
    rows = world.rows
    return bool(rows.side[row]) and not rows.warm_up[row] and not rows.ambiguous[row]
