"""Ratios of the daily curve: against other libraries, by hand, and where there are none."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from make import NO_COSTS, START_MS, Deal, candle_use, deals, run, stream

from backtestkit_cli.measure.equity import DailyEquity, monthly
from backtestkit_cli.measure.metrics import Metric
from backtestkit_cli.measure.statistics import (
    all_metrics,
    calmar_ratio,
    daily_drawdown,
    daily_metrics,
    empty_metrics,
    run_metrics,
    sharpe_ratio,
    sortino_ratio,
    stream_metrics,
    volatility_percent,
)
from backtestkit_cli.model.time import DAY_MS, TimeRange

ORACLES = Path(__file__).parents[2] / "data" / "oracles"


def test_two_days_have_a_deviation_and_one_has_none() -> None:
    assert sharpe_ratio(np.array([1.0, 3.0])) == pytest.approx(2 / 2**0.5 * 365**0.5)
    assert sharpe_ratio(np.array([1.0])) is None


def rows_of(name: str) -> list[dict[str, str]]:
    with (ORACLES / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def oracle_curve(name: str) -> DailyEquity:
    rows = [row for row in rows_of("equity") if row["curve"] == name]
    times = np.array([int(row["time_ms"]) for row in rows], dtype=np.int64)
    return DailyEquity(times_ms=times, values=np.array([float(row["equity"]) for row in rows]))


def curve(*values: float) -> DailyEquity:
    times = START_MS + DAY_MS * np.arange(len(values), dtype=np.int64)
    return DailyEquity(times_ms=times, values=np.array(values, dtype=np.float64))


def measured(equity: DailyEquity, trades: int = 2) -> dict[str, Metric]:
    return {metric.key: metric for metric in daily_metrics(equity, trades)}


@pytest.mark.parametrize("name", ["steady", "falling", "idle"])
def test_figures_are_those_of_other_libraries(name: str) -> None:
    expected = {row["figure"]: float(row["value"]) for row in rows_of("equity_expected") if row["curve"] == name}
    equity = oracle_curve(name)
    found = {key: metric.value for key, metric in measured(equity).items()}
    found |= {month: points for month, points, _ in monthly(equity)}
    assert len(expected) > 10
    assert found == pytest.approx(expected, rel=1e-12)


def test_ratios_of_four_days_by_hand() -> None:
    equity = curve(100.0, 102.0, 101.0, 101.0, 104.0)
    changes = equity.changes
    variance = (1.0**2 + 2.0**2 + 1.0**2 + 2.0**2) / 3
    assert sharpe_ratio(changes) == pytest.approx(1.0 / variance**0.5 * 365**0.5, rel=1e-12)
    assert sortino_ratio(changes) == pytest.approx(1.0 / 0.25**0.5 * 365**0.5, rel=1e-12)
    assert volatility_percent(changes) == pytest.approx(variance**0.5 * 365**0.5, rel=1e-12)
    assert calmar_ratio(equity) == pytest.approx(1.0 * 365 / 1.0, rel=1e-12)


def test_a_drawdown_lasts_from_its_peak_until_a_mark_regains_it() -> None:
    found = daily_drawdown(curve(100, 103, 101, 102.5, 103, 102, 104))
    assert (found.depth_percent, found.length_days) == (2.0, 3.0)


def test_a_drawdown_that_never_recovers_lasts_to_the_end() -> None:
    found = daily_drawdown(curve(100, 99, 98, 99.5))
    assert (found.depth_percent, found.length_days) == (2.0, 3.0)


def test_a_curve_that_never_falls_has_no_drawdown() -> None:
    found = daily_drawdown(curve(100, 100, 101))
    assert (found.depth_percent, found.length_days) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("days", "trades", "reason"),
    [(19, 2, "fewer than 20 days"), (20, 1, "fewer than 2 trades"), (20, 0, "fewer than 2 trades"), (20, 2, None)],
)
def test_below_20_days_or_2_trades_no_figure_is_given(days: int, trades: int, reason: str | None) -> None:
    values = [100.0 + (3 * day) % 7 for day in range(days + 1)]
    found = measured(curve(*values), trades).values()
    assert {metric.reason for metric in found} == {reason}
    assert {metric.value is None for metric in found} == {reason is not None}


def test_a_curve_that_never_moves_has_no_ratios() -> None:
    found = measured(curve(*[100.0] * 30))
    reasons = {key: metric.reason for key, metric in found.items() if metric.value is None}
    assert reasons == {
        "sharpe_ratio": "no two days differ",
        "sortino_ratio": "no day lost",
        "calmar_ratio": "the daily curve never fell",
    }
    assert found["volatility_percent"].value == 0.0


def test_gains_alone_have_a_sharpe_ratio_but_no_ratio_to_losses() -> None:
    found = measured(curve(*np.cumsum([100.0, *range(1, 25)]).tolist()))
    assert found["sharpe_ratio"].value is not None
    assert (found["sortino_ratio"].reason, found["calmar_ratio"].reason) == (
        "no day lost",
        "the daily curve never fell",
    )


def test_the_last_bit_of_a_flat_curve_is_no_risk() -> None:
    found = measured(curve(*(100.0 + 2e-14 * (day % 2) for day in range(40))))
    missing = {key for key, metric in found.items() if metric.value is None}
    assert missing == {"sharpe_ratio", "sortino_ratio", "calmar_ratio"}
    assert (found["daily_drawdown_percent"].value, found["daily_drawdown_days"].value) == (0.0, 0.0)
    assert found["best_day_percent"].value != 0.0


def test_idle_days_count_as_days() -> None:
    busy = sharpe_ratio(np.array([1.0, -0.5, 2.0, -0.5]))
    idle = sharpe_ratio(np.array([1.0, 0.0, -0.5, 0.0, 2.0, 0.0, -0.5, 0.0]))
    assert busy is not None
    assert idle is not None
    assert 0 < idle < busy


def test_a_stream_and_a_run_of_it_alone_have_the_same_metrics() -> None:
    within = TimeRange(START_MS, START_MS + 30 * DAY_MS)
    used = candle_use(daily_prices=tuple(100.0 + day % 5 for day in range(30)))
    one = stream(*deals(2.0, -1.0, 1.5, -0.5, every_hours=150), costs=NO_COSTS, candles=used)
    found = stream_metrics(one, within)
    assert found == run_metrics(run(one, range=within))
    assert {metric.key for metric in found if metric.value is None} == {"short_pnl_percent"}


def test_there_is_a_key_for_every_metric_even_without_a_trade() -> None:
    within = TimeRange(START_MS, START_MS + DAY_MS)
    some = all_metrics(stream(1.0).result.trades, within, curve(100, 101))
    money = all_metrics(stream(Deal(quantity=1.0)).result.trades, within, replace(curve(100, 101), is_money=True))
    keys = [metric.key for metric in empty_metrics()]
    assert keys == [metric.key for metric in money]
    assert [key for key in keys if key in {metric.key for metric in some}] == [metric.key for metric in some]
    assert len(set(keys)) == len(keys)


def test_every_unit_of_a_day_stands_in_its_key() -> None:
    for metric in daily_metrics(curve(100, 101), 2):
        assert metric.key.endswith(("_ratio", "_percent", "_days"))
        assert {"%": "_percent", "days": "_days", "": "_ratio"}[metric.unit] == f"_{metric.key.rsplit('_')[-1]}"


SIGNED = {
    "pnl_quote",
    "return_percent",
    "pnl_percent",
    "average_pnl_percent",
    "average_win_percent",
    "average_loss_percent",
    "best_trade_percent",
    "worst_trade_percent",
    "expectancy_percent",
    "long_pnl_percent",
    "short_pnl_percent",
    "best_day_percent",
    "worst_day_percent",
}


def test_every_figure_is_in_its_unit_and_signed_where_it_may_be_a_loss() -> None:
    found = empty_metrics()
    assert {metric.key for metric in found if metric.is_signed} == SIGNED
    for metric in found:
        if metric.key.endswith("_percent"):
            assert metric.unit == "%", metric.key
    assert {metric.unit for metric in found} == {"%", "trades", "h", "days", ""}
    assert len({metric.key for metric in found}) == len(found)
    days = {metric.key: metric.value for metric in found}
    assert (days["exposure_percent"], days["trades_per_day"]) == (0.0, 0.0)
