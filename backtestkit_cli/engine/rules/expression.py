"""The words of a parsed rule: one frozen type per kind of expression.

Params are already replaced by their values, so that an expression means the same wherever it stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from backtestkit_cli.engine.rules.functions import FUNCTIONS, Kind


@dataclass(frozen=True, slots=True)
class Number:
    """A constant column."""

    value: float


@dataclass(frozen=True, slots=True)
class Flag:
    """A constant truth value: a param that is true or false."""

    value: bool


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the candles, or of the time of their rows."""

    name: str


@dataclass(frozen=True, slots=True)
class Name:
    """A name of `let`."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Negative:
    """Unary minus."""

    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`+ - * /` of two numbers."""

    sign: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of two numbers."""

    sign: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Not:
    """Negation of a truth value."""

    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Logic:
    """`and` or `or` of several truth values."""

    word: str
    operands: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Earlier:
    """`x[n]`: the value of n rows before."""

    operand: "Expression"
    rows: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the language: its columns and its lengths, each in the order of its arguments."""

    function: str
    arguments: tuple["Expression | int", ...]

    @property
    def operands(self) -> tuple["Expression", ...]:
        """Arguments that are expressions."""
        return tuple(argument for argument in self.arguments if not isinstance(argument, int))

    @property
    def lengths(self) -> tuple[int, ...]:
        """Arguments that are lengths."""
        return tuple(argument for argument in self.arguments if isinstance(argument, int))


@dataclass(frozen=True, slots=True)
class On:
    """An expression on the candles of another interval."""

    interval_minutes: int
    operand: "Expression"


Expression: TypeAlias = (
    Number | Flag | Column | Name | Negative | Arithmetic | Comparison | Not | Logic | Earlier | Call | On
)


def kind_of(expression: Expression) -> Kind:
    """Whether an expression is a number or a truth value."""
    match expression:
        case Number() | Column() | Negative() | Arithmetic():
            return "number"
        case Flag() | Comparison() | Not() | Logic():
            return "truth"
        case Name(kind=kind):
            return kind
        case Earlier(operand=operand) | On(operand=operand):
            return kind_of(operand)
        case _:
            return FUNCTIONS[expression.function].answers


def parts_of(expression: Expression) -> tuple[Expression, ...]:
    """Expressions directly inside an expression."""
    match expression:
        case Negative(operand=operand) | Not(operand=operand) | Earlier(operand=operand) | On(operand=operand):
            return (operand,)
        case Arithmetic(left=left, right=right) | Comparison(left=left, right=right):
            return (left, right)
        case Logic(operands=operands):
            return operands
        case Call():
            return expression.operands
        case _:
            return ()


def spelled_out(expression: Expression, names: Mapping[str, Expression]) -> Expression:
    """The same expression with what each name of `let` stands for in its place."""
    if isinstance(expression, Name):
        return spelled_out(names[expression.name], names)
    parts = (_spelled_out(getattr(expression, field.name), names) for field in fields(expression))
    return type(expression)(*parts)


def _spelled_out(part: Any, names: Mapping[str, Expression]) -> Any:
    if isinstance(part, tuple):
        return tuple(_spelled_out(one, names) for one in part)
    return spelled_out(part, names) if isinstance(part, Expression) else part
