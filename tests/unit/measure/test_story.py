"""How a story is put together: neighbours on the grid, what was held, the named prices of a booking, nearest prices."""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
from make import NO_COSTS, START_MS, candle, draft

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.decide import Answer, Failed, NoDraft, Unusable
from backtestkit_cli.engine.gate import Ledger, RiskProfile
from backtestkit_cli.engine.step import Entry, Quote, Terms
from backtestkit_cli.engine.validation import figures_of
from backtestkit_cli.engine.vwap import vwap_all
from backtestkit_cli.engine.walk import StreamWalk, walk_together
from backtestkit_cli.engine.watch import WatchedWalk, gate_between, watched
from backtestkit_cli.measure.booking import exit_prices, worst_of
from backtestkit_cli.measure.story import Decision, Heard, Nearest, ProfileSeen, SizeSeen, nearest_of
from backtestkit_cli.measure.telling import decision_of, held_at, life_of, neighbours, price_seen
from backtestkit_cli.model.event import Active, Cancelled, CancelReason, Closed, CloseReason, Event, Opened, Scheduled
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import FillPolicy
from backtestkit_cli.model.signal import Position, Signal
from backtestkit_cli.model.time import MINUTE_MS

SIGNAL = Signal(
    id="one",
    strategy="s",
    symbol="X",
    position=Position.LONG,
    price_open=100.0,
    price_take_profit=102.0,
    price_stop_loss=98.0,
    lifetime_minutes=60,
    decided_at=START_MS + 10 * MINUTE_MS,
)
TERMS = Terms(strategy="s", symbol="X", policy=FillPolicy(), costs=NO_COSTS, limits=Limits())


class Saying:
    """A decider that says the same at every time."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def decide(self, time_ms: int, price: float) -> Answer:
        return self.answer

    def has_row(self, time_ms: int) -> bool:
        return True

    def is_short_history(self, time_ms: int) -> bool:
        return True


def minute(at: int) -> int:
    return START_MS + at * MINUTE_MS


def flat_candles(minutes: int, missing: tuple[int, ...] = ()) -> Candles:
    times = np.array([minute(one) for one in range(minutes) if one not in missing], dtype=np.int64)
    price = np.full(len(times), 100.0)
    return Candles.from_rows(times, price, price, price, price, np.ones(len(times)))


def walked(
    answer: Answer, at: int, *, ledger: Ledger | None = None, missing: tuple[int, ...] = (), ticks: int = 30
) -> tuple[WatchedWalk, list[Event]]:
    candles = flat_candles(40, missing)
    walk = StreamWalk(
        candles=candles,
        price=vwap_all(candles, 5),
        ticks=np.array([minute(one) for one in range(10, ticks, 10)], dtype=np.int64),
        decider=Saying(answer),
        terms=TERMS,
        ledger=ledger or Ledger({}),
    )
    seen = watched(walk, minute(at))
    return seen, list(walk_together([seen]))


def decided(answer: Answer, at: int = 10, **changed: Any) -> Decision:
    walk, _ = walked(answer, at, **changed)
    found = decision_of(walk, None, Heard())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("time", "wanted"), [(5, (None, 10)), (10, (None, 20)), (15, (10, 20)), (20, (10, None)), (25, (20, None))]
)
def test_the_neighbours_of_an_instant_are_the_decision_times_beside_it(
    time: int, wanted: tuple[int | None, int | None]
) -> None:
    assert neighbours([10, 20], time) == wanted


@pytest.mark.parametrize(
    ("answer", "gate"),
    [
        (NoDraft.NONE, "no_draft"),
        (NoDraft.WARM_UP, "warm_up"),
        (NoDraft.AMBIGUOUS, "ambiguous"),
        (Failed("no idea"), "errors"),
        (Unusable(("stop_loss_distance",)), "invalid"),
        (draft(price_stop_loss=101.0), "invalid"),
        (draft(), "opened_at_decision"),
        (draft(price_open=99.0), "scheduled"),
    ],
)
def test_a_decision_knows_its_gate_and_its_answer(answer: Answer, gate: str) -> None:
    found = decided(answer)
    assert (found.gate, found.answer) == (gate, answer)
    assert found.is_short_history
    assert found.price is not None
    assert (found.price.vwap, found.price.close, len(found.price.window)) == (100.0, 100.0, 5)


def test_what_a_failure_or_a_broken_draft_says_is_kept() -> None:
    assert decided(Failed("no idea")).failure == "no idea"
    assert decided(Unusable(("stop_loss_distance",))).broken_rules == ("stop_loss_distance",)
    broken = decided(draft(price_stop_loss=101.0))
    assert broken.broken_rules == tuple(one.rule for one in broken.figures if one.is_broken)
    assert decided(draft()).broken_rules == ()


def test_what_was_said_at_the_activation_is_no_part_of_the_decision() -> None:
    def seen(stage: Literal["decision", "activation"]) -> Heard:
        size = SizeSeen(time_ms=0, stage=stage, sizing="z", equity=1.0, quantity=1.0)
        return Heard(
            sizes=[size], profiles=[ProfileSeen(time_ms=0, stage=stage, profile="p", held=(), limits=(), rule=None)]
        )

    walk, _ = walked(draft(), 10)
    at_once, later = decision_of(walk, None, seen("decision")), decision_of(walk, None, seen("activation"))
    assert at_once is not None
    assert later is not None
    assert (len(at_once.sizes), len(at_once.profiles)) == (1, 1)
    assert (later.sizes, later.profiles) == ((), ())


def test_a_busy_decision_was_not_asked_and_shows_no_answer() -> None:
    found = decided(draft(), at=20)
    assert (found.gate, found.answer, found.entry, found.figures) == ("busy", None, None, ())


def test_a_decision_without_a_fresh_price_shows_none() -> None:
    found = decided(draft(), missing=(9,))
    assert (found.gate, found.price) == ("no_price", None)


def test_an_instant_that_is_no_decision_has_none() -> None:
    walk, events = walked(draft(), at=11)
    assert decision_of(walk, None, Heard()) is None
    held = held_at(events, minute(11))
    assert held is not None
    assert (held.since_ms, held.is_waiting) == (minute(10), False)
    assert isinstance(held.ended, Closed)


def test_what_is_held_when_the_events_end_has_no_end() -> None:
    _, events = walked(draft(), at=10)
    held = held_at(events[:1], minute(11))
    assert held is not None
    assert held.ended is None


def test_at_the_end_of_data_the_position_is_still_held_when_the_decision_comes() -> None:
    walk, events = walked(draft(), at=40, ticks=50)
    held = held_at(events, minute(40))
    assert held is not None
    assert isinstance(held.ended, Closed)
    assert (held.ended.time_ms, held.ended.reason) == (minute(40), CloseReason.END_OF_DATA)
    found = decision_of(walk, None, Heard())
    assert found is not None
    assert found.gate == "busy"
    assert held_at(events, minute(41)) is None


def test_a_refused_signal_has_no_life() -> None:
    walk, events = walked(draft(), at=10, ledger=Ledger({"s": [RiskProfile(name="none", max_positions=0)]}))
    found = decision_of(walk, None, Heard())
    assert found is not None
    assert found.gate == "risk"
    assert found.signal is not None
    assert life_of(walk, events, found, Heard()) is None


def test_a_decision_without_a_signal_has_no_life() -> None:
    walk, events = walked(NoDraft.NONE, at=10)
    found = decision_of(walk, None, Heard())
    assert found is not None
    assert life_of(walk, events, found, Heard()) is None


def test_a_waiting_entry_tells_how_near_the_price_came() -> None:
    walk, events = walked(draft(price_open=99.0, price_take_profit=101.0, price_stop_loss=97.0, wait_minutes=5), at=10)
    found = decision_of(walk, None, Heard())
    assert found is not None
    life = life_of(walk, events, found, Heard())
    assert life is not None
    assert life.wait_until_ms == minute(15)
    assert life.nearest_entry == Nearest(time_ms=minute(11), price=100.0, percent=1 / 99 * 100)
    held = held_at(events, minute(12))
    assert held is not None
    assert held.is_waiting
    assert held_at(events, minute(15)) is None
    assert (life.closed, life.ending, life.minutes) == (None, None, 0)


def test_a_waiting_entry_ends_where_it_becomes_a_position() -> None:
    signal = replace(SIGNAL, price_open=99.0)
    events: list[Event] = [
        Scheduled(time_ms=minute(10), signal=signal, price=100.0),
        Opened(time_ms=minute(12), signal=signal),
    ]
    held = held_at(events, minute(11))
    assert held is not None
    assert (held.is_waiting, held.ended) == (True, events[1])


def test_how_near_the_price_came_to_a_short_entry_is_measured_upwards() -> None:
    short = draft(position="short", price_open=101.0, price_take_profit=99.0, price_stop_loss=103.0, wait_minutes=5)
    walk, events = walked(short, at=10)
    found = decision_of(walk, None, Heard())
    assert found is not None
    life = life_of(walk, events, found, Heard())
    assert life is not None
    assert life.nearest_entry == Nearest(time_ms=minute(11), price=100.0, percent=1 / 101 * 100)


def test_a_position_that_is_still_open_has_no_minutes() -> None:
    walk, events = walked(draft(), at=10)
    found = decision_of(walk, None, Heard())
    assert found is not None
    whole = life_of(walk, events, found, Heard())
    cut = life_of(walk, [event for event in events if isinstance(event, Opened)], found, Heard())
    assert whole is not None
    assert cut is not None
    assert (whole.minutes, cut.minutes) == (30, 0)


def test_what_sizing_and_risk_said_stands_at_the_stage_it_was_said() -> None:
    asked: dict[str, Any] = {"sizing": "careful", "equity": 1000.0, "quantity": 1.0}
    first = SizeSeen(time_ms=minute(10), stage="decision", **asked)
    second = SizeSeen(time_ms=minute(12), stage="activation", **asked)
    heard = Heard(sizes=(first, second))
    walk, events = walked(draft(price_open=99.0, price_take_profit=101.0, price_stop_loss=97.0), at=10)
    found = decision_of(walk, None, heard)
    assert found is not None
    life = life_of(walk, events, found, heard)
    assert life is not None
    assert (found.sizes, life.sizes) == ((first,), (second,))


def test_without_a_candle_nothing_came_near_a_waiting_entry() -> None:
    short = draft(position="short", price_open=101.0, price_take_profit=99.0, price_stop_loss=103.0, wait_minutes=5)
    walk, events = walked(short, at=10, missing=(10, 11, 12, 13, 14))
    found = decision_of(walk, None, Heard())
    assert found is not None
    life = life_of(walk, events, found, Heard())
    assert life is not None
    assert life.nearest_entry is not None
    assert life.nearest_entry.time_ms == minute(16)
    scheduled = next(event for event in events if isinstance(event, Scheduled))
    given_up = Cancelled(time_ms=minute(13), signal=scheduled.signal, price=None, reason=CancelReason.STOPPED)
    stopped = life_of(walk, [scheduled, given_up], found, Heard())
    assert stopped is not None
    assert stopped.nearest_entry is None


def test_the_price_of_an_instant_is_made_of_the_candles_that_are_there() -> None:
    walk, _ = walked(NoDraft.NONE, at=10, missing=(7,))
    seen = price_seen(walk, minute(10))
    assert seen is not None
    assert [one.time for one in seen.window] == [minute(one) for one in (5, 6, 8, 9)]
    assert price_seen(walk, minute(8)) is None
    first = price_seen(walk, minute(2))
    assert first is not None
    assert len(first.window) == 2


def test_a_funnel_that_did_not_move_has_no_gate() -> None:
    assert gate_between(Funnel(), Funnel()) is None
    assert gate_between(Funnel(), Funnel(drafts=1, risk=1)) == "risk"


def active(at: int, profit: float, stop: float) -> Active:
    return Active(
        time_ms=minute(at), signal=SIGNAL, price=100.0 + at, take_profit_percent=profit, stop_loss_percent=stop
    )


def test_the_nearest_minute_is_the_one_with_the_greatest_share_of_the_way() -> None:
    path = [active(11, 10.0, 0.0), active(12, 30.0, 0.0), active(13, 30.0, 0.0)]
    assert nearest_of(path, "profit") == Nearest(time_ms=minute(12), price=112.0, percent=30.0)
    assert nearest_of(path, "loss") is None
    assert nearest_of([], "loss") is None


def closed(reason: CloseReason, opened: int = 10) -> Closed:
    return Closed(
        time_ms=minute(20),
        signal=SIGNAL,
        opened_at=minute(opened),
        price=99.0,
        reason=reason,
        pnl_percent=-1.0,
        ambiguous_minutes=0,
        profit_at_stake_percent=0.0,
        vwap_lag_percent=0.0,
        is_bridged=False,
    )


H, T, V = FillPolicy(), FillPolicy(exit="touch", entry="touch"), FillPolicy(market_books="vwap")
BOOKED = {
    ("take profit", H, CloseReason.TAKE_PROFIT): ["take profit", "close"],
    ("take profit by touch", T, CloseReason.TAKE_PROFIT): ["take profit"],
    ("take profit at the VWAP", V, CloseReason.TAKE_PROFIT): ["take profit"],
    ("stop", H, CloseReason.STOP_LOSS): ["stop", "VWAP", "close"],
    ("stop by touch", T, CloseReason.STOP_LOSS): ["stop", "open"],
    ("stop at the VWAP", V, CloseReason.STOP_LOSS): ["VWAP"],
    ("stop at its level", FillPolicy(stop_at="level"), CloseReason.STOP_LOSS): ["stop"],
    ("expiry", H, CloseReason.TIME_EXPIRED): ["VWAP", "close"],
    ("expiry by touch", T, CloseReason.TIME_EXPIRED): ["VWAP", "close"],
    ("end of data at the VWAP", V, CloseReason.END_OF_DATA): ["VWAP"],
}


@pytest.mark.parametrize("case", BOOKED, ids=lambda case: case[0])
def test_the_prices_that_count_are_those_of_the_policy(case: tuple[str, FillPolicy, CloseReason]) -> None:
    _, policy, reason = case
    found = exit_prices(closed(reason), candle(), Quote(99.5, 99.0, False), policy)
    assert [one.name for one in found] == BOOKED[case]


def test_a_stop_in_the_minute_of_a_touched_entry_is_by_touch_whatever_the_exit() -> None:
    policy, quote = FillPolicy(entry="touch"), Quote(99.5, 99.0, False)
    in_its_minute = exit_prices(closed(CloseReason.STOP_LOSS, opened=20), candle(), quote, policy)
    assert [one.name for one in in_its_minute] == ["stop", "open"]
    later = exit_prices(closed(CloseReason.STOP_LOSS), candle(), quote, policy)
    assert [one.name for one in later] == ["stop", "VWAP", "close"]


def test_the_worst_price_is_the_lowest_of_a_long_and_the_highest_of_a_short() -> None:
    prices = exit_prices(closed(CloseReason.STOP_LOSS), candle(), Quote(99.5, 99.0, False), H)
    assert worst_of(prices, is_long=True) == 98.0
    assert worst_of(prices, is_long=False) == 99.5


def rules_of(**changed: Any) -> dict[str, tuple[float, str, float | None, bool]]:
    limits = changed.pop("limits", Limits())
    entry = changed.pop("entry", Entry(100.0, True, True, 120))
    found = figures_of(draft(**changed), 100.0, entry, limits)
    return {one.rule: (one.figure, one.relation, one.limit, one.is_broken) for one in found}


def test_figures_of_a_short_are_mirrored() -> None:
    found = rules_of(position="short", price_take_profit=98.0, price_stop_loss=101.0)
    assert found["short_tp_wrong_side"] == (98.0, "<", 100.0, False)
    assert found["short_sl_too_close"] == (1.0, ">=", 0.5, False)
    assert not any(rule.startswith("long") for rule in found)


def test_every_price_is_held_against_zero() -> None:
    found = rules_of(entry=Entry(99.0, False, False, 30), price_take_profit=102.0, price_stop_loss=98.0)
    assert {rule: told for rule, told in found.items() if "price" in rule} == {
        "current_price_not_finite": (100.0, "finite", None, False),
        "current_price_not_positive": (100.0, ">", 0.0, False),
        "price_open_not_finite": (99.0, "finite", None, False),
        "price_open_not_positive": (99.0, ">", 0.0, False),
        "price_take_profit_not_finite": (102.0, "finite", None, False),
        "price_take_profit_not_positive": (102.0, ">", 0.0, False),
        "price_stop_loss_not_finite": (98.0, "finite", None, False),
        "price_stop_loss_not_positive": (98.0, ">", 0.0, False),
    }


def test_a_limit_that_is_switched_off_has_no_figure() -> None:
    off = Limits(min_take_profit_percent=0, min_stop_loss_percent=0, max_stop_loss_percent=0, max_lifetime_minutes=0)
    found = rules_of(limits=off)
    assert not {"long_tp_too_close", "long_sl_too_close", "long_sl_too_far", "minutes_too_large"} & set(found)


def test_a_short_on_a_spot_market_is_named_with_its_figures() -> None:
    found = rules_of(position="short", price_take_profit=98.0, price_stop_loss=101.0, limits=Limits(long_only=True))
    assert found["short_on_spot"] == (100.0, "bought", None, True)
    assert not rules_of(limits=Limits(long_only=True))["short_on_spot"][3]
    assert "short_on_spot" not in rules_of()


def test_a_waiting_entry_is_measured_against_its_levels_and_its_wait() -> None:
    found = rules_of(entry=Entry(99.0, False, False, 5000))
    assert found["long_scheduled_open_beyond_stop"] == (99.0, ">", 98.0, False)
    assert found["wait_not_allowed"] == (5000, "<=", 1440.0, True)
    assert "long_immediate_already_stopped" not in found


def test_a_side_that_is_none_and_a_price_that_is_no_number_are_told() -> None:
    found = rules_of(position="up", price_take_profit=float("inf"))
    assert found["price_take_profit_not_finite"][3]
    assert "price_take_profit_not_positive" not in found
    assert not any("_tp_" in rule for rule in found)
    assert np.isnan(rules_of(entry=Entry(0.0, True, True, 1))["long_tp_too_close"][0])
