"""What the functions answer at their edges: nulls, zero denominators, the first rows."""

import math

import numpy as np
import pytest
from oracles.asking import ask, candles_of, random_candles

from backtestkit_cli.engine.candles import Candles, Floats
from backtestkit_cli.engine.rules import functions
from backtestkit_cli.engine.rules.functions import FUNCTIONS, LENGTHS
from backtestkit_cli.model.time import MINUTE_MS

START_MS = 1_678_838_400_000


def _flat(minutes: int, volume: float = 0.0) -> Candles:
    return candles_of((START_MS + row * MINUTE_MS, 5.0, 5.0, 5.0, 5.0, volume) for row in range(minutes))


def _first_known(values: Floats) -> int:
    return int(np.flatnonzero(np.isfinite(values))[0])


@pytest.mark.parametrize(
    ("text", "first_row"),
    [
        ("sma(close, 5)", 4),
        ("wma(close, 5)", 4),
        ("ema(close, 5)", 4),
        ("rma(close, 5)", 4),
        ("stdev(close, 5)", 4),
        ("bb_upper(close, 5, 2)", 4),
        ("bb_lower(close, 5, 2)", 4),
        ("highest(close, 5)", 4),
        ("lowest(close, 5)", 4),
        ("vwap_window(5)", 4),
        ("change(close, 5)", 5),
        ("roc(close, 5)", 5),
        ("rising(close, 5)", 5),
        ("falling(close, 5)", 5),
        ("obv(5)", 5),
        ("mfi(5)", 5),
        ("rsi(close, 5)", 5),
        ("atr(5)", 5),
        ("adx(5)", 9),
        ("macd(close, 3, 5)", 4),
        ("macd_signal(close, 3, 5, 4)", 7),
        ("stoch_k(5, 3)", 6),
        ("stoch_d(5, 3, 2)", 7),
        ("close[5]", 5),
        ("abs(close)", 0),
    ],
)
def test_the_first_value_stands_where_the_window_is_full(text: str, first_row: int) -> None:
    values = ask(text, random_candles(1, 60))
    assert _first_known(values) == first_row
    assert np.isfinite(values[first_row:]).all()


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_value_is_there_once_the_needed_candles_are(name: str) -> None:
    function = FUNCTIONS[name]
    lengths = [3 + place for place, taken in enumerate(taken for taken in function.takes if taken in LENGTHS)]
    remaining = iter(lengths)
    parts = [str(next(remaining)) if taken in LENGTHS else "close" for taken in function.takes if taken != "..."]
    values = ask(f"{name}({', '.join(parts)})", random_candles(2, 120))
    span = function.span(*lengths)
    needed = max(1, span.needed) + span.earlier
    assert np.isfinite(values[needed - 1 :]).all()
    assert span.settled >= span.needed


@pytest.mark.parametrize(
    ("name", "lengths", "expected"),
    [
        ("sma", (7,), (7, 7, 0)),
        ("ema", (7,), (21, 77, 0)),
        ("rma", (7,), (35, 147, 0)),
        ("rsi", (7,), (35, 147, 0)),
        ("atr", (7,), (35, 147, 0)),
        ("adx", (7,), (70, 294, 0)),
        ("macd", (9, 7), (27, 99, 0)),
        ("macd_signal", (5, 7, 3), (30, 110, 0)),
        ("change", (7,), (0, 0, 7)),
        ("mfi", (7,), (7, 7, 1)),
        ("stoch_d", (5, 3, 2), (10, 10, 0)),
        ("crosses_above", (), (0, 0, 1)),
    ],
)
def test_spans_are_those_of_the_rules(name: str, lengths: tuple[int, ...], expected: tuple[int, int, int]) -> None:
    span = FUNCTIONS[name].span(*lengths)
    assert (span.needed, span.settled, span.earlier) == expected


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_null_empties_every_window_that_holds_it(n: int) -> None:
    x = np.arange(20.0)
    x[8] = np.nan
    for compute in (functions.sma, functions.wma, functions.stdev, functions.highest, functions.lowest):
        values = compute(x, n)
        assert np.isnan(values[8 : 8 + n]).all()
        assert np.isfinite(values[8 + n :]).all()
        assert np.isfinite(values[n - 1 : 8]).all()


def test_a_recursion_begins_again_after_a_null() -> None:
    x = np.arange(20.0)
    x[8] = np.nan
    values = functions.ema(x, 3)
    assert np.isnan(values[8:11]).all()
    assert values[11] == (9 + 10 + 11) / 3
    np.testing.assert_array_equal(values[11:], functions.ema(x[9:], 3)[2:])


def test_a_zero_denominator_is_null() -> None:
    flat = _flat(40, volume=1.0)
    for text in ("rsi(close, 3)", "adx(3)", "stoch_k(3, 2)", "mfi(3)", "roc(close - close, 2)", "1 / (close - 5)"):
        assert np.isnan(ask(text, flat)).all(), text


def test_what_is_not_finite_becomes_null_at_once() -> None:
    flat = _flat(3)
    assert np.isnan(ask("0 * (1 / (close - 5))", flat)).all()
    assert np.isnan(ask("min(1, 1e308 * close)", flat)).all()
    assert ask("min(1, 1e307 * close)", flat).tolist() == [1.0, 1.0, 1.0]


def test_without_volume_a_window_averages_its_closes() -> None:
    assert ask("vwap_window(4)", _flat(5))[-1] == 5.0


def test_a_null_among_values_makes_the_smallest_and_largest_null() -> None:
    candles = _flat(3)
    assert np.isnan(ask("max(close, close[1])", candles)[0])
    assert np.isnan(ask("min(close[1], close)", candles)[0])
    assert np.isnan(ask("clip(close, close[1], 9)", candles)[0])


def test_a_cross_counts_from_equality() -> None:
    a, b = np.array([1.0, 2.0, 3.0, 2.0, 1.0, 1.0]), np.full(6, 2.0)
    assert functions.crosses_above(a, b).yes.tolist() == [False, False, True, False, False, False]
    assert functions.crosses_below(a, b).yes.tolist() == [False, False, False, False, True, False]


def test_sums_run_oldest_first() -> None:
    # Added from the newest the small ones would not be lost.
    x = np.array([1e16, 1.0, 1.0, 1.0])
    assert functions.window_sum(x, 4)[-1] == ((1e16 + 1.0) + 1.0) + 1.0
    assert functions.window_sum(x, 4)[-1] != 1e16 + ((1.0 + 1.0) + 1.0)


def test_a_window_longer_than_the_columns_is_null() -> None:
    x = np.arange(4.0)
    for compute in (functions.sma, functions.wma, functions.ema, functions.rma, functions.stdev, functions.highest):
        assert np.isnan(compute(x, 5)).all()
        assert len(compute(x[:0], 5)) == 0


def test_windows_are_the_same_across_the_borders_of_blocks() -> None:
    x = np.random.default_rng(3).random(20_000)
    whole = functions.stdev(x, 30)
    for row in (29, 8_191, 8_192, 8_220, 8_221, 8_222, 19_999):
        assert whole[row] == functions.stdev(x[row - 29 : row + 1], 30)[-1]


def test_hour_and_weekday_are_those_of_the_close() -> None:
    candles = random_candles(4, 3 * 1440)
    hours, days = ask("hour", candles, 60), ask("weekday", candles, 60)
    assert hours[:24].tolist() == [*range(1, 24), 0]
    assert (days[22], days[23]) == (3.0, 4.0)  # Wednesday 15 March 2023 ends


def test_true_range_starts_with_the_second_candle() -> None:
    candles = candles_of(
        [
            (START_MS, 10, 11, 9, 10, 1),
            (START_MS + MINUTE_MS, 12, 13, 12, 12, 1),
            (START_MS + 2 * MINUTE_MS, 9, 9, 8, 9, 1),
        ]
    )
    values = ask("atr(1)", candles)
    assert math.isnan(values[0])
    assert values[1:].tolist() == [3.0, 4.0]


def test_infinities_become_null_wherever_they_stand() -> None:
    column = functions.finite(np.array([1.0, math.inf, -math.inf, math.nan]))
    assert column[0] == 1.0
    assert np.isnan(column[1:]).all()
