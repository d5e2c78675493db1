"""A search is seldom fooled by noise, and finds an edge that was put in; `make luck` asks ten times as many."""

from luck import EDGE_PERCENT_A_DAY, luck


def test_noise_seldom_passes_for_better_than_luck() -> None:
    assert luck(20).hits <= 1


def test_an_edge_that_was_put_in_is_found() -> None:
    assert luck(20, EDGE_PERCENT_A_DAY).hits >= 16
