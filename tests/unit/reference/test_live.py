"""Live ticks of the original, where recordings are rare."""

from collections.abc import Sequence

import pytest
from unit.reference.worlds import at, draft, drafts_at, flat_candles, kinds, profile, stream_of, told

from backtestkit_cli.engine.reference.events import Called, OfferRejected, ReferenceEvent
from backtestkit_cli.engine.reference.loop import live_tick
from backtestkit_cli.engine.reference.risk import ReferenceProfile
from backtestkit_cli.engine.reference.stream import ReferenceStream
from backtestkit_cli.model.event import Closed, CloseReason, Opened
from backtestkit_cli.model.signal import SignalDraft

WAITING = draft(price_open=99.0, price_take_profit=101.0, price_stop_loss=97.0)


def level(price: float, volume: float = 1e12) -> dict[str, float]:
    """A minute whose volume makes its price that of the window."""
    return {"open": price, "high": price, "low": price, "close": price, "volume": volume}


def tick_through(stream: ReferenceStream, minutes: Sequence[int]) -> list[ReferenceEvent]:
    for minute in minutes:
        live_tick(stream, at(minute))
    return told(stream)


def calls(stream: ReferenceStream) -> list[str]:
    return [entry.name for entry in stream.tape.entries if isinstance(entry, Called)]


def test_expiry_comes_before_levels_and_a_lifetime_is_whole() -> None:
    candles = flat_candles(0, 100, {40: level(103.0)})
    events = tick_through(stream_of(candles, drafts_at({10: draft(lifetime_minutes=30)})), range(10, 41))
    closed = events[-1]
    assert isinstance(closed, Closed)
    assert (closed.reason, closed.time_ms) == (CloseReason.TIME_EXPIRED, at(40))
    assert closed.price == pytest.approx(103.0)


def test_levels_are_judged_by_the_price_and_fill_at_the_level() -> None:
    candles = flat_candles(0, 100, {12: {"high": 150.0, "volume": 0.0}, 15: level(97.0)})
    events = tick_through(stream_of(candles, drafts_at({10: draft()})), range(10, 17))
    closed = events[-1]
    assert isinstance(closed, Closed)
    assert (closed.reason, closed.price, closed.time_ms) == (CloseReason.STOP_LOSS, 98.0, at(15))


SHORT = {"position": "short", "price_take_profit": 98.0, "price_stop_loss": 102.0}


@pytest.mark.parametrize(
    ("offered", "price", "expected"),
    [
        (draft(), 102.0, "take_profit"),
        (draft(), 98.0, "stop_loss"),
        (draft(**SHORT), 98.0, "take_profit"),
        (draft(**SHORT), 102.0, "stop_loss"),
        (WAITING, 99.0, "opened"),
        (WAITING, 97.0, "gone"),
        (draft(**(SHORT | {"price_open": 101.0})), 101.0, "opened"),
        (draft(**(SHORT | {"price_open": 101.0})), 102.0, "gone"),
    ],
)
def test_a_level_is_reached_by_a_price_exactly_at_it(offered: SignalDraft, price: float, expected: str) -> None:
    leap = {minute: level(price, 1.0) for minute in range(11, 100)}
    stream = stream_of(flat_candles(0, 100, leap), drafts_at({10: offered}))
    live_tick(stream, at(10))
    event = tick_through(stream, [15])[-1]
    if expected == "gone":
        assert kinds(told(stream)) == ["scheduled"]
    else:
        assert (event.reason.value if isinstance(event, Closed) else event.kind) == expected


@pytest.mark.parametrize("position", ["long", "short"])
def test_a_given_price_exactly_at_the_market_opens_at_once(position: str) -> None:
    levels = {} if position == "long" else SHORT
    stream = stream_of(flat_candles(0, 100), drafts_at({10: draft(price_open=100.0, **levels)}))
    assert kinds(tick_through(stream, [10])) == ["opened"]


def test_a_waiting_entry_beyond_its_stop_goes_away_in_silence() -> None:
    stream = stream_of(flat_candles(0, 100, {12: level(96.0)}), drafts_at({10: WAITING}))
    events = tick_through(stream, range(10, 13))
    assert kinds(events) == ["scheduled", "active"]
    assert stream.scheduled is None
    assert calls(stream) == ["scheduled"]


def test_an_activation_is_an_event_at_the_given_price() -> None:
    stream = stream_of(flat_candles(0, 100, {12: level(98.5)}), drafts_at({10: WAITING}))
    events = tick_through(stream, range(10, 13))
    opened = events[-1]
    assert isinstance(opened, Opened)
    assert (opened.time_ms, opened.signal.price_open) == (at(12), 99.0)
    assert calls(stream) == ["scheduled", "written", "opened"]


def test_a_wait_that_is_over_comes_before_the_price() -> None:
    stream = stream_of(flat_candles(0, 300, {130: level(98.5)}), drafts_at({10: WAITING}))
    assert kinds(tick_through(stream, [10, 129, 130])) == ["scheduled", "active", "cancelled"]


def test_a_stopped_strategy_watches_nothing_any_more() -> None:
    stream = stream_of(flat_candles(0, 100, {15: level(150.0)}), drafts_at({10: draft()}))
    live_tick(stream, at(10))
    stream.stop(at(11))
    tick_through(stream, range(11, 40))
    assert kinds(told(stream)) == ["opened"]
    assert stream.pending is not None


def test_a_stop_drops_a_waiting_entry() -> None:
    stream = stream_of(flat_candles(0, 100), drafts_at({10: WAITING}))
    live_tick(stream, at(10))
    stream.stop(at(11))
    assert stream.scheduled is None


def test_each_level_is_told_once_and_the_way_at_every_tick() -> None:
    way = {11: level(100.5, 1e4), 12: level(100.1, 1e8), 13: level(101.3, 1e12), 14: level(99.1, 1e16)}
    stream = stream_of(flat_candles(0, 100, way), drafts_at({10: draft()}))
    events = tick_through(stream, range(10, 15))
    found = [(event.side, event.level) for event in events if event.kind == "level_reached"]
    profits = [("profit", ten) for ten in (10, 20, 30, 40, 50, 60)]
    assert found == [*profits, *(("loss", ten) for ten in (10, 20, 30, 40))]
    assert calls(stream)[2:] == ["profit", "profit", "profit", "loss"]


@pytest.mark.parametrize("answer", [None, "", False, 0, True, 7])
def test_answers_that_pass(answer: object) -> None:
    stream = stream_of(flat_candles(0, 100), drafts_at({10: draft()}), profiles=[profile(answer)])
    assert kinds(tick_through(stream, [10])) == ["opened"]
    assert calls(stream) == ["risk_allowed", "written", "risk_allowed", "opened"]


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        (profile("no"), (None, "no", "text")),
        (profile({"id": "r-1", "note": "because"}), ("r-1", "because", "object")),
        (profile({}, note="never read"), (None, None, "object")),
        (profile(ValueError("boom"), note="as noted"), (None, "as noted", "raised")),
        (profile(ValueError("boom")), (None, None, "raised")),
        (profile("first", "second"), (None, "first", "text")),
    ],
)
def test_answers_that_refuse(used: ReferenceProfile, expected: tuple[str | None, str | None, str]) -> None:
    stream = stream_of(flat_candles(0, 100), drafts_at({10: draft()}), profiles=[used, profile("never asked")])
    events = tick_through(stream, [10])
    refused = events[-1]
    assert isinstance(refused, OfferRejected)
    assert (refused.rejection_id, refused.note, refused.by) == expected
    assert calls(stream) == ["risk_rejected"]


def test_a_refusal_at_the_second_question_takes_the_position_back() -> None:
    stream = stream_of(flat_candles(0, 100), drafts_at({10: draft()}), profiles=[profile()])
    answers = iter([None, "too late"])
    asked = profile(None)
    changing = ReferenceProfile("changing", [type(asked.checks[0])(ask=lambda _question: next(answers))])
    stream.desk = type(stream.desk)([changing])
    assert kinds(tick_through(stream, [10])) == ["offer_rejected"]
    assert stream.pending is None
    assert calls(stream) == ["risk_allowed", "written", "risk_rejected", "written"]
    assert not changing.held
