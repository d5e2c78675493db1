"""Each metric by a hand-made case, its reason for N/A, and laws over random trades."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from make import HOUR_MS, START_MS, WEEK, Deal, trades

from backtestkit_cli.measure.metrics import Metric, merged, metrics
from backtestkit_cli.model.time import TimeRange

PERCENTS = st.lists(st.floats(-20, 20).map(lambda value: round(value, 3)), max_size=40)


def measured(*made: Deal | float, within: TimeRange = WEEK) -> dict[str, Metric]:
    return {metric.key: metric for metric in metrics(trades(*made), within)}


def values(*made: Deal | float) -> dict[str, Any]:
    return {key: metric.value for key, metric in measured(*made).items()}


def test_every_metric_of_four_trades() -> None:
    made = (
        Deal(pnl=2.0, opened_hours=0, hours=2),
        Deal(pnl=-1.0, opened_hours=4, hours=1, is_long=False),
        Deal(pnl=-3.0, opened_hours=10, hours=4),
        Deal(pnl=4.0, opened_hours=20, hours=1, is_long=False),
    )
    assert values(*made) == pytest.approx(
        {
            "pnl_percent": 2.0,
            "trades": 4,
            "wins": 2,
            "losses": 2,
            "win_rate_percent": 50.0,
            "average_pnl_percent": 0.5,
            "average_win_percent": 3.0,
            "average_loss_percent": -2.0,
            "best_trade_percent": 4.0,
            "worst_trade_percent": -3.0,
            "deviation_percent": math.sqrt((1.5**2 + 1.5**2 + 3.5**2 + 3.5**2) / 3),
            "profit_factor": 1.5,
            "expectancy_percent": 0.5,
            "max_drawdown_percent": 4.0,
            "max_drawdown_hours": 19.0,
            "longest_win_streak": 1,
            "longest_loss_streak": 2,
            "exposure_percent": 100 * 8 / 168,
            "average_duration_hours": 2.0,
            "trades_per_day": 4 / 7,
            "long_trades": 2,
            "long_pnl_percent": -1.0,
            "short_trades": 2,
            "short_pnl_percent": 3.0,
        },
        rel=1e-12,
    )


def test_without_a_trade_every_average_says_why_it_is_missing() -> None:
    missing = {key: metric.reason for key, metric in measured().items() if metric.value is None}
    assert missing == {
        "win_rate_percent": "no trade",
        "average_pnl_percent": "no trade",
        "average_win_percent": "no trade",
        "average_loss_percent": "no trade",
        "best_trade_percent": "no trade",
        "worst_trade_percent": "no trade",
        "deviation_percent": "fewer than 2 trades",
        "profit_factor": "no trade",
        "expectancy_percent": "no trade",
        "average_duration_hours": "no trade",
        "long_pnl_percent": "no long trade",
        "short_pnl_percent": "no short trade",
    }


def test_profit_factor_without_a_loss_is_missing_and_not_infinite() -> None:
    found = measured(1.0, 2.0)["profit_factor"]
    assert (found.value, found.reason) == (None, "no losing trade")


def test_average_win_without_a_win_says_so() -> None:
    assert measured(-1.0)["average_win_percent"].reason == "no winning trade"


def test_deviation_of_a_single_trade_is_missing() -> None:
    assert measured(1.0)["deviation_percent"].reason == "fewer than 2 trades"


@pytest.mark.parametrize(
    ("pnl", "wins", "losses"),
    [
        pytest.param(1e-12, 0, 0, id="a last bit up is flat"),
        pytest.param(-1e-12, 0, 0, id="a last bit down is flat"),
        pytest.param(1.1e-12, 1, 0, id="more is a win"),
        pytest.param(-1.1e-12, 0, 1, id="less is a loss"),
    ],
)
def test_a_flat_trade_is_neither_win_nor_loss(pnl: float, wins: int, losses: int) -> None:
    found = values(pnl)
    assert (found["wins"], found["losses"], found["trades"], found["pnl_percent"]) == (wins, losses, 1, pnl)


def test_the_trades_of_one_stream_are_merged_as_they_are() -> None:
    one = trades(Deal(note="kept", id="a"))
    assert merged([one]) is one


def test_a_flat_trade_ends_a_streak() -> None:
    found = values(1.0, 1.0, 0.0, 1.0, -1.0, -1.0, -1.0)
    assert (found["longest_win_streak"], found["longest_loss_streak"]) == (2, 3)


def test_a_first_loss_is_a_drawdown_from_the_start_of_the_range() -> None:
    found = values(Deal(pnl=-2.0, opened_hours=3, hours=2), Deal(pnl=5.0, opened_hours=8, hours=1))
    assert (found["max_drawdown_percent"], found["max_drawdown_hours"]) == (2.0, 9.0)


def test_a_drawdown_lasts_to_the_first_trade_that_regains_its_peak() -> None:
    made = [Deal(pnl=-2.0, opened_hours=3), Deal(pnl=5.0, opened_hours=8), Deal(pnl=1.0, opened_hours=20)]
    assert values(*made)["max_drawdown_hours"] == 9.0


def test_a_drawdown_that_never_recovers_lasts_to_the_end_of_the_range() -> None:
    found = values(Deal(pnl=2.0, opened_hours=0, hours=2), Deal(pnl=-5.0, opened_hours=8, hours=1))
    assert (found["max_drawdown_percent"], found["max_drawdown_hours"]) == (5.0, 168.0 - 2.0)


def test_a_drawdown_that_never_recovers_lasts_beyond_the_range_to_the_last_trade() -> None:
    made = [Deal(pnl=2.0, hours=2), Deal(pnl=-5.0, opened_hours=8), Deal(pnl=1.0, opened_hours=160, hours=20)]
    assert values(*made)["max_drawdown_hours"] == 180.0 - 2.0


def test_gains_alone_have_no_drawdown() -> None:
    found = values(1.0, 2.0)
    assert (found["max_drawdown_percent"], found["max_drawdown_hours"]) == (0.0, 0.0)


def test_exposure_counts_only_what_lies_inside_the_range() -> None:
    within = TimeRange(START_MS, START_MS + 10 * HOUR_MS)
    found = measured(Deal(pnl=1.0, opened_hours=8, hours=100), within=within)
    assert found["exposure_percent"].value == 20.0


def test_positions_that_overlap_are_held_once() -> None:
    first = trades(Deal(pnl=1.0, opened_hours=0, hours=10))
    second = trades(Deal(pnl=1.0, opened_hours=2, hours=3), Deal(pnl=1.0, opened_hours=8, hours=6))
    found = {metric.key: metric.value for metric in metrics(merged([first, second]), WEEK)}
    assert found["exposure_percent"] == pytest.approx(100 * 14 / 168, rel=1e-12)


def test_a_portfolio_puts_the_trades_of_all_streams_in_order_of_closing() -> None:
    first = trades(Deal(pnl=-1.0, opened_hours=0, hours=1), Deal(pnl=3.0, opened_hours=5, hours=1))
    second = trades(Deal(pnl=-2.0, opened_hours=0, hours=3))
    assert merged([first, second]).pnl_percent.tolist() == [-1.0, -2.0, 3.0]
    found = {metric.key: metric.value for metric in metrics(merged([first, second]), WEEK)}
    assert (found["pnl_percent"], found["max_drawdown_percent"], found["longest_loss_streak"]) == (0.0, 3.0, 2)


def test_streams_that_close_together_keep_their_order() -> None:
    parts = [trades(Deal(pnl=float(pnl))) for pnl in (3, 1, 2)]
    assert merged(parts).pnl_percent.tolist() == [3.0, 1.0, 2.0]


def test_an_empty_range_has_no_rates() -> None:
    found = measured(within=TimeRange(START_MS, START_MS))
    assert (found["exposure_percent"].reason, found["trades_per_day"].reason) == ("empty range", "empty range")


def test_every_percentage_says_so_in_its_key_and_unit() -> None:
    for key, metric in measured(1.0, -1.0).items():
        assert key.endswith("_percent") == (metric.unit == "%")
        assert key.endswith("_hours") == (metric.unit == "h")


@given(PERCENTS)
def test_sums_run_left_to_right(percents: list[float]) -> None:
    expected = 0.0
    for percent in percents:
        expected += percent
    assert values(*percents)["pnl_percent"] == expected


@given(PERCENTS)
def test_drawdown_is_the_deepest_fall_seen_by_a_plain_loop(percents: list[float]) -> None:
    level = peak = 100.0
    deepest, so_far = 0.0, 0.0
    for percent in percents:
        so_far += percent
        level = 100.0 + so_far
        peak = max(peak, level)
        deepest = max(deepest, peak - level)
    assert values(*percents)["max_drawdown_percent"] == (deepest if deepest > 1e-12 else 0.0)


@given(PERCENTS)
def test_wins_losses_and_flat_trades_are_all_trades(percents: list[float]) -> None:
    found = values(*percents)
    flat = sum(abs(percent) <= 1e-12 for percent in percents)
    assert found["wins"] + found["losses"] + flat == found["trades"] == len(percents)
    assert found["long_trades"] + found["short_trades"] == len(percents)


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 60)), max_size=12))
def test_held_time_is_what_a_minute_by_minute_count_gives(spans: list[tuple[int, int]]) -> None:
    made = [Deal(pnl=1.0, opened_hours=start, hours=length) for start, length in spans]
    hours = np.zeros(200, dtype=bool)
    for start, length in spans:
        hours[start : start + length] = True
    parts = [trades(one) for one in made] or [trades()]
    found = {metric.key: metric.value for metric in metrics(merged(parts), WEEK)}
    assert found["exposure_percent"] == pytest.approx(100 * hours[:168].sum() / 168, rel=1e-12)


def test_a_trade_knows_its_side_as_a_sign() -> None:
    assert trades(Deal(), Deal(is_long=False, opened_hours=2)).side.tolist() == [1, -1]
