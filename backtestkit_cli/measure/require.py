"""`--require`: a condition over metrics that every stream of a run has to meet.

* It has the operators of the rule language over the keys of the metrics, and no functions. The original's figures are
  `original.KEY` and `original_all.KEY`.
* Only what is true is met: a metric that is N/A is null, and a condition that needs it is not true.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import get_args

from backtestkit_cli.engine.result import RunResult, StreamRun
from backtestkit_cli.engine.rules.expression import Arithmetic, Column, Comparison, Expression, Logic, Negative, Not
from backtestkit_cli.engine.rules.parse import RuleProblem
from backtestkit_cli.engine.rules.scalar import parse_condition, value_of
from backtestkit_cli.errors import Problem, Source, UsageError
from backtestkit_cli.measure.metrics import Metric
from backtestkit_cli.measure.money import unsized_metrics
from backtestkit_cli.measure.original_metrics import Happened, Scope, happened, original_metrics
from backtestkit_cli.measure.statistics import empty_metrics, stream_metrics

HINT = "the report of the run tells more"


@dataclass(frozen=True, slots=True)
class Requirement:
    """A condition over metrics, as it was written and as it is read."""

    text: str
    condition: Expression


def parse_requirement(text: str) -> Requirement:
    """Read the condition of `--require`.

    Raises:
        UsageError: it is none, or names something that is no metric.
    """
    keys = frozenset((*(metric.key for metric in empty_metrics()), *_original_keys()))
    try:
        return Requirement(text, parse_condition(text, keys, frozenset()))
    except RuleProblem as problem:
        place = Source(column=problem.column, key="--require")
        expected = 'a condition over metrics such as "trades>=30 and max_drawdown_percent<20"'
        error = Problem("bad-requirement", problem.what, place, found=text, expected=expected, hint=problem.hint)
        raise UsageError(error) from problem


def unmet(requirement: Requirement, run: RunResult) -> tuple[Problem, ...]:
    """One problem for each stream of a run that does not meet a requirement."""
    return tuple(problem for stream in run.streams for problem in _unmet_by(stream, requirement, run))


def _unmet_by(stream: StreamRun, requirement: Requirement, run: RunResult) -> Iterator[Problem]:
    found_metrics = (*unsized_metrics(), *stream_metrics(stream, run.range, run.balance))
    measured = {metric.key: metric for metric in found_metrics}
    if any("." in name for name in _names(requirement.condition)):
        measured |= _originals(happened(stream))
    values = {key: math.nan if metric.value is None else metric.value for key, metric in measured.items()}
    if value_of(requirement.condition, values) is not True:
        what = f"{stream.strategy} on {stream.symbol} does not meet {requirement.text!r}"
        found = ", ".join(_told(measured[key]) for key in dict.fromkeys(_names(requirement.condition)))
        yield Problem("requirement-not-met", what, Source(key="--require"), found=found or None, hint=HINT)


def _original_keys() -> tuple[str, ...]:
    return tuple(_originals(Happened(trades=())))


def _originals(told: Happened) -> dict[str, Metric]:
    """The original's figures, with the scope they count in front of their keys."""
    scopes = get_args(Scope)
    found = [(scope, one) for scope in scopes for one in original_metrics(told, scope)]
    return {f"{scope}.{one.key}": replace(one, key=f"{scope}.{one.key}") for scope, one in found}


def _told(metric: Metric) -> str:
    return f"{metric.key} N/A ({metric.reason})" if metric.value is None else f"{metric.key} {metric.value:.10g}"


def _names(expression: Expression) -> Iterator[str]:
    """The metrics of a condition, in the order in which they stand there."""
    match expression:
        case Column(name=name):
            yield name
        case Negative(operand=operand) | Not(operand=operand):
            yield from _names(operand)
        case Arithmetic(left=left, right=right) | Comparison(left=left, right=right):
            yield from _names(left)
            yield from _names(right)
        case Logic(operands=operands):
            for operand in operands:
                yield from _names(operand)
        case _:
            return
