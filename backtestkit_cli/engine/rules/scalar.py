"""Expressions on single values: the operators of the rule language without columns of candles.

Three-valued like the columns: an operation on null, or one whose result is not finite, is null.
"""

import math
import operator
from collections.abc import Callable, Mapping

from backtestkit_cli.engine.rules.expression import (
    Arithmetic,
    Column,
    Comparison,
    Expression,
    Flag,
    Logic,
    Name,
    Negative,
    Not,
    Number,
)
from backtestkit_cli.engine.rules.parse import RuleProblem, Scope, parse

_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_COMPARISON: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}

Value = float | bool | None


def parse_condition(text: str, numbers: frozenset[str], truths: frozenset[str]) -> Expression:
    """Read a condition over named values.

    Raises:
        RuleProblem: it is none, or uses more than operators.
    """
    expression = parse(text, Scope(columns=numbers, lets=dict.fromkeys(truths, "truth")), kind="truth")
    _check_plain(expression)
    return expression


def value_of(expression: Expression, values: Mapping[str, float | bool]) -> Value:
    """The value of an expression of `parse_condition`; None is null."""
    match expression:
        case Number(value=number):
            return number
        case Flag(value=flag):
            return flag
        case Column(name=name) | Name(name=name):
            return _finite(values[name])
        case Negative(operand=operand):
            inner = value_of(operand, values)
            return None if inner is None else -inner
        case Arithmetic(sign=sign, left=left, right=right):
            return _combined(_ARITHMETIC[sign], value_of(left, values), value_of(right, values))
        case Comparison(sign=sign, left=left, right=right):
            return _combined(_COMPARISON[sign], value_of(left, values), value_of(right, values))
        case Not(operand=operand):
            truth = value_of(operand, values)
            return None if truth is None else not truth
        case Logic(word=word, operands=operands):
            return _joined(word, [value_of(operand, values) for operand in operands])
        case _:
            raise TypeError(f"{expression} is no plain expression")


def _check_plain(expression: Expression) -> None:
    match expression:
        case Number() | Flag() | Column() | Name():
            return
        case Negative(operand=operand) | Not(operand=operand):
            _check_plain(operand)
        case Arithmetic(left=left, right=right) | Comparison(left=left, right=right):
            _check_plain(left)
            _check_plain(right)
        case Logic(operands=operands):
            for operand in operands:
                _check_plain(operand)
        case _:
            raise RuleProblem("only operators can be used here, no functions", hint="compare the named values")


def _finite(value: float | bool) -> Value:
    return value if math.isfinite(value) else None


def _combined(operation: Callable[[float, float], float | bool], left: Value, right: Value) -> Value:
    if left is None or right is None:
        return None
    try:
        return _finite(operation(left, right))
    except (ZeroDivisionError, OverflowError):
        return None


def _joined(word: str, truths: list[Value]) -> Value:
    decisive = word == "or"
    if any(truth is decisive for truth in truths):
        return decisive
    return None if None in truths else not decisive
