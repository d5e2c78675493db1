"""Other entries into the same market with the same exits: later by minutes, or at random."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from worlds import START_MS, random_candles

from backtestkit_cli.engine.candles import Candles, Ints
from backtestkit_cli.engine.columns import run_columns
from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.trades import Trades
from backtestkit_cli.measure.other_entries import RandomEntries, delayed, p_value
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import PRESETS, Costs
from backtestkit_cli.model.time import MINUTE_MS, TimeRange

MINUTES = 3000
WITHIN = TimeRange(START_MS, START_MS + (MINUTES - 100) * MINUTE_MS)
TERMS = Terms(
    strategy="s",
    symbol="X",
    policy=PRESETS["honest"],
    costs=Costs(fee_percent=0.0, slippage_percent=0.0),
    limits=Limits(average_price_candles=1, min_take_profit_percent=0.0, min_stop_loss_percent=0.0),
)


def noise(seed: int) -> Candles:
    """Minutes of one price each."""
    price = np.asarray(100 * np.cumprod(1 + 0.001 * np.random.default_rng(seed).standard_normal(MINUTES)))
    return Candles(start_ms=START_MS, open=price, high=price, low=price, close=price, volume=np.ones(MINUTES))


def entered(candles: Candles, rows: Ints, side: Ints, terms: Terms = TERMS) -> Trades:
    """What entries at some minutes made, 2 % to the profit, 1 % to the stop, an hour long."""
    none, no = np.full(len(rows), np.nan), np.zeros(len(rows), dtype=bool)
    price = candles.close[rows - 1]
    drafts = DraftColumns(
        time_ms=START_MS + rows * MINUTE_MS,
        side=side.astype(np.int8),
        ambiguous=no,
        warm_up=no,
        short_history=no,
        price_open=none,
        price_take_profit=price * (1 + 0.02 * side),
        price_stop_loss=price * (1 - 0.01 * side),
        lifetime_minutes=np.full(len(rows), 60.0),
        wait_minutes=none,
        distance_problem=np.zeros(len(rows), dtype=np.int8),
        has_price_open=no,
    )
    return run_columns(candles, drafts, START_MS + np.arange(1, MINUTES - 100) * MINUTE_MS, terms).trades


def random_trades(candles: Candles, seed: int, count: int = 25) -> Trades:
    """What a strategy makes that enters by dice."""
    random = np.random.default_rng(seed)
    rows = np.sort(random.choice(np.arange(2, MINUTES - 200), count, replace=False))
    return entered(candles, rows, random.choice([-1, 1], count))


def entries(candles: Candles, trades: Trades) -> RandomEntries:
    return RandomEntries(candles=candles, terms=TERMS, within=WITHIN, trades=trades)


def test_no_chance_is_nought() -> None:
    assert p_value(5.0, np.array([1.0, 5.0, 6.0])) == 3 / 4
    assert p_value(9.0, np.array([1.0, 5.0, 6.0])) == 1 / 4


def test_entries_that_saw_the_future_are_no_luck() -> None:
    candles = noise(1)
    rows = np.arange(5, MINUTES - 200, 100)
    side = np.where(candles.close[rows + 60] > candles.close[rows], 1, -1)
    trades = entered(candles, rows, side)
    made = float(trades.pnl_percent.sum())
    assert p_value(made, entries(candles, trades).draw(1, 200)) == 1 / 201


def test_the_chance_of_random_entries_is_even() -> None:
    chances = []
    for seed in range(60):
        candles = noise(seed)
        trades = random_trades(candles, seed + 1000)
        chances.append(p_value(float(trades.pnl_percent.sum()), entries(candles, trades).draw(seed, 150)))
    # Kolmogorov and Smirnov: 1.63 / sqrt(60) at 1 %
    steps = np.sort(chances) - np.arange(1, 61) / 60
    assert np.abs(steps).max() < 0.21
    assert 0.4 < np.mean(chances) < 0.6


def test_a_draw_enters_as_often_and_leaves_by_the_same_ways() -> None:
    # in a market that rises by 0.01 % a minute a long of an hour makes 0.6 %, and a short loses as much
    price = np.asarray(100 * 1.0001 ** np.arange(MINUTES), dtype=np.float64)
    candles = replace(noise(1), open=price, high=price, low=price, close=price)
    trades = entered(candles, np.array([50, 200, 400, 700]), np.array([1, 1, 1, -1]))
    told = []
    draws = entries(candles, trades).draw(1, 20, lambda: told.append(1))
    assert draws == pytest.approx(np.full(20, trades.pnl_percent.sum()), rel=1e-6)
    assert len(told) == 4


def test_random_entries_fall_on_minutes_with_a_price_and_fit_every_policy() -> None:
    for seed in range(12):
        candles = random_candles(Random(seed), MINUTES)
        terms = replace(TERMS, policy=list(PRESETS.values())[seed % 3])
        random = np.random.default_rng(seed)
        rows = np.flatnonzero(np.isfinite(candles.close[: MINUTES - 200]))[5::70] + 1
        trades = entered(candles, rows, random.choice([-1, 1], len(rows)), terms)
        found = RandomEntries(candles=candles, terms=terms, within=WITHIN, trades=trades)
        assert np.isfinite(found.draw(seed, 30)).all()
        assert (found.draw(seed, 30) == found.draw(seed, 30)).all()


def test_an_entry_without_delay_is_the_one_there_was() -> None:
    candles = noise(2)
    trades = random_trades(candles, 2)
    assert delayed(candles, TERMS, trades, 0).pnl_percent.tolist() == trades.pnl_percent.tolist()


def test_a_delay_moves_the_entry_and_leaves_the_levels_where_they_are() -> None:
    candles = noise(2)
    trades = entered(candles, np.array([50, 200]), np.array([1, -1]))
    later = delayed(candles, TERMS, trades, 5)
    assert (later.opened_ms - trades.opened_ms).tolist() == [5 * MINUTE_MS] * 2
    assert later.price_take_profit.tolist() == trades.price_take_profit.tolist()
    assert later.price_open.tolist() == [candles.close[54], candles.close[204]]


def test_an_entry_that_the_market_has_passed_is_left_out() -> None:
    price = np.full(MINUTES, 100.0)
    price[52:] = 103.0
    candles = replace(noise(1), open=price, high=price, low=price, close=price)
    trades = entered(candles, np.array([50]), np.array([1]))
    assert len(trades) == 1
    assert len(delayed(candles, TERMS, trades, 1)) == 1
    assert len(delayed(candles, TERMS, trades, 5)) == 0


def test_no_trade_is_no_later_trade() -> None:
    nothing = entered(noise(1), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    assert len(delayed(noise(1), TERMS, nothing, 5)) == 0
