"""Plateaus and needles, worked by hand."""

import pytest

from backtestkit_cli.measure.contest import Param
from backtestkit_cli.measure.plateau import plateau_score

Tried = list[tuple[Param, ...]]
LINE: Tried = [(("fast", n),) for n in (5, 8, 12, 20, 50)]


@pytest.mark.parametrize(
    ("values", "score"),
    [
        ([0.0, 1.0, 1.0, 1.0, 0.0], 1.0),  # flat: the median is the top
        ([0.0, 0.0, 9.0, 0.0, 0.0], 0.0),  # a needle
        ([1.0, 2.0, 4.0, 3.0, 1.0], 0.25),  # median 2: the neighbours stand at 0 and half of the way
        ([1.0, -7.0, 4.0, 4.0, 2.0], 0.5),  # median 2: what is below counts as 0
        ([4.0, 3.0, 1.0, 1.0, 2.0], 0.5),  # at the border one neighbour is all
        ([1.0, None, 4.0, 4.0, 2.0], 0.5),  # N/A counts as 0
    ],
)
def test_the_score_is_how_high_the_neighbours_stand(values: list[float | None], score: float) -> None:
    assert plateau_score(LINE, values) == pytest.approx(score)


def test_neighbours_differ_in_one_number_by_one_step() -> None:
    grid: Tried = [(("fast", fast), ("slow", slow)) for fast in (1, 2, 3) for slow in (10, 30)]
    # best is (2, 30); beside it stand (1, 30), (3, 30) and (2, 10), not (1, 10) and (3, 10)
    assert plateau_score(grid, [0.0, 6.0, 2.0, 8.0, 0.0, 6.0]) == pytest.approx((0.5 + 0.5 + 0.0) / 3)


@pytest.mark.parametrize(
    ("tried", "values"),
    [
        (LINE, [None] * 5),
        ([(("fast", 5),)], [1.0]),
        ([(("kind", "a"),), (("kind", "b"),)], [1.0, 1.0]),
        ([(("on", True),), (("on", False),)], [1.0, 1.0]),
        ([(("n", 1), ("m", 1)), (("n", 2), ("m", 2))], [1.0, 2.0]),
        ([], []),
    ],
)
def test_without_a_value_or_a_neighbour_there_is_no_score(tried: Tried, values: list[float | None]) -> None:
    assert plateau_score(tried, values) is None
