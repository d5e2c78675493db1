"""What rules saw at one row: every `let`, every side of the conditions, the levels; and the same one row before.

The values are those of the evaluation that decided; nothing is computed in another way.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from backtestkit_cli.engine.candles import Candles, Ints
from backtestkit_cli.engine.rules.decide import SIDES, CompiledRules, Side
from backtestkit_cli.engine.rules.evaluate import Evaluation, PriceAt, evaluate
from backtestkit_cli.engine.rules.expression import (
    Call,
    Comparison,
    Earlier,
    Expression,
    Logic,
    Name,
    Not,
    On,
)
from backtestkit_cli.engine.rules.levels import Level, Percent, expressions_of
from backtestkit_cli.engine.rules.truth import Truth
from backtestkit_cli.engine.rules.written import number_text, written
from backtestkit_cli.model.time import MINUTE_MS

Value: TypeAlias = float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An expression with its value at a row and one row before; None is null, or no such row."""

    text: str
    now: Value
    before: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPart:
    """A part of a condition that is true or false by itself, and the values it compares."""

    whole: Seen
    sides: tuple[Seen, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRules:
    """What rules saw at the row that closes at `row_ms`; `before_ms` is the close of the row before.

    `is_there` tells whether that row has a candle; without one there is no decision. Lengths of history are minutes.
    """

    row_ms: int
    before_ms: int
    is_there: bool
    needed_minutes: int
    settled_minutes: int
    lets: tuple[Seen, ...]
    conditions: Mapping[Side, Seen]
    parts: Mapping[Side, tuple[SeenPart, ...]]
    levels: Mapping[str, tuple[Seen, ...]]


def seen_rules(rules: CompiledRules, candles: Candles, time_ms: int, price: PriceAt) -> SeenRules | None:
    """What the rules saw at a decision time; None where none of their rows ends."""
    evaluation = Evaluation(candles, rules.row_minutes, price, rules.names)
    row = int(np.searchsorted(evaluation.larger.close_ms, time_ms))
    if row == len(evaluation.larger) or evaluation.larger.close_ms[row] != time_ms:
        return None
    look = _Look(evaluation, row)
    conditions = {side: rules.conditions[side] for side in SIDES if side in rules.conditions}
    with np.errstate(all="ignore"):
        return SeenRules(
            row_ms=time_ms,
            before_ms=time_ms - rules.row_minutes * MINUTE_MS,
            is_there=bool(evaluation.larger.exists[row]),
            needed_minutes=rules.needed_minutes,
            settled_minutes=rules.settled_minutes,
            lets=tuple(look.at(expression, name) for name, expression in rules.names.items()),
            conditions={side: look.at(one) for side, one in conditions.items()},
            parts={side: tuple(look.parts(one, rules.names)) for side, one in conditions.items()},
            levels={name: look.level(level) for name, level in _levels(rules)},
        )


def _levels(rules: CompiledRules) -> Iterator[tuple[str, Level]]:
    if rules.limit is not None:
        yield "limit", rules.limit
    yield "take_profit", rules.take_profit
    yield "stop_loss", rules.stop_loss


@dataclass(frozen=True, slots=True)
class _Look:
    """One row of an evaluation, and the row before."""

    evaluation: Evaluation
    row: int

    def at(self, expression: Expression, text: str | None = None) -> Seen:
        """An expression of either kind."""
        rows = np.array([self.row, max(self.row - 1, 0)], dtype=np.int64)
        now, before = self._values(expression, rows)
        return Seen(text=text or written(expression), now=now, before=before if self.row else None)

    def _values(self, expression: Expression, rows: Ints) -> list[Value]:
        found = evaluate(self.evaluation, expression, rows)
        if isinstance(found, Truth):
            pairs = zip(found.yes.tolist(), found.no.tolist(), strict=True)
            return [True if yes else False if no else None for yes, no in pairs]
        return [None if np.isnan(value) else value for value in found.tolist()]

    def parts(self, condition: Expression, names: Mapping[str, Expression]) -> Iterator[SeenPart]:
        """The comparisons and functions that a condition joins; a name of `let` stands for what it names."""
        match condition:
            case Logic(operands=operands):
                for operand in operands:
                    yield from self.parts(operand, names)
            case Not(operand=operand):
                yield from self.parts(operand, names)
            case Name(name=name):
                yield from self.parts(names[name], names)
            case _:
                sides = tuple(self.at(side) for side in sides_of(condition))
                yield SeenPart(whole=self.at(condition), sides=sides)

    def level(self, level: Level) -> tuple[Seen, ...]:
        """The distance, or the prices, of a level."""
        if isinstance(level, Percent):
            text = f"{number_text(level.percent)}%"
            return (Seen(text=text, now=level.percent, before=level.percent),)
        return tuple(self.at(expression) for expression in expressions_of(level))


def sides_of(condition: Expression) -> tuple[Expression, ...]:
    """What a part of a condition looks at: two sides, or what a function is given, on its interval and row."""
    match condition:
        case Comparison(left=left, right=right):
            return (left, right)
        case Call(operands=operands):
            return operands
        case Earlier(operand=operand, rows=rows):
            return tuple(Earlier(side, rows) for side in sides_of(operand))
        case On(interval_minutes=minutes, operand=operand):
            return tuple(On(minutes, side) for side in sides_of(operand))
        case _:
            return ()
