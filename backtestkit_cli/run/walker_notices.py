"""What listeners are told about a walker: who begins, what came of it, how far it is, and the end."""

from typing import Any

from backtestkit_cli.measure.contest import Best, Contestant, Failed, Outcome, value_of
from backtestkit_cli.model.event import StrategyDone, StrategyFailed, StrategyStarted, WalkerDone, WalkerProgress
from backtestkit_cli.run.contestants import WalkerPlan


def started(plan: WalkerPlan, contestant: Contestant) -> StrategyStarted:
    """A contestant begins."""
    return StrategyStarted(
        **{**_place(plan), "time_ms": plan.range.start_ms}, **_whose(contestant), params=dict(contestant.params)
    )


def finished(plan: WalkerPlan, outcome: Outcome, best: Best, tested: int) -> StrategyDone:
    """An outcome is there; the best and the number of those tested count it."""
    return StrategyDone(
        **_place(plan),
        **_whose(outcome.contestant),
        symbols=plan.shared.symbols,
        params=dict(outcome.contestant.params),
        run_id=outcome.run_id,
        stats=dict(outcome.figures),
        metric=plan.metric,
        metric_value=value_of(outcome, plan.metric),
        best_strategy=None if best.outcome is None else best.outcome.contestant.name,
        best_metric=best.value,
        tested_strategies=tested,
        total_strategies=len(plan.contestants),
    )


def failed(plan: WalkerPlan, one: Failed) -> StrategyFailed:
    """A contestant came to no result."""
    return StrategyFailed(**_place(plan), **_whose(one.contestant), code=one.code, what=one.what)


def progress(plan: WalkerPlan, done: int) -> WalkerProgress:
    """So many contestants are done with."""
    return WalkerProgress(**_place(plan), done_strategies=done, total_strategies=len(plan.contestants))


def ended(plan: WalkerPlan, best: Best, tested: int) -> WalkerDone:
    """The walker came to its end."""
    return WalkerDone(
        **_place(plan),
        symbols=plan.shared.symbols,
        metric=plan.metric,
        total_strategies=len(plan.contestants),
        tested_strategies=tested,
        best_strategy=None if best.outcome is None else best.outcome.contestant.name,
        best_metric=best.value,
        best_stats=None if best.outcome is None else dict(best.outcome.figures),
    )


def _place(plan: WalkerPlan) -> dict[str, Any]:
    shared = plan.shared
    return {
        "time_ms": plan.range.end_ms,
        "walker": plan.walker,
        "exchange": shared.exchange,
        "frame": shared.frame,
    }


def _whose(contestant: Contestant) -> dict[str, Any]:
    return {"strategy": contestant.strategy, "contestant": contestant.name}
