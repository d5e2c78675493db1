"""A stream that an exchange carries out, story by story: what it wishes, learns, tells and counts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from unit.engine.test_walk import Answers, at, candles_of, counts, flat
from unit.engine.test_walk import line as plain_line

from backtestkit_cli.engine.account import Account
from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.gate import Ledger, RiskProfile, Sized, SizingQuestion
from backtestkit_cli.engine.orders.errand import (
    Disputed,
    Ended,
    Entering,
    Errand,
    GivenUp,
    Guarded,
    Protecting,
    Task,
    begun,
    closed,
    moved,
    with_order,
)
from backtestkit_cli.engine.orders.tracked import Accepted, Filled
from backtestkit_cli.engine.orders.walk import EXCHANGE, CarriedWalk, Enter, Exit, GiveUp
from backtestkit_cli.engine.step import FLAT, DataEnded, Quote, StopRequested, Terms
from backtestkit_cli.engine.vwap import vwap_all
from backtestkit_cli.model.event import (
    Cancelled,
    CancelReason,
    Closed,
    CloseReason,
    DraftRefused,
    Event,
    Opened,
    QuantityRefused,
    RiskRefused,
)
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.order import Level, Report
from backtestkit_cli.model.policy import PRESETS, Costs, FillPolicy
from backtestkit_cli.model.signal import OpenPosition, Signal, SignalDraft, WaitingEntry
from backtestkit_cli.model.time import MINUTE_MS

KEY = ("s", "X")
LONG = SignalDraft(position="long", price_take_profit=104.0, price_stop_loss=96.0, lifetime_minutes=5)
LIMIT = replace(LONG, price_open=99.0, wait_minutes=9)
ALONE = RiskProfile(name="alone", max_positions=1)


@dataclass(slots=True)
class Sizing:
    """Gives one quantity, and keeps what it was asked."""

    sized: Sized = field(default_factory=lambda: Sized(2.0))
    asked: list[SizingQuestion] = field(default_factory=list)

    def __call__(self, question: SizingQuestion) -> Sized:
        self.asked.append(question)
        return self.sized


def ledger_of(sizing: Sizing | None = None, *profiles: RiskProfile) -> Ledger:
    return Ledger({"s": profiles or (ALONE,)}, Account(1000.0), {KEY: sizing or Sizing()})


def carried(
    drafts: Mapping[int, SignalDraft],
    *,
    candles: Candles | None = None,
    ledger: Ledger | None = None,
    least_value: float = 0.0,
    policy: FillPolicy | None = None,
    tells_active: bool = False,
) -> CarriedWalk:
    """A stream that decides at each minute where there is a draft; the fee is 0.1 percent a side."""
    market = candles or candles_of(flat(30))
    return CarriedWalk(
        candles=market,
        price=vwap_all(market, 1),
        ticks=np.array([at(minute) for minute in drafts], dtype=np.int64),
        decider=Answers(drafts),
        terms=Terms(
            strategy="s",
            symbol="X",
            policy=policy or FillPolicy(),
            costs=Costs(fee_percent=0.1, slippage_percent=0.1),
            limits=Limits(average_price_candles=1),
        ),
        ledger=ledger or ledger_of(),
        tells_active=tells_active,
        least_value=least_value,
    )


def passed(walk: CarriedWalk, *minutes: int) -> list[Event]:
    """The events of these instants, as a session takes them."""
    told: list[Event] = []
    for minute in minutes:
        told += [*walk.stop(at(minute)), *walk.settle(at(minute)), *walk.decide(at(minute))]
    return told


def line(event: Event) -> str:
    match event:
        case Opened(signal=signal, policy_price=policy_price):
            return f"{plain_line(event)} {signal.quantity:g} at {signal.price_open:g}, by policy {policy_price}"
        case Closed(policy_price=policy_price):
            return f"{plain_line(event)}, by policy {policy_price}"
        case RiskRefused(stage=stage, profile=profile, rule=rule, why=why):
            return f"{plain_line(event)} {stage} {profile} {rule} {why}".rstrip()
        case QuantityRefused(stage=stage, rule=rule, why=why):
            return f"{plain_line(event)} {stage} {rule} {why}".rstrip()
        case _:
            return plain_line(event)


def lines(events: list[Event]) -> list[str]:
    return [line(event) for event in events]


# what the exchange makes of a wish, at a time after a minute


def task_of(walk: CarriedWalk) -> Task:
    """The task of the one wish that waits to be taken."""
    (wish,) = walk.wishes
    assert isinstance(wish, Enter)
    walk.wishes = []
    return Task(
        signal=wish.signal,
        is_market=wish.is_market,
        wait_until_ms=wish.wait_until_ms,
        quantity_step=None,
        least_value=0.0,
    )


def answered(errand: Errand, state: Filled | Accepted, now_ms: int) -> Errand:
    order = errand.entry if isinstance(errand, Entering) else getattr(errand, "guard", None)
    assert order is not None
    return moved(with_order(errand, replace(order, state=state)), now_ms)


def bought(task: Task, price: float, minute: int, *, seconds: int = 3) -> Protecting:
    """All of it was bought, at a price."""
    quantity = task.signal.quantity or 0.0
    report = Report(status="filled", quantity=quantity, value=quantity * price)
    found = answered(begun(task), Filled(report=report), at(minute) + seconds * 1000)
    assert isinstance(found, Protecting)
    return found


def guarded(task: Task, price: float, minute: int) -> Guarded:
    """The same, and its stop stands."""
    found = answered(bought(task, price, minute), Accepted(report=Report(status="open"), ask_ms=0), at(minute))
    assert isinstance(found, Guarded)
    return found


def sold(held: Guarded, price: float, minute: int, level: Level | None, reason: CloseReason) -> Ended:
    """The guard sold everything, at a price; without a level the sale was one at the market."""
    quantity = held.held.to_sell
    report = Report(status="filled", quantity=quantity, value=quantity * price, level=level)
    found = answered(closed(held, reason), Filled(report=report), at(minute) + 4_000)
    assert isinstance(found, Ended)
    return found


def given_up(task: Task, minute: int, reason: CancelReason, why: str = "") -> GivenUp:
    return GivenUp(task=task, reason=reason, why=why, time_ms=at(minute) + 2_000)


def learnt(walk: CarriedWalk, errand: Errand) -> list[str]:
    return lines(list(walk.learn(errand)))


def held_by(walk: CarriedWalk) -> list[Signal]:
    return list(walk.ledger.positions.get("alone", {}).values())


def entered(walk: CarriedWalk, price: float, minute: int) -> Guarded:
    """The one wish of the walk, filled and guarded; the walk knows."""
    errand = guarded(task_of(walk), price, minute)
    assert len(learnt(walk, errand)) == 1
    return errand


# a market entry


def test_a_market_draft_becomes_a_wish_and_waits() -> None:
    walk = carried({1: LONG})
    assert passed(walk, 1) == []
    (wish,) = walk.wishes
    assert isinstance(wish, Enter)
    assert (wish.is_market, wish.wait_until_ms) == (True, at(1))
    assert (wish.signal.price_open, wish.signal.quantity, wish.signal.decided_at) == (100.0, 2.0, at(1))
    assert walk.state == WaitingEntry(signal=wish.signal, wait_until=at(1))
    assert held_by(walk) == [wish.signal], "its place is taken from now on"
    assert counts(walk.funnel) == {"drafts": 1, "opened_at_decision": 1}


def test_no_price_fills_an_entry_or_gives_it_up_but_the_exchange_does() -> None:
    market = candles_of(flat(30, m3=90.0, m4=120.0))
    for draft in (LONG, replace(LIMIT, wait_minutes=2)):
        walk = carried({1: draft, 2: LONG, 9: LONG}, candles=market)
        passed(walk, 1)
        waiting, task = walk.state, task_of(walk)
        assert passed(walk, *range(2, 20)) == []
        assert (walk.state, walk.wishes, walk.funnel.busy) == (waiting, [], 2)
        assert list(walk.learn(begun(task))) == []
        assert walk.state == waiting


def test_a_market_entry_is_told_with_its_true_price_and_that_of_the_policy() -> None:
    walk = carried({1: LONG})
    passed(walk, 1)
    task = task_of(walk)
    assert learnt(walk, bought(task, 101.0, 1)) == ["1 opened 2 at 101, by policy 100.0"]
    true = replace(task.signal, price_open=101.0)
    assert walk.state == OpenPosition(
        signal=true,
        opened_at=at(1) + 3_000,
        expires_at=at(6),  # five minutes from the decision
        entry_vwap=101.0,
        entry_worse=101.0,
    )
    assert held_by(walk) == [true]
    assert counts(walk.funnel) == {"drafts": 1, "opened_at_decision": 1}


def test_what_was_filled_of_an_entry_is_its_quantity() -> None:
    walk = carried({1: LONG})
    passed(walk, 1)
    task = task_of(walk)
    part = replace(task, signal=replace(task.signal, quantity=0.5))
    assert learnt(walk, bought(part, 101.0, 1)) == ["1 opened 0.5 at 101, by policy 100.0"]


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("too poor", "1 risk_refused decision exchange order_refused too poor"),
        ("", "1 risk_refused decision exchange not_filled"),
    ],
)
def test_a_market_entry_that_was_not_filled_is_refused_at_its_decision_and_frees_its_place(why: str, told: str) -> None:
    walk = carried({1: LONG, 2: LONG})
    passed(walk, 1)
    (event,) = walk.learn(given_up(task_of(walk), 1, CancelReason.RISK, why))
    assert line(event) == told
    assert event.time_ms == at(1), "though it was known two seconds later"
    assert isinstance(event, RiskRefused)
    assert (event.price, event.open_positions) == (100.0, 0)
    assert (walk.state, held_by(walk)) == (FLAT, [])
    assert counts(walk.funnel) == {"drafts": 1, "risk": 1, "risk_by_profile": {EXCHANGE: 1}}
    assert walk.funnel.broken_sums() == ["decisions"], "the second decision is still to come"
    passed(walk, 2)
    assert len(walk.wishes) == 1


# a limit entry


def test_a_limit_draft_is_scheduled_sized_and_held_when_it_is_sent() -> None:
    walk = carried({1: LIMIT})
    assert lines(passed(walk, 1)) == ["1 scheduled at 100.0"]
    (wish,) = walk.wishes
    assert isinstance(wish, Enter)
    assert (wish.is_market, wish.wait_until_ms) == (False, at(10))
    assert (wish.signal.price_open, wish.signal.quantity) == (99.0, 2.0)
    assert walk.state == WaitingEntry(signal=wish.signal, wait_until=at(10))
    assert held_by(walk) == [wish.signal]
    assert counts(walk.funnel) == {"drafts": 1, "scheduled": 1}


def test_a_limit_that_the_market_already_beats_is_a_market_entry() -> None:
    walk = carried({1: replace(LIMIT, price_open=101.0)})
    assert passed(walk, 1) == []
    (wish,) = walk.wishes
    assert isinstance(wish, Enter)
    assert (wish.is_market, wish.signal.price_open) == (True, 100.0)


@pytest.mark.parametrize(("seconds", "expires"), [(3, 5 + 6), (0, 4 + 6), (60, 5 + 6)])
def test_a_limit_entry_lives_from_the_end_of_its_minute_on(seconds: int, expires: int) -> None:
    walk = carried({1: replace(LIMIT, lifetime_minutes=6)})
    passed(walk, 1)
    told = learnt(walk, bought(task_of(walk), 98.5, 4, seconds=seconds))
    assert told == [f"{4 + seconds // 60} opened 2 at 98.5, by policy 99.0"]
    assert isinstance(walk.state, OpenPosition)
    assert walk.state.expires_at == at(expires)
    assert counts(walk.funnel) == {"drafts": 1, "scheduled": 1, "activated": 1}


def test_a_limit_entry_that_waits_when_a_stop_is_asked_for_is_given_up_once_the_exchange_says_so() -> None:
    walk = carried({1: LIMIT, 3: LIMIT})
    passed(walk, 1)
    task, waiting = task_of(walk), walk.state
    walk.is_stop_asked = True
    assert passed(walk, 2) == []
    assert (walk.state, walk.wishes) == (waiting, [GiveUp(reason=CancelReason.STOPPED)])
    assert learnt(walk, given_up(task, 2, CancelReason.STOPPED)) == ["2 cancelled at None stopped"]
    assert (walk.state, held_by(walk)) == (FLAT, [])
    passed(walk, 3)
    assert walk.funnel.broken_sums() == []
    assert counts(walk.funnel) == {"drafts": 1, "scheduled": 1, "cancelled": {"stopped": 1}, "stopped": 1}


def test_an_entry_that_is_filled_before_its_cancel_is_a_position() -> None:
    walk = carried({1: LIMIT})
    passed(walk, 1)
    task = task_of(walk)
    walk.is_stop_asked = True
    passed(walk, 2)
    assert learnt(walk, bought(task, 99.0, 2)) == ["2 opened 2 at 99, by policy 99.0"]


@pytest.mark.parametrize(
    ("reason", "why", "told"),
    [
        (CancelReason.WAIT_OVER, "", ["9 cancelled at None wait_over"]),
        (
            CancelReason.RISK,
            "the exchange gave the order up",
            [
                "9 risk_refused activation exchange order_refused the exchange gave the order up",
                "9 cancelled at None risk",
            ],
        ),
    ],
)
def test_a_limit_entry_that_the_exchange_cancels_is_told_with_why_if_it_said_so(
    reason: CancelReason, why: str, told: list[str]
) -> None:
    walk = carried({1: LIMIT})
    passed(walk, 1)
    task = task_of(walk)
    events = list(walk.learn(given_up(task, 9, reason, why)))
    assert lines(events) == told
    assert {event.time_ms for event in events} == {at(9) + 2_000}
    assert [event.signal for event in events if isinstance(event, Cancelled | RiskRefused)] == [task.signal] * len(told)
    assert (walk.state, held_by(walk)) == (FLAT, [])
    assert walk.funnel.broken_sums() == []
    assert counts(walk.funnel) == {"drafts": 1, "scheduled": 1, "cancelled": {str(reason): 1}}


# sizes and refusals


@pytest.mark.parametrize("draft", [LONG, LIMIT])
def test_an_entry_is_sized_once(draft: SignalDraft) -> None:
    sizing = Sizing()
    passed(carried({1: draft}, ledger=ledger_of(sizing)), 1)
    (question,) = sizing.asked
    assert (question.time_ms, question.equity) == (at(1), 1000.0)
    assert question.signal.quantity is None


@pytest.mark.parametrize("draft", [LONG, LIMIT])
@pytest.mark.parametrize(
    ("sizing", "rule"), [(Sizing(Sized(0.0, "below_min", "it is too small")), "below_min it is too small"), (None, "")]
)
def test_an_entry_without_a_quantity_is_refused(draft: SignalDraft, sizing: Sizing | None, rule: str) -> None:
    ledger = ledger_of(sizing) if sizing else Ledger({"s": [ALONE]})
    walk = carried({1: draft}, ledger=ledger)
    assert lines(passed(walk, 1)) == [f"1 quantity_refused decision {rule}".rstrip()]
    assert_nothing_is_left(walk, {"no_quantity": 1, "no_quantity_by_rule": {rule.partition(" ")[0]: 1}})


def assert_nothing_is_left(walk: CarriedWalk, counted: dict[str, object]) -> None:
    """The draft ended here, and is nowhere else."""
    assert (walk.state, walk.wishes, held_by(walk)) == (FLAT, [], [])
    assert counts(walk.funnel) == {"drafts": 1, **counted}
    assert walk.funnel.broken_sums() == []


@pytest.mark.parametrize("draft", [LONG, LIMIT])
def test_a_profile_that_is_full_refuses_an_entry(draft: SignalDraft) -> None:
    sizing = Sizing()
    walk = carried({1: draft}, ledger=ledger_of(sizing, RiskProfile(name="none", max_positions=0)))
    assert lines(passed(walk, 1)) == ["1 risk_refused decision none max_positions"]
    assert_nothing_is_left(walk, {"risk": 1, "risk_by_profile": {"none": 1}})


@pytest.mark.parametrize(("draft", "percent"), [(LONG, 20.0), (LIMIT, 19.8)])
def test_the_exposure_of_an_entry_counts_before_it_is_sent(draft: SignalDraft, percent: float) -> None:
    """Two at 100, or at the limit of 99, of an equity of 1000."""
    enough = RiskProfile(name="alone", max_exposure_percent=percent)
    walk = carried({1: draft}, ledger=ledger_of(None, enough))
    passed(walk, 1)
    assert len(walk.wishes) == 1
    short = RiskProfile(name="alone", max_exposure_percent=percent - 0.01)
    walk = carried({1: draft}, ledger=ledger_of(None, short))
    (event,) = passed(walk, 1)
    assert line(event) == "1 risk_refused decision alone max_exposure_percent"
    assert isinstance(event, RiskRefused)
    assert (event.price, event.signal.quantity, event.open_positions) == (100.0, 2.0, 0)
    assert_nothing_is_left(walk, {"risk": 1, "risk_by_profile": {"alone": 1}})


@pytest.mark.parametrize("draft", [LONG, LIMIT])
def test_what_its_stop_would_leave_too_small_to_be_sold_is_refused(draft: SignalDraft) -> None:
    walk = carried({1: draft}, least_value=192.0)
    passed(walk, 1)
    assert len(walk.wishes) == 1, "two at a stop of 96 are just enough"
    walk = carried({1: draft}, least_value=192.5)
    why = "at its stop it would be worth less than the 192.5 that the exchange trades"
    assert lines(passed(walk, 1)) == [f"1 quantity_refused decision below_least_value {why}"]
    assert_nothing_is_left(walk, {"no_quantity": 1, "no_quantity_by_rule": {"below_least_value": 1}})


def test_an_invalid_draft_is_refused_before_anything_is_wished() -> None:
    walk = carried({1: replace(LONG, lifetime_minutes=0)})
    (event,) = passed(walk, 1)
    assert isinstance(event, DraftRefused)
    assert_nothing_is_left(walk, {"invalid": 1, "invalid_by_rule": {"minutes_not_positive": 1}})


def test_an_entry_that_never_left_counts_as_refused_and_a_position_does_not() -> None:
    for draft, told in ((LONG, {"risk": 1}), (LIMIT, {"scheduled": 1, "cancelled": {"risk": 1}})):
        walk = carried({1: draft})
        passed(walk, 1)
        list(walk.learn(given_up(task_of(walk), 1, CancelReason.RISK, "it was not sent")))
        assert (walk.state, held_by(walk)) == (FLAT, [])
        assert counts(walk.funnel).items() >= told.items()
        assert walk.funnel.opened_at_decision == 0
    walk = carried({1: LONG})
    passed(walk, 1)
    held = entered(walk, 100.0, 1)
    position = walk.state
    assert list(walk.learn(given_up(held.task, 1, CancelReason.RISK, "late"))) == []
    assert walk.state == position
    assert [one.id for one in held_by(walk)] == [held.task.signal.id]


# the end of a position


def test_a_level_that_the_policy_sees_is_the_wish_to_close_and_the_true_price_is_booked() -> None:
    ledger = ledger_of()
    walk = carried({1: LONG}, candles=candles_of(flat(30, m3=105.0)), ledger=ledger)
    passed(walk, 1)
    held = entered(walk, 101.0, 1)
    assert lines(passed(walk, 2, 3)) == ["3 level_reached loss 10", "3 level_reached loss 20"], "100 is below 101"
    assert walk.wishes == []
    position = walk.state
    assert passed(walk, 4) == [], "the exchange says when it is closed"
    assert walk.wishes == [Exit(reason=CloseReason.TAKE_PROFIT, price=104.0)]
    assert walk.state == position
    ended = sold(held, 104.03, 4, None, CloseReason.TAKE_PROFIT)
    (event,) = walk.learn(ended)
    assert isinstance(event, Closed)
    assert line(event) == "4 closed at 104.03 take_profit, by policy 104.0"
    assert (event.time_ms, event.opened_at) == (at(4) + 4_000, at(1) + 3_000)
    assert event.pnl_percent == pytest.approx(2.8)  # 101 to 104.03 is 3 percent; a fee of 0.1 on both sides
    assert event.pnl_quote == pytest.approx(5.656)  # 2 * 101 * 2.8 percent
    assert (event.ambiguous_minutes, event.profit_at_stake_percent, event.vwap_lag_percent) == (0, 0.0, 0.0)
    assert not event.is_bridged
    assert (event.signal.price_open, event.signal.quantity) == (101.0, 2.0)
    assert (walk.state, held_by(walk)) == (FLAT, [])
    assert ledger.account is not None
    assert ledger.account.equity == pytest.approx(1005.656)
    assert counts(walk.funnel) == {"drafts": 1, "opened_at_decision": 1, "closed": {"take_profit": 1}}
    assert walk.funnel.broken_sums() == []


def test_the_price_of_the_policy_is_that_of_its_first_wish() -> None:
    walk = carried({1: replace(LONG, lifetime_minutes=9), 8: LONG}, candles=candles_of(flat(30, m3=105.0, m4=90.0)))
    passed(walk, 1)
    held = entered(walk, 100.0, 1)
    passed(walk, 2, 3, 4, 5)
    assert [wish.reason for wish in walk.wishes if isinstance(wish, Exit)] == ["take_profit", "stop_loss"]
    late = sold(held, 91.0, 5, None, CloseReason.TAKE_PROFIT)
    assert learnt(walk, late) == ["5 closed at 91.0 take_profit, by policy 104.0"]
    walk.wishes = []
    passed(walk, 8)
    second = entered(walk, 100.0, 8)
    ended = sold(second, 96.5, 8, "stop_loss", CloseReason.STOP_LOSS)
    assert learnt(walk, ended) == ["8 closed at 96.5 stop_loss, by policy 96.0"], "nothing is left of the first one"


def test_a_lifetime_that_is_over_is_the_wish_to_close_at_the_market() -> None:
    market = flat(30, m5=99.0)
    walk = carried({1: LONG}, candles=candles_of(market))
    passed(walk, 1)
    held = entered(walk, 100.0, 1)
    passed(walk, 2, 3, 4, 5)
    assert walk.wishes == []
    passed(walk, 6)
    assert walk.wishes == [Exit(reason=CloseReason.TIME_EXPIRED, price=99.0)]
    ended = sold(held, 98.5, 6, None, CloseReason.TIME_EXPIRED)
    assert learnt(walk, ended) == ["6 closed at 98.5 time_expired, by policy 99.0"]
    assert walk.funnel.broken_sums() == []


@pytest.mark.parametrize(
    ("level", "reason", "policy_price"),
    [
        ("take_profit", CloseReason.TAKE_PROFIT, 104.0),
        ("stop_loss", CloseReason.STOP_LOSS, 96.0),
        (None, CloseReason.TIME_EXPIRED, None),
    ],
)
def test_an_end_that_the_policy_does_not_see_has_the_price_of_its_level(
    level: Level | None, reason: CloseReason, policy_price: float | None
) -> None:
    walk = carried({1: LONG})
    passed(walk, 1)
    ended = sold(entered(walk, 100.0, 1), 95.5, 2, level, reason)
    assert learnt(walk, ended) == [f"2 closed at 95.5 {reason}, by policy {policy_price}"]
    assert walk.funnel.broken_sums() == []


def lows(**changed: float) -> Candles:
    """Minutes at 100 with some lows: `m5=90.0`."""
    minutes = np.arange(30, dtype=np.int64)
    price, low = np.full(30, 100.0), np.full(30, 100.0)
    for name, value in changed.items():
        low[int(name[1:])] = value
    return Candles.from_rows(at(0) + minutes * MINUTE_MS, price, price, low, price, np.ones(30))


@pytest.mark.parametrize(
    ("minute_of_low", "seconds", "wishes"),
    [
        pytest.param(1, 3, 0, id="the minute of the entry is older than the position"),
        pytest.param(1, 0, 1, id="entered as the minute began"),
        pytest.param(2, 3, 1, id="the minute after"),
    ],
)
def test_the_range_of_a_minute_counts_where_the_position_is_older(
    minute_of_low: int, seconds: int, wishes: int
) -> None:
    walk = carried({1: LONG}, candles=lows(**{f"m{minute_of_low}": 95.0}), policy=PRESETS["touch"])
    passed(walk, 1)
    list(walk.learn(bought(task_of(walk), 100.0, 1, seconds=seconds)))
    passed(walk, 2, 3)
    assert walk.wishes == [Exit(reason=CloseReason.STOP_LOSS, price=96.0)] * wishes


def test_a_lifetime_may_be_over_in_the_minute_of_the_entry() -> None:
    opened, high, low, close = (np.array([100.0, one, 100.0, 100.0, 100.0]) for one in (100.0, 100.0, 97.0, 98.0))
    times = at(0) + np.arange(5, dtype=np.int64) * MINUTE_MS
    candles = Candles.from_rows(times, opened, high, low, close, np.ones(5))
    walk = carried({1: replace(LONG, lifetime_minutes=1)}, candles=candles)
    passed(walk, 1)
    entered(walk, 100.0, 1)
    passed(walk, 2)
    assert walk.wishes == [Exit(reason=CloseReason.TIME_EXPIRED, price=98.0)], "the worse of close and average price"


def test_the_way_to_a_level_and_what_is_held_are_told_of_the_true_entry() -> None:
    walk = carried({1: LONG}, candles=candles_of(flat(30, m2=102.5)), tells_active=True)
    passed(walk, 1)
    entered(walk, 101.0, 1)
    assert lines(passed(walk, 2, 3)) == [
        "2 active at 100.0 0.0% 20.0%",
        *(f"3 level_reached profit {level}" for level in (10, 20, 30, 40, 50)),
        "3 active at 102.5 50.0% 0.0%",
    ]
    assert isinstance(walk.state, OpenPosition)
    assert walk.state.profit_level == 50


def test_an_open_position_is_no_matter_of_a_stop_request_or_of_the_end_of_data() -> None:
    walk = carried({1: LONG})
    passed(walk, 1)
    entered(walk, 100.0, 1)
    position = walk.state
    for happened in (StopRequested(at(2), 100.0), DataEnded(at(2), Quote(100.0, 100.0, False))):
        assert list(walk._apply(happened)) == []  # no walk gives a position either of them
    assert (walk.state, walk.wishes) == (position, [])


# what is learnt in which state


def errands(task: Task) -> dict[str, Errand]:
    """What an errand can be, at minute 1."""
    guard = guarded(task, 101.0, 1)
    return {
        "entering": begun(task),
        "given_up": given_up(task, 1, CancelReason.RISK, "no"),
        "protecting": bought(task, 101.0, 1),
        "guarded": guard,
        "closing": closed(guard, CloseReason.TIME_EXPIRED),
        "ended": sold(guard, 104.03, 2, "take_profit", CloseReason.TAKE_PROFIT),
        "disputed": Disputed(task=task, held=guard.held, what="?"),
        "disputed, nothing held": Disputed(task=task, held=None, what="?"),
    }


OPENED, CLOSED = "1 opened 2 at 101, by policy 100.0", "2 closed at 104.03 take_profit, by policy 104.0"


@pytest.mark.parametrize(
    ("kind", "waiting", "held"),
    [
        ("entering", [], []),
        ("given_up", ["1 risk_refused decision exchange order_refused no"], []),
        ("protecting", [OPENED], []),
        ("guarded", [OPENED], []),
        ("closing", [OPENED], []),
        ("ended", [OPENED, CLOSED], [CLOSED]),
        ("disputed", [OPENED], []),
        ("disputed, nothing held", [], []),
    ],
)
def test_what_is_learnt_in_each_state_and_only_of_its_own_signal(
    kind: str, waiting: list[str], held: list[str]
) -> None:
    for told, is_held in ((waiting, False), (held, True)):
        walk = carried({1: LONG})
        passed(walk, 1)
        task = task_of(walk)
        if is_held:
            list(walk.learn(guarded(task, 101.0, 1)))
        before = walk.state
        other = replace(task, signal=replace(task.signal, id="another"))
        assert learnt(walk, errands(other)[kind]) == []
        assert walk.state == before
        assert learnt(walk, errands(task)[kind]) == told
        assert (walk.state == before) == (not told)
        assert learnt(walk, errands(task)[kind]) == [], "and only once"


def test_a_position_that_ended_before_it_was_learnt_of_is_told_opened_and_closed() -> None:
    walk = carried({1: LIMIT, 5: LIMIT})
    passed(walk, 1)
    ended = sold(guarded(task_of(walk), 98.0, 3), 96.04, 4, "stop_loss", CloseReason.STOP_LOSS)
    events = list(walk.learn(ended))
    assert lines(events) == ["3 opened 2 at 98, by policy 99.0", "4 closed at 96.04 stop_loss, by policy 96.0"]
    assert isinstance(events[1], Closed)
    assert events[1].pnl_percent == pytest.approx(-2.2)  # 98 to 96.04 is -2 percent
    assert events[1].pnl_quote == pytest.approx(-4.312)
    assert (walk.state, held_by(walk)) == (FLAT, [])
    counted = {"drafts": 1, "scheduled": 1, "activated": 1, "closed": {"stop_loss": 1}}
    assert counts(walk.funnel) == counted
    assert lines(passed(walk, 5)) == ["5 scheduled at 100.0"]


def test_nothing_is_learnt_where_nothing_waits() -> None:
    walk = carried({1: LONG})
    passed(walk, 1)
    task = task_of(walk)
    list(walk.learn(given_up(task, 1, CancelReason.RISK)))
    for errand in errands(task).values():
        assert learnt(walk, errand) == []
        assert walk.state == FLAT
    assert counts(walk.funnel) == {"drafts": 1, "risk": 1, "risk_by_profile": {EXCHANGE: 1}}


def test_what_is_worth_too_little_to_be_sold_is_in_no_figure() -> None:
    walk = carried({1: LONG})
    passed(walk, 1)
    held = entered(walk, 100.0, 1)
    whole = sold(held, 102.0, 3, "take_profit", CloseReason.TAKE_PROFIT)
    part = replace(whole.held.sold[0], quantity=1.5, value=1.5 * 102.0)
    (event,) = walk.learn(replace(whole, held=replace(whole.held, sold=(part,))))
    assert isinstance(event, Closed)
    assert event.pnl_percent == pytest.approx(1.798, abs=0.01)
    assert event.pnl_quote == pytest.approx(1.5 * event.pnl_percent)
