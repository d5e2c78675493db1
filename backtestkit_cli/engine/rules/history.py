"""How much history an expression needs before its values may be used.

Rules kept here:
- lengths count candles of the interval an expression is evaluated on; nested functions add up, `x[n]` adds n;
- `needed` and `settled` are counted from the start of history, and again after a candle that is absent;
- an expression on another interval needs the candles of that interval, as many rows earlier as the functions around
  it look back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import gcd

from backtestkit_cli.engine.rules.expression import Call, Column, Earlier, Expression, Name, On, parts_of
from backtestkit_cli.engine.rules.functions import FUNCTIONS, NO_SPAN, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Candles that must exist without a break for one path through an expression.

    `interval_minutes`: None for the rows themselves. `on_interval`: what the path needs there. `on_rows`: what the
    functions around `on` need in rows; unused for the rows themselves.
    """

    interval_minutes: int | None = None
    on_interval: Span = NO_SPAN
    on_rows: Span = NO_SPAN

    def minutes(self, row_minutes: int, *, settled: bool) -> int:
        """Minutes before a row's time from which the candles must exist."""
        span = self.on_interval
        candles = max(1, span.settled if settled else span.needed) + span.earlier
        rows = (self.on_rows.settled if settled else self.on_rows.needed) + self.on_rows.earlier
        return candles * (self.interval_minutes or row_minutes) + rows * row_minutes

    def lag_minutes(self, row_minutes: int) -> int:
        """Longest time from the close of a candle of the interval to the row that reads it."""
        return self.interval_minutes - gcd(self.interval_minutes, row_minutes) if self.interval_minutes else 0


def longest_minutes(history: Iterable[Reach], row_minutes: int, *, settled: bool) -> int:
    """Minutes before a row's time from which all candles must exist; at least one row."""
    lengths = [reach.minutes(row_minutes, settled=settled) + reach.lag_minutes(row_minutes) for reach in history]
    return max(row_minutes, *lengths) if lengths else row_minutes


def reaches(expression: Expression, of_names: Mapping[str, frozenset[Reach]]) -> frozenset[Reach]:
    """Every path through an expression; `of_names` has those of the `let` names."""
    match expression:
        case Column():
            return frozenset({Reach()})
        case Name(name=name):
            return of_names[name]
        case On(interval_minutes=interval, operand=operand):
            inner = reaches(operand, of_names)
            return frozenset(replace(reach, interval_minutes=interval) for reach in inner)
        case Earlier(operand=operand, rows=rows):
            return _extended(reaches(operand, of_names), Span(earlier=rows))
        case Call(function=name):
            own = frozenset({Reach()} if FUNCTIONS[name].columns else ())
            inner = _joined(reaches(part, of_names) for part in expression.operands)
            return _extended(inner | own, FUNCTIONS[name].span(*expression.lengths))
        case _:
            return _joined(reaches(part, of_names) for part in parts_of(expression))


def _joined(parts: Iterable[frozenset[Reach]]) -> frozenset[Reach]:
    return frozenset[Reach]().union(*parts)


def _extended(inner: Iterable[Reach], span: Span) -> frozenset[Reach]:
    """Add a function's own span to what its arguments reach."""
    return frozenset(
        replace(reach, on_rows=reach.on_rows + span)
        if reach.interval_minutes
        else replace(reach, on_interval=reach.on_interval + span)
        for reach in inner
    )
