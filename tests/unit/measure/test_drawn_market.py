"""A market drawn from another one: its moves and shapes are those that were, in blocks, and holes stay."""

from random import Random

import numpy as np
from worlds import random_candles

from backtestkit_cli.engine.candles import Candles, Floats
from backtestkit_cli.measure.drawn_market import drawn_market


def moves(candles: Candles) -> Floats:
    """Each minute against the close before it, rounded: close, high, low, open, and volume."""
    there = np.isfinite(candles.close)
    before = np.append(candles.open[there][0], candles.close[there][:-1])
    columns = [getattr(candles, name)[there] / before for name in ("close", "high", "low", "open")]
    return np.column_stack([*columns, candles.volume[there]]).round(9)


def test_minutes_keep_their_shape_and_come_in_blocks() -> None:
    candles = random_candles(Random(3), 800, holes=False)
    drawn = drawn_market(candles, (7, 0))
    known = {tuple(row): place for place, row in reversed(list(enumerate(moves(candles))))}
    assert set(map(tuple, moves(drawn))) <= set(known)
    assert len(set(map(tuple, moves(drawn)))) < len(known)
    # blocks are of 100 minutes: seven places of eight hundred do not follow the one before
    close = moves(candles)[:, 0]
    followed = sum(
        (close[:-1] == one) & (close[1:] == other)
        for one, other in zip(moves(drawn)[:-1, 0], moves(drawn)[1:, 0], strict=True)
    )
    assert followed.sum() >= 700
    assert (drawn.high >= np.maximum(drawn.open, drawn.close) - 1e-9).all()
    assert (drawn.low <= np.minimum(drawn.open, drawn.close) + 1e-9).all()


def test_holes_stay_and_nothing_else_is_missing() -> None:
    for seed in range(20):
        candles = random_candles(Random(seed), 400)
        drawn = drawn_market(candles, (1, seed))
        for name in ("open", "high", "low", "close", "volume"):
            assert (np.isfinite(getattr(drawn, name)) == np.isfinite(getattr(candles, name))).all()
        assert drawn.start_ms == candles.start_ms


def test_a_seed_decides_the_market_and_two_symbols_with_the_same_minutes_share_it() -> None:
    one, other = (random_candles(Random(seed), 500, holes=False) for seed in (1, 2))
    first, again, second = (drawn_market(one, seed) for seed in ((7, 0), (7, 0), (7, 1)))
    assert (first.close == again.close).all()
    assert (first.close != second.close).any()
    twin = drawn_market(other, (7, 0))
    places = {tuple(row): place for place, row in enumerate(moves(one))}
    places_of_other = {tuple(row): place for place, row in enumerate(moves(other))}
    same = [
        places.get(tuple(row)) == places_of_other.get(tuple(twin_row))
        for row, twin_row in zip(moves(first), moves(twin), strict=True)
    ]
    assert np.mean(same) > 0.2  # moves on a coarse grid come more than once, so few can be told apart


def test_one_minute_is_itself() -> None:
    candles = random_candles(Random(1), 1, holes=False)
    assert drawn_market(candles, (1,)).close.tolist() == candles.close.tolist()
