"""What a run withstands: its result beside those of other orders, days, entries, costs and markets.

A part that could not be tested is None, or empty, and has one of `reasons`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from backtestkit_cli.engine.result import RunResult, RunStatus
from backtestkit_cli.measure.resampled import ResampledDays, ShuffledTrades, Spread
from backtestkit_cli.model.policy import Costs

Test = Literal["order", "days", "entries", "delay", "costs", "markets"]
FACTORS = (0.5, 1.0, 1.5, 2.0, 3.0)
DELAYS = (1, 2, 5)
LEVEL = 0.05
UNIT = Costs(fee_percent=0.1, slippage_percent=0.0)
"""What is multiplied where a run has no costs."""

_HIGHEST = 2.0**12
_EXACT = 1e-6
_NOTHING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryLuck:
    """What the entries made against random ones; `strategy` and `symbol` are empty for all streams together."""

    strategy: str = ""
    symbol: str = ""
    trades: int
    pnl_percent: float
    draws: Spread
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayStep:
    """What is left when every entry comes so many minutes later; `left_out` counts those that could not."""

    minutes: int
    pnl_percent: float
    trades: int
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CostStep:
    """What is left at so many times the costs."""

    factor: float
    costs: Costs
    pnl_percent: float
    trades: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnMarket:
    """What the strategies made in a market that was drawn; `sharpe` is yearly, None where no two days differ."""

    pnl_percent: float
    trades: int
    sharpe: float | None
    drawdown_percent: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Robustness:
    """The tests of a run as far as they came; `status` is theirs.

    `costs` has one step for each factor of costs; at `break_even` times them nothing is left, None where that is never.
    `entries` has all streams first, then each where there are several.
    """

    run: RunResult
    status: RunStatus
    pnl_percent: float
    trades: int
    order: ShuffledTrades | None = None
    days: ResampledDays | None = None
    entries: tuple[EntryLuck, ...] = ()
    delays: tuple[DelayStep, ...] = ()
    costs: tuple[CostStep, ...] = ()
    break_even: CostStep | None = None
    markets: tuple[DrawnMarket, ...] = ()
    reasons: Mapping[Test, str] = field(default_factory=dict)


def scaled(costs: Costs, factor: float) -> Costs:
    """So many times some costs."""
    return Costs(fee_percent=costs.fee_percent * factor, slippage_percent=costs.slippage_percent * factor)


def break_even(made: Callable[[float], float]) -> float | None:
    """The factor of costs at which nothing is left, to a millionth; `made` tells what is left at a factor.

    None where nothing is there without costs, or where 4096 times the costs leave something. Where more costs make a
    jump, as when they change what risk allows, it is the factor of the jump.
    Source: the Illinois form of the false position, M. Dowell and P. Jarratt, BIT 11 (1971).
    """
    low, high, left = 0.0, 1.0, made(0.0)
    if left <= 0:
        return None
    while (lost := made(high)) > 0:
        low, left, high = high, lost, high * 2
        if high > _HIGHEST:
            return None
    step = 0
    while high - low > _EXACT * high:
        step += 1  # every third one halves, so that a jump is closed in on too
        middle = (low + high) / 2 if step % 3 == 0 else low + (high - low) * left / (left - lost)
        value = made(middle)
        if abs(value) < _NOTHING:
            return middle
        if value > 0:
            low, left, lost = middle, value, lost / 2
        else:
            high, lost, left = middle, value, left / 2
    return (low + high) / 2
