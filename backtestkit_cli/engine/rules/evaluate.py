"""The values of expressions on the candles of one interval.

Rules kept here:
- one value per row of the interval's grid; in the row of an absent candle every column is null;
- after every step what is not finite is null;
- windows and recursions are computed on whole columns and once, for all who share a cache;
- what depends on one row alone may be asked for some rows only, with the same bits.
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, reduce
from typing import TypeAlias, TypeVar

import numpy as np

from backtestkit_cli.engine.cache import NOTHING_KEPT, Cache
from backtestkit_cli.engine.candles import Bools, Candles, Floats, Ints
from backtestkit_cli.engine.resample import Resampled
from backtestkit_cli.engine.rules.expression import (
    Arithmetic,
    Call,
    Column,
    Comparison,
    Earlier,
    Expression,
    Flag,
    Logic,
    Name,
    Negative,
    Not,
    Number,
    On,
    kind_of,
    spelled_out,
)
from backtestkit_cli.engine.rules.functions import FUNCTIONS, earlier, finite
from backtestkit_cli.engine.rules.history import Reach
from backtestkit_cli.engine.rules.truth import Truth, both, compare, constant_truth, earlier_truth, either, opposite
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS

Values = TypeVar("Values", Floats, Truth)

PriceAt: TypeAlias = Callable[[Ints], Floats]
"""Answers the price (NaN without a fresh one) at each of the given times in UTC ms."""

Rows: TypeAlias = Ints | slice
"""Rows by number, or a stretch of them."""

_OPERATORS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_HOUR_MS = 60 * MINUTE_MS
_NEVER_MS = 1 << 62


class Evaluation:
    """Expressions on candles of `interval_minutes`; `names` are the expressions of `let`.

    Those who share a cache have the same `price`.
    """

    def __init__(
        self,
        candles: Candles,
        interval_minutes: int,
        price: PriceAt,
        names: Mapping[str, Expression] | None = None,
        cache: Cache = NOTHING_KEPT,
    ) -> None:
        self.larger = Resampled(candles, interval_minutes)
        self._candles = candles
        self._price = price
        self._names = names or {}
        self._cache = cache
        self._numbers: dict[Expression, Floats] = {}
        self._truths: dict[Expression, Truth] = {}
        self._columns: dict[str, Floats] = {}
        self._intervals: dict[int, Evaluation] = {}

    def numbers(self, expression: Expression, rows: Ints | None = None) -> Floats:
        """Values of a number in all rows, or in the given ones; NaN is null."""
        match expression:
            case Number(value=value):
                return np.full(len(self.larger) if rows is None else len(rows), value)
            case Column(name=name):
                return self._column_at(name, rows)
            case Name(name=name) if rows is not None:
                return self.numbers(self._names[name], rows)
            case Negative(operand=operand):
                return -self.numbers(operand, rows)
            case Arithmetic(sign=sign, left=left, right=right):
                return finite(_OPERATORS[sign](self.numbers(left, rows), self.numbers(right, rows)))
            case Call(function=name) if FUNCTIONS[name].is_rowwise:
                parts = [self.numbers(part, rows) for part in expression.operands]
                return finite(np.asarray(FUNCTIONS[name].compute(*parts)))
            case _:
                pass
        if expression not in self._numbers:
            self._numbers[expression] = self._kept(expression, self._whole_numbers)
        column = self._numbers[expression]
        return column if rows is None else column[rows]

    def truth(self, expression: Expression, rows: Ints | None = None) -> Truth:
        """Values of a condition in all rows, or in the given ones."""
        match expression:
            case Flag(value=value):
                return constant_truth(value=value, rows=len(self.larger) if rows is None else len(rows))
            case Name(name=name) if rows is not None:
                return self.truth(self._names[name], rows)
            case Comparison(sign=sign, left=left, right=right):
                return compare(sign, self.numbers(left, rows), self.numbers(right, rows))
            case Not(operand=operand):
                return opposite(self.truth(operand, rows))
            case Logic(word=word, operands=operands):
                return reduce(both if word == "and" else either, [self.truth(operand, rows) for operand in operands])
            case _:
                pass
        if expression not in self._truths:
            self._truths[expression] = self._kept(expression, self._whole_truth)
        whole = self._truths[expression]
        return whole if rows is None else whole[rows]

    def has_history(self, needs: Iterable[Reach], rows: Rows, *, settled: bool) -> Bools:
        """Which of the given rows have the candles that their expressions need, or need to be settled."""
        times_ms = self.larger.close_ms[rows]
        enough = np.ones(len(times_ms), dtype=bool)
        for reach in needs:
            asked = self._on(reach.interval_minutes) if reach.interval_minutes else self
            length_ms = reach.minutes(self.larger.interval_minutes, settled=settled) * MINUTE_MS
            enough &= asked.run_start_ms(times_ms) + length_ms <= times_ms
        return enough

    def run_start_ms(self, times_ms: Ints) -> Ints | int:
        """Open of the first candle of the unbroken run that ends with the last closed candle at each time."""
        if self.larger.is_whole:
            return self.larger.first_open_ms
        row = self._last_closed(times_ms)
        return np.where(row >= 0, self._run_starts_ms[row] if len(self.larger) else _NEVER_MS, _NEVER_MS)

    @cached_property
    def _run_starts_ms(self) -> Ints:
        exists = self.larger.exists
        places = np.arange(len(exists))
        last_absent = np.maximum.accumulate(np.where(exists, -1, places))
        length_ms = self.larger.interval_minutes * MINUTE_MS
        return np.where(exists, self.larger.first_open_ms + (last_absent + 1) * length_ms, _NEVER_MS)

    def _last_closed(self, times_ms: Ints) -> Ints:
        """Row of the candle that closes last at or before each time; -1 where there is none."""
        row = (times_ms - self.larger.first_open_ms) // (self.larger.interval_minutes * MINUTE_MS) - 1
        return np.maximum(row, -1)

    def _on(self, interval_minutes: int) -> "Evaluation":
        if interval_minutes not in self._intervals:
            self._intervals[interval_minutes] = Evaluation(
                self._candles, interval_minutes, self._price, cache=self._cache
            )
        return self._intervals[interval_minutes]

    def _kept(self, expression: Expression, make: Callable[[Expression], Values]) -> Values:
        if isinstance(expression, Name):
            return make(expression)
        key = "expression", self._candles, self.larger.interval_minutes, spelled_out(expression, self._names)
        return self._cache.get(key, lambda: make(expression))

    def _whole_numbers(self, expression: Expression) -> Floats:
        match expression:
            case Name(name=name):
                return self.numbers(self._names[name])
            case Earlier(operand=operand, rows=count):
                return earlier(self.numbers(operand), count)
            case On(interval_minutes=interval, operand=operand):
                row, is_there = self._aligned(interval)
                column = self._on(interval).numbers(operand)
                return np.where(is_there, column[row], np.nan) if len(column) else np.full(len(row), np.nan)
            case Call():
                return finite(np.asarray(self._called(expression)))
            case _:
                raise TypeError(f"{expression} is no number")

    def _whole_truth(self, expression: Expression) -> Truth:
        match expression:
            case Name(name=name):
                return self.truth(self._names[name])
            case Earlier(operand=operand, rows=count):
                return earlier_truth(self.truth(operand), count)
            case On(interval_minutes=interval, operand=operand):
                row, is_there = self._aligned(interval)
                if not len(self._on(interval).larger):
                    return Truth(is_there, is_there)
                value = self._on(interval).truth(operand)[row]
                return Truth(value.yes & is_there, value.no & is_there)
            case Call():
                answer = self._called(expression)
                if isinstance(answer, Truth):
                    return answer
            case _:
                pass
        raise TypeError(f"{expression} is no condition")

    def _called(self, call: Call) -> Floats | Truth:
        function = FUNCTIONS[call.function]
        columns = (self._column(name) for name in function.columns)
        arguments = (part if isinstance(part, int) else self.numbers(part) for part in call.arguments)
        return function.compute(*columns, *arguments)

    def _aligned(self, interval_minutes: int) -> tuple[Ints, Bools]:
        """For each row the candle of another interval it sees, and whether that candle exists."""
        other = self._on(interval_minutes)
        row = other._last_closed(self.larger.close_ms)  # noqa: SLF001  # the same class on another interval
        is_there = row >= 0
        return row, is_there if other.larger.is_whole or not len(other.larger) else is_there & other.larger.exists[row]

    def _column_at(self, name: str, rows: Ints | None) -> Floats:
        if rows is None:
            return self._column(name)
        if name == "price" and name not in self._columns:
            return self._price_at(rows)
        return self._column(name)[rows]

    def _column(self, name: str) -> Floats:
        if name not in self._columns:
            key = "column", self._candles, self.larger.interval_minutes, name
            self._columns[name] = self._cache.get(key, lambda: self._built(name))
        return self._columns[name]

    def _built(self, name: str) -> Floats:
        larger = self.larger
        match name:
            case "typical":
                return finite((self._column("high") + self._column("low") + self._column("close")) / 3)
            case "vwap":
                return finite(self._resampled("vwap"))
            case "price":
                return self._price_at(np.arange(len(larger)))
            case "hour":
                return self._where_exists(larger.close_ms // _HOUR_MS % 24)
            case "weekday":
                return self._where_exists((larger.close_ms // DAY_MS + 3) % 7 + 1)
            case _:
                return self._resampled(name)

    def _resampled(self, name: str) -> Floats:
        """A column of the larger candles, from those of all candles: a larger one depends on its own minutes alone."""
        whole, minutes = self._cache.source(self._candles), self.larger.interval_minutes
        column = self._cache.get(("resampled", whole, minutes, name), lambda: getattr(Resampled(whole, minutes), name))
        return np.asarray(column[len(column) - len(self.larger) :])

    def _price_at(self, rows: Ints) -> Floats:
        key = "price", self._candles, self.larger.interval_minutes, rows.tobytes()
        price = self._cache.get(key, lambda: (rows, finite(self._price(self.larger.close_ms[rows]))))[1]
        return price if self.larger.is_whole else np.where(self.larger.exists[rows], price, np.nan)

    def _where_exists(self, column: Ints) -> Floats:
        return np.where(self.larger.exists, column, np.nan)


def evaluate(evaluation: Evaluation, expression: Expression, rows: Ints | None = None) -> Floats | Truth:
    """Values of an expression of either kind."""
    if kind_of(expression) == "truth":
        return evaluation.truth(expression, rows)
    return evaluation.numbers(expression, rows)
