"""A thousand errands against an exchange that loses, delays, splits and refuses: none is doubled, none forgotten."""

import os
from collections import Counter

import pytest
from order_worlds import Run, is_forgotten, rest_of, run_errand

from backtestkit_cli.engine.orders.errand import UNPROTECTED_MS, Disputed, Ended
from backtestkit_cli.engine.orders.tracked import ABSENT_MS, POLL_MS, SLOWEST_MS

RUNS = int(os.environ.get("BACKTESTKIT_ORDER_RUNS", "1000"))


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return [run_errand(seed) for seed in range(RUNS)]


def test_the_runs_meet_everything_that_can_go_wrong(runs: list[Run]) -> None:
    met: Counter[str] = Counter()
    for run in runs:
        met.update(run.book.met)
        met.update(f"was {kind}" for kind in run.kinds)
        met["crash"] += run.crashes
    print(dict(met))
    for what in ("place", "query", "cancel"):
        for fate in ("lost before", "lost after", "not sent"):
            assert met[f"{what} {fate}"] > 20, (what, fate)
    for kind in ("entering", "guarded", "closing", "given_up", "ended", "protecting"):
        assert met[f"was {kind}"] > 50, kind
    for fate in (
        "place late",
        "place hidden",
        "place parts",
        "place no trades",
        "clock set",
        "deaf",
        "left",
        "refused exit",
        "refused entry",
        "not there",
        "crash",
    ):
        assert met[fate] > 15, fate


def test_no_order_is_doubled(runs: list[Run]) -> None:
    for run in runs:
        ids = Counter(one.order.client_id for one in run.book.orders)
        assert max(ids.values(), default=1) == 1, run.seed
        entries = [one for one in run.book.orders if one.order.side == "buy"]
        assert len(entries) <= 1, run.seed
        assert rest_of(run) > -1e-9, run.seed


def test_no_order_and_no_position_is_forgotten(runs: list[Run]) -> None:
    assert [run.seed for run in runs if is_forgotten(run)] == []


def test_who_leaves_lets_nothing_be_filled_or_held_unwatched_without_a_word(runs: list[Run]) -> None:
    assert [run.seed for run in runs if run.silences] == []


def test_what_is_told_is_what_the_book_traded(runs: list[Run]) -> None:
    for run in runs:
        if isinstance(run.errand, Ended):
            bought = [one for one in run.book.orders if one.order.side == "buy"]
            sold = [one for one in run.book.orders if one.order.side == "sell"]
            assert run.errand.held.quantity == pytest.approx(sum(one.quantity for one in bought)), run.seed
            value, quantity = sum(one.value for one in sold), sum(one.quantity for one in sold)
            assert run.errand.price == pytest.approx(value / quantity), run.seed


def test_without_refusals_nothing_is_disputed() -> None:
    runs = [run_errand(seed, harms_exits=False) for seed in range(200)]
    disputed = [run.seed for run in runs if isinstance(run.errand, Disputed) and "too little" not in run.errand.what]
    assert disputed == []


def test_a_position_is_without_its_stop_for_a_stated_time_at_most(runs: list[Run]) -> None:
    """Until the fill is seen, until the stop stands or is known not to, and until what is left is sold."""
    calm = [run for run in runs if not (run.crashes or run.book.deaf or run.book.met["left"])]
    calm = [run for run in calm if not isinstance(run.errand, Disputed)]
    longest = max(run.book.longest_unprotected_ms for run in calm)
    print(f"longest {longest / 1000:g} s")
    assert longest <= POLL_MS + UNPROTECTED_MS + 2 * ABSENT_MS


def test_who_may_be_without_a_stop_for_longer_is_told_of(runs: list[Run]) -> None:
    late = [run for run in runs if run.book.longest_unprotected_ms > POLL_MS + UNPROTECTED_MS + SLOWEST_MS]
    told = {run.seed for run in late if any(one.code in ("no-stop", "order-disputed") for one in run.troubles)}
    assert len(late) > RUNS / 100
    watched = [run for run in late if not (run.crashes or run.book.met["left"])]
    assert [run.seed for run in watched if run.seed not in told] == []
