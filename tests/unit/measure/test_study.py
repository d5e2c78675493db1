"""What a search found: the folds in one curve, the figures of luck, and the sentence that is made of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from make import run

from backtestkit_cli.measure.contest import Contest, Contestant, Outcome
from backtestkit_cli.measure.overfitting import deflated_sharpe, probability_of_overfitting, sharpe_moments
from backtestkit_cli.measure.statistics import sharpe_ratio
from backtestkit_cli.measure.study import (
    TOO_SHORT,
    Fold,
    Study,
    luck_of,
    made_percent,
    overfitting,
    verdict,
    walk_forward,
)
from backtestkit_cli.model.time import DAY_MS, TimeRange

WAVE = np.resize([1.0, -1.0, 0.5, -0.5], 64)
OTHER_WAVE = np.resize([0.25, 1.0, -1.0, -0.25], 64)
DRIFT = np.repeat(np.linspace(-0.3, 0.3, 16), 4)


def trial(changes: Sequence[float] | np.ndarray[Any, Any], n: int = 1, metric: float | None = None) -> Outcome:
    """A trial in percents of one stake that is `metric` good, by default as good as it earned."""
    equity = 100.0 + np.append(0.0, np.cumsum(changes))
    made = float(equity[-1] - 100)
    return Outcome(
        contestant=Contestant(name=f"s-{n}", strategy="s", params=(("n", n),)),
        run_id=str(n),
        figures={"pnl_percent": made, "trades": 9, "sharpe_ratio": made if metric is None else metric, "losses": n},
        reasons={},
        equity=tuple(equity.tolist()),
        is_money=False,
        hold_percent=None,
    )


def sized(*worth: float) -> Outcome:
    """A trial with a balance."""
    one, made = trial([]), worth[-1] / worth[0] * 100 - 100
    figures = {**one.figures, "return_percent": made, "pnl_percent": -1.0, "sharpe_ratio": made}
    return Outcome(
        contestant=one.contestant,
        run_id="1",
        figures=figures,
        reasons={},
        equity=worth,
        is_money=True,
        hold_percent=None,
    )


def idle() -> Outcome:
    """A trial that traded nothing."""
    one = trial(np.zeros(64))
    return replace(one, figures={**one.figures, "trades": 0})


def days(outcome: Outcome) -> TimeRange:
    return TimeRange(0, (len(outcome.equity) - 1) * DAY_MS)


def fold(judged: Outcome | None, chosen: Outcome | None = None) -> Fold:
    within = TimeRange(0, DAY_MS) if judged is None else days(judged)
    return Fold(number=1, train=TimeRange(0, DAY_MS), test=within, tried=3, chosen=chosen, judged=judged)


def study(*outcomes: Outcome, metric: str = "sharpe_ratio", status: str = "complete", **changed: Any) -> Study:
    searched = Contest(
        walker="s",
        metric=metric,
        symbols=("X",),
        contestants=tuple(one.contestant for one in outcomes),
        outcomes=outcomes,
        failed=(),
        run=run(range=days(outcomes[0]) if outcomes else TimeRange(0, DAY_MS), status=status),
        fingerprint=64 * "1",
    )
    values: dict[str, Any] = {
        "contest": searched,
        "sampler": "random",
        "seed": 1,
        "asked": 3,
        "combinations": 3,
        "folds": (fold(trial([1.0])),),
        "planned_folds": 1,
        "gap_minutes": 0,
        "embargo_minutes": 0,
        "hold_out": TimeRange(0, DAY_MS),
        "held": trial([1.0]),
        "ever": 3,
        "made_of": "",
    }
    return Study(**values | changed)


def luck(one: Study) -> dict[str, Any]:
    return {metric.key: metric.reason if metric.value is None else metric.value for metric in luck_of(one)}


def test_a_study_names_its_strategy_its_search_and_the_best_trial() -> None:
    best = trial([2.0], 2)
    one = study(trial([1.0]), best, trial([2.0], 3))
    assert (one.strategy, one.study_id, one.chosen) == ("s", one.contest.run.run_id, best)
    assert study().chosen is None


def test_folds_are_joined_in_percents_of_one_stake() -> None:
    folds = (fold(trial([1.0, 2.0]), trial([7.0])), fold(None, trial([50.0])), fold(trial([-1.0]), trial([5.0])))
    found = walk_forward(study(folds=folds))
    assert found is not None
    assert (found.curve, found.days, found.sharpe, found.pnl_percent) == ((0.0, 1.0, 3.0, 2.0), 3, None, 2.0)
    assert (found.in_sample, found.out_of_sample) == (6.0, 1.0), "the fold that was not judged counts on neither side"


def test_what_a_fold_made_of_a_balance_is_gained_on_what_the_one_before_made() -> None:
    found = walk_forward(study(folds=(fold(sized(1000.0, 1100.0)), fold(sized(500.0, 450.0)))))
    assert found is not None
    assert found.curve == pytest.approx((0.0, 10.0, -1.0))
    assert (found.in_sample, found.out_of_sample) == (None, None)


def test_folds_have_a_sharpe_ratio_from_twenty_days_on() -> None:
    for count in (19, 20):
        found = walk_forward(study(folds=(fold(trial(WAVE[:9])), fold(trial(WAVE[9:count])))))
        assert found is not None
        assert found.sharpe == (sharpe_ratio(WAVE[:20]) if count == 20 else None)
    assert walk_forward(study(folds=())) is None
    assert walk_forward(study(folds=(fold(None),))) is None


def test_a_fold_without_a_figure_counts_in_neither_mean() -> None:
    nothing = trial([1.0], metric=float("nan"))
    found = walk_forward(study(folds=(fold(trial([1.0]), nothing), fold(nothing, trial([1.0])))))
    assert found is not None
    assert (found.in_sample, found.out_of_sample) == (None, None)


def test_luck_is_measured_on_the_days_of_all_trials() -> None:
    made = [WAVE + 1, OTHER_WAVE + 0.5, np.zeros(64)]
    one = study(*(trial(changes, n) for n, changes in enumerate(made)), ever=40)
    best = sharpe_moments(made[0])
    second = sharpe_moments(made[1])
    expected = probability_of_overfitting(np.stack(made))
    assert best is not None
    assert second is not None
    assert expected is not None
    variance = float(np.var([best.sharpe, second.sharpe, 0.0], ddof=1))
    found = luck(one)
    assert found["deflated_sharpe"] == pytest.approx(deflated_sharpe(best, variance, 40), rel=1e-9)
    assert found["overfitting_probability"] == pytest.approx(expected.probability)
    assert found["plateau"] == 0.0, "the only neighbour is the middle trial"


def test_a_second_search_of_one_trial_is_deflated_by_all_that_were_ever_tried() -> None:
    alone = trial(WAVE + 0.3)
    moments = sharpe_moments(WAVE + 0.3)
    assert moments is not None
    deflated = [luck(study(alone, ever=ever))["deflated_sharpe"] for ever in (2, 36)]
    assert deflated == pytest.approx([deflated_sharpe(moments, 0.0, 2), deflated_sharpe(moments, 1 / 63, 36)])
    assert deflated[1] < deflated[0] - 0.1


def test_what_cannot_be_measured_says_why() -> None:
    alone = study(trial(WAVE + 1))
    moments = sharpe_moments(WAVE + 1)
    assert moments is not None
    assert overfitting(alone) is None
    assert luck(alone) == {
        "deflated_sharpe": pytest.approx(deflated_sharpe(moments, 0.0, 3)),
        "overfitting_probability": "one trial, or too few days",
        "plateau": "no neighbour was tried",
    }
    assert luck(study())["deflated_sharpe"] == "nothing was chosen"
    assert luck(study())["overfitting_probability"] == "nothing was chosen"
    assert luck(study(trial(WAVE[:19] + 1)))["deflated_sharpe"] == TOO_SHORT
    assert luck(study(trial(np.ones(20))))["deflated_sharpe"] == "no two days differ"


def test_under_a_metric_that_is_better_low_the_plateau_lies_low() -> None:
    outcomes = [trial(WAVE, n) for n in (1, 2, 3)]
    assert luck(study(*outcomes, metric="losses"))["plateau"] == 0.0
    far = [trial(WAVE, n) for n in (1, 2, 9, 10, 11)]
    assert luck(study(*far, metric="losses"))["plateau"] == pytest.approx(7 / 8)


def test_what_a_trial_made_is_of_the_balance_where_it_is_sized() -> None:
    assert made_percent(trial([1.0, 2.0])) == 3.0
    assert made_percent(sized(1000.0, 1100.0)) == pytest.approx(10.0)


# whichever is better on one half of the days is worse on the others
SWAYING = (trial(WAVE + 1 + DRIFT, 1), trial(WAVE + 1 - DRIFT, 2))
CLEAR = (trial(WAVE + 2, 1), trial(WAVE + 1.9, 2), trial(WAVE + 1.8, 3))
AFTERWARDS = "what was chosen on the past did not earn afterwards"
HOLD_OUT = "it did not earn on the hold-out"
RATHER = "the best of one half of the days is rather among the worse on the others"


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (study(*CLEAR, status="interrupted"), "the search was not finished: nothing is chosen yet"),
        (study(trial(WAVE, metric=float("inf"))), "no trial has a figure to choose by: Sharpe ratio"),
        (study(idle(), ever=7), "the best of 1 trial made no trade where it was chosen"),
        (study(trial(WAVE - 1), ever=7), "even the best of 1 trial did not earn where it was chosen"),
        (study(trial(WAVE[:19] + 1)), f"too little to tell the best from luck: {TOO_SHORT}"),
        (
            study(trial(WAVE + 0.1), trial(OTHER_WAVE, 2), ever=99),
            "luck alone explains the best after 99 trials: its deflated Sharpe ratio is below 0.95",
        ),
        (study(*CLEAR), "more than luck in the search, and it held on candles that it was not chosen on"),
        (study(*CLEAR, folds=()), f"more than luck in the search, but {AFTERWARDS}"),
        (study(*CLEAR, folds=(fold(trial([1.0, -1.0])),)), f"more than luck in the search, but {AFTERWARDS}"),
        (study(*CLEAR, held=None), f"more than luck in the search, but {HOLD_OUT}"),
        (study(*CLEAR, held=trial([0.0]), folds=()), f"more than luck in the search, but {AFTERWARDS}, and {HOLD_OUT}"),
        (study(*SWAYING), f"more than luck in the search, but {RATHER}"),
    ],
)
def test_one_sentence_says_whether_it_is_more_than_luck(one: Study, expected: str) -> None:
    assert verdict(one) == expected
