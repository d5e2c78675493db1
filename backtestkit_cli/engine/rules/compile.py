"""Rules as a whole: from the texts of a strategy to its drafts.

Rules kept here:
- every text is read and all problems are told together, each with its key;
- only a true condition fires; long and short at once is ambiguous and no draft;
- before the needed history there is no decision; rows of absent candles do not exist;
- distances count from the entry: the limit, else the price; a limit lies on the better side of the price.
"""

import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np

from backtestkit_cli.engine.candles import Bools, Candles, Floats, Ints
from backtestkit_cli.engine.drafts import LIMIT_DISTANCE, STOP_LOSS_DISTANCE, TAKE_PROFIT_DISTANCE, DraftColumns
from backtestkit_cli.engine.rules.evaluate import Evaluation, PriceAt
from backtestkit_cli.engine.rules.expression import Expression, Name, On, kind_of, parts_of
from backtestkit_cli.engine.rules.functions import FUNCTIONS, Kind
from backtestkit_cli.engine.rules.history import Reach, reaches
from backtestkit_cli.engine.rules.parse import (
    COLUMNS,
    INTERVALS,
    BrokenName,
    ParamValue,
    RuleProblem,
    Scope,
    parse,
)
from backtestkit_cli.model.time import Interval

Side: TypeAlias = Literal["long", "short"]
SIDES: tuple[Side, ...] = ("long", "short")
LevelText: TypeAlias = str | Mapping[str, str]

_PERCENT = re.compile(r"\s*(-?(?:\d+\.?\d*|\.\d+))\s*%\s*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSpec:
    """The texts of one strategy, as they are configured.

    `candles_minutes`: row interval. `let`: name to expression, in order. `entry_limit`: None enters at the market.
    Levels are a distance (an expression or a text such as `2%`), or a mapping `{long, short}` of absolute prices.
    """

    candles_minutes: int
    take_profit: LevelText
    stop_loss: LevelText
    lifetime_minutes: int
    let: Mapping[str, str] = field(default_factory=dict)
    long: str | None = None
    short: str | None = None
    entry_limit: LevelText | None = None
    wait_minutes: int | None = None
    note: str = ""


class RuleProblems(ValueError):
    """Rules that are wrong: every problem with its key, such as `let.trend` or `take_profit.long`."""

    def __init__(self, problems: tuple[tuple[str, RuleProblem], ...]) -> None:
        super().__init__("; ".join(f"{key}: {problem.what}" for key, problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Percent:
    """A distance in percent of the entry."""

    percent: float


@dataclass(frozen=True, slots=True)
class Distance:
    """A distance in price units."""

    expression: Expression


@dataclass(frozen=True, slots=True)
class Prices:
    """An absolute price per side."""

    of_side: Mapping[str, Expression]


Level: TypeAlias = Percent | Distance | Prices


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledRules:
    """Rules that can be asked. Lengths of history are minutes before a decision, without the window of the price."""

    row_minutes: int
    intervals: frozenset[int]
    needed_minutes: int
    settled_minutes: int
    lifetime_minutes: int
    wait_minutes: int | None
    note: str
    names: Mapping[str, Expression]
    conditions: Mapping[Side, Expression]
    limit: Level | None
    take_profit: Level
    stop_loss: Level
    history: frozenset[Reach]

    def decide(self, candles: Candles, first_ms: int, last_ms: int, price: PriceAt) -> DraftColumns:
        """Answer every row with `first_ms <= time <= last_ms` from the candles since the start of history."""
        evaluation = Evaluation(candles, self.row_minutes, price, self.names)
        times_ms = evaluation.larger.close_ms
        first, last = np.searchsorted(times_ms, [first_ms, last_ms + 1])
        rows = np.arange(first, last)
        if not evaluation.larger.is_whole:
            rows = rows[evaluation.larger.exists[rows]]
        with np.errstate(all="ignore"):
            return self._drafts(evaluation, rows)

    def _drafts(self, evaluation: Evaluation, rows: Ints) -> DraftColumns:
        warm_up = ~evaluation.has_history(self.history, rows, settled=False)
        short_history = ~evaluation.has_history(self.history, rows, settled=True) & ~warm_up
        fires = [self._fires(evaluation, side, rows) & ~warm_up for side in SIDES]
        ambiguous = fires[0] & fires[1]
        told = np.flatnonzero(fires[0] | fires[1] | warm_up | short_history)
        side = (fires[0].astype(np.int8) - fires[1].astype(np.int8))[told]
        levels = self._levels(evaluation, rows[told], side)
        return DraftColumns(
            time_ms=evaluation.larger.close_ms[rows[told]],
            side=side,
            ambiguous=ambiguous[told],
            warm_up=warm_up[told],
            short_history=short_history[told],
            price_open=levels.limit,
            price_take_profit=levels.take_profit,
            price_stop_loss=levels.stop_loss,
            lifetime_minutes=np.full(len(told), float(self.lifetime_minutes)),
            wait_minutes=np.full(len(told), np.nan if self.wait_minutes is None else float(self.wait_minutes)),
            distance_problem=levels.problem,
            notes=self.note,
        )

    def _fires(self, evaluation: Evaluation, side: Side, rows: Ints) -> Bools:
        condition = self.conditions.get(side)
        if condition is None:
            return np.zeros(len(rows), dtype=bool)
        return evaluation.truth(condition).yes[rows]

    def _levels(self, evaluation: Evaluation, rows: Ints, side: "np.ndarray[tuple[int], np.dtype[np.int8]]") -> "_Levels":
        """Prices of the rows that fire; NaN in all others."""
        levels = _Levels.empty(len(rows))
        fired = np.flatnonzero(side)
        if not len(fired):
            return levels
        asked = _Asked(evaluation, rows[fired], side[fired].astype(np.float64), levels.problem[fired])
        entry = price = evaluation.numbers(_PRICE, rows[fired])
        if self.limit is not None:
            entry = levels.limit[fired] = asked.price(self.limit, price, -1, LIMIT_DISTANCE)
        levels.take_profit[fired] = asked.price(self.take_profit, entry, 1, TAKE_PROFIT_DISTANCE)
        levels.stop_loss[fired] = asked.price(self.stop_loss, entry, -1, STOP_LOSS_DISTANCE)
        levels.problem[fired] = asked.problem
        return levels
