"""What a mutant may be: one small change of the code that a test should notice.

An operator answers with the text that takes the place of a node. Left alone are annotations, decorators, patterns,
texts, `zip(strict=...)` and `assert_never`: a change there breaks the types or the words, not the meaning.
"""

import ast
from collections.abc import Iterator

_BOUNDARY = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
_NEGATION = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_PAIRS = [("min", "max"), ("minimum", "maximum"), ("any", "all"), ("floor", "ceil"), ("argmin", "argmax")]
_NAMES = {old: new for one, other in _PAIRS for old, new in ((one, other), (other, one))}
_ORDER_MEANS_NOTHING = {"min", "max", "minimum", "maximum", "fmin", "fmax"}
_WORDS = {"left": "right", "right": "left"}


def replacements(node: ast.AST) -> Iterator[str]:
    """Every text that may take the place of this node."""
    match node:
        case ast.Compare():
            yield from _comparison(node)
        case ast.BinOp(op=op) if type(op) in _ARITHMETIC:
            yield _written(ast.BinOp(node.left, _ARITHMETIC[type(op)](), node.right))
        case ast.BoolOp():
            yield from _truth(node)
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert()):
            yield _written(node.operand)
        case ast.Constant():
            yield from _constant(node.value)
        case ast.Call():
            yield from _call(node)
        case ast.Slice():
            yield from _slice(node)
        case ast.Name(id=name, ctx=ast.Load()) if name in _NAMES:
            yield _NAMES[name]
        case ast.Attribute(attr=name) if name in _NAMES:
            yield f"{_written(node.value)}.{_NAMES[name]}"
        case ast.stmt():
            yield from _statement(node)
        case _:
            pass


def conditions(node: ast.AST) -> list[ast.expr]:
    """The conditions a node decides by, where they are no comparisons or connections of such."""
    found: list[ast.expr] = []
    match node:
        case ast.If() | ast.While() | ast.IfExp():
            found = [node.test]
        case ast.comprehension():
            found = node.ifs
        case _:
            pass
    plain = (test for test in found if not isinstance(test, (ast.Compare, ast.BoolOp, ast.UnaryOp)))
    return [test for test in plain if ast.unparse(test) != "TYPE_CHECKING"]


def negated(test: ast.expr) -> str:
    """The opposite of a condition."""
    return _written(ast.UnaryOp(ast.Not(), test))


def _written(node: ast.expr) -> str:
    text = ast.unparse(node)
    return text if isinstance(node, (ast.Name, ast.Attribute, ast.Call, ast.Subscript)) else f"({text})"


def _comparison(node: ast.Compare) -> Iterator[str]:
    for place, op in enumerate(node.ops):
        for table in (_BOUNDARY, _NEGATION):
            if type(op) in table:
                ops = [*node.ops[:place], table[type(op)](), *node.ops[place + 1 :]]
                yield _written(ast.Compare(node.left, ops, node.comparators))


def _truth(node: ast.BoolOp) -> Iterator[str]:
    yield _written(ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values))
    for place in range(len(node.values)):
        rest = node.values[:place] + node.values[place + 1 :]
        yield _written(ast.BoolOp(node.op, rest) if len(rest) > 1 else rest[0])


def _constant(value: object) -> Iterator[str]:
    match value:
        case bool():
            yield str(not value)
        case int() | float():
            yield from (f"({value + 1!r})", f"({value - 1!r})")
        case str() if value in _WORDS:
            yield repr(_WORDS[value])


def _call(node: ast.Call) -> Iterator[str]:
    if isinstance(node.func, ast.Name) and node.func.id == "abs":
        yield _written(node.args[0])
    if len(node.args) > 1 and not any(isinstance(one, ast.Starred) for one in node.args[:2]):
        first, second, *rest = node.args
        name = ast.unparse(node.func).rpartition(".")[2]
        if name not in _ORDER_MEANS_NOTHING and ast.dump(first) != ast.dump(second):
            yield _written(ast.Call(node.func, [second, first, *rest], node.keywords))


def _slice(node: ast.Slice) -> Iterator[str]:
    if node.lower is not None:
        yield ast.unparse(ast.Slice(None, node.upper, node.step))
    if node.upper is not None:
        yield ast.unparse(ast.Slice(node.lower, None, node.step))


def _statement(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            yield "return None"
        case ast.AugAssign(op=op):
            yield "pass"
            if type(op) in _ARITHMETIC:
                yield ast.unparse(ast.AugAssign(node.target, _ARITHMETIC[type(op)](), node.value))
        case ast.Expr(value=ast.Call(func=ast.Name(id="assert_never"))):
            pass
        case ast.Expr(value=ast.Call() | ast.Yield() | ast.YieldFrom()) | ast.Raise():
            yield "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield "pass"
        case ast.Continue():
            yield "break"
        case ast.Break():
            yield "continue"
        case ast.If(body=[ast.Return() | ast.Continue()], orelse=[]):
            yield "pass"
        case _:
            pass
