"""The walk of one stream, by hand: what is told of idle and held minutes, and where there is no fresh price."""

from collections.abc import Mapping

import numpy as np
import pytest

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.decide import Answer, Failed, NoDraft, Unusable
from backtestkit_cli.engine.gate import Ledger, RiskProfile
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.vwap import vwap_all
from backtestkit_cli.engine.walk import StreamWalk, off_grid_rows, rows_outside, walk_together
from backtestkit_cli.model.event import (
    Active,
    Cancelled,
    Closed,
    DecisionFailed,
    DraftRefused,
    Event,
    Idle,
    LevelReached,
    Scheduled,
)
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import Costs, FillPolicy
from backtestkit_cli.model.signal import SignalDraft
from backtestkit_cli.model.time import MINUTE_MS, TimeRange

START_MS = 1_704_067_200_000


def at(minute: int) -> int:
    return START_MS + minute * MINUTE_MS


def draft(**changed: object) -> SignalDraft:
    values: dict[str, object] = {
        "position": "long",
        "price_take_profit": 104.0,
        "price_stop_loss": 96.0,
        "lifetime_minutes": 3,
    }
    return SignalDraft(**(values | changed))  # type: ignore[arg-type]  # a draft by name


class Answers:
    """Answers by minute; else there is no draft."""

    def __init__(self, answers: Mapping[int, Answer], *, short: tuple[int, ...] = ()) -> None:
        self._answers = {at(minute): answer for minute, answer in answers.items()}
        self._short = {at(minute) for minute in short}
        self.asked: list[tuple[int, float]] = []

    def decide(self, time_ms: int, price: float) -> Answer:
        self.asked.append((minute_of(time_ms), price))
        return self._answers.get(time_ms, NoDraft.NONE)

    def has_row(self, time_ms: int) -> bool:
        return time_ms in self._answers

    def is_short_history(self, time_ms: int) -> bool:
        return time_ms in self._short


def minute_of(time_ms: int) -> int:
    return (time_ms - START_MS) // MINUTE_MS


def candles_of(closes: Mapping[int, float], *, bridge: bool = False) -> Candles:
    """A candle that stands still at each minute's price."""
    minutes = np.array(sorted(closes), dtype=np.int64)
    price = np.array([closes[minute] for minute in sorted(closes)])
    return Candles.from_rows(
        START_MS + minutes * MINUTE_MS, price, price, price, price, np.ones(len(price)), bridge=bridge
    )


def flat(minutes: int, **changed: float) -> dict[int, float]:
    """Minutes at 100, some of them changed: `m5=101.0`."""
    return dict.fromkeys(range(minutes), 100.0) | {int(name[1:]): price for name, price in changed.items()}


def walk_of(
    candles: Candles,
    answers: Answers,
    minutes: range,
    *,
    strategy: str = "s",
    ledger: Ledger | None = None,
    stop: float | None = None,
    policy: FillPolicy | None = None,
    tells: bool = False,
) -> StreamWalk:
    terms = Terms(
        strategy=strategy,
        symbol="X",
        policy=policy or FillPolicy(),
        costs=Costs(),
        limits=Limits(average_price_candles=1),
    )
    return StreamWalk(
        candles=candles,
        price=vwap_all(candles, 1),
        ticks=np.array([at(minute) for minute in minutes], dtype=np.int64),
        decider=answers,
        terms=terms,
        ledger=ledger or Ledger({}),
        stop_ms=None if stop is None else START_MS + round(stop * MINUTE_MS),
        tells_idle=tells,
        tells_active=tells,
    )


def line(event: Event) -> str:
    """One event in few words, with its minute."""
    told = f"{minute_of(event.time_ms)} {event.kind}"
    match event:
        case Scheduled(price=price) | Idle(price=price):
            return f"{told} at {price}"
        case Active(price=price, take_profit_percent=profit, stop_loss_percent=loss):
            return f"{told} at {price} {profit}% {loss}%"
        case LevelReached(side=side, level=level):
            return f"{told} {side} {level}"
        case Closed(price=price, reason=closed):
            return f"{told} at {price} {closed}"
        case Cancelled(price=price, reason=cancelled):
            return f"{told} at {price} {cancelled}"
        case DraftRefused(rules=rules):
            return f"{told} {' '.join(rules)}"
        case DecisionFailed(what=what):
            return f"{told} {what}"
        case _:
            return told


def film(walk: StreamWalk) -> list[str]:
    return [line(event) for event in walk.run()]


def counts(funnel: Funnel) -> dict[str, object]:
    """What is not zero, without the number of ticks."""
    return {name: value for name in Funnel.__slots__ if name != "ticks" and (value := getattr(funnel, name))}


def test_idle_and_held_minutes_are_told_on_request() -> None:
    walk = walk_of(candles_of(flat(9, m3=101.0)), Answers({2: draft()}), range(1, 7), tells=True)
    assert film(walk) == [
        "1 idle at 100.0",
        "2 opened",
        "3 active at 100.0 0.0% 0.0%",
        "4 level_reached profit 10",
        "4 level_reached profit 20",
        "4 active at 101.0 25.0% 0.0%",
        "5 closed at 100.0 time_expired",
        "5 idle at 100.0",
        "6 idle at 100.0",
    ]
    assert counts(walk.funnel) == {
        "busy": 2,
        "no_draft": 3,
        "drafts": 1,
        "opened_at_decision": 1,
        "closed": {"time_expired": 1},
    }


def test_the_way_to_the_stop_is_told_as_loss() -> None:
    walk = walk_of(candles_of(flat(6, m2=98.0)), Answers({2: draft()}), range(2, 3), tells=True)
    assert film(walk) == [
        "2 opened",
        *(f"3 level_reached loss {level}" for level in (10, 20, 30, 40, 50)),
        "3 active at 98.0 0.0% 50.0%",
        "4 active at 100.0 0.0% 0.0%",
        "5 closed at 100.0 time_expired",
    ]


def test_a_waiting_entry_is_not_told_as_held() -> None:
    waiting = draft(price_open=99.0, wait_minutes=2)
    walk = walk_of(candles_of(flat(6)), Answers({2: waiting}), range(2, 4), tells=True)
    assert film(walk) == ["2 scheduled at 100.0", "4 cancelled at 100.0 wait_over"]


def test_without_a_fresh_price_nothing_is_decided_or_tested() -> None:
    closes = {minute: price for minute, price in flat(9, m4=90.0).items() if minute not in (0, 3, 4)}
    answers = Answers({1: draft(), 3: draft()})
    walk = walk_of(candles_of(closes), answers, range(1, 5), tells=True)
    assert film(walk) == ["1 idle at None", "2 idle at 100.0", "3 opened", "6 closed at 100.0 time_expired"]
    assert counts(walk.funnel) == {
        "busy": 1,
        "no_price": 1,
        "no_draft": 1,
        "drafts": 1,
        "opened_at_decision": 1,
        "closed": {"time_expired": 1},
    }
    assert answers.asked == [(2, 100.0), (3, 100.0)]


def test_without_candles_there_are_ticks_without_a_price() -> None:
    none = Candles.from_rows(np.array([], dtype=np.int64), *(np.array([]) for _ in range(5)))
    terms = walk_of(candles_of(flat(1)), Answers({}), range(0)).terms
    ticks = np.array([0], dtype=np.int64)
    walk = StreamWalk(candles=none, price=np.array([]), ticks=ticks, decider=Answers({}), terms=terms)
    assert film(walk) == []
    assert counts(walk.funnel) == {"no_price": 1}


def test_decisions_end_with_the_data_and_what_is_open_is_closed_there() -> None:
    walk = walk_of(candles_of(flat(4)), Answers({3: draft(), 4: draft()}), range(3, 8))
    assert film(walk) == ["3 opened", "4 closed at 100.0 end_of_data"]
    assert counts(walk.funnel) == {
        "busy": 1,
        "no_price": 3,
        "late": 1,
        "drafts": 1,
        "opened_at_decision": 1,
        "closed": {"end_of_data": 1},
    }


@pytest.mark.parametrize(
    ("answer", "told", "counted"),
    [
        (NoDraft.NONE, [], {"no_draft": 1}),
        (NoDraft.WARM_UP, [], {"warm_up": 1}),
        (NoDraft.AMBIGUOUS, [], {"ambiguous": 1}),
        (Failed("boom"), ["2 decision_failed boom"], {"errors": 1}),
        (
            Unusable(("take_profit_distance", "limit_distance")),
            ["2 draft_refused take_profit_distance limit_distance"],
            {"drafts": 1, "invalid": 1, "invalid_by_rule": {"take_profit_distance": 1, "limit_distance": 1}},
        ),
        (
            draft(lifetime_minutes=0),
            ["2 draft_refused minutes_not_positive"],
            {"drafts": 1, "invalid": 1, "invalid_by_rule": {"minutes_not_positive": 1}},
        ),
    ],
)
def test_each_answer_ends_in_its_count(answer: Answer, told: list[str], counted: dict[str, object]) -> None:
    walk = walk_of(candles_of(flat(6)), Answers({2: answer}), range(2, 3))
    assert film(walk) == told
    assert counts(walk.funnel) == counted


def test_short_histories_and_filled_minutes_are_counted_where_a_decision_is_asked() -> None:
    closes = {minute: price for minute, price in flat(8).items() if minute != 3}
    walk = walk_of(candles_of(closes, bridge=True), Answers({}, short=(2, 4, 9)), range(1, 7))
    assert film(walk) == []
    assert (walk.funnel.short_history, walk.bridged_decisions) == (2, 1)


def test_rows_that_find_the_stream_busy_are_late() -> None:
    walk = walk_of(candles_of(flat(9)), Answers({2: draft(), 4: draft(), 5: draft()}), range(2, 6))
    assert film(walk) == ["2 opened", "5 closed at 100.0 time_expired", "5 opened", "8 closed at 100.0 time_expired"]
    assert (walk.funnel.busy, walk.funnel.late) == (2, 1)


WAITING = draft(price_open=99.0, wait_minutes=9)


@pytest.mark.parametrize(
    ("stop", "answers", "told", "stopped"),
    [
        pytest.param(4, {2: WAITING}, ["2 scheduled at 100.0", "4 cancelled at 100.0 stopped"], 2, id="a wait ends"),
        pytest.param(3.5, {2: WAITING}, ["2 scheduled at 100.0", "3 cancelled at 100.0 stopped"], 2, id="in a minute"),
        pytest.param(3, {2: draft()}, ["2 opened", "5 closed at 100.0 time_expired"], 3, id="a position goes on"),
        pytest.param(2, {2: draft()}, [], 4, id="nothing begins"),
        pytest.param(9, {2: draft(), 5: draft(lifetime_minutes=1)},
                     ["2 opened", "5 closed at 100.0 time_expired", "5 opened", "6 closed at 100.0 time_expired"],
                     0, id="after all"),
    ],
)  # fmt: skip
def test_a_stop_request_ends_waits_and_decisions_but_no_position(
    stop: float, answers: dict[int, Answer], told: list[str], stopped: int
) -> None:
    walk = walk_of(candles_of(flat(9)), Answers(answers), range(2, 6), stop=stop)
    assert film(walk) == told
    assert walk.funnel.stopped == stopped


def test_a_stop_request_in_a_hole_has_no_price() -> None:
    closes = {minute: price for minute, price in flat(9).items() if minute not in (3, 4)}
    walk = walk_of(candles_of(closes), Answers({2: WAITING}), range(2, 3), stop=5)
    assert film(walk) == ["2 scheduled at 100.0", "5 cancelled at None stopped"]


def test_ticks_after_the_data_are_stopped_from_the_request_on() -> None:
    walk = walk_of(candles_of(flat(3)), Answers({}), range(1, 8), stop=5)
    assert film(walk) == []
    assert counts(walk.funnel) == {"stopped": 3, "no_price": 2, "no_draft": 2}


def test_at_one_instant_closes_come_before_decisions_and_streams_go_by_name() -> None:
    limit = {"one": [RiskProfile(name="p", max_positions=1)], "two": [RiskProfile(name="p", max_positions=1)]}

    def told(*order: str) -> list[tuple[str, str]]:
        ledger = Ledger(limit)
        minutes: dict[str, dict[int, Answer]] = {"one": {5: draft()}, "two": {2: draft(), 5: draft()}}
        walks = [
            walk_of(candles_of(flat(9)), Answers(minutes[name]), range(2, 6), strategy=name, ledger=ledger)
            for name in order
        ]
        found = [(event, line(event)) for event in walk_together(walks)]
        assert {walk.terms.strategy: dict(walk.funnel.risk_by_profile) for walk in walks} == {
            "one": {},
            "two": {"p": 1},
        }
        return [(event.signal.strategy, text) for event, text in found]  # type: ignore[union-attr]  # all have a signal

    expected = [
        ("two", "2 opened"),
        ("two", "5 closed at 100.0 time_expired"),
        ("one", "5 opened"),
        ("two", "5 risk_refused"),
        ("one", "8 closed at 100.0 time_expired"),
    ]
    assert told("one", "two") == told("two", "one") == expected


def test_a_position_that_cannot_be_judged_at_an_instant_is_left_alone() -> None:
    """At a decision time in a hole the stream is due, yet there is nothing to judge."""
    closes = {minute: price for minute, price in flat(9).items() if minute != 3}
    walk = walk_of(candles_of(closes), Answers({2: draft()}), range(2, 7))
    assert film(walk) == ["2 opened", "5 closed at 100.0 time_expired"]
    assert walk.funnel.no_price == 0


def test_rows_off_the_grid_are_those_at_no_decision_time() -> None:
    assert off_grid_rows(np.array([1, 2, 3, 7]), np.array([2, 4, 7])) == 2
    assert off_grid_rows(np.array([1, 2, 8]), np.array([], dtype=np.int64)) == 3
    assert off_grid_rows(np.array([1, 2, 8]), np.array([2])) == 2


def test_rows_outside_are_those_off_the_grid_before_the_start_or_from_the_end_on() -> None:
    hour = 60 * MINUTE_MS
    within = TimeRange(START_MS, START_MS + 3 * hour)
    ticks = START_MS + np.arange(3) * hour
    rows = START_MS + np.array([-hour, 0, hour // 2, 2 * hour + 1, 3 * hour, 9 * hour])
    assert off_grid_rows(rows, ticks) == 5
    assert rows_outside(rows, ticks, within) == 3
    assert rows_outside(rows, np.append(ticks, START_MS + 3 * hour), within) == 2


def step_through(walk: StreamWalk, minutes: range) -> list[str]:
    """Take a walk instant by instant, as live does."""
    told: list[Event] = []
    for minute in minutes:
        told += [*walk.stop(at(minute)), *walk.settle(at(minute)), *walk.decide(at(minute))]
    return [line(event) for event in told]


def asks(walk: StreamWalk) -> list[int]:
    return [minute for minute in range(12) if walk.asks(at(minute))]


def test_the_strategy_is_asked_at_the_next_decision_time_alone() -> None:
    walk = walk_of(candles_of(flat(9)), Answers({4: draft(lifetime_minutes=3)}), range(2, 9, 2))
    assert asks(walk) == [2]
    assert step_through(walk, range(1, 4)) == []
    assert asks(walk) == [4]
    assert step_through(walk, range(4, 6)) == ["4 opened"]
    assert asks(walk) == [], "a position is there"
    assert step_through(walk, range(6, 8)) == ["7 closed at 100.0 time_expired"]
    assert asks(walk) == [8]
    step_through(walk, range(8, 9))
    assert asks(walk) == [], "there is no further one"


def test_the_strategy_is_not_asked_where_it_would_not_decide() -> None:
    answers = Answers({})
    for name, value in (("is_stale", True), ("is_stop_asked", True), ("stop_ms", at(1))):
        walk = walk_of(candles_of(flat(9)), answers, range(2, 9, 2))
        setattr(walk, name, value)
        assert asks(walk) == [], name
    holed = {minute: price for minute, price in flat(9).items() if minute != 1}
    assert asks(walk_of(candles_of(holed), answers, range(2, 9, 2))) == []


def test_decision_times_that_came_too_late_are_missed() -> None:
    answers = Answers({2: draft(), 6: draft(lifetime_minutes=1)})
    walk = walk_of(candles_of(flat(9)), answers, range(2, 9, 2))
    walk.is_stale = True
    assert step_through(walk, range(1, 5)) == []
    walk.is_stale = False
    assert step_through(walk, range(5, 8)) == ["6 opened", "7 closed at 100.0 time_expired"]
    assert (walk.funnel.missed, answers.asked) == (2, [(6, 100.0)])


def test_a_walk_goes_on_where_candles_have_grown() -> None:
    changed = flat(12, m3=101.0, m8=102.0)
    answers = {2: draft(lifetime_minutes=4), 8: draft(lifetime_minutes=2)}
    ticks = range(2, 11, 2)
    whole = walk_of(candles_of(changed), Answers(answers), ticks)
    expected = step_through(whole, range(1, 11))
    assert [told.split(" at ")[0] for told in expected if "opened" in told or "closed" in told] == [
        "2 opened",
        "6 closed",
        "8 opened",
        "10 closed",
    ]
    for cut in range(3, 10):
        first = {minute: price for minute, price in changed.items() if minute < cut}
        walk = walk_of(candles_of(first), Answers(answers), range(2, cut, 2))
        told = step_through(walk, range(1, cut))
        later = np.array([at(minute) for minute in ticks if minute >= cut], dtype=np.int64)
        candles = candles_of(changed)
        walk.go_on(candles, vwap_all(candles, 1), later)
        assert told + step_through(walk, range(cut, 11)) == expected, cut
