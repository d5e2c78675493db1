"""Which numbers, texts, powers, ranges and annotations Python of a language model may have.

Small values only make large ones step by step: what a few letters could blow up (powers, repeated texts, wide formats,
long ranges) is refused where it is written.
"""

import ast
from collections.abc import Iterator

MOST_REPEATS = 10_000
LARGEST_NUMBER = 10**15
LARGEST_POWER = 16
LONGEST_TEXT = 1_000
_LONGEST_FORMAT = 6
_TEXTS_AND_LISTS = (ast.JoinedStr, ast.List, ast.Tuple, ast.Dict, ast.ListComp, ast.DictComp)

Findings = Iterator[tuple[ast.AST, str]]


def constant(node: ast.Constant) -> Findings:
    """A number or a text that is too large, or a value of another kind."""
    match node.value:
        case bool() | None | float():
            pass
        case str(text):
            if len(text) > LONGEST_TEXT or not text.replace("\n", "").isprintable():
                yield node, f"a text that is longer than {LONGEST_TEXT} characters, or cannot be printed"
        case int(number):
            if abs(number) > LARGEST_NUMBER:
                yield node, f"a number above {LARGEST_NUMBER:.0e}"
        case other:
            if other is not ...:
                yield node, f"a value of type {type(other).__name__}"


def operation(node: ast.BinOp) -> Findings:
    """A text or list that is repeated, a text filled by %, or a large power."""
    match node.op:
        case ast.Mult() if any(_is_text(one) or isinstance(one, _TEXTS_AND_LISTS) for one in (node.left, node.right)):
            yield node, "a text or list that is repeated"
        case ast.Mod() if _is_text(node.left):
            yield node, "a text that is filled by %; write an f-string"
        case ast.Pow() if not _is_small_power(node):
            yield node, f"a power; its exponent is a plain number of at most {LARGEST_POWER}, its base holds no power"


def filled_text(node: ast.FormattedValue) -> Findings:
    """A format that is computed, or wide."""
    for part in getattr(node.format_spec, "values", ()):
        if not isinstance(part, ast.Constant) or len(str(part.value)) > _LONGEST_FORMAT:
            yield node, "a format that is not plain and short, such as .2f"


def annotation(node: ast.expr | None) -> Findings:
    """A text in a type: Python would run it when somebody asks for the type."""
    for one in () if node is None else ast.walk(node):
        if _is_text(one):
            yield one, "a type that is written as a text"


def default(node: ast.expr | None) -> Findings:
    """A default that is computed."""
    if node is not None and not is_plain(node):
        yield node, "a default that is no plain number, text or tuple of such"


def is_plain(node: ast.expr) -> bool:
    """Whether it is written out: a number, text, truth value, None, or a tuple of such."""
    match node:
        case ast.Constant() | ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float())):
            return True
        case ast.Tuple(elts=parts):
            return all(is_plain(part) for part in parts)
        case _:
            return False


def is_bounded_range(arguments: list[ast.expr]) -> bool:
    """Whether its length is in the text: small numbers, lengths, or an end `min(..., small number)`."""
    match arguments:
        case [*starts, ast.Call(func=ast.Name(id="min"), args=choices, keywords=[])] if len(starts) < 2:
            return all(_is_small(one) for one in starts) and any(_is_small_number(one) for one in choices)
        case _:
            return all(_is_small(one) for one in arguments)


def _is_small(node: ast.expr) -> bool:
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return _is_small(inner)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
            return _is_small(left) and _is_small(right)
        case ast.Call(func=ast.Name(id="len")):
            return True
        case _:
            return _is_small_number(node)


def _is_small_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value <= MOST_REPEATS


def _is_small_power(node: ast.BinOp) -> bool:
    exponent = node.right.operand if isinstance(node.right, ast.UnaryOp) else node.right
    number = exponent.value if isinstance(exponent, ast.Constant) else None
    is_deep = any(isinstance(one, ast.Pow) for one in ast.walk(node.left))
    return isinstance(number, int | float) and number <= LARGEST_POWER and not is_deep


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
