"""A pessimistic policy never books more than the optimistic one that differs in a single key, as far as that holds.

`order` and `stop_at` change no time, so whole runs are compared trade by trade. `market_books` changes entries, so
drafts are compared that both runs opened at the market, and that ended at the same time for the same reason.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import World, random_world

from backtestkit_cli.engine.trades import Trades

SEEDS = st.integers(0, 2**31)
LEAST = 50


def under(world: World, **keys: Any) -> Trades:
    """The trades of a world under its policy with some keys changed."""
    return replace(world, terms=replace(world.terms, policy=replace(world.terms.policy, **keys))).in_columns().trades


def test_both_levels_in_a_minute_book_no_more_stop_first_than_profit_first() -> None:
    assert strictly_better("order", "stop_first", "profit_first", exit="touch") >= LEAST


@pytest.mark.parametrize("exit_test", ["touch", "vwap"])
@pytest.mark.parametrize("market_books", ["worse", "vwap"])
def test_a_stop_books_no_more_at_the_worse_price_than_at_its_level(exit_test: str, market_books: str) -> None:
    assert strictly_better("stop_at", "worse", "level", exit=exit_test, market_books=market_books) >= LEAST


def strictly_better(key: str, pessimistic: str, optimistic: str, **fixed: str) -> int:
    """Run random worlds under both values: the same trades, none better; answers how many are worse."""
    worse: Counter[str] = Counter()

    @given(seed=SEEDS)
    @settings(max_examples=80, deadline=None, derandomize=True)
    def law(seed: int) -> None:
        world = random_world(seed)
        low, high = (under(world, **fixed, **{key: value}) for value in (pessimistic, optimistic))
        for name in ("decided_ms", "opened_ms", "closed_ms", "price_open", "price_take_profit", "price_stop_loss"):
            assert np.array_equal(getattr(low, name), getattr(high, name))
        assert (low.pnl_percent <= high.pnl_percent).all()
        worse["trades"] += int((low.pnl_percent < high.pnl_percent).sum())

    law()
    return worse["trades"]


@pytest.mark.parametrize("exit_test", ["touch", "vwap"])
def test_a_market_fill_books_no_more_at_the_worse_price_than_at_the_vwap(exit_test: str) -> None:
    worse: Counter[str] = Counter()

    @given(seed=SEEDS)
    @settings(max_examples=80, deadline=None, derandomize=True)
    def law(seed: int) -> None:
        world = random_world(seed)
        low = under(world, exit=exit_test, market_books="worse")
        high = under(world, exit=exit_test, market_books="vwap")
        for one, other in alike(world, low, high):
            assert low.pnl_percent[one] <= high.pnl_percent[other]
            worse["trades"] += bool(low.pnl_percent[one] < high.pnl_percent[other])

    law()
    assert worse["trades"] >= LEAST


def alike(world: World, low: Trades, high: Trades) -> Iterator[tuple[int, int]]:
    """Trades of one draft without a given price, and so with the same levels, with one reason and one closing time."""
    rows = world.rows
    free = set(rows.time_ms[~rows.has_price_open].tolist())
    there = {time: row for row, time in enumerate(high.decided_ms.tolist())}
    for row, time in enumerate(low.decided_ms.tolist()):
        other = there.get(time)
        if other is None or time not in free:
            continue
        if low.closed_ms[row] == high.closed_ms[other] and low.reason[row] == high.reason[other]:
            yield row, other
