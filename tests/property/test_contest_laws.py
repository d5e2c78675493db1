"""Laws of places and ranks, whatever the strategies are."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from backtestkit_cli.measure.contest import is_lower_better, placed
from backtestkit_cli.measure.ranking import Matrix, ranks

values = st.lists(st.none() | st.floats(-1e6, 1e6) | st.integers(-3, 3).map(float), max_size=12)
metrics = st.sampled_from(["sharpe_ratio", "max_drawdown_percent", "original.sharpe_ratio", "original_all.std_dev"])


@st.composite
def days(draw: st.DrawFn) -> Matrix:
    """Strategies of which some are better, some are the same under other names, and some never trade."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    count, length = draw(st.integers(1, 7)), draw(st.integers(20, 60))
    own = random.normal(0, 1, (count, length)) + random.normal(0, draw(st.floats(0, 2)), (count, 1))
    own[random.random(count) < 0.2] = 0.0
    return np.concatenate([own, own[: draw(st.integers(0, count))]])


@given(values=values, metric=metrics)
@settings(deadline=None)
def test_places_hold_everybody_once_the_better_first_and_nothing_last(values: list[float | None], metric: str) -> None:
    order = placed(values, metric)
    assert sorted(order) == list(range(len(values)))
    told = [values[one] for one in order]
    known = [one for one in told if one is not None]
    assert told[: len(known)] == known
    assert known == sorted(known, reverse=not is_lower_better(metric))


@given(values=values)
@settings(deadline=None)
def test_of_equal_ones_the_config_decides_and_under_the_original_its_end(values: list[float | None]) -> None:
    for metric, step in (("sharpe_ratio", 1), ("original.sharpe_ratio", -1)):
        order = placed(values, metric)
        for one, other in pairwise(order):
            assert values[one] != values[other] or step * one < step * other


@given(own=days(), seed=st.integers(0, 2**60))
@settings(max_examples=40, deadline=None)
def test_ranks_follow_the_mean_day_and_only_that(own: Matrix, seed: int) -> None:
    found = ranks(own, seed)
    means = own.mean(axis=1)
    assert found[int(means.argmax())] == 1
    for rank, mean in zip(found, means, strict=True):
        assert 1 <= rank <= 1 + int((means > mean).sum())
    for row, other in enumerate(own):
        assert all(found[row] == found[twin] for twin in range(len(own)) if (own[twin] == other).all())
    order = np.random.default_rng(seed).permutation(len(own))
    assert ranks(own[order], seed) == [found[place] for place in order]
    assert ranks(own * 3.0, seed) == found
