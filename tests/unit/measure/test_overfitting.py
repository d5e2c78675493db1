"""Luck of the best of many: printed numbers of the papers, cases worked by hand, an independent implementation."""

import math

import numpy as np
import pytest
from oracles.halves import logits

from backtestkit_cli.measure.overfitting import (
    Overfitting,
    SharpeMoments,
    deflated_sharpe,
    expected_best_sharpe,
    probabilistic_sharpe,
    probability_of_overfitting,
    sharpe_moments,
)
from backtestkit_cli.measure.ranking import Matrix

PUBLISHED = SharpeMoments(sharpe=2.5 / math.sqrt(250), count=1250, skew=-3, kurtosis=10)
VARIANCE = 0.5 / 250


def overfitting(changes: Matrix, blocks: int = 4) -> Overfitting:
    found = probability_of_overfitting(changes, blocks)
    assert found is not None
    return found


@pytest.mark.parametrize(("skew", "kurtosis", "printed"), [(0, 3, 0.982), (-2.448, 10.164, 0.913)])
def test_the_probabilistic_sharpe_ratio_is_the_printed_one(skew: float, kurtosis: float, printed: float) -> None:
    assert round(probabilistic_sharpe(0.458, 24, skew, kurtosis), 3) == printed


@pytest.mark.parametrize(("trials", "printed"), [(100, 0.9004), (46, 0.9505)])
def test_the_deflated_sharpe_ratio_is_the_printed_one(trials: int, printed: float) -> None:
    assert round(deflated_sharpe(PUBLISHED, VARIANCE, trials), 4) == printed


def test_the_best_sharpe_ratio_that_luck_makes_is_the_printed_one() -> None:
    assert round(expected_best_sharpe(VARIANCE, 100), 4) == 0.1132


def test_one_trial_had_no_choice_so_it_is_not_deflated() -> None:
    assert expected_best_sharpe(VARIANCE, 1) == 0.0
    assert deflated_sharpe(PUBLISHED, VARIANCE, 1) == probabilistic_sharpe(PUBLISHED.sharpe, 1250, -3, 10)


def test_the_best_of_many_normal_trials_is_about_what_luck_is_said_to_make() -> None:
    drawn = np.random.default_rng(4).normal(0, 0.1, (20_000, 50)).max(axis=1)
    assert drawn.mean() == pytest.approx(expected_best_sharpe(0.01, 50), rel=0.02)


def test_moments_are_those_of_the_population_and_the_deviation_that_of_the_sample() -> None:
    # mean 1, apart -1 -1 -1 3: squares 12, cubes 24, fourth powers 84
    found = sharpe_moments(np.array([0.0, 0.0, 0.0, 4.0]))
    assert found is not None
    assert found.sharpe == pytest.approx(1 / math.sqrt(12 / 3))
    assert found.count == 4
    assert found.skew == pytest.approx((24 / 4) / (12 / 4) ** 1.5)
    assert found.kurtosis == pytest.approx((84 / 4) / (12 / 4) ** 2)


@pytest.mark.parametrize("changes", [[], [1.0], [0.5, 0.5, 0.5]])
def test_without_two_changes_that_differ_there_are_no_moments(changes: list[float]) -> None:
    assert sharpe_moments(np.array(changes)) is None


def test_a_sharpe_ratio_that_cannot_have_come_by_chance_is_certain() -> None:
    # of a distribution with two values the spread ends where the Sharpe ratio is the odds of the better one
    assert probabilistic_sharpe(1.0, 10, 2.0, 5.0) == 1.0
    assert probabilistic_sharpe(1.0, 10, 2.0, 5.0, benchmark=1.5) == 0.0


def test_overfitting_of_three_trials_in_four_blocks_is_the_one_worked_by_hand() -> None:
    # Each block is two days, its mean less 1 and more 1. Two blocks of means a and b have the Sharpe ratio
    # (a + b) / 2 / sqrt((4 + (a - b)²) / 3):
    #             both 0   both 1   both 2   both 3   0 and 2   0 and 3
    #             0        0.87     1.73     2.60     0.61      0.72
    means = np.array([[3.0, 3.0, 0.0, 0.0], [0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 1.0, 1.0]])
    days = np.repeat(means, 2, axis=1) + np.tile([-1.0, 1.0], 4)
    # blocks 1 2: the first is best, and the worst on 3 4; blocks 3 4: the second is best, and the worst on 1 2;
    # any other two: the third is best (0.87 against 0.72 and 0.61), and so it is on the other two
    found = overfitting(days)
    assert found.probability == pytest.approx(2 / 6)
    worst, best = math.log(1 / 3), math.log(3)
    assert sorted(found.logits) == pytest.approx([worst, worst, best, best, best, best])


@pytest.mark.parametrize(("trials", "blocks", "days"), [(2, 4, 8), (7, 6, 60), (12, 8, 40)])
def test_overfitting_is_that_of_an_independent_implementation(trials: int, blocks: int, days: int) -> None:
    changes = np.random.default_rng(trials).normal(0.1, 1, (trials, days)).round(1)
    changes[0, : days // 2] = 0.0
    expected = logits(changes.tolist(), blocks)
    found = overfitting(changes, blocks)
    assert sorted(found.logits) == pytest.approx(sorted(expected))
    assert found.probability == pytest.approx(np.mean([one <= 1e-9 for one in expected]))


def test_days_that_do_not_divide_make_blocks_that_differ_by_one() -> None:
    changes = np.random.default_rng(5).normal(0, 1, (5, 15))
    changes[2] += 3.0
    assert overfitting(changes).probability == 0.0


def test_a_trial_that_is_better_every_day_is_never_overfitted_and_one_under_two_names_always() -> None:
    changes = np.random.default_rng(3).normal(0, 1, (9, 64))
    assert overfitting(np.concatenate([changes, changes[:1] + 2.0]), 8).probability == 0.0
    assert overfitting(np.stack([changes[0]] * 3), 8).probability == 1.0
    assert overfitting(np.zeros((3, 64)), 8).probability == 1.0


def test_of_noise_the_best_half_says_nothing_of_the_other() -> None:
    found = [overfitting(np.random.default_rng(seed).normal(0, 1, (20, 96)), 8).probability for seed in range(40)]
    assert 0.4 < np.mean(found) < 0.6


def test_overfitting_does_not_depend_on_the_order_of_trials() -> None:
    changes = np.random.default_rng(8).normal(0, 1, (40, 96)).round(1)
    twins = np.concatenate([changes, changes])
    order = np.random.default_rng(1).permutation(len(twins))
    assert overfitting(twins, 8).probability == overfitting(twins[order], 8).probability


@pytest.mark.parametrize(("trials", "days"), [(1, 64), (5, 31)])
def test_few_trials_or_days_tell_nothing_of_overfitting(trials: int, days: int) -> None:
    assert probability_of_overfitting(np.ones((trials, days))) is None
