"""The step function: each row of the rules table that concerns one minute, by hand."""

from typing import Any

import pytest
from worlds import START_MS

from backtestkit_cli.engine.step import (
    FLAT,
    CandleClosed,
    DataEnded,
    DraftOffered,
    Quote,
    StopRequested,
    Terms,
    advance,
    progress,
)
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.event import Cancelled, Closed, DraftRefused, Event, LevelReached, Opened, Scheduled
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import PRESETS, Costs, FillPolicy
from backtestkit_cli.model.signal import OpenPosition, SignalDraft, SignalState, WaitingEntry
from backtestkit_cli.model.time import MINUTE_MS

FREE = Costs(fee_percent=0.0, slippage_percent=0.0)


def terms(policy: str | FillPolicy = "honest") -> Terms:
    chosen = PRESETS[policy] if isinstance(policy, str) else policy
    return Terms(strategy="s", symbol="X", policy=chosen, costs=FREE, limits=Limits())


def draft(**changes: Any) -> SignalDraft:
    values: dict[str, Any] = {
        "position": "long",
        "price_take_profit": 104.0,
        "price_stop_loss": 97.0,
        "lifetime_minutes": 10,
    }
    return SignalDraft(**(values | changes))


def minute(
    number: int, low: float, high: float, *, opened: float = 100.0, close: float = 100.0, vwap: float = 100.0
) -> CandleClosed:
    """The minute that ends `number` minutes after the start."""
    end_ms = START_MS + number * MINUTE_MS
    return CandleClosed(end_ms, Candle(end_ms - MINUTE_MS, opened, high, low, close, 1.0), Quote(vwap, close, False))


def offered(
    wish: SignalDraft, policy: str | FillPolicy = "honest", *, vwap: float = 100.0, close: float = 100.0
) -> tuple[SignalState, tuple[Event, ...]]:
    return advance(FLAT, DraftOffered(START_MS, wish, Quote(vwap, close, False)), terms(policy))


def closed_by(wish: SignalDraft, happened: CandleClosed, policy: str | FillPolicy = "honest") -> Closed:
    state, _ = offered(wish, policy)
    state, events = advance(state, happened, terms(policy))
    assert state == FLAT
    (event,) = events
    assert isinstance(event, Closed)
    return event


@pytest.mark.parametrize(
    ("position", "policy", "price"),
    [("long", "honest", 100.5), ("short", "honest", 100.0), ("long", "vwap", 100.0), ("short", "vwap", 100.0)],
)
def test_a_market_entry_books_the_worse_of_vwap_and_last_close(position: str, policy: str, price: float) -> None:
    levels = {"price_take_profit": 97.0, "price_stop_loss": 104.0} if position == "short" else {}
    state, events = offered(draft(position=position, **levels), policy, vwap=100.0, close=100.5)
    assert isinstance(state, OpenPosition)
    assert state.signal.price_open == price
    assert events == (Opened(time_ms=START_MS, signal=state.signal),)


@pytest.mark.parametrize(("better_entry", "price"), [("market", 100.0), ("given", 101.0)])
def test_a_given_price_that_the_market_beats_opens_now(better_entry: Any, price: float) -> None:
    state, _ = offered(draft(price_open=101.0), FillPolicy(better_entry=better_entry))
    assert isinstance(state, OpenPosition)
    assert state.signal.price_open == price


def test_a_given_price_below_the_market_waits() -> None:
    state, events = offered(draft(price_open=99.0, wait_minutes=3))
    assert isinstance(state, WaitingEntry)
    assert state.wait_until == START_MS + 3 * MINUTE_MS
    assert events == (Scheduled(time_ms=START_MS, signal=state.signal, price=100.0),)


def test_a_bad_draft_is_refused_with_every_rule() -> None:
    state, events = offered(draft(price_take_profit=100.1, price_stop_loss=99.9))
    assert state == FLAT
    assert events == (
        DraftRefused(time_ms=START_MS, strategy="s", symbol="X", rules=("long_tp_too_close", "long_sl_too_close")),
    )


@pytest.mark.parametrize(
    ("policy", "happened", "price"),
    [
        pytest.param("honest", minute(1, 99, 106, close=105, vwap=104.5), 104.0, id="honest books the level at best"),
        pytest.param("honest", minute(1, 99, 106, close=103, vwap=104.5), 103.0, id="or the close, if that is worse"),
        pytest.param("touch", minute(1, 99, 104, close=101, vwap=101), 104.0, id="touch books the level"),
        pytest.param("vwap", minute(1, 99, 106, close=103, vwap=104.5), 104.0, id="vwap books the level"),
    ],
)
def test_take_profit(policy: str, happened: CandleClosed, price: float) -> None:
    event = closed_by(draft(), happened, policy)
    assert (event.reason.value, event.price) == ("take_profit", price)


@pytest.mark.parametrize(
    ("policy", "happened", "price"),
    [
        pytest.param("honest", minute(1, 95, 101, close=98, vwap=96.5), 96.5, id="honest books the vwap"),
        pytest.param("honest", minute(1, 95, 101, close=95.5, vwap=96.5), 95.5, id="or the close"),
        pytest.param("honest", minute(1, 95, 101, close=98, vwap=97.0), 97.0, id="or the level, touched exactly"),
        pytest.param("touch", minute(1, 97, 101), 97.0, id="touch books the level"),
        pytest.param("touch", minute(1, 94, 96, opened=96), 96.0, id="or the open after a gap"),
        pytest.param("vwap", minute(1, 95, 101, close=95.5, vwap=96.5), 96.5, id="vwap books the vwap"),
        pytest.param(FillPolicy(stop_at="level"), minute(1, 95, 101, close=95.5, vwap=96.5), 97.0, id="at its level"),
        pytest.param(
            FillPolicy(exit="touch", stop_at="level"), minute(1, 94, 96, opened=96), 97.0, id="at its level by touch"
        ),
    ],
)
def test_stop_loss(policy: str | FillPolicy, happened: CandleClosed, price: float) -> None:
    event = closed_by(draft(), happened, policy)
    assert (event.reason.value, event.price) == ("stop_loss", price)


def test_a_wick_is_not_seen_by_the_vwap() -> None:
    state, _ = offered(draft())
    assert advance(state, minute(1, 90, 110), terms()) == (state, ())


@pytest.mark.parametrize(
    ("order", "reason", "at_stake"), [("stop_first", "stop_loss", 7.0), ("profit_first", "take_profit", 0.0)]
)
def test_both_levels_in_one_minute_are_ambiguous(order: Any, reason: str, at_stake: float) -> None:
    event = closed_by(draft(), minute(1, 96, 105), FillPolicy(exit="touch", entry="touch", order=order))
    assert (event.reason.value, event.ambiguous_minutes) == (reason, 1)
    assert event.profit_at_stake_percent == pytest.approx(at_stake)


def test_levels_come_before_expiry_and_expiry_books_the_market() -> None:
    by_level = closed_by(draft(lifetime_minutes=1), minute(1, 96, 101, close=96, vwap=96.5))
    assert by_level.reason.value == "stop_loss"
    by_time = closed_by(draft(lifetime_minutes=1), minute(1, 99, 101, close=99.5, vwap=100.0))
    assert (by_time.reason.value, by_time.price) == ("time_expired", 99.5)
    assert by_time.vwap_lag_percent == pytest.approx(0.5)
    late = closed_by(draft(lifetime_minutes=1), minute(7, 99, 101))
    assert late.time_ms == START_MS + 7 * MINUTE_MS


def waiting(**changes: Any) -> SignalState:
    state, _ = offered(draft(price_open=99.0, wait_minutes=3, **changes))
    return state


@pytest.mark.parametrize(
    ("policy", "happened", "outcome"),
    [
        pytest.param("honest", minute(1, 98.5, 101, vwap=98.9), "opened", id="vwap beyond the limit and touched"),
        pytest.param("honest", minute(1, 98.5, 101, vwap=99.5), "waiting", id="touched only"),
        pytest.param("honest", minute(1, 99.2, 101, vwap=98.9), "waiting", id="not traded there in this minute"),
        pytest.param("honest", minute(1, 96, 101, vwap=96.9), "stop_level", id="through the stop"),
        pytest.param("honest", minute(3, 99.5, 101, vwap=99.8), "wait_over", id="its wait is over"),
        pytest.param("honest", minute(3, 98.5, 101, vwap=98.9), "opened", id="in the last minute of its wait"),
        pytest.param("honest", minute(5, 98.5, 101, vwap=98.9), "wait_over", id="over inside a hole"),
        pytest.param("touch", minute(1, 99.0, 101, vwap=100), "opened", id="touch alone"),
        pytest.param("touch", minute(1, 96.5, 101, vwap=100), "stopped", id="touch of entry and stop"),
    ],
)
def test_what_becomes_of_a_waiting_entry(policy: str, happened: CandleClosed, outcome: str) -> None:
    state, events = advance(waiting(), happened, terms(policy))
    match outcome:
        case "waiting":
            assert (state, events) == (waiting(), ())
        case "opened":
            assert isinstance(state, OpenPosition)
            assert state.signal.price_open == 99.0
            assert state.opened_at == happened.time_ms
            assert state.expires_at == happened.time_ms + 10 * MINUTE_MS
        case "stopped":
            assert [type(event) for event in events] == [Opened, Closed]
            assert events[-1].time_ms == happened.time_ms
        case reason:
            (event,) = events
            assert isinstance(event, Cancelled)
            assert (event.reason.value, event.price, state) == (reason, happened.quote.vwap, FLAT)


def test_the_activating_minute_that_holds_the_take_profit_is_ambiguous_and_does_not_close() -> None:
    state, events = advance(waiting(), minute(1, 98, 105), terms("touch"))
    assert [type(event) for event in events] == [Opened]
    state, (event,) = advance(state, minute(2, 96, 101), terms("touch"))
    assert isinstance(event, Closed)
    assert (event.reason.value, event.ambiguous_minutes) == ("stop_loss", 1)
    assert event.profit_at_stake_percent == pytest.approx((104 - 97) / 99 * 100)


def test_a_stop_request_cancels_what_waits_and_leaves_a_position() -> None:
    state, (event,) = advance(waiting(), StopRequested(START_MS + 5, None), terms())
    assert isinstance(event, Cancelled)
    assert (event.reason.value, event.price, event.time_ms, state) == ("stopped", None, START_MS + 5, FLAT)
    position, _ = offered(draft())
    assert advance(position, StopRequested(START_MS, 100.0), terms()) == (position, ())


def test_the_end_of_data_closes_and_cancels() -> None:
    ended = DataEnded(START_MS + MINUTE_MS, Quote(100.0, 99.0, False))
    state, (event,) = advance(offered(draft())[0], ended, terms())
    assert isinstance(event, Closed)
    assert (event.reason.value, event.price, state) == ("end_of_data", 99.0, FLAT)
    state, (event,) = advance(waiting(), ended, terms())
    assert isinstance(event, Cancelled)
    assert (event.reason.value, event.price, state) == ("end_of_data", 100.0, FLAT)


def test_each_level_is_told_once_with_the_first_price_that_reaches_it() -> None:
    state, _ = offered(draft())
    state, events = advance(state, minute(1, 99, 102, vwap=101.3), terms())
    assert [(event.side, event.level) for event in events if isinstance(event, LevelReached)] == [
        ("profit", 10),
        ("profit", 20),
        ("profit", 30),
    ]
    state, events = advance(state, minute(2, 99, 102, vwap=101.0), terms())
    assert events == ()
    state, events = advance(state, minute(3, 98, 102, vwap=99.0), terms())
    assert [(event.side, event.level) for event in events if isinstance(event, LevelReached)] == [
        ("loss", 10),
        ("loss", 20),
        ("loss", 30),
    ]
    assert isinstance(state, OpenPosition)
    assert progress(state.signal, 100.0) == ("loss", 0.0)
    assert progress(state.signal, 200.0) == ("profit", 100.0)
