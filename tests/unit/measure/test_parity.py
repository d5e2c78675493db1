"""Each difference between a session and its backtest gets its cause, the most direct one first."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from backtestkit_cli.measure.lived import Key, Lived, SignalLife, candle_differences
from backtestkit_cli.measure.parity import Parity, compare
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.event import (
    Cancelled,
    CancelReason,
    Closed,
    CloseReason,
    DecisionFailed,
    DraftRefused,
    Event,
    Opened,
    RiskRefused,
    Scheduled,
)
from backtestkit_cli.model.signal import Position, Signal
from backtestkit_cli.model.time import MINUTE_MS, iso

KEY: Key = ("s", "X")
END = 100


def at(minute: int) -> int:
    return 1_704_067_200_000 + minute * MINUTE_MS


def signal(minute: int, **changed: Any) -> Signal:
    plain = Signal(
        id=f"id-{minute}",
        strategy="s",
        symbol="X",
        position=Position.LONG,
        price_open=100.0,
        price_take_profit=101.0,
        price_stop_loss=99.0,
        lifetime_minutes=10,
        decided_at=at(minute),
    )
    return replace(plain, **changed)


def opened(minute: int, **changed: Any) -> Opened:
    return Opened(time_ms=at(minute), signal=signal(minute, **changed))


def closed(minute: int, decided: int, price: float = 101.0, reason: CloseReason = CloseReason.TAKE_PROFIT) -> Closed:
    return Closed(
        time_ms=at(minute),
        signal=signal(decided),
        opened_at=at(decided),
        price=price,
        reason=reason,
        pnl_percent=price - 100,
        ambiguous_minutes=0,
        profit_at_stake_percent=0.0,
        vwap_lag_percent=0.0,
        is_bridged=False,
    )


def waiting(minute: int) -> Scheduled:
    return Scheduled(time_ms=at(minute), signal=signal(minute), price=100.5)


def cancelled(minute: int, decided: int, reason: CancelReason) -> Cancelled:
    return Cancelled(time_ms=at(minute), signal=signal(decided), price=100.0, reason=reason)


def refused(minute: int, decided: int, rule: str = "kill_switch", stage: Any = "decision") -> RiskRefused:
    return RiskRefused(
        time_ms=at(minute),
        signal=signal(decided),
        stage=stage,
        price=100.0,
        profile="session",
        rule=rule,
        open_positions=0,
    )


def candle(minute: int, close: float = 100.0) -> Candle:
    return Candle(at(minute), 100.0, 102.0, 98.0, close, 1.0)


def lived(
    *events: Event, gates: dict[int, str] | None = None, candles: Sequence[Candle] = (), late_s: int = 2, **more: Any
) -> Lived:
    known = {one.time: (one, one.time + MINUTE_MS + late_s * 1000) for one in candles}
    return Lived(
        events=events,
        gates={(KEY, at(minute)): gate for minute, gate in (gates or {}).items()},
        candles={"X": known},
        **more,
    )


def compared(session: Lived, *told: Event, market: Sequence[Candle] = (), bridges: bool = False) -> Parity:
    rows = {"X": {one.time: one for one in market}}
    return compare(session, told, rows, {"X": at(END)}, price_minutes=5, bridges=bridges)


def cause(found: Parity) -> tuple[str, str]:
    (one,) = found.differences
    return one.cause, one.detail


def test_the_same_events_are_equal_and_what_is_beyond_the_end_does_not_count() -> None:
    events = (opened(1), closed(5, 1), waiting(7), cancelled(9, 7, CancelReason.WAIT_OVER), opened(95))
    failed = DecisionFailed(time_ms=at(3), strategy="s", symbol="X", what="")
    ended = (closed(END, 95, reason=CloseReason.END_OF_DATA), opened(END), refused(2, 2), failed)
    found = compared(lived(*events), *events, *ended)
    assert (found.signals, found.equal, found.differences) == (3, 3, ())
    late = (waiting(96), cancelled(END, 96, CancelReason.END_OF_DATA))
    assert compared(lived(*events, waiting(96)), *events, *late, closed(END + 1, 95)).equal == 4


@pytest.mark.parametrize(
    ("gate", "more", "expected"),
    [
        ("missed", {"awake_ms": (at(5) + 1500,)}, "late-candle"),
        ("missed", {"awake_ms": (at(3), at(9))}, "missed-tick"),
        (None, {"awake_ms": (at(3),)}, "missed-tick"),
        (None, {}, "missed-tick"),
        ("stopped", {}, "stopped"),
        (None, {"stopped_ms": {KEY: [(at(4), at(6))]}}, "stopped"),
        ("errors", {}, "failed-call"),
        ("risk", {}, "risk"),
        ("busy", {}, "unexplained"),
        ("no_draft", {}, "unexplained"),
    ],
)
def test_what_is_in_the_backtest_only_is_told_by_its_decision_time(
    gate: str | None, more: dict[str, Any], expected: str
) -> None:
    session = lived(gates={} if gate is None else {5: gate}, **more)
    assert cause(compared(session, opened(5)))[0] == expected


def test_evidence_is_told_in_words() -> None:
    awake: dict[str, Any] = {"awake_ms": (at(5) + 1500,)}
    late = lived(gates={5: "missed"}, candles=[candle(4)], late_s=125, **awake)
    assert (
        cause(compared(late, opened(5), market=[candle(4)]))[1]
        == f"the candle of {iso(at(4))} came 125 s after its end"
    )
    never = lived(gates={5: "missed"}, **awake)
    assert cause(compared(never, opened(5)))[1] == f"the candle of {iso(at(4))} never came"
    away = lived(awake_ms=(at(3), at(9)))
    assert cause(compared(away, opened(5)))[1] == f"no sign of the session between {iso(at(3))} and {iso(at(9))}"
    gone = lived(awake_ms=())
    assert cause(compared(gone, opened(5)))[1] == "no sign of the session between its start and its end"
    failed = DecisionFailed(time_ms=at(5), strategy="s", symbol="X", what="it raised")
    assert cause(compared(lived(failed, gates={5: "errors"}), opened(5)))[1] == "it raised"
    ruled = lived(refused(5, 5), gates={5: "risk"})
    assert cause(compared(ruled, opened(5)))[1] == "the session refused it: session, kill_switch"


def test_what_the_backtest_refused_or_was_busy_for_is_told() -> None:
    assert cause(compared(lived(opened(5)), refused(5, 5)))[0] == "risk"
    rules = DraftRefused(time_ms=at(5), strategy="s", symbol="X", rules=("finite",))
    assert cause(compared(lived(opened(5)), rules))[0] == "unexplained"
    first, second = compared(lived(opened(8)), opened(5), closed(20, 5)).differences
    assert (first.cause, second.cause) == ("missed-tick", "follows")
    assert second.detail == f"busy with the signal of {iso(at(5))} (missed-tick)"
    kept_busy = compared(lived(opened(5), closed(20, 5), gates={8: "busy"}), opened(8)).differences
    assert [one.cause for one in kept_busy] == ["unexplained", "follows"]


def test_what_a_stream_was_busy_with_is_its_own_signal() -> None:
    beside = signal(5, strategy="t")
    session = lived(replace(opened(5), signal=beside), opened(8))
    found = compared(session, replace(refused(5, 5), signal=beside), opened(5), closed(20, 5)).differences
    assert [(one.strategy, one.cause) for one in found] == [("s", "missed-tick"), ("t", "risk"), ("s", "follows")]
    assert found[-1].detail == f"busy with the signal of {iso(at(5))} (missed-tick)"


def test_what_ended_before_a_decision_kept_nobody_busy() -> None:
    brief = (opened(2), closed(3, 2))
    since = f"positions and money differ since s on X at {iso(at(2))} (unexplained)"
    _, only_backtest = compared(lived(*brief, gates={8: "busy"}), opened(8)).differences
    assert (only_backtest.cause, only_backtest.detail) == ("follows", since)
    longer = (opened(5), closed(20, 5))
    _, after_both = compared(lived(*brief, *longer, gates={8: "busy"}), *longer, opened(8)).differences
    assert (after_both.cause, after_both.detail) == ("follows", since), "what both sides hold is no difference"


def test_a_refused_activation_does_not_tell_why_the_decision_of_its_minute_made_nothing() -> None:
    before = (waiting(2), refused(5, 2, stage="activation"), cancelled(5, 2, CancelReason.RISK))
    found = compared(lived(*before, gates={5: "no_draft"}), *before, opened(5))
    assert cause(found)[0] == "unexplained"


def test_two_sides_that_were_both_stopped_differ_for_another_reason() -> None:
    ours = lived(waiting(5), cancelled(7, 5, CancelReason.STOPPED))
    assert cause(compared(ours, waiting(5), cancelled(8, 5, CancelReason.STOPPED)))[0] == "unexplained"


@pytest.mark.parametrize(("minute", "covered"), [(4, False), (5, False), (6, True), (8, True), (9, False), (10, False)])
def test_a_signal_keeps_its_stream_busy_between_its_decision_and_its_end(minute: int, covered: bool) -> None:
    assert SignalLife(signal(5), closed=closed(9, 5)).covers(at(minute)) is covered
    assert SignalLife(signal(5)).covers(at(minute)) is (minute > 5)


def test_an_event_at_the_very_end_counts() -> None:
    ours = lived(opened(5))
    assert compared(ours, opened(5), closed(END, 5)).differences != ()
    assert compared(ours, opened(5), closed(END + 1, 5)).differences == ()


@pytest.mark.parametrize(
    ("live", "backtest", "expected"),
    [
        ((refused(8, 5, stage="activation"),), (), "risk"),
        ((refused(8, 5, "stale_minute", "activation"),), (), "missed-tick"),
        ((), (refused(8, 5, stage="activation"),), "risk"),
        ((cancelled(7, 5, CancelReason.STOPPED),), (), "stopped"),
        ((cancelled(7, 5, CancelReason.WAIT_OVER),), (), "unexplained"),
    ],
)
def test_an_entry_that_waits_and_ends_otherwise_has_a_cause(
    live: tuple[Event, ...], backtest: tuple[Event, ...], expected: str
) -> None:
    others = (cancelled(8, 5, CancelReason.RISK),)
    ours = (*live, *(others if live and isinstance(live[0], RiskRefused) else ()))
    theirs = (*backtest, *(others if backtest else (cancelled(9, 5, CancelReason.STOP_LEVEL),)))
    assert cause(compared(lived(waiting(5), *ours), waiting(5), *theirs))[0] == expected


def test_a_candle_that_differs_is_named_with_field_and_both_values() -> None:
    ours, theirs = (opened(5), closed(9, 5)), (opened(5), closed(8, 5))
    session = lived(*ours, candles=[candle(2), candle(7, 100.5)])
    found = compared(session, *theirs, market=[candle(2), candle(7)])
    assert cause(found) == ("data-differs", f"{iso(at(7))} close: 100.5 live, 100.0 backtest")
    for minute in (9, 30):
        outside = lived(*ours, candles=[candle(minute, 100.5)])
        assert cause(compared(outside, *theirs, market=[candle(minute)]))[0] == "unexplained"
    still_open = lived(opened(5), candles=[candle(30, 100.5)])
    assert cause(compared(still_open, *theirs, market=[candle(30)]))[0] == "data-differs"
    of_the_price = lived(*ours, candles=[candle(1, 100.5)])
    assert cause(compared(of_the_price, *theirs, market=[candle(1)]))[0] == "data-differs"
    at_once = lived(opened(5), candles=[candle(5, 100.5)])
    assert cause(compared(at_once, market=[candle(5)]))[0] == "unexplained"
    before = lived(opened(5), candles=[candle(1, 100.5)])
    assert cause(compared(before, market=[candle(1)]))[0] == "data-differs"


def test_candles_that_only_one_side_has_differ() -> None:
    session = lived(candles=[candle(1)], expected_ms={"X": [(at(1), at(4))]})
    market = {at(2): candle(2)}
    assert list(candle_differences(session, "X", market)) == [
        (at(1), "candle", 1.0, None),
        (at(2), "candle", None, 1.0),
    ]
    assert list(candle_differences(session, "Y", market)) == []
    texts = [
        cause(compared(lived(opened(5), candles=[candle(1)]), market=[])),
        cause(compared(lived(opened(5), expected_ms={"X": [(at(1), at(4))]}), market=[candle(2)])),
    ]
    assert [text for _, text in texts] == [
        f"the candle of {iso(at(1))} is there in the session only",
        f"the candle of {iso(at(2))} is there in the backtest only",
    ]


def test_other_prices_on_the_same_candles_are_a_fill() -> None:
    found = compared(lived(opened(5), closed(9, 5, 101.0)), opened(5), closed(9, 5, 100.9))
    assert cause(found)[0] == "fill-price"
    assert "exit price 101.0 live, 100.9 backtest" in found.differences[0].what
    for minute, expected in ((-1, "fill-price"), (0, "data-differs")):
        session = lived(opened(5), closed(9, 5, 101.0), candles=[candle(minute, 100.5)])
        told = compared(session, opened(5), closed(9, 5, 100.9), market=[candle(minute)])
        assert cause(told)[0] == expected, "the first minute of the price of the entry counts"


def test_a_quantity_follows_an_earlier_difference_or_another_market() -> None:
    first, second = compared(
        lived(opened(5, quantity=1.0), gates={2: "missed"}), opened(2), closed(3, 2), opened(5, quantity=2.0)
    ).differences
    assert (first.cause, second.cause) == ("missed-tick", "follows")
    assert second.detail == f"positions and money differ since s on X at {iso(at(2))} (missed-tick)"
    plain = lived(opened(5, quantity=1.0))
    assert cause(compared(plain, opened(5, quantity=2.0)))[0] == "unexplained"
    for known, bridges in (({at(4): (candle(4), at(5) + 120_000)}, False), ({}, True)):
        other = replace(plain, candles={"X": {}, "Y": known})
        told = compared(other, opened(5, quantity=2.0), bridges=bridges)
        assert cause(told) == ("late-candle", f"the candle of Y at {iso(at(4))} was not known yet")


def test_when_it_opened_is_told_in_words() -> None:
    (one,) = compared(lived(waiting(5), opened(5)), waiting(5), replace(opened(5), time_ms=at(7))).differences
    assert one.what == f"opened {iso(at(5))} live, {iso(at(7))} backtest"


def test_what_an_exchange_filled_otherwise_on_the_same_candles_is_a_fill() -> None:
    events = (waiting(5), opened(5, quantity=1.0), closed(9, 5))
    told = (waiting(5), replace(opened(5, quantity=2.0), time_ms=at(7)), closed(10, 5))
    carried = lived(*events, is_carried=True)
    assert cause(compared(carried, *told)) == (
        "fill-price",
        "the candles are the same; an exchange filled it, where the backtest has its policy",
    )
    assert cause(compared(lived(*events), *told))[0] == "unexplained"
    elsewhere = signal(5, price_stop_loss=98.0)
    otherwise = tuple(replace(event, signal=elsewhere) for event in told)
    assert cause(compared(carried, *otherwise))[0] == "unexplained", "no exchange decides on a level"


def test_an_entry_that_the_exchange_did_not_fill_is_a_refusal_of_the_session() -> None:
    gone = replace(refused(5, 5, "order_refused"), profile="exchange")
    found = compared(lived(gone, gates={5: "opened_at_decision"}), opened(5))
    assert cause(found) == ("risk", "the session refused it: exchange, order_refused")
    elsewhere = replace(gone, signal=signal(5, strategy="t"))
    for event in (replace(gone, time_ms=at(6)), elsewhere):
        assert cause(compared(lived(event, gates={5: "opened_at_decision"}), opened(5)))[0] == "unexplained"
