"""The original's figures stand beside ours under any policy: newest 250 and all, each with a unit or a reason."""

import math

import pytest
from make import deals, run, stream

from backtestkit_cli.engine.result import StreamRun
from backtestkit_cli.measure.metrics import Metric
from backtestkit_cli.measure.original import HELD_EVENTS, backtest_figures
from backtestkit_cli.measure.original_events import ScheduleEntry
from backtestkit_cli.measure.original_metrics import Happened, happened, original_metrics, portfolio_metrics
from backtestkit_cli.measure.require import parse_requirement, unmet
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.report.as_json import document
from backtestkit_cli.report.build import build

FIVE = (1.0, -0.5, 2.0, 0.0, -1.0)


def stream_of(*percents: float) -> StreamRun:
    return stream(*deals(*percents))


def by_key(found: tuple[Metric, ...]) -> dict[str, float | None]:
    return {one.key: one.value for one in found}


def test_five_trades_by_hand() -> None:
    found = by_key(original_metrics(happened(stream_of(*FIVE)), "original"))
    deviation = math.sqrt(sum((one - 0.3) ** 2 for one in FIVE) / 5)
    expected = {
        "total_signals": 5,
        "win_count": 2,
        "loss_count": 2,
        "win_rate": 40.0,
        "avg_pnl": 0.3,
        "total_pnl": 1.5,
        "std_dev": deviation,
        "sharpe_ratio": 0.3 / deviation,
        "annualized_sharpe_ratio": 0.3 / deviation * math.sqrt(365),
        "certainty_ratio": 1.5 / 0.75,
        "expected_yearly_returns": 0.3 * 365 * 24,
        "heat_profit_factor": 3.0 / 1.5,
        "heat_expectancy": 0.4 * 1.5 + 0.6 * -0.75,
        "heat_max_drawdown": 1.0,
        "heat_max_win_streak": 1,
        "heat_max_loss_streak": 1,
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected, rel=1e-12)


def test_figures_are_in_their_units() -> None:
    units = {one.key: one.unit for one in original_metrics(happened(stream_of(*FIVE)), "original")}
    assert set(units.values()) == {"", "%", "min"}
    assert (units["win_rate"], units["sharpe_ratio"], units["win_count"]) == ("%", "", "")


def test_only_the_newest_250_count_under_original_and_all_under_original_all() -> None:
    told = happened(stream_of(*[-1.0] * 50, *[1.0] * HELD_EVENTS))
    held, whole = (by_key(original_metrics(told, scope)) for scope in ("original", "original_all"))
    assert (held["total_signals"], held["total_pnl"], held["loss_count"]) == (250, 250.0, 0)
    assert (whole["total_signals"], whole["total_pnl"], whole["loss_count"]) == (300, 200.0, 50)
    assert (held["heat_total_trades"], whole["heat_total_trades"]) == (250, 300)


def test_lines_levels_and_refusals_are_held_by_kind() -> None:
    lines = tuple(ScheduleEntry(place * MINUTE_MS, "scheduled", None) for place in range(300))
    told = Happened(trades=(), entries=lines, levels=(False,) * 100 + (True,) * 200, refusals=260)
    held, whole = (by_key(original_metrics(told, scope)) for scope in ("original", "original_all"))
    keys = ("schedule_total_scheduled", "partial_total_events", "partial_total_loss", "risk_total_rejections")
    assert [held[key] for key in keys] == [250, 250, 50, 250]
    assert [whole[key] for key in keys] == [300, 300, 100, 260]


@pytest.mark.parametrize("percents", [(), (1.0,), (-1.0,), (1.0, 1.0), FIVE], ids=str)
def test_what_has_no_value_has_a_reason_and_nothing_else_has_one(percents: tuple[float, ...]) -> None:
    for one in original_metrics(happened(stream_of(*percents)), "original_all"):
        assert (one.value is None) == bool(one.reason), one.key


def test_a_stream_without_a_trade_has_the_same_figures_as_one_with() -> None:
    keys = [one.key for one in original_metrics(happened(stream_of()), "original")]
    assert keys == [one.key for one in original_metrics(happened(stream_of(1.0)), "original")]


def test_the_portfolio_weighs_the_ratios_of_its_symbols_by_their_trades() -> None:
    told = [trade for name in ("A", "B") for trade in happened(stream_named(name)).trades]
    found = by_key(portfolio_metrics(told, "original"))
    assert (found["total_symbols"], found["portfolio_total_trades"]) == (2, 10)
    alone = by_key(original_metrics(happened(stream_named("A")), "original"))["heat_sharpe_ratio"]
    assert found["portfolio_sharpe_ratio"] == pytest.approx(alone, rel=1e-12)


def stream_named(symbol: str) -> StreamRun:
    return stream(*deals(*FIVE), symbol=symbol)


def test_reports_have_both_scopes_of_each_stream() -> None:
    told = document(build(run(stream_of(*FIVE))))["streams"][0]
    assert told["original"] == told["original_all"] == by_key(original_metrics(happened(stream_of(*FIVE)), "original"))
    assert told["original_reasons"]["schedule_avg_wait_time"] == "no entry was cancelled"


@pytest.mark.parametrize(
    ("text", "is_met"),
    [
        ("original.sharpe_ratio > 0.1", True),
        ("original.sharpe_ratio > 10", False),
        ("original_all.total_signals == 5 and trades == 5", True),
        ("original.schedule_avg_wait_time < 5", False),
    ],
)
def test_a_requirement_can_name_them(text: str, is_met: bool) -> None:
    problems = unmet(parse_requirement(text), run(stream_of(*FIVE)))
    assert (not problems) is is_met
    if problems:
        assert (problems[0].found or "").startswith("original.")


def test_what_may_be_a_loss_is_signed() -> None:
    found = original_metrics(happened(stream_of(*FIVE)), "original")
    signed = {"avg_pnl", "total_pnl", "expected_yearly_returns"}
    heat = {f"heat_{name}" for name in ("avg_pnl", "total_pnl", "avg_win", "avg_loss", "expectancy")}
    assert {one.key for one in found if one.is_signed} == signed | heat


def test_a_heat_row_of_wins_alone_has_no_figure_that_needs_losses() -> None:
    found = by_key(original_metrics(happened(stream_of(1.0, 2.0)), "original"))
    assert (found["heat_expectancy"], found["heat_profit_factor"], found["heat_avg_loss"]) == (None, None, None)
    lost = by_key(original_metrics(happened(stream_of(-1.0, -2.0)), "original"))
    assert (lost["heat_expectancy"], lost["heat_profit_factor"], lost["heat_avg_win"]) == (None, None, None)


def test_nothing_counts_as_nothing() -> None:
    none = backtest_figures([])
    assert (none.total_closed, none.win_count, none.loss_count) == (0, 0, 0)


def test_a_figure_of_the_original_is_labelled_by_its_key() -> None:
    labels = {one.key: one.label for one in original_metrics(happened(stream_of(*FIVE)), "original")}
    assert (labels["avg_pnl"], labels["heat_max_win_streak"]) == ("Avg pnl", "Heat max win streak")


def test_without_a_trade_every_figure_of_trades_says_so() -> None:
    found = original_metrics(happened(stream_of()), "original")
    rates = [one for one in found if one.key in ("avg_pnl", "win_rate", "sharpe_ratio", "heat_avg_pnl")]
    assert {(one.value, one.reason) for one in rates} == {(None, "no trade")}
    assert [one.reason for one in original_metrics(happened(stream_of(1.0)), "original") if one.key == "avg_pnl"] == [
        None
    ]
