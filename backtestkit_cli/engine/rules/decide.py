"""What compiled rules say at each of their rows.

Rules kept here:
- only a true condition fires; long and short at once is ambiguous and no draft;
- before the needed history there is no decision; rows of absent candles do not exist;
- levels count from the entry: the limit, else the price; a limit lies on the better side of the price.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from backtestkit_cli.engine.cache import NOTHING_KEPT, Cache
from backtestkit_cli.engine.candles import Bools, Candles, Floats, Ints
from backtestkit_cli.engine.drafts import LIMIT_DISTANCE, STOP_LOSS_DISTANCE, TAKE_PROFIT_DISTANCE, DraftColumns
from backtestkit_cli.engine.rules.evaluate import Evaluation, PriceAt, Rows
from backtestkit_cli.engine.rules.expression import Column, Expression
from backtestkit_cli.engine.rules.history import Reach
from backtestkit_cli.engine.rules.levels import Level, level_prices

Side: TypeAlias = Literal["long", "short"]
SIDES: tuple[Side, ...] = ("long", "short")
SideColumn: TypeAlias = npt.NDArray[np.int8]


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

    def decide(
        self, candles: Candles, first_ms: int, last_ms: int, price: PriceAt, cache: Cache = NOTHING_KEPT
    ) -> DraftColumns:
        """Answer every row with `first_ms <= time <= last_ms` from the candles since the start of history."""
        evaluation = Evaluation(candles, self.row_minutes, price, self.names, cache)
        times_ms = evaluation.larger.close_ms
        first, last = np.searchsorted(times_ms, [first_ms, last_ms + 1])
        rows: Rows = slice(int(first), int(last))
        if not evaluation.larger.is_whole:
            rows = np.flatnonzero(evaluation.larger.exists[rows]) + first
        with np.errstate(all="ignore"):
            return self._drafts(evaluation, rows)

    def _drafts(self, evaluation: Evaluation, rows: Rows) -> DraftColumns:
        warm_up = ~evaluation.has_history(self.history, rows, settled=False)
        short_history = ~evaluation.has_history(self.history, rows, settled=True) & ~warm_up
        fires = [self._fires(evaluation, side, rows) & ~warm_up for side in SIDES]
        ambiguous = fires[0] & fires[1]
        told = np.flatnonzero(fires[0] | fires[1] | warm_up | short_history)
        side = (fires[0].astype(np.int8) - fires[1].astype(np.int8))[told]
        told_rows = told + rows.start if isinstance(rows, slice) else rows[told]
        priced = self._priced(evaluation, told_rows, side)
        return DraftColumns(
            time_ms=evaluation.larger.close_ms[told_rows],
            side=side,
            ambiguous=ambiguous[told],
            warm_up=warm_up[told],
            short_history=short_history[told],
            has_price_open=np.full(len(told), self.limit is not None),
            price=priced.price,
            price_open=priced.open,
            price_take_profit=priced.take_profit,
            price_stop_loss=priced.stop_loss,
            lifetime_minutes=np.full(len(told), float(self.lifetime_minutes)),
            wait_minutes=np.full(len(told), np.nan if self.wait_minutes is None else float(self.wait_minutes)),
            distance_problem=priced.problem,
            notes=self.note,
        )

    def _fires(self, evaluation: Evaluation, side: Side, rows: Rows) -> Bools:
        condition = self.conditions.get(side)
        if condition is None:
            return np.zeros(len(evaluation.larger.close_ms[rows]), dtype=bool)
        return evaluation.truth(condition).yes[rows]

    def _priced(self, evaluation: Evaluation, rows: Ints, side: SideColumn) -> "_Priced":
        """Prices of the rows that fire; NaN in all others."""
        nothing = np.full(len(rows), np.nan)
        priced = _Priced(nothing, nothing.copy(), nothing.copy(), nothing.copy(), np.zeros(len(rows), dtype=np.int8))
        fired = np.flatnonzero(side)
        asked, sign = rows[fired], side[fired].astype(np.float64)
        entry = priced.price[fired] = evaluation.numbers(Column("price"), asked)
        if self.limit is not None:
            entry, is_wrong = level_prices(self.limit, evaluation, asked, entry, sign, gains=False)
            priced.open[fired] = entry
            priced.problem[fired] += LIMIT_DISTANCE * is_wrong
        priced.take_profit[fired], is_wrong = level_prices(self.take_profit, evaluation, asked, entry, sign, gains=True)
        priced.problem[fired] += TAKE_PROFIT_DISTANCE * is_wrong
        priced.stop_loss[fired], is_wrong = level_prices(self.stop_loss, evaluation, asked, entry, sign, gains=False)
        priced.problem[fired] += STOP_LOSS_DISTANCE * is_wrong
        return priced


@dataclass(frozen=True, slots=True)
class _Priced:
    """Prices of drafts, row by row."""

    price: Floats
    open: Floats
    take_profit: Floats
    stop_loss: Floats
    problem: SideColumn
