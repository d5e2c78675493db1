"""Places, ranks and figures of contestants."""

import math
from typing import Any

import numpy as np
import pytest
from make import deals, run, stream

from backtestkit_cli.engine.result import RunResult
from backtestkit_cli.measure.contest import (
    LOWER_IS_BETTER,
    ORIGINAL_LOWER_IS_BETTER,
    Contest,
    Contestant,
    Outcome,
    best_of,
    is_lower_better,
    known_metrics,
    measured,
    outcome_of,
    placed,
    scope_of,
    standings,
)
from backtestkit_cli.measure.original import TradeFigures, walker_ranking, walker_results
from backtestkit_cli.model.time import DAY_MS, TimeRange

RANGE = TimeRange(0, 40 * DAY_MS)


def outcome(name: str, value: float | None, changes: Any = None, metric: str = "sharpe_ratio") -> Outcome:
    days = np.zeros(40) if changes is None else changes
    return Outcome(
        contestant=Contestant(name=name, strategy=name),
        run_id=name,
        figures={metric: value},
        reasons={},
        equity=tuple((100.0 + np.append(0.0, np.cumsum(days))).tolist()),
        is_money=False,
        hold_percent=None,
    )


def contest(*outcomes: Outcome, metric: str = "sharpe_ratio", **changed: Any) -> Contest:
    shared: RunResult = run(range=RANGE)
    values: dict[str, Any] = {
        "walker": "w",
        "metric": metric,
        "symbols": ("BTCUSDT",),
        "contestants": tuple(one.contestant for one in outcomes),
        "outcomes": outcomes,
        "failed": (),
        "run": shared,
        "fingerprint": 64 * "1",
    }
    return Contest(**values | changed)


def test_the_better_stands_first_and_nothing_stands_last() -> None:
    values = [1.0, None, 3.0, -2.0, 3.0]
    assert placed(values, "sharpe_ratio") == [2, 4, 0, 3, 1]
    assert placed(values, "max_drawdown_percent") == [3, 0, 2, 4, 1]


def test_under_a_metric_of_the_original_places_are_those_of_the_original() -> None:
    random = np.random.default_rng(1)
    for _ in range(50):
        values = [None if one < 0 else float(one) for one in random.integers(-1, 4, 8)]
        names = [str(place) for place in range(8)]
        figures = [TradeFigures(total_closed=0, win_count=0, loss_count=0, sharpe_ratio=value) for value in values]
        results = walker_results(zip(names, figures, strict=True))
        key = "original.sharpe_ratio"
        assert [str(one) for one in placed(values, key)] == [one.strategy for one in walker_ranking(results)]
        best = best_of([outcome(name, value, metric=key) for name, value in zip(names, values, strict=True)], key)
        expected = results[-1]
        assert (best.outcome and best.outcome.contestant.name, best.value) == (
            expected.best_strategy,
            expected.best_metric,
        )


def test_the_first_of_equal_ones_is_the_best_and_nobody_without_a_value() -> None:
    found = best_of([outcome("a", None), outcome("b", 2.0), outcome("c", 2.0), outcome("d", math.inf)], "sharpe_ratio")
    assert (found.outcome and found.outcome.contestant.name, found.value) == ("b", 2.0)
    assert best_of([outcome("a", None)], "sharpe_ratio") == (None, None)
    low = best_of([outcome("a", 2.0, metric="losses"), outcome("b", 1.0, metric="losses")], "losses")
    assert low.value == 1.0


def test_place_goes_by_value_and_rank_by_days_beyond_luck() -> None:
    days = np.random.default_rng(3).normal(0, 1, 40)
    rows = standings(contest(outcome("bad", 9.0, days - 1), outcome("twin", 1.0, days), outcome("same", 1.0, days)))
    assert [(row.outcome.contestant.name, row.place, row.rank, row.value) for row in rows] == [
        ("bad", 1, 3, 9.0),
        ("twin", 2, 1, 1.0),
        ("same", 3, 1, 1.0),
    ]
    assert standings(contest()) == ()


def test_ranks_are_told_of_the_first_places_against_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backtestkit_cli.measure.contest.MOST_RANKED", 2)
    days = np.random.default_rng(3).normal(0, 1, 40)
    rows = standings(contest(outcome("a", 3.0, days - 1), outcome("b", 2.0, days), outcome("c", 1.0, days + 5)))
    assert [row.rank for row in rows] == [3, 2, None]


def test_two_hundred_places_have_a_rank_and_the_next_has_none() -> None:
    rows = standings(contest(*(outcome(str(place), -float(place), np.zeros(2)) for place in range(202))))
    assert [row.rank for row in rows] == [1] * 200 + [None] * 2


def test_figures_are_those_of_a_backtest_and_the_originals_are_there_when_they_rank() -> None:
    one = run(stream(*deals(1.0, -0.5, 2.0), symbol="A"), stream(*deals(-1.0, 3.0), symbol="B"))
    ours = measured(one, "sharpe_ratio")
    assert ours["pnl_percent"].value == 4.5
    assert ours["pnl_quote"].reason == "nothing is sized"
    assert not any("." in key for key in ours)
    both = measured(one, "original.total_pnl")
    assert both["original.total_pnl"].value == 4.5
    assert both["original.heat_total_trades"].value == 5
    assert measured(run(one.streams[0]), "original_all.win_count")["original_all.win_count"].value == 2
    made = outcome_of(Contestant(name="a", strategy="a"), one, "sharpe_ratio", 7.0, ())
    assert made.figures == {key: metric.value for key, metric in ours.items()}
    assert made.reasons["pnl_quote"] == "nothing is sized"
    assert (made.equity[-1], made.hold_percent, made.failures) == (104.5, 7.0, 0)


def test_every_metric_can_rank_and_each_direction_is_of_a_metric() -> None:
    known = known_metrics()
    assert set(known) >= LOWER_IS_BETTER
    assert set(known) >= {f"original.{key}" for key in ORIGINAL_LOWER_IS_BETTER}
    assert [scope_of(key) for key in ("sharpe_ratio", "original.win_rate", "original_all.win_rate")] == [
        None,
        "original",
        "original_all",
    ]
    assert is_lower_better("max_drawdown_percent")
    assert is_lower_better("original.std_dev")
    assert not is_lower_better("sharpe_ratio")
    assert not is_lower_better("original.win_rate")
