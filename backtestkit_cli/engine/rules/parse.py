"""Reading a rule: which texts are rules, and what they mean.

Rules kept here:
- the language is a subset of Python's expressions, read by `ast` and taken node by node from an allow-list;
- at most 500 characters, at most 100 levels deep; no chained comparisons; the only text is the interval of `on`;
- numbers and truth values never mix: conditions join with and / or / not, numbers with + - * / and comparisons;
- lengths are whole numbers or params, at least 1; `n` of `x[n]` at least 0;
- inside `on` stand neither names of `let` nor another `on`.
"""

import ast
import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from typing import NoReturn, TypeAlias

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
)
from backtestkit_cli.engine.rules.functions import FUNCTIONS, LENGTHS, Kind
from backtestkit_cli.model.time import Interval

MAX_CHARACTERS = 500
MAX_DEPTH = 100
MAX_LENGTH = 100_000  # rows; longer windows are mistakes, and would never end

COLUMNS = frozenset({"open", "high", "low", "close", "volume", "typical", "vwap", "price", "hour", "weekday"})
INTERVALS = tuple(interval.value for interval in Interval if interval is not Interval.D3)

_ARITHMETIC: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_KIND_WORDS: dict[Kind, str] = {"number": "a number", "truth": "a condition"}

ParamValue: TypeAlias = float | int | str | bool


class RuleProblem(ValueError):  # noqa: N818  # a problem to be told with others, not an error of its own
    """A text that is no rule: what is wrong, in which column (from 1), and what to do."""

    def __init__(self, what: str, *, column: int | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.column = column
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The names a rule may use: columns, params with their values, names of `let` with their kind.

    A name of `let` without a kind is known but could not be read.
    """

    columns: frozenset[str] = COLUMNS
    params: Mapping[str, ParamValue] = field(default_factory=dict)
    lets: Mapping[str, Kind | None] = field(default_factory=dict)


class BrokenName(RuleProblem):
    """A rule that uses a name of `let` which is itself wrong; nothing new to report."""


def parse(text: str, scope: Scope | None = None, *, kind: Kind | None = None) -> Expression:
    """Read a rule; with `kind` it must be a number or a condition.

    Raises:
        RuleProblem: the text is no rule of that kind.
    """
    if len(text) > MAX_CHARACTERS:
        raise RuleProblem(
            f"the rule has {len(text)} characters, more than {MAX_CHARACTERS}", hint="split it with `let`"
        )
    reader = _Reader(scope or Scope(), indent=len(text) - len(text.lstrip()))
    expression = reader.read(_tree(text), 1)
    if kind is not None and kind_of(expression) != kind:
        found, wanted = _KIND_WORDS[kind_of(expression)], _KIND_WORDS[kind]
        hint = "compare it with something" if kind == "truth" else "a condition has no amount"
        raise RuleProblem(f"the rule is {found}, not {wanted}", column=1 + reader.indent, hint=hint)
    return expression


@lru_cache(1024)
def _tree(text: str) -> ast.expr:
    """The syntax tree of a rule that may be written over several lines; nobody changes it."""
    for sign, hint in {"#": "notes belong into the YAML", "\\": "lines need no sign at their end"}.items():
        if sign in text:
            raise RuleProblem(f"{sign!r} has no meaning in a rule", column=text.index(sign) + 1, hint=hint)
    if not text.isascii():
        column = next(place for place, letter in enumerate(text, 1) if not letter.isascii())
        raise RuleProblem(f"{text[column - 1]!r} has no meaning in a rule", column=column, hint="use plain letters")
    line = "".join(" " if letter.isspace() else letter for letter in text)
    if not line.strip():
        raise RuleProblem("the rule is empty", column=1)
    indent = len(line) - len(line.lstrip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return ast.parse(line.strip(), mode="eval").body
    except SyntaxError as error:
        length = len(line.strip())
        column = min(error.offset or length, length) + indent  # Python gives no place for a missing end
        raise RuleProblem(f"the rule cannot be read: {error.msg}", column=column, hint=_spelling_hint(line)) from None
    except (ValueError, MemoryError, RecursionError):
        raise RuleProblem("the rule cannot be read", hint="split it with `let`") from None


def _spelling_hint(line: str) -> str | None:
    words = {"&&": "and", "||": "or", "!": "not", "=": "=="}
    for sign, word in words.items():
        if sign in line.replace("!=", "").replace("==", "").replace("<=", "").replace(">=", ""):
            return f"write {word!r} instead of {sign!r}"
    return None


class _Reader:
    """Turns a syntax tree into an expression, node by node."""

    def __init__(self, scope: Scope, *, indent: int) -> None:
        self.scope = scope
        self.indent = indent
        self._is_inside_on = False

    def read(self, node: ast.expr, depth: int) -> Expression:
        """Read one node of the allow-list."""
        if depth > MAX_DEPTH:
            self._refuse(node, f"the rule is more than {MAX_DEPTH} levels deep", "split it with `let`")
        match node:
            case ast.Constant(value=value):
                return self._constant(node, value)
            case ast.Name(id=name):
                return self._name(node, name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return Negative(self._number(operand, depth))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Not(self._condition(operand, depth))
            case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _ARITHMETIC:
                return Arithmetic(_ARITHMETIC[type(sign)], self._number(left, depth), self._number(right, depth))
            case ast.BoolOp(op=word, values=values):
                joined = tuple(self._condition(value, depth) for value in values)
                return Logic("and" if isinstance(word, ast.And) else "or", joined)
            case ast.Compare():
                return self._comparison(node, depth)
            case ast.Subscript(value=operand, slice=index):
                return Earlier(self.read(operand, depth + 1), self._length(index, least=0))
            case ast.Call():
                return self._call(node, depth)
            case ast.BinOp() | ast.UnaryOp():
                return self._refuse(node, "this operator is not part of the language", "it has + - * / and unary minus")
            case _:
                return self._dotted(node)

    def _dotted(self, node: ast.expr) -> Expression:
        """Read a name in two parts, where there are such columns; nothing else is left."""
        match node:
            case ast.Attribute(value=ast.Name(id=group), attr=name) if any("." in one for one in self.scope.columns):
                return self._name(node, f"{group}.{name}")
            case _:
                return self._refuse(node, f"{_words_of(node)} is not part of the language", None)

    def _number(self, node: ast.expr, depth: int) -> Expression:
        return self._of_kind(
            node, depth, "number", "and, or, not join conditions; + - * / and comparisons join numbers"
        )

    def _condition(self, node: ast.expr, depth: int) -> Expression:
        return self._of_kind(node, depth, "truth", "compare it with something")

    def _of_kind(self, node: ast.expr, depth: int, kind: Kind, hint: str) -> Expression:
        expression = self.read(node, depth + 1)
        found = kind_of(expression)
        if found != kind:
            self._refuse(node, f"{_KIND_WORDS[kind]} is needed here, this is {_KIND_WORDS[found]}", hint)
        return expression

    def _constant(self, node: ast.expr, value: object) -> Expression:
        if isinstance(value, str):
            self._refuse(node, f"the text {value!r} cannot stand here", "the only text is the interval of on('1h', …)")
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._refuse(node, f"{value!r} is not part of the language", None)
        return self._finite(node, value)

    def _finite(self, node: ast.expr, value: float) -> Number:
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self._refuse(node, "the number is not finite", None)
        return Number(number)

    def _name(self, node: ast.expr, name: str) -> Expression:
        scope = self.scope
        if name in scope.params and (name in scope.columns or name in FUNCTIONS or name == "on"):
            self._refuse(node, f"{name!r} is a param and a word of the language", "rename the param")
        if name in scope.columns:
            return Column(name)
        if name in scope.params:
            return self._param(node, name, scope.params[name])
        if name in scope.lets:
            return self._let(node, name, scope.lets[name])
        if name in FUNCTIONS:
            self._refuse(node, f"{name!r} is a function", f"write {name}{FUNCTIONS[name].usage}")
        return self._refuse(node, f"nothing has the name {name!r}", self._nearest(name, {*FUNCTIONS, "on"}))

    def _param(self, node: ast.expr, name: str, value: ParamValue) -> Expression:
        if isinstance(value, bool):
            return Flag(value)
        if isinstance(value, str):
            self._refuse(node, f"the param {name!r} is a text", "rules count with numbers")
        return self._finite(node, value)

    def _let(self, node: ast.expr, name: str, kind: Kind | None) -> Expression:
        if self._is_inside_on:
            self._refuse(node, f"the `let` name {name!r} cannot stand inside `on`", "write its expression there")
        if kind is None:
            raise BrokenName(f"the `let` name {name!r} cannot be read")
        return Name(name, kind)

    def _comparison(self, node: ast.Compare, depth: int) -> Expression:
        if len(node.ops) > 1:
            self._refuse(node, "comparisons cannot be chained", "write a < b and b < c")
        sign = _COMPARISONS.get(type(node.ops[0]))
        if sign is None:
            self._refuse(node, "this comparison is not part of the language", "it has < <= > >= == !=")
        return Comparison(sign, self._number(node.left, depth), self._number(node.comparators[0], depth))

    def _call(self, node: ast.Call, depth: int) -> Expression:
        if not isinstance(node.func, ast.Name):
            self._refuse(node, "only functions of the language can be called", None)
        name = node.func.id
        if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
            self._refuse(node, "arguments are given by place only", f"write {name}(a, b)")
        if name == "on":
            return self._on(node, depth)
        function = FUNCTIONS.get(name)
        if function is None:
            self._refuse(node, f"there is no function {name!r}", self._nearest(name, (), also=FUNCTIONS))
        takes = function.takes
        if takes[-1] == "...":
            takes = (*takes[:-1], *(["a"] * (len(node.args) - len(takes) + 1)))
        if len(node.args) != len(takes):
            what = f"{name} takes {len(takes)} argument{'s' * (len(takes) != 1)}, not {len(node.args)}"
            self._refuse(node, what, f"write {name}{function.usage}")
        arguments = (
            self._length(argument, least=1) if taken in LENGTHS else self._number(argument, depth)
            for taken, argument in zip(takes, node.args, strict=True)
        )
        return Call(name, tuple(arguments))

    def _on(self, node: ast.Call, depth: int) -> Expression:
        if self._is_inside_on:
            self._refuse(node, "`on` cannot stand inside another `on`", None)
        match node.args:
            case [ast.Constant(value=str(interval)), operand] if interval in INTERVALS:
                pass
            case [ast.Constant(value=str(interval)), _]:
                self._refuse(node.args[0], f"{interval!r} is no interval", f"known are {', '.join(INTERVALS)}")
            case _:
                self._refuse(node, "`on` takes an interval and an expression", "write on('1h', ema(close, 50))")
        self._is_inside_on = True
        try:
            return On(Interval(interval).minutes, self.read(operand, depth + 1))
        finally:
            self._is_inside_on = False

    def _length(self, node: ast.expr, *, least: int) -> int:
        value: object = None
        match node:
            case ast.Constant(value=constant):
                value = constant
            case ast.Name(id=name) if name in self.scope.params:
                value = self.scope.params[name]
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float())):
                self._refuse(node, f"a number of rows is at least {least}", "rules cannot look forward")
            case ast.Name(id=name):
                self._refuse(node, f"no param has the name {name!r}", self._nearest(name, ()))
            case _:
                pass
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
            self._refuse(node, "a number of rows is a whole number or a param that is one", None)
        if not least <= value <= MAX_LENGTH:
            self._refuse(node, f"a number of rows is from {least} to {MAX_LENGTH}, not {value}", None)
        return int(value)

    def _nearest(self, name: str, words: Iterable[str], also: Iterable[str] = ()) -> str | None:
        scope = self.scope
        known = {*also} if also else {*scope.columns, *scope.params, *scope.lets, *words}
        longer = [one for one in sorted(known) if one.startswith(f"{name}_")]
        percents = [one for one in longer if one.endswith("_percent")]  # what a name without a unit means, as a rule
        near = percents or longer or get_close_matches(name, sorted(known), n=1, cutoff=0.5)
        return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"

    def _refuse(self, node: ast.expr, what: str, hint: str | None) -> NoReturn:
        raise RuleProblem(what, column=node.col_offset + self.indent + 1, hint=hint)


def _words_of(node: ast.expr) -> str:
    """What a trader would call a piece of Python that rules do not have."""
    words = {"IfExp": "if … else", "Lambda": "a lambda", "Attribute": "a dot", "NamedExpr": "an assignment"}
    return words.get(type(node).__name__, f"a Python {type(node).__name__.lower()}")
