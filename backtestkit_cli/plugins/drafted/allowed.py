"""Whether Python that a language model wrote says only what it may: by its text alone, nothing of it runs.

* The words are those of `allowed_names`; every other piece of syntax, name or import is refused with its place.
* A module and a function have one meaning in the whole file, and names of Python keep theirs, so that the text of a
  call says what is called. Functions are called by name, never handed on, and only below where they are written: none
  comes back to itself.
* Loops end: a `range` is bounded, nothing is made longer in place, and at most two loops stand in each other.
* What a reader sees is what runs: no control characters, none that turn the direction of a line, in comments neither.
* It does not prove that a program is quick or right: for that there are the limits of the process it runs in, and
  `check`.
"""

import ast
import builtins
from collections import Counter
from collections.abc import Iterator

from backtestkit_cli.errors import Problem, Source
from backtestkit_cli.plugins.drafted import allowed_values as values
from backtestkit_cli.plugins.drafted.allowed_names import ATTRIBUTES, DECORATORS, FUNCTIONS, MODULES, SYNTAX
from backtestkit_cli.plugins.drafted.allowed_values import Findings

MOST_CHARACTERS = 20_000
MOST_LOOPS = 2
_PYTHONS_OWN = frozenset(dir(builtins))
_IMPORTS = "write import polars as pl, import math, or from backtestkit_cli import resample"


def refusals(text: str, file: str) -> list[Problem]:
    """Everything in a Python file that a language model may not write; none where all of it is allowed."""
    if len(text) > MOST_CHARACTERS:
        return [_problem(f"a file longer than {MOST_CHARACTERS} characters", Source(file=file))]
    for number, line in enumerate(text.replace("\t", " ").split("\n"), 1):
        if not line.isprintable():
            return [_problem("characters that do not show what they are", Source(file=file, line=number))]
    try:
        tree = ast.parse(text)
        found = list(_File(tree).findings())
    except SyntaxError as error:
        return [_problem(f"no Python: {error.msg}", Source(file=file, line=error.lineno, column=error.offset))]
    except (ValueError, RecursionError, MemoryError):
        return [_problem("no Python that can be read", Source(file=file))]
    return [_problem(what, _place(node, file)) for node, what in found]


def _problem(what: str, where: Source) -> Problem:
    return Problem("not-allowed", f"this may not stand in Python of a language model: {what}", where)


def _place(node: ast.AST, file: str) -> Source:
    return Source(file=file, line=getattr(node, "lineno", None), column=getattr(node, "col_offset", -1) + 1 or None)


class _File:
    """One file: the names it binds, then its nodes from top to bottom."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._bound = Counter(name for node in ast.walk(tree) for name in _bound_by(node))
        self._written = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        self._modules: dict[str, str] = {}
        self._imported: set[str] = set()
        self._callable: set[str] = set(FUNCTIONS)
        self._loops = 0

    def findings(self) -> Findings:
        for node in self._tree.body:
            match node:
                case ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.Assign() | ast.AnnAssign():
                    yield from self._look(node)
                case ast.Expr(value=ast.Constant(value=str())):
                    pass
                case _:
                    yield node, "outside of functions anything but imports, constants and functions"
            if isinstance(node, ast.FunctionDef):
                self._callable.add(node.name)
        for name in sorted(self._written | self._imported | set(self._modules)):
            if self._bound[name] > 1:
                yield self._tree.body[0], f"{name} with two meanings in one file"

    def _look(self, node: ast.AST) -> Findings:
        """What is wrong with a node and all below it."""
        if type(node).__name__ not in SYNTAX:
            yield node, f"the syntax {type(node).__name__}"
            return
        for name in _bound_by(node):
            if (name.startswith("_") and name != "_") or name in _PYTHONS_OWN or not name.isascii():
                yield node, f"{name} as a name of one's own"
        yield from self._wrong(node)
        loops = _loops_of(node)
        self._loops += loops
        if loops and self._loops > MOST_LOOPS:
            yield node, f"more than {MOST_LOOPS} loops in each other"
        for child in self._children(node):
            yield from self._look(child)
        self._loops -= loops

    def _children(self, node: ast.AST) -> list[ast.AST]:
        """What is still to be looked at: not what was judged together with the node."""
        children = list(ast.iter_child_nodes(node))
        match node:
            case ast.FunctionDef():
                return [child for child in children if child not in node.decorator_list]
            case ast.Attribute(value=ast.Name(id=name)) if name in self._modules:
                return []
            case ast.Call(func=ast.Name()):
                return children[1:]
            case _:
                return children

    def _wrong(self, node: ast.AST) -> Findings:  # noqa: C901  # one line for each kind of syntax
        """What is wrong with a node itself."""
        match node:
            case ast.Import():
                yield from self._import(node)
            case ast.ImportFrom():
                yield from self._import_from(node)
            case ast.FunctionDef():
                yield from self._function(node)
            case ast.arg() | ast.AnnAssign():
                yield from values.annotation(node.annotation)
            case ast.Attribute() | ast.Subscript() if not isinstance(node.ctx, ast.Load):
                yield node, "a part of a value that is changed in place; make a new value"
            case ast.Attribute():
                yield from self._attribute(node)
            case ast.Name(ctx=ast.Load()):
                yield from self._name(node)
            case ast.Call():
                yield from self._call(node)
            case ast.keyword(arg=str(name)) if name.startswith("_"):
                yield node, f"{name}, which begins with an underscore"
            case ast.BinOp():
                yield from values.operation(node)
            case ast.Constant():
                yield from values.constant(node)
            case ast.FormattedValue():
                yield from values.filled_text(node)
            case _:
                pass

    def _import(self, node: ast.Import) -> Findings:
        for alias in node.names:
            if alias.name not in ("polars", "math"):
                yield node, f"import {alias.name}; {_IMPORTS}"
            self._modules[alias.asname or alias.name] = alias.name

    def _import_from(self, node: ast.ImportFrom) -> Findings:
        known = MODULES.get(node.module or "", frozenset())
        for alias in node.names:
            if node.level or node.module == "polars" or alias.name not in known:
                yield node, f"import {alias.name} from {'.' * node.level}{node.module or ''}; {_IMPORTS}"
            self._imported.add(alias.asname or alias.name)
            self._callable.add(alias.asname or alias.name)

    def _function(self, node: ast.FunctionDef) -> Findings:
        if node not in self._tree.body:
            yield node, "a function inside of a function"
        yield from values.annotation(node.returns)
        for one in (*node.args.defaults, *node.args.kw_defaults):
            yield from values.default(one)
        for decorator in node.decorator_list:
            match decorator:
                case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str())], keywords=[]):
                    if name in DECORATORS & self._imported:
                        continue
                case _:
                    pass
            yield decorator, 'a decorator other than @strategy("name") and @memo("1h")'

    def _attribute(self, node: ast.Attribute) -> Findings:
        module = self._modules.get(node.value.id) if isinstance(node.value, ast.Name) else None
        known = ATTRIBUTES if module is None else MODULES.get(module, frozenset())
        if node.attr.startswith("_"):
            yield node, f".{node.attr}, which begins with an underscore"
        elif node.attr not in known:
            yield node, f"{module or ''}.{node.attr}"

    def _name(self, node: ast.Name) -> Findings:
        if node.id in self._modules:
            yield node, f"the module {node.id} without a dot after it"
        elif node.id in self._written:
            yield node, f"the function {node.id}, handed on; it may only be called"
        elif node.id not in self._bound and node.id not in FUNCTIONS:
            yield node, f"the name {node.id}"

    def _call(self, node: ast.Call) -> Findings:
        match node.func:
            case ast.Attribute(attr="collect") if node.args or node.keywords:
                yield node, "collect with arguments"
            case ast.Attribute():
                pass
            case ast.Name(id="range") if not values.is_bounded_range(node.args):
                yield node, f"a range without a bound; write range(min(count, {values.MOST_REPEATS}))"
            case ast.Name(id=name) if name in self._callable:
                pass
            case ast.Name(id=name):
                yield node, f"a call of {name}, which is no function written above it and none that is allowed"
            case _:
                yield node, "a call of something without a name"


def _bound_by(node: ast.AST) -> Iterator[str]:
    """The names to which a node itself gives a meaning."""
    match node:
        case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.FunctionDef(name=name):
            yield name
        case ast.alias():
            yield node.asname or node.name
        case _:
            pass


def _loops_of(node: ast.AST) -> int:
    match node:
        case ast.For():
            return 1
        case ast.ListComp() | ast.DictComp() | ast.GeneratorExp():
            return len(node.generators)
        case _:
            return 0
