"""One order, and one position, answer by answer."""

from dataclasses import replace

import pytest

from backtestkit_cli.engine.orders.errand import (
    CLOSE_GAP_MS,
    CLOSE_TRIES,
    FEE_MS,
    MARKET_MS,
    PARTIAL_MS,
    UNPROTECTED_MS,
    Closing,
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
    due_ms,
    given_up,
    may_be_there,
    moved,
    order_of,
    retimed,
    with_order,
)
from backtestkit_cli.engine.orders.tracked import (
    ABSENT_ASKS,
    ABSENT_MS,
    AGAIN_MS,
    NEVER_ARRIVED,
    POLL_MS,
    SLOWEST_MS,
    Accepted,
    Ask,
    Cancelled,
    Filled,
    Intended,
    Lost,
    Rejected,
    Sent,
    Tracked,
    Unknown,
    ask_of,
    heard,
    sending,
    tracked,
    unwanted,
)
from backtestkit_cli.engine.orders.tracked import due_ms as due_ms_of
from backtestkit_cli.model.event import CancelReason, CloseReason
from backtestkit_cli.model.order import (
    Answer,
    AtLimit,
    AtMarket,
    NotSent,
    NotThere,
    Order,
    Pair,
    Refused,
    Report,
    Stop,
    Unanswered,
    client_id,
)
from backtestkit_cli.model.signal import Position, Signal

SIGNAL = Signal(
    id="5f0c7a7e-23a1-4f6e-8d52-3f8b1a0c9d4e",
    strategy="s",
    symbol="AAA",
    position=Position.LONG,
    price_open=100.0,
    price_take_profit=110.0,
    price_stop_loss=90.0,
    lifetime_minutes=60,
    decided_at=0,
    quantity=2.0,
)
TASK = Task(signal=SIGNAL, is_market=True, wait_until_ms=MARKET_MS, quantity_step=0.1, least_value=5.0)
LIMIT = replace(TASK, is_market=False, wait_until_ms=600_000)
ORDER = Order(client_id="a", symbol="AAA", side="buy", quantity=2.0, way=AtLimit(price=100.0))
OPEN, GONE = Report(status="open"), Report(status="cancelled")
BOUGHT = Report(status="filled", quantity=2.0, value=202.0, fee_quantity=0.05)


def placed(answer: Answer, *, resends: bool = False, now_ms: int = 0) -> Tracked:
    return heard(sending(tracked(ORDER, resends=resends)), "place", answer, now_ms)


def asked(one: Tracked, *answers: Answer, every_ms: int = AGAIN_MS) -> Tracked:
    """The order after questions, one after the other."""
    for turn, answer in enumerate(answers):
        one = heard(one, "query", answer, turn * every_ms)
    return one


def test_an_order_is_kept_as_sent_with_its_attempt_before_it_leaves() -> None:
    one = tracked(ORDER, resends=False)
    assert ask_of(one, 0) == "place"
    assert sending(one).state == Sent(attempts=1)
    assert sending(replace(one, state=Intended(attempts=1))).state == Sent(attempts=2)


def test_who_finds_an_order_sent_asks_before_anything_else() -> None:
    assert ask_of(sending(tracked(ORDER, resends=True)), 0) == "query"


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (OPEN, Accepted),
        (BOUGHT, Filled),
        (GONE, Cancelled),
        (Refused(why="no"), Rejected),
        (NotSent(why="later"), Intended),
        (Unanswered(why="?"), Unknown),
        (NotThere(), Unknown),
    ],
)
def test_what_an_answer_to_a_new_order_means(answer: Answer, state: type) -> None:
    assert isinstance(placed(answer).state, state)


def test_an_unknown_outcome_is_asked_for_at_once_and_never_sent_again_by_itself() -> None:
    one = placed(Unanswered(why="?"))
    assert ask_of(one, 0) == "query"
    one = asked(one, *[Unanswered(why="?")] * 100)
    assert isinstance(one.state, Unknown)
    assert ask_of(one, 10**9) == "query"


def absences(count: int, over_ms: int, *, resends: bool) -> Tracked:
    one = placed(Unanswered(why="?"), resends=resends)
    return asked(one, *[NotThere()] * count, every_ms=over_ms // max(1, count - 1))


def test_it_counts_as_never_arrived_only_after_many_absences_over_a_time() -> None:
    enough = ABSENT_ASKS + 1
    assert isinstance(absences(ABSENT_ASKS - 1, ABSENT_MS * 3, resends=False).state, Unknown)
    assert isinstance(absences(enough, ABSENT_MS - enough, resends=False).state, Unknown)
    assert absences(enough, ABSENT_MS, resends=False).state == Rejected(why=NEVER_ARRIVED)
    assert absences(enough, ABSENT_MS, resends=True).state == Intended(attempts=1)


def test_an_order_that_is_found_after_all_is_accepted() -> None:
    assert isinstance(asked(placed(Unanswered(why="?")), NotThere(), NotThere(), OPEN).state, Accepted)


def test_a_report_with_less_than_is_known_is_stale() -> None:
    one = asked(placed(replace(OPEN, quantity=1.0)), replace(GONE, quantity=0.5))
    assert isinstance(one.state, Accepted)
    assert one.state.report.quantity == 1.0
    assert ask_of(one, AGAIN_MS) == "query"


def test_an_accepted_order_that_is_not_there_any_more_is_lost_after_a_time() -> None:
    assert isinstance(asked(placed(OPEN), NotThere(), every_ms=1).state, Accepted)
    assert isinstance(asked(placed(OPEN), NotThere(), NotThere(), every_ms=ABSENT_MS).state, Lost)


def test_a_resting_order_is_asked_for_again_and_again() -> None:
    one = placed(OPEN)
    assert ask_of(one, POLL_MS - 1) is None
    assert ask_of(one, POLL_MS) == "query"


def test_what_has_not_left_is_cancelled_by_nobody() -> None:
    assert isinstance(unwanted(tracked(ORDER, resends=False), 0).state, Cancelled)


@pytest.mark.parametrize("answer", [GONE, NotThere(), Unanswered(why="?"), Refused(why="no"), BOUGHT])
def test_after_a_cancel_the_exchange_is_asked_what_was_filled(answer: Answer) -> None:
    one = unwanted(placed(OPEN), 5)
    assert ask_of(one, 5) == "cancel"
    one = heard(one, "cancel", answer, 5)
    assert ask_of(one, 5) == "query"
    assert isinstance(heard(one, "query", BOUGHT, 5).state, Filled)
    still = heard(one, "query", OPEN, 5)
    assert ask_of(still, 5 + AGAIN_MS) == "cancel"


def test_an_unwanted_order_whose_outcome_is_unknown_is_asked_for_first() -> None:
    one = unwanted(placed(Unanswered(why="?"), resends=True), 0)
    assert ask_of(one, 0) == "query"
    assert ask_of(asked(one, OPEN), AGAIN_MS) == "cancel"
    gone = asked(one, *[NotThere()] * 5, every_ms=ABSENT_MS // 4)
    assert isinstance(gone.state, Cancelled)


def test_ids_follow_from_the_signal_and_fit_everywhere() -> None:
    odd = replace(SIGNAL, id="my own id: ärger/1 " * 10)
    own = client_id(odd, "c", 12)
    assert own == client_id(replace(odd), "c", 12)
    assert len(own) == 35  # 32 for the signal, one for the role, and the number
    assert own.isascii()
    assert own.isalnum()


def test_an_id_that_a_strategy_gives_again_is_no_second_order_of_the_same_id() -> None:
    others = [replace(SIGNAL, decided_at=60_000), replace(SIGNAL, symbol="BBB"), replace(SIGNAL, strategy="t")]
    assert len({client_id(one, "e") for one in (SIGNAL, *others)}) == 4
    assert {client_id(replace(SIGNAL, price_open=1.0, quantity=None), "e")} == {client_id(SIGNAL, "e")}


# one position


def after(errand: Errand, *steps: tuple[Ask, Answer], now_ms: int = 0) -> Errand:
    """The errand after answers, each to what it asks."""
    for ask, answer in steps:
        order = order_of(errand)
        assert order is not None
        assert ask_of(order, now_ms) == ask
        order = sending(order) if ask == "place" else order
        errand = moved(with_order(errand, heard(order, ask, answer, now_ms)), now_ms)
    return errand


HELD = after(begun(TASK), ("place", BOUGHT))
GUARDED = after(HELD, ("place", OPEN))


def test_a_filled_entry_is_guarded_by_a_pair_of_what_is_left_after_the_fee() -> None:
    assert isinstance(HELD, Protecting)
    assert HELD.held.price == 101.0
    assert HELD.held.quantity == 2.0
    assert HELD.guard.order.quantity == 1.9
    assert isinstance(HELD.guard.order.way, Pair)
    assert isinstance(GUARDED, Guarded)


def test_a_refused_entry_is_given_up_and_not_tried_again() -> None:
    refused = after(begun(TASK), ("place", Refused(why="too poor")))
    assert refused == GivenUp(task=TASK, reason=CancelReason.RISK, why="too poor", time_ms=0)
    assert due_ms(refused) is None


def test_an_entry_that_never_arrived_is_given_up() -> None:
    errand = after(begun(TASK), ("place", Unanswered(why="?")))
    for turn in range(ABSENT_ASKS + 1):
        errand = after(errand, ("query", NotThere()), now_ms=turn * ABSENT_MS // ABSENT_ASKS)
    assert isinstance(errand, GivenUp)
    assert errand.why in ("", NEVER_ARRIVED)


def test_a_limit_entry_waits_until_its_wait_is_over() -> None:
    waiting = after(begun(LIMIT), ("place", OPEN))
    assert isinstance(moved(waiting, LIMIT.wait_until_ms - 1), Entering)
    over = moved(waiting, LIMIT.wait_until_ms)
    ended = after(over, ("cancel", GONE), ("query", GONE), now_ms=LIMIT.wait_until_ms)
    assert isinstance(ended, GivenUp)
    assert ended.reason == CancelReason.WAIT_OVER


def test_what_was_filled_of_an_entry_counts_and_the_rest_is_cancelled_soon() -> None:
    part = replace(OPEN, quantity=1.0, value=100.0)
    waiting = after(begun(LIMIT), ("place", part))
    assert due_ms(waiting) == min(POLL_MS, PARTIAL_MS)
    over = moved(moved(waiting, 0), PARTIAL_MS)
    held = after(over, ("cancel", GONE), ("query", replace(part, status="cancelled")), now_ms=PARTIAL_MS)
    assert isinstance(held, Protecting)
    assert held.held.quantity == 1.0


def test_a_cancel_that_comes_too_late_leaves_a_position() -> None:
    stopped = given_up(after(begun(LIMIT), ("place", OPEN)), CancelReason.STOPPED, 0)
    assert isinstance(after(stopped, ("cancel", NotThere()), ("query", BOUGHT)), Protecting)


def test_a_refused_pair_is_followed_by_a_stop_alone_and_a_refused_stop_by_a_sale() -> None:
    alone = after(HELD, ("place", Refused(why="no pairs")))
    assert isinstance(alone, Protecting)
    assert alone.guard.order.way == Stop(price=90.0)
    assert isinstance(HELD, Protecting)
    assert alone.guard.order.client_id != HELD.guard.order.client_id
    assert HELD.guard.order.client_id == client_id(SIGNAL, "g", 1), "who looks at the exchange knows a pair by its id"
    assert alone.guard.order.client_id == client_id(SIGNAL, "s", 2)
    selling = after(alone, ("place", Refused(why="would trigger")))
    assert isinstance(selling, Closing)
    assert "would trigger" in selling.why
    ended = after(selling, ("place", Report(status="filled", quantity=1.9, value=171.0)))
    assert isinstance(ended, Ended)
    assert (ended.price, ended.reason) == (90.0, CloseReason.STOP_LOSS)


def test_without_a_stop_in_time_the_position_is_closed_once_it_is_known_that_none_stands() -> None:
    unknown = after(HELD, ("place", Unanswered(why="?")))
    assert isinstance(moved(unknown, UNPROTECTED_MS - 1), Protecting)
    late = moved(unknown, UNPROTECTED_MS)
    assert isinstance(late, Closing)
    assert order_of(late) == late.guard
    cancelled = after(late, ("query", OPEN), now_ms=UNPROTECTED_MS)
    selling = after(cancelled, ("cancel", GONE), ("query", GONE), now_ms=UNPROTECTED_MS + AGAIN_MS)
    order = order_of(selling)
    assert order is not None
    assert order.order.way == AtMarket()
    assert order.order.quantity == 1.9


@pytest.mark.parametrize(
    ("level", "reason"), [("take_profit", CloseReason.TAKE_PROFIT), ("stop_loss", CloseReason.STOP_LOSS)]
)
def test_a_level_that_the_exchange_filled_ends_the_position_at_the_true_price(level: str, reason: CloseReason) -> None:
    report = Report(status="filled", quantity=1.9, value=209.0, level=level)  # type: ignore[arg-type]
    ended = after(GUARDED, ("query", report), now_ms=POLL_MS)
    assert isinstance(ended, Ended)
    assert ended.reason == reason
    assert ended.price == 110.0


@pytest.mark.parametrize("status", ["cancelled", "open"])
def test_what_a_level_left_is_sold_at_the_market(status: str) -> None:
    part = Report(status=status, quantity=1.0, value=110.0, level="take_profit")  # type: ignore[arg-type]
    seen = after(GUARDED, ("query", part), now_ms=POLL_MS)
    if status == "open":
        assert isinstance(seen, Guarded)
        over = moved(seen, POLL_MS + PARTIAL_MS)
        gone = replace(part, status="cancelled")
        seen = after(over, ("cancel", gone), ("query", gone), now_ms=POLL_MS + PARTIAL_MS)
    assert isinstance(seen, Closing)
    assert seen.close is not None
    assert seen.close.order.quantity == 0.9
    ended = after(seen, ("place", Report(status="filled", quantity=0.9, value=99.0)), now_ms=10**6)
    assert isinstance(ended, Ended)
    assert ended.price == 110.0
    assert ended.reason == CloseReason.TAKE_PROFIT


def test_a_stop_that_was_cancelled_by_hand_is_disputed_and_left_alone() -> None:
    disputed = after(GUARDED, ("query", GONE), now_ms=POLL_MS)
    assert isinstance(disputed, Disputed)
    assert due_ms(disputed) is None
    assert closed(disputed, CloseReason.TIME_EXPIRED) == disputed


def test_an_expired_position_cancels_its_guard_first_and_sells_only_what_that_has_not_sold() -> None:
    closing = moved(closed(GUARDED, CloseReason.TIME_EXPIRED), 0)
    sold = Report(status="filled", quantity=1.9, value=209.0, level="take_profit")
    ended = after(closing, ("cancel", NotThere()), ("query", sold))
    assert isinstance(ended, Ended)
    assert ended.reason == CloseReason.TAKE_PROFIT


def test_a_sale_that_is_refused_is_tried_a_few_times_under_new_ids_and_then_disputed() -> None:
    errand = after(moved(closed(GUARDED, CloseReason.TIME_EXPIRED), 0), ("cancel", GONE), ("query", GONE))
    ids = set()
    for turn in range(CLOSE_TRIES):
        order = order_of(errand)
        assert order is not None
        ids.add(order.order.client_id)
        errand = after(errand, ("place", Refused(why="too poor")), now_ms=turn * 10_000)
    assert isinstance(errand, Disputed)
    assert "too poor" in errand.what
    assert len(ids) == CLOSE_TRIES


def test_too_little_to_be_sold_again_is_disputed() -> None:
    dust = Report(status="cancelled", quantity=0.04, value=4.0)
    for task in (TASK, replace(TASK, least_value=0.0)):
        assert isinstance(after(begun(task), ("place", dust)), Disputed)


def test_what_is_open_at_the_market_is_asked_for_soon() -> None:
    at_market = sending(tracked(replace(ORDER, way=AtMarket()), resends=False))
    assert due_ms_of(heard(at_market, "place", OPEN, 0)) == AGAIN_MS
    assert due_ms_of(placed(OPEN)) == POLL_MS
    assert due_ms_of(unwanted(placed(OPEN), 5)) == 5


def test_a_level_that_is_filled_in_part_is_looked_at_when_its_time_is_over() -> None:
    assert isinstance(GUARDED, Guarded)
    part = Accepted(report=replace(OPEN, quantity=1.0), ask_ms=10**9)
    waiting = replace(GUARDED, guard=replace(GUARDED.guard, state=part), first_part_ms=7)
    assert due_ms(waiting) == 7 + PARTIAL_MS


def test_a_guard_that_sold_nothing_leaves_no_sale_and_the_close_has_an_id_of_the_signal() -> None:
    closing = after(moved(closed(GUARDED, CloseReason.TIME_EXPIRED), 0), ("cancel", GONE), ("query", GONE))
    assert isinstance(closing, Closing)
    assert closing.held.sold == ()
    assert closing.close is not None
    assert closing.close.order.client_id == client_id(SIGNAL, "c", closing.held.exits)


def test_nothing_is_asked_of_an_order_that_is_over_and_nothing_changes_it() -> None:
    over = [placed(answer) for answer in (BOUGHT, GONE, Refused(why="no"))]
    over.append(asked(placed(OPEN), NotThere(), NotThere(), every_ms=ABSENT_MS))
    assert [type(one.state) for one in over] == [Filled, Cancelled, Rejected, Lost]
    for one in over:
        assert one.is_over
        assert due_ms_of(one) is None
        assert ask_of(one, 10**12) is None
        assert heard(one, "query", OPEN, 5) == one
    on_its_way = [tracked(ORDER, resends=False), sending(tracked(ORDER, resends=False))]
    assert not any(one.is_over for one in [*on_its_way, placed(Unanswered(why="?")), placed(OPEN)])


@pytest.mark.parametrize("answer", [Refused(why="no"), NotSent(why="later"), Unanswered(why="?")])
def test_an_answer_that_says_nothing_of_an_accepted_order_changes_only_when_it_is_asked_again(answer: Answer) -> None:
    part = replace(OPEN, quantity=1.0, value=100.0)
    one = heard(placed(part), "query", answer, 50_000)
    assert one.state == Accepted(report=part, ask_ms=50_000 + AGAIN_MS)


def test_an_absence_that_an_answer_ends_begins_anew() -> None:
    once = heard(placed(OPEN), "query", NotThere(), 0)
    seen = heard(once, "query", OPEN, 5_000)
    again = heard(seen, "query", NotThere(), ABSENT_MS)
    assert isinstance(again.state, Accepted)
    assert again.state.absent_ms == ABSENT_MS
    assert isinstance(heard(again, "query", NotThere(), 2 * ABSENT_MS - 1).state, Accepted)
    assert isinstance(heard(again, "query", NotThere(), 2 * ABSENT_MS).state, Lost)


def test_an_entry_that_the_exchange_gives_up_is_told_with_why_and_one_that_was_not_wanted_without() -> None:
    waiting = after(begun(LIMIT), ("place", OPEN))
    assert after(waiting, ("query", GONE), now_ms=POLL_MS) == GivenUp(
        task=LIMIT, reason=CancelReason.RISK, why="the exchange gave the order up", time_ms=POLL_MS
    )
    stopped = given_up(waiting, CancelReason.STOPPED, POLL_MS)
    ended = after(stopped, ("cancel", GONE), ("query", GONE), now_ms=POLL_MS)
    assert ended == GivenUp(task=LIMIT, reason=CancelReason.STOPPED, why="", time_ms=POLL_MS)
    unsent = moved(given_up(begun(LIMIT), CancelReason.STOPPED, 3), 3)
    assert unsent == GivenUp(task=LIMIT, reason=CancelReason.STOPPED, why="", time_ms=3)


def test_the_first_reason_to_give_an_entry_up_stays() -> None:
    stopped = given_up(after(begun(LIMIT), ("place", OPEN)), CancelReason.STOPPED, 0)
    assert given_up(stopped, CancelReason.WAIT_OVER, 5) == stopped
    assert moved(stopped, LIMIT.wait_until_ms) == stopped
    assert given_up(GUARDED, CancelReason.STOPPED, 0) == GUARDED


def test_an_entry_that_is_refused_after_it_was_given_up_needs_no_why() -> None:
    unknown = after(begun(LIMIT), ("place", Unanswered(why="?")))
    over = given_up(unknown, CancelReason.STOPPED, 0)
    assert isinstance(over, Entering)
    refused = moved(replace(over, entry=replace(over.entry, state=Rejected(why="too poor"))), 9)
    assert refused == GivenUp(task=LIMIT, reason=CancelReason.STOPPED, why="", time_ms=9)


LATER_MS = POLL_MS + ABSENT_MS


def lost(errand: Errand) -> Errand:
    """The errand after the exchange has forgotten an order that it had."""
    return after(after(errand, ("query", NotThere()), now_ms=POLL_MS), ("query", NotThere()), now_ms=LATER_MS)


def test_an_order_that_the_exchange_forgot_is_disputed_with_what_is_held() -> None:
    entry = lost(after(begun(LIMIT), ("place", OPEN)))
    assert entry == Disputed(task=LIMIT, held=None, what="the exchange does not know the entry any more")
    assert isinstance(GUARDED, Guarded)
    guard = lost(GUARDED)
    assert guard == Disputed(task=TASK, held=GUARDED.held, what="the exchange does not know its stop any more")
    expired = moved(closed(GUARDED, CloseReason.TIME_EXPIRED), 0)
    cancelled = after(expired, ("cancel", Unanswered(why="?")))
    gone = lost(cancelled)
    assert gone == Disputed(task=TASK, held=GUARDED.held, what="the exchange does not know its stop any more")
    sale = lost(after(selling(), ("place", OPEN)))
    assert isinstance(sale, Disputed)
    assert sale.held is not None
    assert (sale.held.rest, sale.what) == (1.9, "the exchange does not know its closing order any more")


def test_a_stop_that_was_refused_after_all_is_disputed() -> None:
    assert isinstance(GUARDED, Guarded)
    refused = replace(GUARDED, guard=replace(GUARDED.guard, state=Rejected(why="no")))
    what = "the exchange does not know its stop any more"
    assert moved(refused, 0) == Disputed(task=TASK, held=GUARDED.held, what=what)


def selling() -> Closing:
    """An expired position whose guard sold nothing and is gone; its sale is intended."""
    found = after(moved(closed(GUARDED, CloseReason.TIME_EXPIRED), 0), ("cancel", GONE), ("query", GONE))
    assert isinstance(found, Closing)
    return found


def test_a_sale_that_the_exchange_gives_up_is_tried_again_after_a_gap() -> None:
    first = order_of(selling())
    again = after(selling(), ("place", GONE), now_ms=100)
    assert isinstance(again, Closing)
    assert again.tries == 1
    second = order_of(again)
    assert first is not None
    assert second is not None
    assert second.order.client_id != first.order.client_id
    assert second.order.quantity == first.order.quantity == 1.9
    assert due_ms(again) == 100 + CLOSE_GAP_MS
    assert due_ms(selling()) == 0, "the first one leaves at once"


def test_a_sale_at_the_market_that_takes_too_long_is_cancelled_and_what_is_left_is_sold() -> None:
    part = replace(OPEN, quantity=1.0, value=95.0)
    slow = after(selling(), ("place", part))
    assert isinstance(slow, Closing)
    assert due_ms(replace(slow, until_ms=7)) == 7
    assert moved(slow, MARKET_MS - 1) == slow
    over = moved(slow, MARKET_MS)
    gone = replace(part, status="cancelled")
    rest = after(over, ("cancel", gone), ("query", gone), now_ms=MARKET_MS)
    order = order_of(rest)
    assert order is not None
    assert order.order.quantity == 0.9
    ended = after(rest, ("place", Report(status="filled", quantity=0.9, value=90.0)), now_ms=MARKET_MS)
    assert isinstance(ended, Ended)
    assert ended.price == pytest.approx(185 / 1.9)
    assert (ended.reason, ended.time_ms) == (CloseReason.TIME_EXPIRED, MARKET_MS)


@pytest.mark.parametrize(("least_value", "is_sold_on"), [(3.03, True), (3.04, False)])
def test_what_is_left_below_the_least_value_is_not_sold_any_more(least_value: float, is_sold_on: bool) -> None:
    """0.03 is left, which was bought at 101."""
    task = replace(TASK, quantity_step=0.01, least_value=least_value)
    guarded = after(begun(task), ("place", BOUGHT), ("place", OPEN))
    sale = after(moved(closed(guarded, CloseReason.TIME_EXPIRED), 0), ("cancel", GONE), ("query", GONE))
    rest = after(sale, ("place", Report(status="cancelled", quantity=1.92, value=192.0)))
    assert isinstance(rest, Closing | Ended)
    assert rest.held.rest == pytest.approx(0.03)
    assert isinstance(rest, Closing) == is_sold_on


def test_an_errand_without_an_order_takes_none() -> None:
    done = after(begun(TASK), ("place", Refused(why="no")))
    assert with_order(done, placed(OPEN)) == done
    disputed = after(GUARDED, ("query", GONE), now_ms=POLL_MS)
    assert with_order(disputed, placed(OPEN)) == disputed
    assert order_of(disputed) is None


def test_the_exchange_may_have_something_of_all_that_left_and_is_not_over() -> None:
    new = begun(TASK)
    sent = with_order(new, sending(new.entry))
    over = after(new, ("place", Refused(why="too poor")))
    assert [may_be_there(one) for one in (new, sent, HELD, GUARDED, over)] == [False, True, True, True, False]


UNPRICED = replace(BOUGHT, fee_quantity=None)


def test_an_entry_whose_trades_are_not_shown_is_asked_for_until_the_fee_is_known() -> None:
    errand = after(moved(begun(TASK), 0), ("place", UNPRICED))
    assert isinstance(errand, Entering)
    assert due_ms(errand) == AGAIN_MS
    known = moved(with_order(errand, heard(errand.entry, "query", BOUGHT, AGAIN_MS)), AGAIN_MS)
    assert isinstance(known, Protecting)
    assert (known.held.to_sell, known.held.is_fee_assumed) == (1.9, False)


def test_a_fee_that_nobody_tells_is_assumed_in_time_for_the_stop() -> None:
    errand = after(moved(begun(replace(TASK, fee_percent=5.0)), 0), ("place", UNPRICED))
    waiting = moved(errand, FEE_MS - 1)
    assert isinstance(waiting, Entering)
    assert (due_ms(waiting) or FEE_MS) <= FEE_MS
    protecting = moved(waiting, FEE_MS)
    assert isinstance(protecting, Protecting)
    assert (protecting.held.to_sell, protecting.held.is_fee_assumed) == (1.9, True)
    assert protecting.since_ms == 0, "the time without a stop began with the fill"


def test_an_entry_that_is_over_is_not_cancelled_for_its_fee() -> None:
    errand = given_up(after(moved(begun(LIMIT), 0), ("place", UNPRICED)), CancelReason.STOPPED, 0)
    order = order_of(errand)
    assert order is not None
    assert ask_of(order, AGAIN_MS) == "query"


def test_what_fails_is_asked_again_ever_more_slowly_until_it_is_answered() -> None:
    one, waits = placed(Unanswered(why="?")), []
    for _ in range(6):
        one = heard(one, "query", Unanswered(why="?"), 0)
        waits.append(due_ms_of(one))
    assert waits == [2_000, 4_000, SLOWEST_MS, SLOWEST_MS, SLOWEST_MS, SLOWEST_MS]
    assert due_ms_of(heard(one, "query", NotThere(), 0)) == AGAIN_MS
    refused = [tracked(ORDER, resends=True)]
    refused += [heard(sending(one), "place", NotSent(why="429"), 0) for one in refused]
    assert due_ms_of(heard(sending(refused[-1]), "place", NotSent(why="429"), 0)) == 2 * AGAIN_MS


def test_a_cancel_without_effect_is_sent_again_ever_more_slowly() -> None:
    one, waits = unwanted(placed(OPEN), 0), []
    for _ in range(5):
        one = heard(heard(one, "cancel", Unanswered(why="?"), 0), "query", OPEN, 0)
        waits.append(due_ms_of(one))
    assert waits == [1_000, 2_000, 4_000, 8_000, 8_000]


@pytest.mark.parametrize("by_ms", [-3_600_000, 3_600_000])
def test_a_clock_that_is_set_moves_every_deadline_and_has_everything_asked(by_ms: int) -> None:
    now_ms = 10_000_000
    protecting = moved(after(moved(begun(TASK), 0), ("place", BOUGHT), now_ms=now_ms), now_ms)
    assert isinstance(protecting, Protecting)
    sent = with_order(protecting, heard(sending(protecting.guard), "place", Unanswered(why="?"), now_ms))
    absent = with_order(sent, heard(_order(sent), "query", NotThere(), now_ms))
    later = retimed(absent, by_ms, now_ms + by_ms + 1_000)
    assert isinstance(later, Protecting)
    assert later.since_ms == now_ms + by_ms
    assert isinstance(later.guard.state, Unknown)
    assert (later.guard.state.absent_ms, due_ms_of(later.guard)) == (now_ms + by_ms, now_ms + by_ms + 1_000)
    unsure = _order(retimed(absent, None, now_ms))
    assert isinstance(unsure.state, Unknown)
    assert (unsure.state.absences, unsure.state.absent_ms) == (0, None), "nobody knows how long it was away"


def test_an_entry_waits_no_longer_because_the_computer_slept_or_its_clock_was_set() -> None:
    waiting = after(moved(begun(LIMIT), 0), ("place", OPEN))
    asleep = moved(retimed(waiting, 8 * 3_600_000, 8 * 3_600_000), 8 * 3_600_000)
    assert isinstance(asleep, Entering)
    assert asleep.reason is CancelReason.WAIT_OVER
    back = retimed(waiting, -3_600_000, -3_600_000)
    assert isinstance(back, Entering)
    assert back.task.wait_until_ms == LIMIT.wait_until_ms - 3_600_000


@pytest.mark.parametrize("by_ms", [-3_600_000, 3_600_000])
def test_a_sale_at_the_market_is_given_no_more_time_because_the_clock_was_set(by_ms: int) -> None:
    now_ms = 10_000_000
    slow = replace(selling(), until_ms=now_ms + MARKET_MS)
    later = retimed(slow, by_ms, now_ms + by_ms + 1_000)
    assert isinstance(later, Closing)
    assert later.until_ms == now_ms + by_ms + MARKET_MS
    slept = retimed(slow, by_ms, now_ms + by_ms - 1_000)
    assert isinstance(slept, Closing)
    assert slept.until_ms == now_ms + by_ms + MARKET_MS - 1_000


def _order(errand: Errand) -> Tracked:
    order = order_of(errand)
    assert order is not None
    return order


def test_a_rest_that_is_worth_too_little_at_its_last_price_is_left_once_it_is_refused() -> None:
    closing = after(moved(closed(GUARDED, CloseReason.STOP_LOSS), 0), ("cancel", Unanswered(why="?")), ("query", GONE))
    part = Report(status="cancelled", quantity=1.8, value=1.8 * 40.0)
    ended = after(closing, ("place", part), ("place", Refused(why="NOTIONAL")))
    assert isinstance(ended, Ended), "0.1 is worth ten where it was bought, and four now"
    assert ended.held.rest == 0.1
    assert ended.held.sold_share == pytest.approx(1.8 / 1.9)
    assert ended.price == 40.0
