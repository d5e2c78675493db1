"""Ranks beyond luck: worked by hand, on noise, and with a difference that was put in."""

import math

import numpy as np
import pytest

from backtestkit_cli.measure.ranking import (
    LEVEL,
    RESAMPLES,
    Matrix,
    block_days,
    day_weights,
    holm_limit,
    ranks,
    student_tails,
)
from backtestkit_cli.model.trade import FLAT_PERCENT


def noise(seed: int, strategies: int, days: int) -> Matrix:
    """Strategies in a market that all of them feel, none of them better."""
    random = np.random.default_rng(seed)
    return random.normal(0, 1, (strategies, days)) + random.normal(0, 2, (1, days))


@pytest.mark.parametrize(("days", "length"), [(1, 1), (21, 3), (27, 3), (90, 4), (365, 7), (3650, 15)])
def test_a_block_is_as_long_as_the_cube_root_of_the_days(days: int, length: int) -> None:
    assert block_days(days) == length


@pytest.mark.parametrize(
    ("freedom", "strength", "chance"),
    [(1, 12.706, 0.05), (2, 4.303, 0.05), (3, 3.182, 0.05), (6, 3.707, 0.01), (10, 2.228, 0.05), (51, 2.676, 0.01)],
)
def test_the_tails_are_those_of_the_printed_tables(freedom: int, strength: float, chance: float) -> None:
    both = student_tails(np.array([strength, -strength]), freedom)
    assert both.tolist() == pytest.approx([chance, chance], rel=2e-3)
    assert student_tails(np.array([0.0, math.inf]), freedom).tolist() == [1.0, pytest.approx(0.0, abs=1e-12)]


def test_holm_goes_on_from_the_clearest_pair_until_one_may_be_luck() -> None:
    # of three pairs the limits are 0.05 / 3, 0.05 / 2 and 0.05
    assert holm_limit(np.array([0.04, 0.01, 0.02]), 3) == 0.04
    assert holm_limit(np.array([0.04, 0.01, 0.03]), 3) == 0.01
    assert holm_limit(np.array([0.02, 0.02, 0.02]), 3) == -1.0
    # of two pairs out of three the third counts as less clear
    assert holm_limit(np.array([0.01, 0.03]), 3) == 0.01


def test_each_resample_draws_whole_blocks_on_a_circle() -> None:
    weights = day_weights(27, seed=5)
    assert weights.shape == (RESAMPLES, 27)
    assert weights.sum(axis=1) == pytest.approx(np.ones(RESAMPLES))
    assert weights.mean(axis=0) == pytest.approx(np.full(27, 1 / 27), rel=0.1)
    # the days of a block come together: no day is drawn without one of its neighbours on the circle
    drawn = weights > 0
    assert (drawn <= np.roll(drawn, 1, axis=1) | np.roll(drawn, -1, axis=1)).all()
    assert (day_weights(27, seed=5) == weights).all()
    assert (day_weights(27, seed=6) != weights).any()


def test_resampled_means_vary_as_the_blocks_do() -> None:
    days = np.random.default_rng(2).normal(0, 1, 27)
    blocks = [np.mean([days[(start + place) % 27] for place in range(3)]) for start in range(27)]
    by_hand = np.mean([(block - days.mean()) ** 2 for block in blocks]) / 9
    assert (day_weights(27, seed=1) @ days).var() == pytest.approx(by_hand, rel=0.1)


def test_the_limit_is_that_of_the_blocks_made_as_wide_as_their_days() -> None:
    gap = np.random.default_rng(2).normal(0, 1, 27)
    gap -= gap.mean()
    blocks = [np.mean([gap[(start + place) % 27] for place in range(3)]) for start in range(27)]
    error = math.sqrt(np.mean(np.square(blocks)) / 9 * 27 / 24)
    # of 9 blocks 8 are free: the printed limit is 2.306
    near, beyond = (np.stack([np.zeros(27), gap + share * 2.306 * error]) for share in (0.965, 1.035))
    assert ranks(near, seed=1) == [1, 1]
    assert ranks(beyond, seed=1) == [2, 1]


def test_a_strategy_that_gains_the_same_more_every_day_is_better() -> None:
    flat, more = np.zeros(30), np.ones(30)
    assert ranks(np.stack([flat, more, flat]), seed=1) == [2, 1, 2]


def test_the_same_strategy_under_two_names_shares_a_rank() -> None:
    own = noise(3, 6, 90)
    own[1] += 1.0
    twins = np.concatenate([own, own])
    found = ranks(twins, seed=3)
    assert found[:6] == found[6:]
    assert found[1] == 1
    assert max(found) > 2


def test_a_difference_counts_from_about_the_level_on() -> None:
    days = noise(7, 2, 365)
    gap = days[1] - days[0]
    days[1] -= gap.mean()
    error = gap.std(ddof=1) / math.sqrt(365)
    assert ranks(days + np.array([[0.0], [1.5 * error]]), seed=1) == [1, 1]
    assert ranks(days + np.array([[0.0], [2.6 * error]]), seed=1) == [2, 1]
    assert ranks(days + np.array([[0.0], [-2.6 * error]]), seed=1) == [1, 2]


@pytest.mark.parametrize(("strategies", "days"), [(2, 30), (5, 120)])
def test_of_pure_noise_at_most_one_comparison_in_twenty_finds_something(strategies: int, days: int) -> None:
    trials = 100
    wrong = sum(max(ranks(noise(seed, strategies, days), seed)) > 1 for seed in range(trials))
    assert wrong / trials <= LEVEL + 1.65 * math.sqrt(LEVEL * (1 - LEVEL) / trials)


def test_ranks_do_not_depend_on_the_order() -> None:
    own = noise(9, 8, 120) + np.linspace(0, 1, 8)[:, None]
    found = ranks(own, seed=4)
    assert 1 < max(found) < 8
    order = np.random.default_rng(1).permutation(8)
    assert ranks(own[order], seed=4) == [found[place] for place in order]


def test_some_are_held_against_all_and_no_pair_is_forgotten() -> None:
    own = noise(9, 150, 120)
    own[140] += 2.0
    found = ranks(own, seed=4)
    some = ranks(own, seed=4, ranked=[140, 3, 7])
    assert some[0] == found[140] == 1
    assert 1 <= some[1] <= found[3]
    assert 1 <= some[2] <= found[7]
    assert some[1] == 2


def test_too_few_days_or_strategies_are_all_luck() -> None:
    assert ranks(np.stack([np.zeros(19), np.ones(19)]), seed=1) == [1, 1]
    assert ranks(np.zeros((1, 100)), seed=1) == [1]
    assert ranks(np.zeros((0, 100)), seed=1) == []
    assert ranks(np.zeros((3, 100)), seed=1, ranked=[]) == []


def test_a_gap_of_the_last_bit_is_level() -> None:
    flat = np.zeros(32)
    assert ranks(np.stack([flat, flat + FLAT_PERCENT]), seed=1) == [1, 1]
    assert ranks(np.stack([flat, flat + 2 * FLAT_PERCENT]), seed=1) == [2, 1]
