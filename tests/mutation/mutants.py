"""All mutants of the rules: of engine, measure and model, with the money arithmetic among them.

A mutant is one edit of one file. It lives only in the memory of the process that tests it; files never change.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

from mutation.operators import conditions, negated, replacements

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "backtestkit_cli"
ROOMS = ("engine", "measure", "model")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Mutant:
    """One edit: `before`, at bytes `start` to `end` of a module, becomes `after`.

    `lines` are those of the statement up to the edit; `at_import` tells that they run when the module is loaded;
    `function` is the outermost one it lies in, such as `Span.__add__`, empty where it lies in none.
    """

    module: str
    lines: tuple[int, int]
    start: int
    end: int
    before: str
    after: str
    at_import: bool
    function: str

    @property
    def line(self) -> str:
        """The place to look at."""
        return f"{self.module}:{self.lines[0]}"

    @property
    def change(self) -> str:
        """The edit in one line, for people and for the list of explained survivors."""
        return f"{' '.join(self.before.split())} → {self.after}"

    def mutated(self) -> str:
        """The module with the edit in it."""
        source = (PACKAGE / self.module).read_bytes()
        return (source[: self.start] + self.after.encode() + source[self.end :]).decode()


def modules() -> list[str]:
    """The modules under test, relative to the package."""
    found = (path for room in ROOMS for path in (PACKAGE / room).rglob("*.py"))
    return sorted(path.relative_to(PACKAGE).as_posix() for path in found)


def all_mutants(only: str = "") -> list[Mutant]:
    """Every mutant of the modules whose path begins so, in the order of the code."""
    return sorted({mutant for module in modules() if module.startswith(only) for mutant in mutants_of(module)})


def draw(mutants: list[Mutant], count: int, seed: int) -> list[Mutant]:
    """A sample that depends on nothing but the mutants and the seed."""
    return sorted(Random(seed).sample(mutants, min(count, len(mutants))))


@cache
def mutants_of(module: str) -> tuple[Mutant, ...]:
    """The mutants of one module."""
    source = (PACKAGE / module).read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for statement, node, after, place in _edits(ast.parse(source)):
        end_line = node.end_lineno or node.lineno
        start, end = starts[node.lineno - 1] + node.col_offset, starts[end_line - 1] + (node.end_col_offset or 0)
        last = statement.lineno if node is statement else end_line
        found.append(
            Mutant(
                module=module,
                lines=(statement.lineno, last),
                start=start,
                end=end,
                before=source[start:end].decode(),
                after=after,
                at_import=place.at_import,
                function=place.function,
            )
        )
    return tuple(found)


class Place(NamedTuple):
    """Where a node lies: inside which classes and which function, and whether it runs at import."""

    at_import: bool = True
    classes: tuple[str, ...] = ()
    function: str = ""


Edit = tuple[ast.stmt, ast.expr | ast.stmt | ast.Slice, str, Place]


def _edits(tree: ast.Module) -> Iterator[Edit]:
    for statement in tree.body:
        yield from _inside(statement, statement, Place())


def _inside(node: ast.AST, statement: ast.stmt, place: Place) -> Iterator[Edit]:
    if isinstance(node, ast.stmt):
        statement = node
    if isinstance(node, (ast.expr, ast.stmt)) and not (place.at_import and _is_type(node)):
        yield from ((statement, node, text, place) for text in replacements(node))
    for test in conditions(node):
        yield statement, test, negated(test), place
    for child, runs_later in _children(node):
        yield from _inside(child, statement, _deeper(place, node, runs_later=runs_later))


def _deeper(place: Place, node: ast.AST, *, runs_later: bool) -> Place:
    if not place.at_import:
        return place
    if isinstance(node, ast.ClassDef):
        return place._replace(classes=(*place.classes, node.name))
    if not runs_later:
        return place
    function = ".".join((*place.classes, node.name)) if isinstance(node, ast.FunctionDef) else ""
    return place._replace(at_import=False, function=function)


def _is_type(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)


def _children(node: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """What lies inside and can be changed, and whether it runs later than the node itself."""
    if isinstance(node, (ast.JoinedStr, ast.pattern, ast.Import, ast.ImportFrom)):
        return
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "bases"):
            continue
        runs_later = name == "body" and isinstance(node, (ast.FunctionDef, ast.Lambda))
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.keyword) and child.arg == "strict":
                continue
            if isinstance(child, ast.AST):
                yield child, runs_later
