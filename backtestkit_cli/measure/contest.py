"""What a comparison of strategies found: of each its figures and its days, who stands where, and what is no luck.

* `place` goes by the value of one metric, the better first and N/A last; of equal ones the first in the config. Under a
  metric of the original its own table is repeated: of equal ones the last tested stands first, though the first tested
  is the best.
* `rank` is 1 + the number of strategies whose days were better beyond luck (`measure/ranking.py`).
* Of a strategy nothing is kept that grows with its trades.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial, reduce
from typing import NamedTuple, TypeAlias, get_args

import numpy as np

from backtestkit_cli.engine.result import RunResult
from backtestkit_cli.measure.equity import DailyEquity, mark_times, run_equity
from backtestkit_cli.measure.metrics import Metric
from backtestkit_cli.measure.money import unsized_metrics
from backtestkit_cli.measure.original_metrics import Happened, Scope, happened, original_metrics
from backtestkit_cli.measure.ranking import MOST_RANKED, Matrix, ranks
from backtestkit_cli.measure.statistics import empty_metrics, run_metrics
from backtestkit_cli.measure.trust import Finding
from backtestkit_cli.model.time import TimeRange

LOWER_IS_BETTER = frozenset(
    (
        "losses",
        "deviation_percent",
        "max_drawdown_percent",
        "max_drawdown_hours",
        "longest_loss_streak",
        "exposure_percent",
        "average_duration_hours",
        "volatility_percent",
        "daily_drawdown_percent",
        "daily_drawdown_days",
        "balance_drawdown_quote",
        "balance_drawdown_percent",
        "max_exposure_percent",
    )
)
ORIGINAL_LOWER_IS_BETTER = frozenset(
    (
        "loss_count",
        "std_dev",
        "heat_max_drawdown",
        "heat_loss_count",
        "heat_std_dev",
        "heat_max_loss_streak",
        "schedule_total_cancelled",
        "schedule_cancellation_rate",
        "schedule_avg_wait_time",
        "schedule_avg_activation_time",
        "partial_total_loss",
        "risk_total_rejections",
    )
)

Param: TypeAlias = tuple[str, bool | int | float | str]
"""A varied param and its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One strategy, or one variant of it: `params` are those that are varied, in the order of the config."""

    name: str
    strategy: str
    params: tuple[Param, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one contestant made: `figures` by key, None where there is one of `reasons`; its worth at the daily marks.

    `hold_percent` is buy and hold of the same. `failures` counts what its code raised or answered wrongly.
    """

    contestant: Contestant
    run_id: str
    figures: Mapping[str, float | int | None]
    reasons: Mapping[str, str]
    equity: Sequence[float]
    is_money: bool
    hold_percent: float | None
    findings: Sequence[Finding] = ()
    failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A contestant that came to no result, and why."""

    contestant: Contestant
    code: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a contestant stands; `rank` is None where it was not looked at."""

    place: int
    rank: int | None
    value: float | None
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """A comparison, whole or as far as it came; `run` is what all contestants share, without streams.

    `contestants` are all that were to be tested, in the order of the config, as are `outcomes` and `failed`.
    `fingerprint` is that of the candles.
    """

    walker: str
    metric: str
    symbols: tuple[str, ...]
    contestants: tuple[Contestant, ...]
    outcomes: tuple[Outcome, ...]
    failed: tuple[Failed, ...]
    run: RunResult
    fingerprint: str
    note: str = ""


def value_of(outcome: Outcome, metric: str) -> float | None:
    """The figure of a contestant, if it is a finite number."""
    value = outcome.figures[metric]
    return value if value is not None and math.isfinite(value) else None


class Best(NamedTuple):
    """The best so far, and its value."""

    outcome: Outcome | None
    value: float | None


NOBODY = Best(None, None)


# ---- metrics


def scope_of(metric: str) -> Scope | None:
    """Whose figure a metric is: the original's, in one of its scopes; None for one of ours."""
    first = metric.partition(".")[0]
    return next((scope for scope in get_args(Scope) if first == scope and "." in metric), None)


def is_lower_better(metric: str) -> bool:
    """Which direction of a metric is the good one."""
    scope, key = scope_of(metric), metric.rpartition(".")[2]
    return key in (LOWER_IS_BETTER if scope is None else ORIGINAL_LOWER_IS_BETTER)


@cache
def known_metrics() -> Mapping[str, Metric]:
    """Every metric that can rank, by its whole key."""
    ours = {one.key: one for one in empty_metrics()}
    nothing = Happened(trades=())
    return ours | {
        f"{scope}.{one.key}": replace(one, label=f"{one.label} of the original")
        for scope in get_args(Scope)
        for one in original_metrics(nothing, scope)
    }


def measured(run: RunResult, metric: str) -> dict[str, Metric]:
    """Measure all streams of a run together; the original's figures only where they rank."""
    found = {one.key: one for one in (*unsized_metrics(), *run_metrics(run))}
    scope = scope_of(metric)
    if scope is not None:
        told = _together([happened(stream) for stream in run.streams])
        found |= {f"{scope}.{one.key}": one for one in original_metrics(told, scope)}
    return found


def outcome_of(
    contestant: Contestant, run: RunResult, metric: str, hold_percent: float | None, findings: tuple[Finding, ...]
) -> Outcome:
    """Take down what a contestant made, without its trades."""
    figures, equity = measured(run, metric), run_equity(run)
    return Outcome(
        contestant=contestant,
        run_id=run.run_id,
        figures={key: one.value for key, one in figures.items()},
        reasons={key: one.reason for key, one in figures.items() if one.reason},
        equity=tuple(equity.values.tolist()),
        is_money=equity.is_money,
        hold_percent=hold_percent,
        findings=findings,
        failures=sum(stream.failures for stream in run.streams),
    )


def daily_equity(outcome: Outcome, contest: Contest) -> DailyEquity:
    """The worth of a contestant at each daily mark."""
    return worth_within(outcome, contest.run.range)


def worth_within(outcome: Outcome, within: TimeRange) -> DailyEquity:
    """The worth of an outcome at each daily mark of the range that it was tested on."""
    times_ms = np.append(np.int64(within.start_ms), mark_times(within))
    return DailyEquity(times_ms=times_ms, values=np.array(tuple(outcome.equity)), is_money=outcome.is_money)


def _together(told: Sequence[Happened]) -> Happened:
    """What happened in several streams as if it were one; at equal times in the order of the streams."""
    if len(told) == 1:
        return told[0]
    trades = [trade._replace(symbol="") for one in told for trade in one.trades]
    return Happened(
        trades=tuple(sorted(trades, key=lambda trade: trade.closed_ms)),
        entries=tuple(sorted((entry for one in told for entry in one.entries), key=lambda entry: entry.time_ms)),
        levels=tuple(level for one in told for level in one.levels),
        refusals=sum(one.refusals for one in told),
    )


# ---- places and ranks


def placed(values: Sequence[float | None], metric: str) -> list[int]:
    """Order contestants by their values, in the order of the config, for a table."""
    sign = 1 if is_lower_better(metric) else -1
    order = list(range(len(values)))
    if scope_of(metric) is not None:
        order.reverse()

    def key(one: int) -> tuple[bool, float]:
        value = values[one]
        return value is None, 0.0 if value is None else sign * value

    return sorted(order, key=key)


def best_of(outcomes: Sequence[Outcome], metric: str) -> Best:
    """The best of some contestants; of equal ones the first, and nobody where none has a value."""
    return reduce(partial(better, metric=metric), outcomes, NOBODY)


def better(best: Best, outcome: Outcome, metric: str) -> Best:
    """The best so far, or another contestant that is better."""
    value, sign = value_of(outcome, metric), 1 if is_lower_better(metric) else -1
    is_better = value is not None and (best.value is None or sign * value < sign * best.value)
    return Best(outcome, value) if is_better else best


def standings(contest: Contest) -> tuple[Standing, ...]:
    """Place and rank everybody who finished, in order of place.

    Ranks are told of the first 200 places.
    """
    values = [value_of(outcome, contest.metric) for outcome in contest.outcomes]
    order = placed(values, contest.metric)
    known = dict(zip(order[:MOST_RANKED], _ranks(contest, order[:MOST_RANKED]), strict=True))
    return tuple(
        Standing(place=place, rank=known.get(one), value=values[one], outcome=contest.outcomes[one])
        for place, one in enumerate(order, 1)
    )


def _ranks(contest: Contest, chosen: Sequence[int]) -> list[int]:
    """The ranks of some; computed in order of names, so that the order of the config does not matter."""
    outcomes = contest.outcomes
    if not outcomes:
        return []
    by_name = sorted(range(len(outcomes)), key=lambda one: outcomes[one].contestant.name)
    row = {one: place for place, one in enumerate(by_name)}
    return ranks(_Changes(contest, by_name), int(contest.fingerprint[:16], 16), [row[one] for one in chosen])


@dataclass(frozen=True, slots=True)
class _Changes:
    """What each day brought the outcomes of a comparison, in some order; rows are made when they are asked for."""

    contest: Contest
    order: Sequence[int]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.order), len(self.contest.outcomes[0].equity) - 1

    def __getitem__(self, rows: slice | list[int]) -> Matrix:
        asked = self.order[rows] if isinstance(rows, slice) else [self.order[row] for row in rows]
        return np.stack([daily_equity(self.contest.outcomes[one], self.contest).changes for one in asked])
