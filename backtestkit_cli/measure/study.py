"""What a search of params found, and how much of it is luck.

* The trials of the last search are a comparison like that of a walker; the best of them is what was chosen.
* Each fold repeats the whole search on its own past and is judged on the time after it, which it never saw.
* The hold-out is the end of the range; the chosen params are run on it once.
* Luck is measured in Sharpe ratios of days, whatever metric chose.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from backtestkit_cli.engine.candles import Floats
from backtestkit_cli.measure.contest import (
    Contest,
    Outcome,
    best_of,
    is_lower_better,
    known_metrics,
    value_of,
    worth_within,
)
from backtestkit_cli.measure.metrics import Metric
from backtestkit_cli.measure.overfitting import (
    Overfitting,
    deflated_sharpe,
    probability_of_overfitting,
    sharpe_moments,
)
from backtestkit_cli.measure.plateau import plateau_score
from backtestkit_cli.measure.ranking import LEAST_DAYS
from backtestkit_cli.measure.statistics import sharpe_ratio
from backtestkit_cli.measure.trust import counted
from backtestkit_cli.model.time import TimeRange

BEYOND_LUCK = 0.95
OVERFITTED = 0.5
TOO_SHORT = f"fewer than {LEAST_DAYS} days"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One repetition of the search: `tried` trials on `train`, the best of which was judged on `test`.

    `judged` is None where there was no best, or its code failed.
    """

    number: int
    train: TimeRange
    test: TimeRange
    tried: int
    chosen: Outcome | None
    judged: Outcome | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One search, whole or as far as it came.

    `contest` is the last search, `held` what its best made of the hold-out, `ever` the number of all trials that were
    ever run on these candles. `asked` is how many trials a sampler was to try, `gap_minutes` the time between windows.
    `made_of` is a hash over the config, the code and the params of what was chosen.
    """

    contest: Contest
    sampler: str
    seed: int
    asked: int
    combinations: int
    folds: tuple[Fold, ...]
    planned_folds: int
    gap_minutes: int
    embargo_minutes: int
    hold_out: TimeRange
    held: Outcome | None
    ever: int
    made_of: str

    @property
    def strategy(self) -> str:
        """The strategy whose params were searched."""
        return self.contest.walker

    @property
    def study_id(self) -> str:
        """Twelve hex digits of what decides it."""
        return self.contest.run.run_id

    @property
    def tried(self) -> int:
        """How many trials of it came to a result, those of its folds included."""
        return sum(fold.tried for fold in self.folds) + len(self.contest.outcomes)

    @property
    def chosen(self) -> Outcome | None:
        """The best trial of the last search."""
        return best_of(self.contest.outcomes, self.contest.metric).outcome


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WalkForward:
    """What was chosen on the past made afterwards, fold by fold in one curve of percents that begins at 0.

    `in_sample` and `out_of_sample` are the means of the metric over the folds that have both.
    """

    curve: tuple[float, ...]
    days: int
    sharpe: float | None
    in_sample: float | None
    out_of_sample: float | None

    @property
    def pnl_percent(self) -> float:
        """What all folds brought, in percent."""
        return self.curve[-1]


def walk_forward(study: Study) -> WalkForward | None:
    """Join the tests of the folds; None without any."""
    judged = [fold for fold in study.folds if fold.judged is not None]
    if not judged:
        return None
    changes = np.concatenate([_changes(fold.judged, fold.test) for fold in judged if fold.judged is not None])
    is_money = judged[0].judged is not None and judged[0].judged.is_money
    added = 100 * (np.cumprod(1 + changes / 100) - 1) if is_money else np.cumsum(changes)
    both = list(_both(study, judged))
    return WalkForward(
        curve=(0.0, *added.tolist()),
        days=len(changes),
        sharpe=sharpe_ratio(changes) if len(changes) >= LEAST_DAYS else None,
        in_sample=float(np.mean([one for one, _ in both])) if both else None,
        out_of_sample=float(np.mean([other for _, other in both])) if both else None,
    )


def overfitting(study: Study) -> Overfitting | None:
    """How often the best of one half of the days disappoints on the others, among the trials of the last search."""
    outcomes, within = study.contest.outcomes, study.contest.run.range
    if len(outcomes) < 2:
        return None
    return probability_of_overfitting(np.stack([_changes(one, within) for one in outcomes]))


def luck_of(study: Study) -> tuple[Metric, ...]:
    """Deflated Sharpe ratio, probability of overfitting and plateau of what was chosen."""
    best, found = study.chosen, overfitting(study)
    short = "nothing was chosen" if best is None else "one trial, or too few days"
    deflated, reason = _deflated(study, best)
    plateau = _plateau(study)
    return (
        Metric(key="deflated_sharpe", label="Deflated Sharpe ratio", value=deflated, reason=reason),
        Metric(
            key="overfitting_probability",
            label="Probability of overfitting",
            value=None if found is None else found.probability,
            reason=short if found is None else None,
        ),
        Metric(
            key="plateau",
            label="Plateau of the chosen",
            value=plateau,
            reason="no neighbour was tried" if plateau is None else None,
        ),
    )


def verdict(study: Study) -> str:
    """Say in one sentence whether the chosen params are more than luck."""
    best, metrics = study.chosen, {one.key: one for one in luck_of(study)}
    tried = counted(len(study.contest.outcomes), "trial")
    deflated = metrics["deflated_sharpe"]
    if study.contest.run.status != "complete":
        return "the search was not finished: nothing is chosen yet"
    if best is None:
        label = known_metrics()[study.contest.metric].label
        return f"no trial has a figure to choose by: {label}"
    if not best.figures["trades"]:
        return f"the best of {tried} made no trade where it was chosen"
    if made_percent(best) <= 0:
        return f"even the best of {tried} did not earn where it was chosen"
    if deflated.value is None:
        return f"too little to tell the best from luck: {deflated.reason}"
    if deflated.value < BEYOND_LUCK:
        return (
            f"luck alone explains the best after {study.ever} trials: its deflated Sharpe ratio is below {BEYOND_LUCK}"
        )
    against = list(_against(study, metrics["overfitting_probability"]))
    if against:
        return f"more than luck in the search, but {', and '.join(against)}"
    return "more than luck in the search, and it held on candles that it was not chosen on"


def _against(study: Study, overfitted: Metric) -> Iterator[str]:
    if overfitted.value is not None and overfitted.value >= OVERFITTED:
        yield "the best of one half of the days is rather among the worse on the others"
    forward = walk_forward(study)
    if forward is None or forward.pnl_percent <= 0:
        yield "what was chosen on the past did not earn afterwards"
    if study.held is None or made_percent(study.held) <= 0:
        yield "it did not earn on the hold-out"


def made_percent(outcome: Outcome) -> float:
    """What a trial made: percents of one stake, or of the balance where it is sized."""
    return float(outcome.figures["return_percent" if outcome.is_money else "pnl_percent"] or 0.0)


def _both(study: Study, judged: list[Fold]) -> Iterator[tuple[float, float]]:
    for fold in judged:
        values = [None if one is None else value_of(one, study.contest.metric) for one in (fold.chosen, fold.judged)]
        if values[0] is not None and values[1] is not None:
            yield values[0], values[1]


def _deflated(study: Study, best: Outcome | None) -> tuple[float | None, str | None]:
    if best is None:
        return None, "nothing was chosen"
    within = study.contest.run.range
    changes = _changes(best, within)
    if len(changes) < LEAST_DAYS:
        return None, TOO_SHORT
    moments = sharpe_moments(changes)
    if moments is None:
        return None, "no two days differ"
    others = [sharpe_moments(_changes(one, within)) for one in study.contest.outcomes]
    sharpes = [0.0 if one is None else one.sharpe for one in others]
    variance = float(np.var(sharpes, ddof=1)) if len(sharpes) > 1 else 0.0
    if study.ever > study.tried:  # how far the others were apart is not known: at least as far as luck drives them
        variance = max(variance, 1 / (len(changes) - 1))
    return deflated_sharpe(moments, variance, study.ever), None


def _plateau(study: Study) -> float | None:
    metric = study.contest.metric
    sign = -1 if is_lower_better(metric) else 1
    values = [value_of(one, metric) for one in study.contest.outcomes]
    params = [one.contestant.params for one in study.contest.outcomes]
    return plateau_score(params, [None if value is None else sign * value for value in values])


def _changes(outcome: Outcome, within: TimeRange) -> Floats:
    return worth_within(outcome, within).changes
