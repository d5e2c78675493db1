"""A backtest of the original as our drivers see it: events, funnel, and what is told of neither."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np
import pytest
from unit.reference.worlds import NOW_MS, at, draft, flat_candles

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.decide import Answer, Failed, NoDraft, Unusable
from backtestkit_cli.engine.gate import RiskProfile, RiskQuestion
from backtestkit_cli.engine.reference.desks import Desks, signal_of
from backtestkit_cli.engine.reference.events import CheckRaised
from backtestkit_cli.engine.reference.exchange import Exchange
from backtestkit_cli.engine.reference.market import CandleHistory
from backtestkit_cli.engine.reference.stream import ReferenceTerms
from backtestkit_cli.engine.reference.walk import ReferenceWalk, walk_originals
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.event import (
    Active,
    CancelReason,
    Closed,
    CloseReason,
    Event,
    Idle,
    LevelReached,
    RiskRefused,
)
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import Costs
from backtestkit_cli.model.signal import Signal
from backtestkit_cli.model.time import MINUTE_MS

LIMIT = draft(position="short", price_open=101.0, price_take_profit=99.0, price_stop_loss=104.0)
REACHED = {"high": 101.0}


@dataclass(slots=True)
class Script:
    """Answers by minute; a minute with an answer has a row."""

    answers: Mapping[int, Answer]
    asked: list[int] = field(default_factory=list)
    short: Sequence[int] = ()

    def decide(self, time_ms: int, price: float) -> Answer:
        minute = (time_ms - at(0)) // MINUTE_MS
        self.asked.append(minute)
        return self.answers.get(minute, NoDraft.NONE)

    def has_row(self, time_ms: int) -> bool:
        return (time_ms - at(0)) // MINUTE_MS in self.answers

    def is_short_history(self, time_ms: int) -> bool:
        return (time_ms - at(0)) // MINUTE_MS in self.short


def dense(rows: Sequence[Candle], *, bridge: bool = False) -> Candles:
    time, *columns = (np.array(column) for column in zip(*rows, strict=True))
    return Candles.from_rows(time.astype(np.int64), *columns, bridge=bridge)


def walk_of(
    changed: Mapping[int, Mapping[str, float]],
    script: Script,
    *,
    minutes: int = 300,
    ticks: Sequence[int] = range(10, 40),
    interval: int = 1,
    now: int | None = None,
    limits: Limits | None = None,
    desks: Desks | None = None,
    name: str = "one",
    bridge: bool = False,
) -> ReferenceWalk:
    candles, chosen, shared = (
        dense(flat_candles(0, minutes, changed), bridge=bridge),
        limits or Limits(),
        desks or Desks({}),
    )
    now_ms = NOW_MS if now is None else at(now)
    walk = ReferenceWalk(
        candles=candles,
        exchange=Exchange(source=CandleHistory(candles), now_ms=now_ms, average_candles=chosen.average_price_candles),
        decider=script,
        terms=ReferenceTerms(
            strategy=name, symbol="BTCUSDT", interval_ms=interval * MINUTE_MS, limits=chosen, costs=Costs()
        ),
        ticks=[at(tick) for tick in ticks],
        desk=shared.of(name),
        on_tick=lambda _time_ms: None,
    )
    shared.streams[name, "BTCUSDT"] = walk.stream
    return walk


def told(*walks: ReferenceWalk) -> list[Event]:
    """The events without idle and active ones; the sums of every funnel hold."""
    events: list[Event] = [event for event in walk_originals(walks) if not isinstance(event, Idle | Active)]
    assert [walk.funnel.broken_sums() for walk in walks] == [[]] * len(walks)
    return events


def kinds(events: Sequence[Event]) -> list[str]:
    return [event.kind for event in events]


def refusing(**limits: Any) -> Desks:
    return Desks({"one": [RiskProfile(name="calm", **limits)], "two": [RiskProfile(name="calm", **limits)]})


def dear(question: RiskQuestion) -> str | None:
    """Refuses where the price of the question is above 100.5, as at an activation of `LIMIT`."""
    return "too dear" if question.price > 100.5 else None


def test_a_tick_counts_where_the_throttle_asks_or_would_have_asked() -> None:
    script = Script({10: draft(lifetime_minutes=8), 20: NoDraft.WARM_UP, 22: draft(), 24: NoDraft.AMBIGUOUS})
    walk = walk_of({}, script, interval=5)
    assert kinds(told(walk)) == ["opened", "closed"]
    assert script.asked == [10, 18, 23, 28, 33, 38]  # the position ends at 17, whose tick is left out
    funnel = walk.funnel
    assert (funnel.ticks, funnel.busy, funnel.decisions, funnel.no_draft) == (7, 1, 6, 5)
    assert (funnel.off_grid, funnel.late) == (3, 0)


def test_a_row_while_something_is_held_is_late() -> None:
    walk = walk_of({}, Script({10: draft(lifetime_minutes=8), 14: draft(), 17: draft(), 18: draft()}))
    told(walk)
    assert (walk.funnel.late, walk.funnel.off_grid, walk.funnel.busy) == (2, 0, 7 + 22 - 1)


def test_answers_are_counted_by_kind() -> None:
    answers: dict[int, Answer] = {
        10: NoDraft.WARM_UP,
        11: NoDraft.AMBIGUOUS,
        12: Failed("boom"),
        13: Unusable(("stop_loss_distance",)),
        14: draft(price_stop_loss=101.0),
    }
    walk = walk_of({}, Script(answers, short=(10, 14)), ticks=range(10, 16))
    events = told(walk)
    assert kinds(events) == ["decision_failed", "draft_refused", "draft_refused"]
    assert [getattr(event, "what", None) for event in events] == ["boom", None, None]
    funnel = walk.funnel
    assert (funnel.warm_up, funnel.ambiguous, funnel.errors, funnel.no_draft) == (1, 1, 1, 1)
    assert (funnel.drafts, funnel.invalid, funnel.short_history) == (2, 2, 2)
    assert funnel.invalid_by_rule["stop_loss_distance"] == 1


def test_a_tick_without_any_candle_in_its_window_has_no_price() -> None:
    holes: dict[int, Mapping[str, float]] = {minute: {} for minute in range(10, 20)}
    walk = walk_of(holes, Script({}), ticks=range(12, 22))
    assert told(walk) == []
    assert (walk.funnel.no_price, walk.funnel.no_draft) == (6, 4)
    assert not walk.teller.failed_steps


def test_a_broken_candle_is_no_missing_price() -> None:
    walk = walk_of({12: {"low": 0.01}}, Script({}), ticks=range(10, 14))
    assert told(walk) == []
    assert walk.teller.failed_steps == {"candle_anomalously_low": 2}


def test_a_refused_draft_is_counted_once_though_risk_is_asked_twice() -> None:
    walk = walk_of(
        {},
        Script({10: draft(), 11: draft(position="short", price_take_profit=98.0, price_stop_loss=102.0)}),
        desks=refusing(max_long=0),
        ticks=range(10, 12),
    )
    events = told(walk)
    assert kinds(events) == ["risk_refused", "opened", "closed"]
    refused = events[0]
    assert isinstance(refused, RiskRefused)
    assert (refused.stage, refused.profile, refused.rule, refused.open_positions) == ("decision", "calm", "max_long", 0)
    assert refused.signal.price_open == 100.0
    assert (walk.funnel.risk, walk.funnel.risk_by_profile["calm"]) == (1, 1)


def test_streams_of_a_profile_count_each_others_positions() -> None:
    desks = refusing(max_long=1)
    script = Script({10: draft(lifetime_minutes=8)})
    walks = [walk_of({}, script, desks=desks), walk_of({}, Script({10: draft(), 17: draft()}), desks=desks, name="two")]
    events = told(*walks)
    refused = [event for event in events if isinstance(event, RiskRefused)]
    assert [(event.time_ms, event.open_positions) for event in refused] == [(at(10), 1)]
    assert walks[1].funnel.opened == 1  # the first closes at 17, before the second decides


def test_who_comes_first_in_the_order_given_opens() -> None:
    for names in (("one", "two"), ("two", "one")):
        desks = refusing(max_positions=1)
        walks = [walk_of({}, Script({10: draft()}), desks=desks, name=name) for name in names]
        told(*walks)
        assert [walk.funnel.opened for walk in walks] == [1, 0]


def test_a_refused_activation_is_a_cancelled_entry() -> None:
    desks = Desks({"one": [RiskProfile(name="calm", checks={"checks[0]": dear})]})
    walk = walk_of({20: REACHED}, Script({10: LIMIT}), desks=desks)
    events = told(walk)
    assert kinds(events) == ["scheduled", "risk_refused"]
    refused = events[1]
    assert isinstance(refused, RiskRefused)
    assert (refused.time_ms, refused.stage, refused.rule, refused.why) == (
        at(20),
        "activation",
        "checks[0]",
        "too dear",
    )
    assert walk.funnel.cancelled == {CancelReason.RISK: 1}
    assert (walk.funnel.risk, walk.funnel.errors) == (0, 0)
    assert not walk.teller.failed_steps


def test_a_refused_activation_at_a_tick_is_a_cancelled_entry() -> None:
    flat = {"open": 101.0, "high": 101.0, "low": 101.0, "close": 101.0}
    desks = Desks({"one": [RiskProfile(name="calm", checks={"checks[0]": dear})]})
    walk = walk_of(dict.fromkeys(range(15, 300), flat), Script({10: LIMIT}), desks=desks, now=50)
    assert kinds(told(walk)) == ["scheduled", "risk_refused"]
    assert walk.funnel.cancelled == {CancelReason.RISK: 1}


def test_an_activation_at_a_tick_is_told() -> None:
    flat = {"open": 101.0, "high": 101.0, "low": 101.0, "close": 101.0}
    walk = walk_of(dict.fromkeys(range(15, 300), flat), Script({10: LIMIT}), now=95)
    events = told(walk)
    assert kinds(events) == ["scheduled", "opened", "closed"]
    assert walk.funnel.activated == 1


def test_an_activation_inside_a_list_is_told_by_its_close() -> None:
    walk = walk_of({20: REACHED, 30: {"low": 99.0}}, Script({10: LIMIT}), ticks=range(10, 31))
    events = told(walk)
    assert [kind for kind in kinds(events) if kind != "level_reached"] == ["scheduled", "closed"]
    closed = events[-1]
    assert isinstance(closed, Closed)
    assert (closed.opened_at, closed.time_ms, closed.reason) == (at(20), at(30), CloseReason.TAKE_PROFIT)
    assert (walk.funnel.activated, walk.funnel.opened_at_decision) == (1, 0)


def test_an_entry_that_meets_its_stop_at_a_tick_goes_away_in_silence_but_is_counted() -> None:
    flat = {"open": 130.0, "high": 130.0, "low": 130.0, "close": 130.0}
    walk = walk_of(dict.fromkeys(range(15, 300), flat), Script({10: LIMIT}), now=50)
    assert kinds(told(walk)) == ["scheduled"]
    assert walk.funnel.cancelled == {CancelReason.STOP_LEVEL: 1}


def test_an_entry_waits_on_over_a_tick_without_a_price() -> None:
    holes: dict[int, Mapping[str, float]] = {minute: {} for minute in range(15, 30)}
    walk = walk_of(holes | {35: REACHED}, Script({10: LIMIT}), now=50)
    assert kinds(told(walk)) == ["scheduled"]
    assert walk.funnel.cancelled == {CancelReason.END_OF_DATA: 1}


def test_an_entry_that_waited_its_time_is_cancelled() -> None:
    walk = walk_of({}, Script({10: LIMIT}), limits=Limits(schedule_await_minutes=15))
    assert kinds(told(walk)) == ["scheduled", "cancelled"]
    assert walk.funnel.cancelled == {CancelReason.WAIT_OVER: 1}


def stopped_at(walk: ReferenceWalk, minute: int) -> list[Event]:
    """The events of a stream that is asked to stop before a tick."""

    def on_tick(time_ms: int) -> None:
        walk.is_stop_asked = time_ms >= at(minute - 1)

    walk.on_tick = on_tick
    return told(walk)


def test_a_stop_ends_the_decisions_at_the_next_tick() -> None:
    walk = walk_of({}, Script({20: draft()}))
    assert stopped_at(walk, 20) == []
    assert walk.stop_ms == at(20)
    assert (walk.funnel.ticks, walk.funnel.stopped, walk.funnel.decisions) == (30, 20, 10)


def test_a_stop_lets_a_followed_position_come_to_its_end() -> None:
    walk = walk_of({}, Script({10: draft(lifetime_minutes=5), 16: draft()}), interval=2)
    assert kinds(stopped_at(walk, 11)) == ["opened", "closed"]
    assert walk.stop_ms == at(15)  # it ends at 14, whose tick is left out
    assert (walk.funnel.busy, walk.funnel.stopped, walk.funnel.closed.total()) == (2, 13, 1)


@pytest.mark.parametrize("holes", [(), range(15, 40)], ids=["with a price", "without a price"])
def test_a_stop_drops_a_waiting_entry(holes: Sequence[int]) -> None:
    walk = walk_of({minute: {} for minute in holes}, Script({10: LIMIT}), now=50)
    assert kinds(stopped_at(walk, 25)) == ["scheduled"]
    assert walk.funnel.cancelled == {CancelReason.STOPPED: 1}


def test_an_entry_that_met_its_stop_just_before_a_stop_was_not_stopped() -> None:
    flat = {"open": 130.0, "high": 130.0, "low": 130.0, "close": 130.0}
    walk = walk_of(dict.fromkeys(range(15, 300), flat), Script({10: LIMIT}), now=50)
    stopped_at(walk, 16)
    assert walk.funnel.cancelled == {CancelReason.STOP_LEVEL: 1}


def test_what_is_held_when_the_ticks_are_over_is_counted_as_ended_by_the_data() -> None:
    open_ = walk_of({}, Script({10: draft()}), now=50)
    assert kinds(told(open_)) == ["opened"]
    assert open_.funnel.closed == {CloseReason.END_OF_DATA: 1}
    waiting = walk_of({}, Script({10: LIMIT}), now=50)
    assert kinds(told(waiting)) == ["scheduled"]
    assert waiting.funnel.cancelled == {CancelReason.END_OF_DATA: 1}


def test_what_was_never_open_and_yet_closes_counts_as_activated() -> None:
    desks = Desks({"one": [RiskProfile(name="calm", checks={"checks[0]": dear})]})
    walk = walk_of({20: REACHED}, Script({10: LIMIT}), minutes=21, desks=desks, ticks=[10])
    assert kinds(told(walk)) == ["scheduled", "risk_refused", "closed"]
    assert (walk.funnel.activated, walk.funnel.closed.total()) == (1, 1)


def test_waits_of_their_own_are_counted() -> None:
    wait = draft(position="short", price_open=101.0, price_take_profit=99.0, price_stop_loss=104.0, wait_minutes=30)
    walk = walk_of({}, Script({10: wait}))
    told(walk)
    assert walk.teller.own_waits == 1
    as_all = walk_of({}, Script({10: wait}), limits=Limits(schedule_await_minutes=30))
    told(as_all)
    assert as_all.teller.own_waits == 0


@pytest.mark.parametrize(
    ("minute", "expected"),
    [
        pytest.param({"high": 102.0, "low": 98.0}, (CloseReason.TAKE_PROFIT, 1), id="both levels"),
        pytest.param({"high": 102.0}, (CloseReason.TAKE_PROFIT, 0), id="take profit alone"),
        pytest.param({"low": 98.0}, (CloseReason.STOP_LOSS, 0), id="stop alone"),
    ],
)
def test_a_minute_with_both_levels_is_ambiguous(minute: Mapping[str, float], expected: object) -> None:
    closed = told(walk_of({20: minute}, Script({10: draft()}), ticks=[10]))[-1]
    assert isinstance(closed, Closed)
    assert (closed.reason, closed.ambiguous_minutes) == expected
    assert closed.profit_at_stake_percent == 0.0


def test_an_activating_minute_that_holds_the_take_profit_is_ambiguous() -> None:
    closed = told(walk_of({20: {"high": 101.0, "low": 99.0}, 30: {"high": 104.0}}, Script({10: LIMIT}), ticks=[10]))[-1]
    assert isinstance(closed, Closed)
    assert (closed.reason, closed.ambiguous_minutes) == (CloseReason.STOP_LOSS, 1)
    best = (101.0 * 0.999 - 99.0 * 1.001) / (101.0 * 0.999) * 100 - 0.2
    assert closed.profit_at_stake_percent == pytest.approx(best - closed.pnl_percent, abs=1e-12)


LONG_LIMIT = draft(price_open=99.0, price_take_profit=101.0, price_stop_loss=96.0)


@pytest.mark.parametrize(
    ("offer", "activating", "ending", "expected"),
    [
        pytest.param(LONG_LIMIT, {"low": 99.0, "high": 101.0}, {"low": 96.0}, 1, id="long to the profit"),
        pytest.param(LONG_LIMIT, {"low": 99.0, "high": 100.9}, {"low": 96.0}, 0, id="long not quite"),
        pytest.param(LONG_LIMIT, {"low": 99.0}, {"high": 101.0, "low": 96.1}, 0, id="long and its profit alone"),
        pytest.param(LONG_LIMIT, {"low": 99.0}, {"high": 101.0, "low": 96.0}, 1, id="long and both at the end"),
        pytest.param(LIMIT, {"high": 101.0, "low": 99.1}, {"high": 104.0}, 0, id="short not quite"),
        pytest.param(LIMIT, {"high": 101.0}, {"low": 99.0, "high": 104.0}, 1, id="short and both at the end"),
        pytest.param(LIMIT, {"high": 101.0}, {"low": 99.0, "high": 103.9}, 0, id="short and its profit alone"),
        pytest.param(LIMIT, {"high": 101.0, "low": 99.0}, {"low": 99.0, "high": 104.0}, 2, id="short both ways"),
    ],
)
def test_levels_in_the_minutes_that_open_and_close_leave_their_order_open(
    offer: Any, activating: Mapping[str, float], ending: Mapping[str, float], expected: int
) -> None:
    closed = told(walk_of({20: activating, 30: ending}, Script({10: offer}), ticks=[10]))[-1]
    assert isinstance(closed, Closed)
    assert (closed.opened_at, closed.time_ms, closed.ambiguous_minutes) == (at(20), at(30), expected)


def test_the_minute_of_a_market_entry_is_no_activating_one() -> None:
    closed = told(walk_of({10: {"high": 102.0}}, Script({10: draft()}), ticks=[10]))[-1]
    assert isinstance(closed, Closed)
    assert (closed.opened_at, closed.time_ms, closed.reason) == (at(10), at(10), CloseReason.TAKE_PROFIT)
    assert closed.ambiguous_minutes == 0


def test_a_trade_that_ends_on_a_filled_in_minute_is_marked() -> None:
    walk = walk_of({14: {}}, Script({10: draft(lifetime_minutes=5)}), bridge=True)
    closed = [event for event in told(walk) if isinstance(event, Closed)]
    assert [(event.time_ms, event.is_bridged) for event in closed] == [(at(14), True)]
    assert walk.bridged_decisions == 0


def test_levels_on_the_way_are_told() -> None:
    flat = {"open": 100.5, "high": 100.5, "low": 100.5, "close": 100.5}
    events = told(walk_of(dict.fromkeys(range(12, 300), flat), Script({10: draft()}), ticks=[10]))
    assert [(event.side, event.level) for event in events if isinstance(event, LevelReached)] == [
        ("profit", 10),
        ("profit", 20),
    ]


def test_what_a_tick_closes_has_no_ambiguous_minute() -> None:
    both = {"open": 102.0, "high": 103.0, "low": 90.0, "close": 102.0, "volume": 1e9}
    high = {"open": 102.5, "high": 103.0, "low": 102.0, "close": 102.5}
    changed = dict.fromkeys(range(12, 60), high) | {14: both | {"high": 118.0}}
    closed = told(walk_of(changed, Script({10: draft()}), now=50))[-1]
    assert isinstance(closed, Closed)
    assert (closed.reason, closed.ambiguous_minutes) == (CloseReason.TAKE_PROFIT, 0)


def test_decisions_and_trades_on_filled_in_minutes_are_marked() -> None:
    walk = walk_of({10: {}}, Script({10: draft(lifetime_minutes=5), 25: draft(lifetime_minutes=5)}), bridge=True)
    closed = [event for event in told(walk) if isinstance(event, Closed)]
    assert [event.is_bridged for event in closed] == [True, False]
    assert walk.bridged_decisions == 1


def test_an_offer_that_is_no_signal_is_not_asked_about() -> None:
    asked: list[Signal] = []

    def ask(question: RiskQuestion) -> str | None:
        asked.append(question.signal)
        return None

    nonsense: tuple[dict[str, Any], ...] = (
        {"position": "sideways"},
        {"lifetime_minutes": float("nan")},
        {"price_take_profit": float("inf")},
        {"price_stop_loss": 0.0},
        {"price_stop_loss": 100.0},
    )
    drafts: dict[int, Answer] = {10 + place: draft(**changed) for place, changed in enumerate(nonsense)}
    desks = Desks({"one": [RiskProfile(name="calm", checks={"checks[0]": ask})]})
    walk = walk_of({}, Script(drafts), desks=desks, ticks=range(10, 15))
    assert kinds(told(walk)) == ["draft_refused"] * 5
    assert asked == []


def test_the_signal_of_an_offer_has_the_id_and_the_plain_note_that_it_will_have() -> None:
    signal = signal_of(draft(note="**now**", price_open=99.0), "one", "BTCUSDT", at(10), 100.0)
    assert (signal.price_open, signal.note, signal.decided_at) == (99.0, "now", at(10))
    assert signal_of(draft(id="mine"), "one", "BTCUSDT", at(10), 100.0).id == "mine"


def test_a_check_of_ours_that_raises_is_a_bug_and_not_a_refusal() -> None:
    walk = walk_of({}, Script({}))
    walk.stream.tape.tell(at(10), CheckRaised(time_ms=at(10), what="boom"))
    with pytest.raises(RuntimeError, match="boom"):
        list(walk.teller.told())


def test_the_sums_of_the_funnel_hold_in_random_worlds() -> None:
    reached: Counter[str] = Counter()
    for seed in range(120):
        random = Random(seed)
        desks = Desks({name: [RiskProfile(name="calm", max_positions=1, checks={"checks[0]": dear})] for name in "ab"})
        changed = {minute: _minute(random) for minute in range(200)}
        walks = [
            walk_of(
                changed,
                Script({minute: _draft(random) for minute in range(10, 190) if random.random() < 0.3}),
                minutes=200,
                ticks=range(10, random.choice((60, 190))),
                interval=random.choice((1, 3, 5)),
                now=random.choice((60, 100, 1000)),
                limits=Limits(schedule_await_minutes=20, average_price_candles=random.choice((2, 5))),
                desks=desks,
                name=name,
            )
            for name in "ab"
        ]
        for event in told(*walks):
            reached[event.kind] += 1
        for walk in walks:
            reached.update(f"cancelled {reason.value}" for reason in walk.funnel.cancelled)
            reached.update(f"closed {reason.value}" for reason in walk.funnel.closed)
            assert walk.funnel.ticks <= len(walk.ticks)
            assert walk.funnel.decisions == len(walk.decider.asked)  # type: ignore[attr-defined]
    seen = set(CancelReason) - {CancelReason.STOPPED, CancelReason.NO_QUANTITY}
    assert min(reached[f"cancelled {reason.value}"] for reason in seen) > 3
    assert min(reached[f"closed {reason.value}"] for reason in CloseReason) > 3
    assert reached["risk_refused"] > 50


def _minute(random: Random) -> dict[str, float]:
    if random.random() < 0.03:
        return {}
    close = 100 + random.gauss(0, 0.6)
    return {
        "open": 100.0,
        "high": max(100.0, close) + abs(random.gauss(0, 0.6)),
        "low": min(100.0, close) - abs(random.gauss(0, 0.6)),
        "close": close,
    }


def _draft(random: Random) -> Answer:
    if random.random() < 0.1:
        return random.choice((NoDraft.AMBIGUOUS, Failed("boom"), Unusable(("limit_distance",))))
    is_long, away = random.random() < 0.5, random.choice((None, 0.3, 0.8))
    sign = 1 if is_long else -1
    entry = 100.0 - sign * (away or 0)
    return draft(
        position="long" if is_long else "short",
        price_open=None if away is None else entry,
        price_take_profit=entry + sign * random.uniform(0.6, 2),
        price_stop_loss=entry - sign * random.uniform(0.6, 2),
        lifetime_minutes=random.choice((3, 10, 40)),
    )
