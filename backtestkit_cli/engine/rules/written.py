"""Writing a parsed expression as the text of a rule: with the values of its params, no more brackets than needed."""

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
)
from backtestkit_cli.model.time import Interval

_STRENGTH = {"or": 1, "and": 2, "not": 3, "compare": 4, "+": 5, "-": 5, "*": 6, "/": 6, "minus": 7, "atom": 8}
_INTERVALS = {interval.minutes: interval.value for interval in Interval}


def written(expression: Expression) -> str:
    """The text of an expression; `parse` reads it back as the same one."""
    return _text(expression)[0]


def _text(expression: Expression) -> tuple[str, int]:
    """The text, and how strongly it holds together."""
    match expression:
        case Number(value=value):
            return number_text(value), _STRENGTH["atom"] if value >= 0 else _STRENGTH["minus"]
        case Flag(value=value):
            return ("true" if value else "false"), _STRENGTH["atom"]
        case Column(name=name) | Name(name=name):
            return name, _STRENGTH["atom"]
        case Negative(operand=operand):
            return f"-{_within(operand, _STRENGTH['minus'])}", _STRENGTH["minus"]
        case Arithmetic(sign=sign, left=left, right=right):
            own = _STRENGTH[sign]
            return f"{_within(left, own)} {sign} {_within(right, own + 1)}", own
        case Comparison(sign=sign, left=left, right=right):
            own = _STRENGTH["compare"]
            return f"{_within(left, own + 1)} {sign} {_within(right, own + 1)}", own
        case Not(operand=operand):
            return f"not {_within(operand, _STRENGTH['not'])}", _STRENGTH["not"]
        case Logic(word=word, operands=operands):
            own = _STRENGTH[word]
            return f" {word} ".join(_within(one, own + 1) for one in operands), own
        case Earlier(operand=operand, rows=rows):
            return f"{_within(operand, _STRENGTH['atom'])}[{rows}]", _STRENGTH["atom"]
        case Call(function=function, arguments=arguments):
            parts = (str(one) if isinstance(one, int) else written(one) for one in arguments)
            return f"{function}({', '.join(parts)})", _STRENGTH["atom"]
        case _:
            return f"on('{_INTERVALS[expression.interval_minutes]}', {written(expression.operand)})", _STRENGTH["atom"]


def _within(expression: Expression, least: int) -> str:
    text, strength = _text(expression)
    return text if strength >= least else f"({text})"


def number_text(value: float) -> str:
    """A number as it is written in a rule."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
