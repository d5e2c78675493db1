"""What listeners are told about a search: each trial, each fold, and the end."""

from backtestkit_cli.measure.contest import Best, Failed, Outcome, value_of
from backtestkit_cli.measure.study import Fold, Study, verdict
from backtestkit_cli.model.event import FoldDone, SearchDone, TrialDone, TrialFailed
from backtestkit_cli.model.time import TimeRange
from backtestkit_cli.run.search.plan import SearchPlan


def tried(plan: SearchPlan, fold: int, window: TimeRange, outcome: Outcome, best: Best, done: int) -> TrialDone:
    """A trial is done with; the best counts it."""
    return TrialDone(
        time_ms=window.end_ms,
        strategy=plan.strategy,
        fold=fold,
        params=dict(outcome.contestant.params),
        run_id=outcome.run_id,
        metric=plan.metric,
        metric_value=value_of(outcome, plan.metric),
        best_params=None if best.outcome is None else dict(best.outcome.contestant.params),
        best_metric=best.value,
        done_trials=done,
        total_trials=plan.most_trials,
    )


def failed(plan: SearchPlan, fold: int, window: TimeRange, one: Failed) -> TrialFailed:
    """A trial came to no result."""
    return TrialFailed(
        time_ms=window.end_ms,
        strategy=plan.strategy,
        fold=fold,
        params=dict(one.contestant.params),
        code=one.code,
        what=one.what,
    )


def judged(plan: SearchPlan, fold: Fold) -> FoldDone:
    """A fold is done with."""
    return FoldDone(
        time_ms=fold.test.end_ms,
        strategy=plan.strategy,
        fold=fold.number,
        total_folds=len(plan.protocol.folds),
        params=None if fold.chosen is None else dict(fold.chosen.contestant.params),
        metric=plan.metric,
        in_sample=None if fold.chosen is None else value_of(fold.chosen, plan.metric),
        out_of_sample=None if fold.judged is None else value_of(fold.judged, plan.metric),
    )


def ended(plan: SearchPlan, study: Study, done: int) -> SearchDone:
    """The search came to its end."""
    chosen = study.chosen
    return SearchDone(
        time_ms=plan.whole.range.end_ms,
        strategy=plan.strategy,
        params=None if chosen is None else dict(chosen.contestant.params),
        metric=plan.metric,
        in_sample=None if chosen is None else value_of(chosen, plan.metric),
        hold_out=None if study.held is None else value_of(study.held, plan.metric),
        done_trials=done,
        verdict=verdict(study),
    )
