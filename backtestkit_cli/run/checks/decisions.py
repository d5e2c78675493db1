"""Decisions as numbers that can be compared: which field differs first, and by what.

* A time without a row is no draft. What is compared are the fields that decide money; a note and an id do not.
* Numbers are equal within 1e-9 of their size: polars may add in another order when a column has another length.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from backtestkit_cli.engine.candles import Floats, Ints
from backtestkit_cli.engine.decide import Answer, Failed
from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.model.signal import Position, SignalDraft

FIELDS = ("position", "price_open", "price_take_profit", "price_stop_loss", "lifetime_minutes", "wait_minutes")
EQUAL_WITHIN = 1e-9
_SIDES: Mapping[float, str | None] = {1.0: "long", -1.0: "short", 0.0: None, 2.0: "an error", 3.0: "no position"}
_SIDE_OF: Mapping[str, float] = {Position.LONG.value: 1.0, Position.SHORT.value: -1.0}
_FAILED, _STRANGE = 2.0, 3.0


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of one decision that is not the same; None is no draft, or no value."""

    time_ms: int
    field: str
    known: str | float | None
    again: str | float | None


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """Drafts by time: `times_ms` ascending, `values` one row per draft with the columns of FIELDS (float64)."""

    times_ms: Ints
    values: Floats

    def __len__(self) -> int:
        return len(self.times_ms)

    @classmethod
    def of_rows(cls, rows: DraftColumns) -> "Decisions":
        """What a strategy said in rows."""
        told = np.flatnonzero((rows.side != 0) & ~rows.warm_up)
        price_open = np.where(rows.has_price_open, rows.price_open, np.nan)
        columns = (
            rows.side.astype(np.float64),
            price_open,
            rows.price_take_profit,
            rows.price_stop_loss,
            rows.lifetime_minutes,
            rows.wait_minutes,
        )
        return cls(rows.time_ms[told], np.column_stack([column[told] for column in columns]))

    @classmethod
    def of_answers(cls, answers: Iterable[tuple[int, Answer]]) -> "Decisions":
        """What a strategy answered, in order of time."""
        told = [(time_ms, _row(answer)) for time_ms, answer in answers if isinstance(answer, SignalDraft | Failed)]
        times = np.array([time_ms for time_ms, _ in told], dtype=np.int64)
        return cls(times, np.array([row for _, row in told], dtype=np.float64).reshape(-1, len(FIELDS)))

    def between(self, first_ms: int, last_ms: int) -> "Decisions":
        """Those from one time to another, both included."""
        first, last = np.searchsorted(self.times_ms, [first_ms, last_ms + 1])
        return Decisions(self.times_ms[first:last], self.values[first:last])

    def at(self, times_ms: Ints) -> Floats:
        """The values at these times, among which all of its own are; no draft is a zero and then NaN."""
        values = np.full((len(times_ms), len(FIELDS)), np.nan)
        values[:, 0] = 0.0
        values[np.searchsorted(times_ms, self.times_ms)] = self.values
        return values


def differences(known: Decisions, again: Decisions, first_ms: int, last_ms: int) -> list[Difference]:
    """The first difference of each field between two times, both included, in the order of FIELDS."""
    one, other = known.between(first_ms, last_ms), again.between(first_ms, last_ms)
    times = np.union1d(one.times_ms, other.times_ms)
    left, right = one.at(times), other.at(times)
    wrong = ~np.isclose(left, right, rtol=EQUAL_WITHIN, atol=0.0, equal_nan=True)
    wrong[wrong[:, 0], 1:] = False  # where the position differs, the rest has nothing to be compared with
    found = []
    for column, name in enumerate(FIELDS):
        rows = np.flatnonzero(wrong[:, column])
        if len(rows):
            row = int(rows[0])
            values = [_shown(values[row, column], is_side=column == 0) for values in (left, right)]
            found.append(Difference(int(times[row]), name, *values))
    return found


def _row(answer: SignalDraft | Failed) -> list[float]:
    if isinstance(answer, Failed):
        return [_FAILED, *[np.nan] * (len(FIELDS) - 1)]
    side = _SIDE_OF.get(str(answer.position), _STRANGE)
    optional = [np.nan if one is None else float(one) for one in (answer.price_open, answer.wait_minutes)]
    levels = [float(one) for one in (answer.price_take_profit, answer.price_stop_loss, answer.lifetime_minutes)]
    return [side, optional[0], *levels, optional[1]]


def _shown(value: float, *, is_side: bool) -> str | float | None:
    if is_side:
        return _SIDES[float(value)]
    return float(value) if np.isfinite(value) else None
