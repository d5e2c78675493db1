"""What the original does with a signal in a backtest, where recordings are rare."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from unit.reference.worlds import at, draft, drafts_at, flat_candles, kinds, run, stream_of, told

from backtestkit_cli.engine.decide import Answer, Failed, NoDraft, Unusable
from backtestkit_cli.engine.reference.events import ReferenceEvent, Row, StepFailed
from backtestkit_cli.engine.reference.exchange import CandleList, Exchange
from backtestkit_cli.engine.reference.fast_path import Wake
from backtestkit_cli.engine.reference.loop import backtest, together
from backtestkit_cli.engine.reference.market import OurDecider, ReferenceMarket
from backtestkit_cli.engine.reference.risk import Question, ReferenceCheck, ReferenceProfile
from backtestkit_cli.engine.reference.stream import DecisionRaised, ReferenceStream
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.event import Active, Cancelled, Closed, CloseReason
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.signal import SignalDraft

WAITING = draft(price_open=99.0, price_take_profit=101.0, price_stop_loss=97.0)


def last(events: list[ReferenceEvent]) -> Closed:
    event = events[-1]
    assert isinstance(event, Closed)
    return event


def test_a_market_entry_expires_one_minute_early_and_a_limit_entry_in_time() -> None:
    market = run(stream_of(flat_candles(0, 300), drafts_at({10: draft(lifetime_minutes=30)})), range(10, 60))
    assert last(market).time_ms == at(39)
    candles = flat_candles(0, 300, {20: {"low": 99.0}})
    limit = run(stream_of(candles, drafts_at({10: replace(WAITING, lifetime_minutes=30)})), range(10, 60))
    assert last(limit).opened_at == at(20)
    assert last(limit).time_ms == at(50)


def test_take_profit_wins_over_the_stop_and_both_fill_at_their_level() -> None:
    candles = flat_candles(0, 300, {15: {"high": 120.0, "low": 50.0}})
    closed = last(run(stream_of(candles, drafts_at({10: draft()})), [10]))
    assert (closed.reason, closed.price, closed.time_ms) == (CloseReason.TAKE_PROFIT, 102.0, at(15))


def test_the_minutes_after_an_activation_are_not_tested() -> None:
    touched = {20: {"low": 99.0}, 22: {"high": 105.0}, 26: {"low": 90.0}}
    closed = last(run(stream_of(flat_candles(0, 300, touched), drafts_at({10: WAITING})), [10]))
    assert (closed.reason, closed.time_ms) == (CloseReason.STOP_LOSS, at(26))


def test_a_stop_level_in_the_activating_candle_cancels() -> None:
    candles = flat_candles(0, 300, {20: {"low": 96.0}})
    events = run(stream_of(candles, drafts_at({10: WAITING})), [10])
    assert kinds(events) == ["scheduled", "cancelled"]
    assert isinstance(events[1], Cancelled)
    assert events[1].time_ms == at(20)


def test_an_activation_is_no_event() -> None:
    events = run(stream_of(flat_candles(0, 300, {20: {"low": 99.0}}), drafts_at({10: WAITING})), [10])
    assert "opened" not in kinds(events)


def test_an_activation_on_the_last_candle_closes_there_and_reports_the_waiting_row() -> None:
    candles = flat_candles(0, 41, {40: {"low": 99.0}})
    closed = last(run(stream_of(candles, drafts_at({10: WAITING})), [10]))
    assert (closed.reason, closed.time_ms) == (CloseReason.TIME_EXPIRED, at(40))
    assert isinstance(closed.signal, Row)
    assert closed.signal.is_scheduled
    assert closed.opened_at == at(10)


def test_a_waiting_entry_that_outlives_the_data_stays_and_is_watched_by_later_ticks() -> None:
    stream = stream_of(flat_candles(0, 41), drafts_at({10: WAITING}))
    events = run(stream, [10, 11, 12])
    assert kinds(events) == ["scheduled", "active", "active", "active"]
    assert isinstance(events[1], Active)
    assert (events[1].take_profit_percent, events[1].stop_loss_percent) == (0.0, 0.0)
    assert stream.scheduled is not None


def test_a_list_shorter_than_the_skipped_candles_ends_at_once() -> None:
    candles = [*flat_candles(0, 12), *flat_candles(300, 301)]
    closed = last(run(stream_of(candles, drafts_at({10: draft()})), [10]))
    assert closed.time_ms == at(11)
    cancelled = run(
        stream_of(flat_candles(0, 12), drafts_at({10: WAITING}), limits=Limits(schedule_await_minutes=1)), [10]
    )
    assert kinds(cancelled) == ["scheduled", "cancelled"]
    only = run(stream_of(flat_candles(7, 10), drafts_at({10: draft()})), [10])
    assert last(only).time_ms == at(9)


def test_candles_that_are_not_there_yet_leave_the_position_to_later_ticks() -> None:
    candles = flat_candles(0, 100, {30: {"open": 103.0, "high": 103.0, "low": 103.0, "close": 103.0, "volume": 1e9}})
    stream = stream_of(candles, drafts_at({10: draft()}), now_ms=at(50))
    events = run(stream, range(10, 40))
    assert kinds(events)[0] == "opened"
    assert set(kinds(events)[1:-2]) == {"active"}
    assert kinds(events)[-1] == "closed"
    assert last(events).time_ms == at(30)
    assert stream.tape.asked_at == [at(10), *(at(minute) for minute in range(31, 40))]


def test_the_first_tick_at_or_after_a_close_is_skipped() -> None:
    candles = flat_candles(0, 300, {20: {"high": 102.0}})
    stream = stream_of(candles, drafts_at({10: draft()}))
    run(stream, range(10, 40, 5))
    assert stream.tape.asked_at == [at(10), at(25), at(30), at(35)]


def test_calls_are_throttled_since_the_last_one() -> None:
    stream = stream_of(flat_candles(0, 100), drafts_at({}), interval_minutes=5)
    run(stream, [10, 12, 15, 19, 20, 27])
    assert stream.tape.asked_at == [at(10), at(15), at(20), at(27)]


def test_a_call_that_fails_counts_for_the_throttle_and_is_told() -> None:
    def fails(when_ms: int, price: float) -> None:
        raise DecisionRaised(f"boom at {when_ms}")

    stream = stream_of(flat_candles(0, 100), fails, interval_minutes=5)
    events = run(stream, [10, 12])
    assert [event for event in events if isinstance(event, StepFailed)] == events
    assert [event.time_ms for event in events if isinstance(event, StepFailed)] == [at(10)]


def test_a_decision_that_asks_for_one_candle_ends_with_an_error() -> None:
    market = ReferenceMarket(
        "BTCUSDT", Exchange(source=CandleList.of(flat_candles(0, 100)), now_ms=at(0)), MarketSteps()
    )

    def asks(when_ms: int, price: float) -> SignalDraft | None:
        market.now, market.price = when_ms, price
        limit = 1 if when_ms == at(11) else 2
        return draft() if len(market.candles("1m", limit)) < limit else None

    events = run(stream_of(flat_candles(0, 100), asks), [10, 11, 12])
    assert [(event.time_ms, event.code) for event in events if isinstance(event, StepFailed)] == [
        (at(11), "limit_one_not_supported")
    ]


def test_a_price_of_one_candle_fails_every_step() -> None:
    stream = stream_of(flat_candles(0, 100), drafts_at({}), limits=Limits(average_price_candles=1))
    events = run(stream, [10])
    assert [(event.time_ms, event.code) for event in events if isinstance(event, StepFailed)] == [
        (at(10), "limit_one_not_supported"),
        (None, "limit_one_not_supported"),
    ]


def test_a_given_price_that_the_market_beats_is_filled_as_given() -> None:
    events = run(stream_of(flat_candles(0, 300), drafts_at({10: draft(price_open=100.5)})), [10])
    assert kinds(events)[0] == "opened"
    assert last(events).signal.price_open == 100.5


def test_a_stop_ends_the_run_after_the_result_in_hand() -> None:
    def stop(stream: ReferenceStream, _result: ReferenceEvent) -> None:
        stream.stop(at(15))

    stream = stream_of(flat_candles(0, 300), drafts_at({10: draft(lifetime_minutes=5), 20: draft()}))
    events = run(stream, range(10, 40), stop)
    assert kinds(events) == ["opened", "closed"]
    assert stream.tape.progressed == 2


def refusing_above(limit: float) -> ReferenceProfile:
    def ask(question: Question) -> object:
        return "too dear" if question.price > limit else None

    return ReferenceProfile("cap", [ReferenceCheck(ask=ask)])


SHORT_LIMIT = draft(position="short", price_open=101.0, price_take_profit=99.0, price_stop_loss=104.0)


def test_a_refused_activation_is_an_error_and_time_goes_back() -> None:
    candles = flat_candles(0, 300, {20: {"high": 101.0}})
    stream = stream_of(candles, drafts_at({10: SHORT_LIMIT, 12: draft()}), profiles=[refusing_above(100.5)])
    events = run(stream, [10, 11, 12])
    assert kinds(events)[:4] == ["scheduled", "offer_rejected", "step_failed", "opened"]
    assert stream.tape.asked_at == [at(10), at(11), at(12)]


def test_a_refused_activation_on_the_last_candle_closes_what_never_was_open() -> None:
    candles = flat_candles(0, 21, {20: {"high": 101.0}})
    stream = stream_of(candles, drafts_at({10: SHORT_LIMIT}), profiles=[refusing_above(100.5)])
    assert kinds(run(stream, [10])) == ["scheduled", "offer_rejected", "closed"]


def limited(count: int) -> ReferenceProfile:
    def ask(question: Question) -> object:
        return f"{count} held" if len(question.positions) >= count else None

    return ReferenceProfile("shared", [ReferenceCheck(ask=ask)])


def test_streams_share_a_limit_in_simulated_time() -> None:
    shared = limited(1)
    candles = flat_candles(0, 300, {20: {"high": 102.0}})
    first = stream_of(candles, drafts_at({10: draft()}), name="first", profiles=[shared])
    second = stream_of(
        candles, drafts_at({minute: draft() for minute in (10, 19, 20)}), name="second", profiles=[shared]
    )
    ticks = [at(minute) for minute in range(10, 30)]
    together([backtest(first, ticks), backtest(second, ticks)])
    refused = [event for event in told(second) if event.kind == "offer_rejected"]
    assert [event.time_ms for event in refused] == [at(10), at(19)]
    assert [event.time_ms for event in told(second) if event.kind == "opened"] == [at(20)]


def test_a_starting_run_forgets_the_positions_of_others() -> None:
    shared = limited(1)
    stream = stream_of(flat_candles(0, 300), drafts_at({10: draft()}), profiles=[shared], now_ms=at(50))
    run(stream, [10])
    assert len(shared.held) == 1
    assert kinds(run(stream_of(flat_candles(0, 300), drafts_at({10: draft()}), profiles=[shared]), [10]))[0] == "opened"


def test_runs_wake_in_order_of_time_closes_first_then_as_given() -> None:
    order: list[str] = []

    def going(name: str, *wakes: Wake) -> Iterator[Wake]:
        for wake in wakes:
            yield wake
            order.append(f"{name}{wake.time_ms}")

    together([going("a", Wake(2), Wake(5)), going("b", Wake(2, is_close=True), Wake(3)), iter(()), going("c", Wake(2))])
    assert order == ["b2", "a2", "c2", "b3", "a5"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(NoDraft.WARM_UP, None), (Failed("boom"), "boom"), (Unusable(("take_profit", "limit")), "take_profit, limit")],
)
def test_answers_of_our_deciders_become_a_draft_nothing_or_an_error(answer: Answer, expected: str | None) -> None:
    class Fixed:
        def decide(self, time_ms: int, price: float) -> Answer:
            return answer

        def has_row(self, time_ms: int) -> bool:
            return False

        def is_short_history(self, time_ms: int) -> bool:
            return False

    if expected is None:
        assert OurDecider(Fixed())(at(0), 100.0) is None
    else:
        with pytest.raises(DecisionRaised, match=expected):
            OurDecider(Fixed())(at(0), 100.0)


def test_our_drafts_pass_as_they_are() -> None:
    class Always:
        def decide(self, time_ms: int, price: float) -> Answer:
            return draft(price_stop_loss=price - 2.0) if time_ms == at(10) else NoDraft.NONE

        def has_row(self, time_ms: int) -> bool:
            return True

        def is_short_history(self, time_ms: int) -> bool:
            return False

    decider = OurDecider(Always())
    assert decider(at(10), 99.0) == draft(price_stop_loss=97.0)
    assert decider(at(11), 99.0) is None
