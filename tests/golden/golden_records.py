"""Our results in the words of the recordings, and what differs between the two."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from golden.golden_cases import Outcome

from backtestkit_cli.engine.reference.events import (
    Called,
    CheckRaised,
    Offer,
    OfferRejected,
    ReferenceEvent,
    Row,
    StepFailed,
    Told,
)
from backtestkit_cli.model.event import (
    Active,
    Cancelled,
    Closed,
    DraftRefused,
    Idle,
    LevelReached,
    Opened,
    Scheduled,
)
from backtestkit_cli.model.signal import Signal

LISTED_MISSES = 100
WALL_CLOCK = "<wall clock>"
MADE_UP = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

CALLS = {
    "written": "onWrite",
    "restored": "onActive",
    "opened": "onOpen",
    "closed": "onClose",
    "scheduled": "onSchedule",
    "cancelled": "onCancel",
    "profit": "onPartialProfit",
    "loss": "onPartialLoss",
    "risk_allowed": "risk.onAllowed",
    "risk_rejected": "risk.onRejected",
}


class Ids:
    """Names of made-up ids, in order of first appearance; given ids are their own names."""

    def __init__(self, outcome: Outcome) -> None:
        self._names: dict[str, str] = {}
        for entry in outcome.entries:
            made_up = _id_of(entry)
            if made_up is not None and MADE_UP.fullmatch(made_up):
                self._names.setdefault(made_up, f"<auto-{len(self._names) + 1}>")

    def name(self, signal_id: str | None) -> str | None:
        return None if signal_id is None else self._names.get(signal_id, signal_id)


def _id_of(entry: Told | Called) -> str | None:
    if isinstance(entry, Called):
        return entry.offer.id if entry.offer else None
    event = entry.event
    if isinstance(event, OfferRejected):
        return event.offer.id
    return None if isinstance(event, Idle | DraftRefused | CheckRaised | StepFailed) else event.signal.id


def events_as_recorded(outcome: Outcome) -> list[dict[str, Any]]:
    """The events, without those that the recording only counts."""
    ids, misses = Ids(outcome), 0
    listed: list[dict[str, Any]] = []
    for told in outcome.told():
        misses += is_miss(told.event)
        if is_miss(told.event) and misses > LISTED_MISSES:
            continue
        if not isinstance(told.event, Idle) or outcome.case.terms.get("record_idle"):
            listed.append(event_as_recorded(told, ids))
    return listed


def is_miss(event: ReferenceEvent) -> bool:
    """Whether a step failed for want of candles."""
    return isinstance(event, StepFailed) and event.code == "no_candles"


def event_as_recorded(told: Told, ids: Ids) -> dict[str, Any]:
    at, event = told.when_ms, told.event
    match event:
        case StepFailed():
            return {"type": "error", "at": event.time_ms, "codes": [event.code]}
        case DraftRefused():
            return {"type": "error", "at": at, "codes": list(event.rules)}
        case CheckRaised():
            return {"type": "validation_error", "at": at, "message": event.what}
        case LevelReached():
            return {
                "type": f"partial_{event.side}",
                "at": event.time_ms,
                **whose(event.signal),
                "signal_id": ids.name(event.signal.id),
                "level": event.level,
                "price": event.price,
            }
        case OfferRejected():
            return {
                "type": "risk_rejection",
                "at": event.time_ms,
                "strategy": event.strategy,
                "symbol": event.symbol,
                "price": event.price,
                "active_position_count": event.open_positions,
                "rejection_id": event.rejection_id,
                "rejection_note": rejection_note(event),
                "signal": offer_as_recorded(event.offer, ids),
            }
        case Idle():
            return {
                "type": "signal",
                "action": "idle",
                "at": at,
                "strategy": event.strategy,
                "symbol": event.symbol,
                "price": event.price,
            }
        case _:
            return {"type": "signal", "at": at, **whose(event.signal), **result_as_recorded(event, ids)}


def whose(signal: Signal) -> dict[str, Any]:
    return {"strategy": signal.strategy, "symbol": signal.symbol}


def rejection_note(event: OfferRejected) -> str:
    return event.note or {"raised": "<default thrown>", "object": "<default object>"}.get(event.by, "")


def result_as_recorded(event: Scheduled | Opened | Active | Closed | Cancelled, ids: Ids) -> dict[str, Any]:
    price = event.signal.price_open if isinstance(event, Opened) else event.price
    told: dict[str, Any] = {"action": event.kind, "price": price, "signal": row_as_recorded(event.signal, ids)}
    match event:
        case Closed():
            return {
                **told,
                "close_reason": event.reason.value,
                "close_timestamp": event.time_ms,
                "pnl_percentage": event.pnl_percent,
                "pnl_price_open": event.signal.price_open,
                "pnl_price_close": event.price,
            }
        case Cancelled():
            return {**told, "close_timestamp": event.time_ms}
        case Active():
            return {**told, "percent_tp": event.take_profit_percent, "percent_sl": event.stop_loss_percent}
        case Scheduled() | Opened():
            return told


def offer_as_recorded(offer: Offer, ids: Ids) -> dict[str, Any]:
    return {
        "id": ids.name(offer.id),
        "position": str(offer.position),
        "price_open": offer.price_open,
        "price_take_profit": offer.price_take_profit,
        "price_stop_loss": offer.price_stop_loss,
        "minute_estimated_time": offer.lifetime_minutes,
    }


def row_as_recorded(row: Signal, ids: Ids) -> dict[str, Any]:
    if not isinstance(row, Row):
        raise TypeError("the original keeps rows")
    return {
        **offer_as_recorded(row, ids),
        "scheduled_at": row.decided_at,
        "pending_at": row.pending_at,
        "is_scheduled": row.is_scheduled,
        "note": row.note,
    }


def calls_as_recorded(outcome: Outcome) -> list[dict[str, Any]]:
    """The calls of user code."""
    ids = Ids(outcome)
    return [call_as_recorded(entry, ids) for entry in outcome.entries if isinstance(entry, Called)]


def call_as_recorded(entry: Called, ids: Ids) -> dict[str, Any]:
    told: dict[str, Any] = {
        "cb": CALLS[entry.name],
        "strategy": entry.strategy,
        "symbol": entry.symbol,
        "at": entry.when_ms,
    }
    if entry.profile is not None:
        price = {"price": entry.price} if entry.name == "risk_allowed" else {}
        return {**told, "risk": entry.profile, **price}
    told["id"] = ids.name(entry.offer.id) if entry.offer else None
    if entry.name == "opened" and isinstance(entry.offer, Row):
        told["pending_at"] = entry.offer.pending_at
    if entry.price is not None:
        told["price"] = entry.price
    if entry.percent is not None:
        told["percent"] = entry.percent
    return told


def writes_as_recorded(outcome: Outcome) -> list[dict[str, Any]]:
    """The documents that were written."""
    ids = Ids(outcome)
    return [
        {"kind": one.kind, "at": one.time_ms, "entity": one.entity, "key": one.key, "value": named(one.value, ids)}
        for one in outcome.stores.writes
    ]


def named(value: Any, ids: Ids) -> Any:
    """A document with names for made-up ids, which are keys of its levels and a field of its rows."""
    if not isinstance(value, Mapping):
        return value
    fields = {ids.name(key): item for key, item in value.items()}
    return {**fields, "id": ids.name(fields["id"])} if "id" in fields else fields


def counts_as_recorded(outcome: Outcome) -> dict[str, int]:
    case = outcome.case
    events = [told.event for told in outcome.told()]
    misses = sum(map(is_miss, events))
    idle = sum(isinstance(event, Idle) for event in events)
    tapes = [stream.tape for stream in outcome.streams.values()]
    found = {
        "idle": 0 if case.terms.get("record_idle") else idle,
        "active": 0 if case.is_live else sum(isinstance(event, Active) for event in events),
        "progress": sum(tape.progressed for tape in tapes),
        "performance": sum(tape.measured for tape in tapes),
    }
    if not case.is_live:
        found["total_frames"] = len(case.ticks)
    if misses:
        found["no_candles_errors"] = misses
    return found


def asked_as_recorded(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """When each strategy was asked: all times, or the first and last twenty of many."""
    found: dict[str, dict[str, Any]] = {}
    for key, stream in outcome.streams.items():
        asked = stream.tape.asked_at
        times = {"timestamps": asked} if len(asked) <= 400 else {"first": asked[:20], "last": asked[-20:]}
        found[key] = {"count": len(asked), **times}
    return found


def by_stream(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Records grouped by strategy and symbol, those of nobody in a group of their own."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        groups.setdefault(f"{record.get('strategy')}|{record.get('symbol')}", []).append(record)
    return groups


def differences(expected: Any, found: Any, place: str = "", tolerance: float = 0.0) -> Iterator[str]:
    """Name what differs. Numbers are equal to the last bit, or within a relative tolerance."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        for key in dict.fromkeys((*expected, *found)):
            if key not in expected or key not in found:
                yield f"{place}.{key}: {'not expected' if key not in expected else 'missing'}"
            else:
                yield from differences(expected[key], found[key], f"{place}.{key}", tolerance)
    elif isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            yield f"{place}: {len(expected)} expected, {len(found)} found"
        for index, (one, other) in enumerate(zip(expected, found, strict=False)):
            yield from differences(one, other, f"{place}[{index}]", tolerance)
    elif not is_same(expected, found, tolerance):
        yield f"{place}: expected {expected!r}, found {found!r}"


def is_same(expected: Any, found: Any, tolerance: float) -> bool:
    if expected is None and isinstance(found, float) and math.isnan(found):
        return True  # the recordings are JSON, which has no NaN
    if expected == WALL_CLOCK:
        return isinstance(found, int | float)
    if isinstance(expected, bool) or isinstance(found, bool) or expected is None or found is None:
        return expected is found
    if isinstance(expected, str) and isinstance(found, int | float) and expected in ("NaN", "Infinity", "-Infinity"):
        expected = float(expected)
    if isinstance(expected, int | float) and isinstance(found, int | float):
        if math.isnan(expected) or math.isnan(found):
            return math.isnan(expected) and math.isnan(found)
        return expected == found or abs(expected - found) <= tolerance * abs(expected)
    return bool(expected == found)
