"""Live ticks of the original between two starts: what is taken up, and what is written, in order."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from unit.reference.test_live import WAITING, calls, level, tick_through
from unit.reference.worlds import NOW_MS, START_MS, at, draft, drafts_at, flat_candles, kinds, profile, stream_of, told

from backtestkit_cli.engine.reference.documents import levels_of
from backtestkit_cli.engine.reference.events import Called, OfferRejected, StepFailed
from backtestkit_cli.engine.reference.loop import live_tick
from backtestkit_cli.engine.reference.risk import HeldPosition, Question, ReferenceCheck, ReferenceProfile
from backtestkit_cli.engine.reference.stores import Stores, Written
from backtestkit_cli.engine.reference.stream import ReferenceStream
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.event import Closed, LevelReached, Opened, Scheduled
from backtestkit_cli.model.signal import SignalDraft

OPEN = {
    "id": "old",
    "position": "long",
    "priceOpen": 100.0,
    "priceTakeProfit": 102.0,
    "priceStopLoss": 98.0,
    "minuteEstimatedTime": 60,
    "note": "kept",
    "symbol": "BTCUSDT",
    "exchangeName": "golden",
    "strategyName": "one",
    "scheduledAt": at(0),
    "pendingAt": at(0),
    "_isScheduled": False,
}
WAITS = OPEN | {"id": "waits", "priceOpen": 99.0, "priceStopLoss": 97.0, "_isScheduled": True}
OWN_POSITION = ["one:BTCUSDT", {"signal": None, "strategyName": "one", "exchangeName": "", "openTimestamp": NOW_MS}]
WAITING_B = draft(id="b", price_open=99.0, price_take_profit=101.0, price_stop_loss=97.0)
FOREIGN_POSITION = ["other:ETH:USDT", {"strategyName": "other", "openTimestamp": 7, "what": "ever"}]


def stores(**kinds_of: Mapping[str, object]) -> Stores:
    """Stores that hold documents of the stream, by kind; those of a risk profile by its name."""
    found: dict[str, Any] = {}
    for kind, documents in kinds_of.items():
        found[kind] = {entity: {_key(kind): document} for entity, document in documents.items()}
    return Stores(now_ms=NOW_MS, found=found)


def _key(kind: str) -> str:
    return {"risk": "positions", "partial": "levels"}.get(kind, "BTCUSDT")


def live(
    candles: Sequence[Candle],
    drafts: Mapping[int, SignalDraft],
    kept: Stores,
    profiles: Sequence[ReferenceProfile] = (),
) -> ReferenceStream:
    stream = stream_of(candles, drafts_at(drafts), profiles=profiles, exchange_name="golden")
    stream.stores = kept
    for one in profiles:
        one.stores = kept
    return stream


def mine(**documents: object) -> dict[str, Mapping[str, object]]:
    """Documents of the one stream, by kind."""
    return {kind: {"BTCUSDT_one": document} for kind, document in documents.items()}


def written(kept: Stores) -> list[str]:
    """The writes: minute, kind, and what is left of the value."""
    return [f"{(one.time_ms - START_MS) // 60_000} {one.kind} {_short(one.value)}" for one in kept.writes]


def _short(value: Any) -> object:
    if not isinstance(value, Mapping):
        return value if value is None else [key for key, _ in value]
    if "id" in value:
        return value["id"]
    return {name: [*levels["profitLevels"], *levels["lossLevels"]] for name, levels in value.items()}


def test_a_life_is_written_change_by_change() -> None:
    kept, prices = stores(), {12: level(98.5), 13: level(99.5, 1e15), 15: level(103.0, 1e18)}
    stream = live(flat_candles(0, 100, prices), {10: WAITING}, kept, [profile(None)])
    tick_through(stream, range(10, 16))
    name = next(event.signal.id for event in told(stream) if isinstance(event, Scheduled))
    assert written(kept) == [
        f"10 schedule {name}",
        "12 schedule None",
        f"12 signal {name}",
        "12 risk ['one:BTCUSDT']",
        f"13 partial {{'{name}': [10, 20]}}",
        "15 partial {}",
        "15 risk []",
        "15 signal None",
    ]
    place = ("BTCUSDT_one", "BTCUSDT")
    scheduled = kept.writes[0]
    assert scheduled == Written("schedule", at(10), *place, scheduled.value)
    assert scheduled.value == {
        "id": name,
        "priceOpen": 99.0,
        "position": "long",
        "note": "",
        "priceTakeProfit": 101.0,
        "priceStopLoss": 97.0,
        "minuteEstimatedTime": 60,
        "symbol": "BTCUSDT",
        "exchangeName": "golden",
        "strategyName": "one",
        "scheduledAt": at(10),
        "pendingAt": at(10),
        "_isScheduled": True,
    }
    assert kept.writes[2].value == scheduled.value | {"pendingAt": at(12), "_isScheduled": False}
    assert kept.writes[3][2:] == ("limits", "positions", [OWN_POSITION])
    assert kept.writes[4][2:] == ("BTCUSDT_one", "levels", {name: {"profitLevels": [10, 20], "lossLevels": []}})


def test_an_open_position_goes_on_where_it_was() -> None:
    kept = stores(**mine(signal=OPEN))
    stream = live(flat_candles(0, 100, {60: level(101.0)}), {}, kept)
    events = tick_through(stream, range(30, 61))
    closed = events[-1]
    assert isinstance(closed, Closed)
    assert (closed.reason.value, closed.time_ms, closed.signal.id) == ("time_expired", at(60), "old")
    assert closed.signal.note == "kept"
    first = stream.tape.entries[0]
    assert isinstance(first, Called)
    assert (first.name, first.when_ms, first.price) == ("restored", at(30), 100.0)
    assert written(kept) == ["60 partial {}", "60 signal None"]


def test_a_waiting_entry_goes_on_where_it_was_and_keeps_fields_nobody_knows() -> None:
    kept = stores(**mine(schedule=WAITS | {"own": 7, "symbol": "ETHUSDT"}))
    stream = live(flat_candles(0, 100, {32: level(98.5)}), {}, kept)
    events = tick_through(stream, range(30, 33))
    assert kinds(events) == ["active", "active", "opened"]
    assert calls(stream) == ["scheduled", "written", "opened"]
    opened = events[-1]
    assert isinstance(opened, Opened)
    assert (opened.signal.symbol, opened.signal.decided_at) == ("BTCUSDT", at(0))
    changed = {"own": 7, "symbol": "ETHUSDT", "pendingAt": at(32), "_isScheduled": False}
    assert [one.value for one in kept.writes] == [None, WAITS | changed]


def test_a_restored_wait_is_over_counted_from_its_start() -> None:
    stream = live(flat_candles(0, 200), {}, stores(**mine(schedule=WAITS)))
    assert kinds(tick_through(stream, [119, 120])) == ["active", "cancelled"]


def test_with_both_stored_the_waiting_entry_is_watched_after_the_position() -> None:
    kept = stores(**mine(signal=OPEN, schedule=WAITS))
    leap = {33: level(103.0), 34: level(98.5, 1e18)}
    stream = live(flat_candles(0, 100, leap), {30: draft(), 34: draft()}, kept)
    events = tick_through(stream, range(30, 35))
    assert [event for event in kinds(events) if event != "level_reached"] == [*["active"] * 3, "closed", "opened"]
    assert [event.signal.id for event in events if isinstance(event, Closed | Opened)] == ["old", "waits"]
    assert [name for name in calls(stream) if name in ("restored", "scheduled")] == ["restored", "scheduled"]


@pytest.mark.parametrize(
    ("pending", "taken_up"),
    [
        (OPEN | {"exchangeName": "another"}, []),
        (OPEN | {"strategyName": "another"}, []),
        ({}, []),
        ([], []),
        ("text", []),
        (None, ["scheduled"]),
        (False, ["scheduled"]),
        ("", ["scheduled"]),
        (0, ["scheduled"]),
    ],
)
def test_a_position_that_is_not_its_own_ends_what_is_taken_up(pending: object, taken_up: list[str]) -> None:
    kept = stores(**mine(signal=pending, schedule=WAITS))
    stream = live(flat_candles(0, 100), {}, kept)
    tick_through(stream, [30])
    assert calls(stream) == taken_up
    assert stream.pending is None
    assert (stream.scheduled is None) == (not taken_up)
    assert written(kept) == []


def test_a_waiting_entry_that_is_not_its_own_is_left_where_it_is() -> None:
    kept = stores(**mine(schedule=WAITS | {"exchangeName": "another"}))
    stream = live(flat_candles(0, 100), {30: draft()}, kept)
    assert kinds(tick_through(stream, [30])) == ["opened"]
    assert kept.read("schedule", "BTCUSDT_one", "BTCUSDT") == WAITS | {"exchangeName": "another"}


def test_the_documents_of_other_streams_are_not_looked_at() -> None:
    kept = Stores(now_ms=NOW_MS, found={"signal": {"BTCUSDT_one": {"ETHUSDT": OPEN}, "BTCUSDT_two": {"BTCUSDT": OPEN}}})
    stream = live(flat_candles(0, 100), {}, kept)
    assert tick_through(stream, [30]) == []


def test_a_number_that_is_missing_is_never_reached_and_never_over() -> None:
    torn = {name: value for name, value in OPEN.items() if name not in ("pendingAt", "priceTakeProfit")}
    stream = live(flat_candles(0, 500, {400: level(150.0)}), {}, stores(**mine(signal=torn)))
    assert kinds(tick_through(stream, [30, 400, 499])) == ["active"] * 3


def test_without_a_price_at_the_start_every_tick_fails() -> None:
    stream = live(flat_candles(20, 100), {30: draft()}, stores(**mine(signal=OPEN)))
    events = tick_through(stream, [10, 30, 31])
    assert [(event.code, event.time_ms) for event in events if isinstance(event, StepFailed)] == [
        ("no_candles", None)
    ] * 3


def test_a_stop_writes_only_what_it_drops() -> None:
    kept = stores(**mine(schedule=WAITS))
    stream = live(flat_candles(0, 100), {}, kept)
    stream.stop(at(30))
    assert written(kept) == []
    assert tick_through(stream, [30]) == []
    assert calls(stream) == ["scheduled"]
    stream.stop(at(31))
    stream.stop(at(32))
    assert written(kept) == ["31 schedule None"]


def test_levels_that_were_told_are_not_told_again_and_those_of_others_stay() -> None:
    stored = {
        "gone": {"profitLevels": [30, 10, 30], "lossLevels": [20], "own": 1},
        "old": {"profitLevels": [20], "lossLevels": None},
    }
    kept, prices = stores(**mine(signal=OPEN, partial=stored)), {31: level(100.7), 32: level(103.0, 1e18)}
    stream = live(flat_candles(0, 100, prices), {}, kept)
    events = tick_through(stream, range(30, 33))
    assert [event.level for event in events if isinstance(event, LevelReached)] == [10, 30]
    gone = {"profitLevels": [30, 10], "lossLevels": [20]}
    assert [one.value for one in kept.writes if one.kind == "partial"] == [
        {"gone": gone, "old": {"profitLevels": [20, 10, 30], "lossLevels": []}},
        {"gone": gone},
    ]
    assert stream.levels == {}


def test_a_document_may_have_no_levels() -> None:
    assert levels_of({"bare": {"profitLevels": None}}) == {"bare": {"profit": [], "loss": []}}
    assert levels_of(None) == {}


def test_streams_share_the_levels_of_signals_with_one_id() -> None:
    candles = flat_candles(0, 100, {31: level(100.7)})
    one, other = (live(candles, {30: draft(id="same")}, stores()) for _ in range(2))
    other.levels = one.levels
    assert kinds(tick_through(one, [30, 31])) == ["opened", *["level_reached"] * 3, "active"]
    assert kinds(tick_through(other, [30, 31])) == ["opened", "active"]


def counting(limit: int) -> ReferenceProfile:
    def ask(question: Question) -> str:
        return "full" if len(question.positions) >= limit else ""

    return ReferenceProfile("limits", [ReferenceCheck(ask=ask)])


def test_stored_positions_of_others_count_and_are_written_back_as_they_were() -> None:
    kept = stores(risk={"limits": [FOREIGN_POSITION]})
    stream = live(flat_candles(0, 100, {12: level(103.0)}), {10: draft()}, kept, [counting(2)])
    assert kinds(tick_through(stream, range(10, 13))) == ["opened", "active", "closed"]
    assert [one.value for one in kept.writes if one.kind == "risk"] == [
        [FOREIGN_POSITION, OWN_POSITION],
        [FOREIGN_POSITION],
    ]


def test_stored_positions_of_others_fill_a_profile() -> None:
    full = counting(1)
    stream = live(flat_candles(0, 100), {10: draft()}, stores(risk={"limits": [FOREIGN_POSITION]}), [full])
    refused = tick_through(stream, [10])[-1]
    assert isinstance(refused, OfferRejected)
    assert refused.open_positions == 1
    assert full.held == {"other:ETH:USDT": HeldPosition("other", "ETH:USDT", FOREIGN_POSITION[1])}  # type: ignore[arg-type]


def test_the_end_of_a_restored_position_is_written_to_its_profiles_though_they_do_not_know_it() -> None:
    kept = stores(**mine(signal=OPEN), risk={"second": [FOREIGN_POSITION]})
    profiles = [ReferenceProfile(name, []) for name in ("second", "third", "first")]
    stream = live(flat_candles(0, 100, {31: level(103.0)}), {}, kept, profiles)
    profiles[2].release(at(0), "nobody", "nothing")
    tick_through(stream, [30, 31])
    assert [(one.entity, one.value) for one in kept.writes if one.kind == "risk" and one.time_ms == at(31)] == [
        ("first", []),
        ("third", []),
        ("second", [FOREIGN_POSITION]),
    ]


def test_a_refused_opening_and_a_refused_activation_are_taken_back() -> None:
    answers = iter([None, "no", None, "no"])
    changing = ReferenceProfile("limits", [ReferenceCheck(ask=lambda _question: next(answers))])
    kept = stores()
    stream = live(flat_candles(0, 100, {12: level(98.5)}), {10: draft(id="a"), 11: WAITING_B}, kept, [changing])
    tick_through(stream, range(10, 13))
    assert written(kept) == ["10 signal a", "10 signal None", "11 schedule b", "12 schedule None"]


@pytest.mark.parametrize(("price", "minute"), [(96.0, 12), (100.0, 130)])
def test_a_waiting_entry_that_goes_away_is_written_away(price: float, minute: int) -> None:
    kept = stores()
    stream = live(flat_candles(0, 200, {minute: level(price)}), {10: WAITING_B}, kept)
    live_tick(stream, at(10))
    live_tick(stream, at(minute))
    assert written(kept) == ["10 schedule b", f"{minute} schedule None"]


def test_a_backtest_writes_nothing() -> None:
    stream = stream_of(flat_candles(0, 100), drafts_at({10: draft()}))
    assert kinds(tick_through(stream, [10])) == ["opened"]
    assert stream.stores is None
    assert stream.stored("signal") is None
