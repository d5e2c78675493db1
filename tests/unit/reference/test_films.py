"""Whole films of the original: every event and call of a signal's life, in order, with all values.

A line is the tick that caused it, what happened, the event's own minute where it has one, and its values. The first
lines of each film are by hand; percents follow from prices at whole percents of the way.
"""

from collections.abc import Sequence

from unit.reference.test_backtest import SHORT_LIMIT, WAITING, refusing_above
from unit.reference.worlds import START_MS, at, draft, drafts_at, flat_candles, profile, run, stream_of

from backtestkit_cli.engine.reference.events import Called, OfferRejected, StepFailed, Told
from backtestkit_cli.engine.reference.exchange import RequestFailed
from backtestkit_cli.engine.reference.loop import live_tick
from backtestkit_cli.engine.reference.stream import ReferenceStream
from backtestkit_cli.model.event import Active, Cancelled, Closed, DraftRefused, Idle, LevelReached, Opened, Scheduled
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.time import MINUTE_MS


def film(stream: ReferenceStream) -> list[str]:
    """The tape of a stream as text, without idle minutes."""
    return [
        _line(entry) for entry in stream.tape.entries if isinstance(entry, Called) or not isinstance(entry.event, Idle)
    ]


def _line(entry: Told | Called) -> str:
    if isinstance(entry, Called):
        price = "" if entry.price is None else f" at {entry.price:.6g}"
        percent = "" if entry.percent is None else f" {entry.percent:.6g}%"
        nobody = " nothing" if entry.offer is None else ""
        return f"{minute(entry.when_ms)} call {entry.name}{price}{percent}{nobody}"
    return f"{minute(entry.when_ms)} {entry.event.kind} {_values(entry)}".rstrip()


def _values(entry: Told) -> str:
    match entry.event:
        case Scheduled() | Cancelled() as event:
            reason = f" {event.reason.value}" if isinstance(event, Cancelled) else ""
            return f"{minute(event.time_ms)} at {event.price:.6g}{reason}"
        case Opened() as event:
            return f"{minute(event.time_ms)} at {event.signal.price_open:.6g}"
        case Active() as event:
            ways = f"{event.take_profit_percent:.6g}% {event.stop_loss_percent:.6g}%"
            return f"{minute(event.time_ms)} at {event.price:.6g} {ways}"
        case LevelReached() as event:
            return f"{minute(event.time_ms)} {event.side} {event.level} at {event.price:.6g}"
        case Closed() as event:
            times = f"{minute(event.opened_at)}..{minute(event.time_ms)}"
            return f"{times} at {event.price:.6g} {event.reason.value} {event.pnl_percent:.6g}%"
        case StepFailed() as event:
            return f"{minute(event.time_ms)} {event.code}"
        case DraftRefused() as event:
            return " ".join(event.rules)
        case OfferRejected() as event:
            return f"at {event.price:.6g} held {event.open_positions} {event.note}"
        case _:
            return ""


def minute(time_ms: int | None) -> str:
    return "-" if time_ms is None else str((time_ms - START_MS) // MINUTE_MS)


def price_at(price: float, volume: float) -> dict[str, float]:
    """A minute at one price, with a volume that makes it the price of the window."""
    return {"open": price, "high": price, "low": price, "close": price, "volume": volume}


def tick_through(stream: ReferenceStream, minutes: Sequence[int]) -> list[str]:
    for one in minutes:
        live_tick(stream, at(one))
    return film(stream)


def levels(tick: int, when: int, side: str, last: int, price: float) -> list[str]:
    """Every ten percent from the first to the last, told in one minute."""
    return [f"{tick} level_reached {when} {side} {level} at {price:.6g}" for level in range(10, last + 1, 10)]


OPENED = ["10 call written", "10 call opened at 100", "10 opened 10 at 100"]
TWO = Limits(average_price_candles=2)


def counted(stream: ReferenceStream) -> tuple[int, int, list[str]]:
    """Ticks told as progress, timings told, and the minutes at which the strategy was asked."""
    return stream.tape.progressed, stream.tape.measured, [minute(time_ms) for time_ms in stream.tape.asked_at]


def test_a_market_entry_runs_to_its_take_profit() -> None:
    way = {12: price_at(100.5, 1e6), 13: price_at(99.5, 1e12), 16: price_at(102.5, 1e18)}
    stream = stream_of(flat_candles(0, 300, way), drafts_at({10: draft()}), profiles=[profile(None)], limits=TWO)
    run(stream, range(10, 20))
    assert film(stream) == [
        "10 call risk_allowed at 100",
        "10 call written",
        "10 call risk_allowed at 100",
        *OPENED[1:],
        *levels(10, 12, "profit", 20, 100.5),
        "10 call profit at 100.5 25%",
        *levels(10, 13, "loss", 20, 99.5),
        "10 call loss at 99.5 25%",
        "10 call loss at 99.5 25%",
        "10 call closed at 102",
        "10 call written nothing",
        "10 closed 10..16 at 102 take_profit 1.5962%",
    ]
    assert counted(stream) == (5, 6, ["10", "17", "18", "19"])
    assert stream.levels == {}


def test_a_short_runs_to_its_stop() -> None:
    short = draft(position="short", price_take_profit=98.0, price_stop_loss=102.0)
    way = {12: price_at(99.5, 1e6), 14: price_at(102.5, 1e12)}
    stream = stream_of(flat_candles(0, 300, way), drafts_at({10: short}), limits=TWO)
    run(stream, range(10, 20))
    assert film(stream) == [
        *OPENED,
        *levels(10, 12, "profit", 20, 99.5),
        "10 call profit at 99.5 25%",
        "10 call profit at 99.5 25%",
        "10 call closed at 102",
        "10 call written nothing",
        "10 closed 10..14 at 102 stop_loss -2.4042%",
    ]


def test_a_waiting_entry_is_activated_and_stopped() -> None:
    touched = {12: {"low": 99.0}, 15: {"low": 97.0}}
    stream = stream_of(flat_candles(0, 300, touched), drafts_at({10: WAITING}), profiles=[profile(None)], limits=TWO)
    run(stream, range(10, 20))
    assert film(stream) == [
        "10 call risk_allowed at 100",
        "10 call scheduled at 100",
        "10 scheduled 10 at 100",
        "12 call risk_allowed at 99",
        "10 call written",
        "10 call opened at 99",
        *levels(10, 14, "profit", 50, 100),
        "10 call profit at 100 50%",
        "10 call closed at 97",
        "10 call written nothing",
        "10 closed 12..15 at 97 stop_loss -2.41597%",
    ]
    assert counted(stream)[:2] == (6, 7)


def test_a_waiting_entry_is_given_up_after_its_wait() -> None:
    limits = Limits(average_price_candles=2, schedule_await_minutes=4)
    stream = stream_of(flat_candles(0, 300), drafts_at({10: WAITING}), limits=limits)
    run(stream, range(10, 20))
    assert film(stream) == [
        "10 call scheduled at 100",
        "10 scheduled 10 at 100",
        "10 call cancelled at 100",
        "10 cancelled 14 at 100 wait_over",
    ]
    assert counted(stream)[:2] == (7, 8)


def test_a_refused_activation_fails_the_step() -> None:
    candles = flat_candles(0, 300, {12: {"high": 101.0}})
    stream = stream_of(candles, drafts_at({10: SHORT_LIMIT}), profiles=[refusing_above(100.5)], limits=TWO)
    run(stream, [10, 11, 12])
    assert film(stream) == [
        "10 call risk_allowed at 100",
        "10 call scheduled at 100",
        "10 scheduled 10 at 100",
        "12 offer_rejected at 101 held 0 too dear",
        "12 call risk_rejected at 101",
        "- step_failed - no_pending_after_activation",
    ]
    assert counted(stream)[:2] == (4, 3)


def test_a_refused_draft_is_told_and_a_position_without_an_end_expires() -> None:
    drafts = {10: draft(price_take_profit=100.2), 11: draft(lifetime_minutes=3)}
    stream = stream_of(flat_candles(0, 300), drafts_at(drafts), limits=TWO)
    run(stream, range(10, 20))
    assert film(stream) == [
        "10 draft_refused long_tp_too_close",
        "11 call written",
        "11 call opened at 100",
        "11 opened 11 at 100",
        "11 call closed at 100",
        "11 call written nothing",
        "11 closed 11..13 at 100 time_expired -0.3998%",
    ]


def test_in_time_a_position_is_told_at_every_tick() -> None:
    way = {11: price_at(100.5, 1e6), 12: price_at(99.5, 1e12), 14: price_at(103, 1e24)}
    stream = stream_of(flat_candles(0, 300, way), drafts_at({10: draft()}), limits=TWO)
    assert tick_through(stream, range(10, 17)) == [
        *OPENED,
        *levels(11, 11, "profit", 20, 100.5),
        "11 call profit at 100.5 25%",
        "11 active 11 at 100.5 25% 0%",
        *levels(12, 12, "loss", 20, 99.5),
        "12 call loss at 99.5 25%",
        "12 active 12 at 99.5 0% 25%",
        "13 call loss at 99.5 25%",
        "13 active 13 at 99.5 0% 25%",
        "14 call closed at 102",
        "14 call written nothing",
        "14 closed 10..14 at 102 take_profit 1.5962%",
    ]


def test_in_time_a_waiting_entry_waits_opens_and_is_stopped_at_a_tick() -> None:
    way = {11: price_at(99.5, 1e6), 12: price_at(99, 1e12), 13: price_at(98, 1e18), 14: price_at(97, 1e24)}
    stream = stream_of(flat_candles(0, 300, way), drafts_at({10: WAITING}), limits=TWO)
    assert tick_through(stream, range(10, 16)) == [
        "10 call scheduled at 100",
        "10 scheduled 10 at 100",
        "11 active 11 at 99.5 0% 0%",
        "12 active 12 at 99 0% 0%",
        "13 call written",
        "13 call opened at 99",
        "13 opened 13 at 99",
        *levels(14, 14, "loss", 90, 97),
        "14 call loss at 97 100%",
        "14 active 14 at 97 0% 100%",
        "15 call closed at 97",
        "15 call written nothing",
        "15 closed 13..15 at 97 stop_loss -2.41597%",
    ]


def test_in_time_a_tick_without_a_price_fails_and_changes_nothing() -> None:
    stream = stream_of(flat_candles(0, 11), drafts_at({10: draft()}), limits=TWO)
    assert tick_through(stream, [10, 30]) == [*OPENED, "- step_failed - no_candles"]
    assert stream.pending is not None


def test_a_strategy_that_asks_for_candles_in_vain_fails_its_decision_alone() -> None:
    def asks(when_ms: int, price: float) -> None:
        raise RequestFailed("no_candles")

    assert tick_through(stream_of(flat_candles(0, 20), asks), [10]) == ["10 step_failed 10 no_candles"]


def test_where_holes_leave_no_candle_to_test_the_last_one_decides_a_wait() -> None:
    limits = Limits(schedule_await_minutes=20)
    for end, result in {
        30: ["10 call cancelled at 100", "10 cancelled 30 at 100 wait_over"],
        29: ["10 active 10 at 100 0% 0%"],
    }.items():
        candles = [*flat_candles(8, 11), *flat_candles(end, end + 1)]
        stream = stream_of(candles, drafts_at({10: WAITING}), limits=limits)
        run(stream, [10])
        assert film(stream) == ["10 call scheduled at 100", "10 scheduled 10 at 100", *result]


def test_a_stopped_stream_is_asked_nothing_and_ends_its_run_at_once() -> None:
    stream = stream_of(flat_candles(0, 30), drafts_at({10: draft()}), limits=TWO)
    stream.stop(at(10))
    assert run(stream, range(10, 20)) == []
    assert counted(stream) == (2, 1, [])


def test_in_time_a_stop_drops_a_waiting_entry_that_was_reached() -> None:
    stream = stream_of(flat_candles(0, 30, {11: price_at(96, 1e6)}), drafts_at({10: WAITING}), limits=TWO)
    assert tick_through(stream, [10, 11]) == ["10 call scheduled at 100", "10 scheduled 10 at 100"]
    assert (stream.scheduled, stream.pending) == (None, None)


def test_in_time_a_refused_activation_is_an_idle_tick() -> None:
    candles = flat_candles(0, 30, {11: price_at(102, 1e6)})
    stream = stream_of(candles, drafts_at({10: SHORT_LIMIT}), profiles=[refusing_above(100.5)], limits=TWO)
    assert tick_through(stream, [10, 11]) == [
        "10 call risk_allowed at 100",
        "10 call scheduled at 100",
        "10 scheduled 10 at 100",
        "11 offer_rejected at 101 held 0 too dear",
        "11 call risk_rejected at 101",
    ]
    assert (stream.scheduled, stream.pending) == (None, None)
