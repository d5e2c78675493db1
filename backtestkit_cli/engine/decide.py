"""What a decider answers at a decision time, and the decider that replays rows.

A decider is asked at every free decision time with a fresh price. Rules, vectorised Python and CSV signals are rows:
their decider only looks them up.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol, TypeAlias

import numpy as np

from backtestkit_cli.engine.candles import Ints
from backtestkit_cli.engine.drafts import DISTANCE_RULES, DraftColumns
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.signal import Position, SignalDraft


class NoDraft(Enum):
    """Why a decision made no draft."""

    NONE = auto()
    WARM_UP = auto()
    AMBIGUOUS = auto()


@dataclass(frozen=True, slots=True)
class Unusable:
    """A draft whose levels could not be computed; the rules say which."""

    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """The call raised or answered something that is no draft."""

    what: str


Answer: TypeAlias = SignalDraft | NoDraft | Unusable | Failed


def count_answer(funnel: Funnel, answer: Answer) -> None:
    """Count one decision where its answer belongs."""
    match answer:
        case NoDraft.NONE:
            funnel.no_draft += 1
        case NoDraft.WARM_UP:
            funnel.warm_up += 1
        case NoDraft.AMBIGUOUS:
            funnel.ambiguous += 1
        case Failed():
            funnel.errors += 1
        case _:
            funnel.drafts += 1


class Decider(Protocol):
    """The strategy as the engine sees it."""

    def decide(self, time_ms: int, price: float) -> Answer:
        """The one answer at a decision time."""
        ...

    def has_row(self, time_ms: int) -> bool:
        """Whether a computed row with a position stands at that time."""
        ...

    def is_short_history(self, time_ms: int) -> bool:
        """Whether the decision at that time rests on a history shorter than its indicators need to settle."""
        ...


class RowDecider:
    """Answers from rows that were computed, or read, beforehand."""

    def __init__(self, rows: DraftColumns) -> None:
        self.rows = rows
        self._at = {time: row for row, time in enumerate(rows.time_ms.tolist())}

    def decide(self, time_ms: int, price: float) -> Answer:  # noqa: ARG002  # rows know their price
        """Look the row up."""
        row = self._at.get(time_ms)
        return NoDraft.NONE if row is None else answer_of(self.rows, row)

    def has_row(self, time_ms: int) -> bool:
        """Whether a row with a position stands there."""
        row = self._at.get(time_ms)
        return row is not None and bool(self.rows.side[row])

    def is_short_history(self, time_ms: int) -> bool:
        """As the row says."""
        row = self._at.get(time_ms)
        return row is not None and bool(self.rows.short_history[row])


def answer_of(rows: DraftColumns, row: int) -> Answer:
    """One row as an answer."""
    if rows.warm_up[row]:
        return NoDraft.WARM_UP
    if rows.ambiguous[row]:
        return NoDraft.AMBIGUOUS
    if not rows.side[row]:
        return NoDraft.NONE
    if rows.distance_problem[row]:
        return Unusable(distance_rules(int(rows.distance_problem[row])))
    return SignalDraft(
        position=Position.LONG if rows.side[row] > 0 else Position.SHORT,
        price_open=float(rows.price_open[row]) if rows.has_price_open[row] else None,
        price_take_profit=float(rows.price_take_profit[row]),
        price_stop_loss=float(rows.price_stop_loss[row]),
        lifetime_minutes=float(rows.lifetime_minutes[row]),
        wait_minutes=None if np.isnan(rows.wait_minutes[row]) else float(rows.wait_minutes[row]),
        note=rows.note(row),
        id=rows.ids[row] if rows.ids else None,
    )


def distance_rules(bits: int) -> tuple[str, ...]:
    """The names of the distances that could not be used."""
    return tuple(name for bit, name in DISTANCE_RULES if bits & bit)


def decision_ticks(start_ms: int, end_ms: int, step_ms: int, interval_ms: int) -> Ints:
    """The ticks of a frame that lie on the strategy's UTC grid, ascending (UTC ms)."""
    ticks = np.arange(start_ms, end_ms, step_ms, dtype=np.int64)
    on_grid: Ints = ticks[ticks % interval_ms == 0]
    return on_grid
