"""Finds the codes of problems and findings in the source, so that the reference can list every one of them.

Rules: a code is the text that a call of `Problem`, `refusal`, `Meaning`, `Fault` or `Finding` is given. Where a
function passes one of its parameters on, the calls of that function are read instead, and so on. A code that only
exists while the program runs is listed in `PASSED_ON` with the reason why nothing is lost.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, get_args

from backtestkit_cli.engine.doubt import DoubtCode

PASSED_ON = {
    "problem.code": "a problem that was found elsewhere is told again",
    "error['type']": "the code of a refusal",
    "details['type']": "the code of a refusal",
    "code": "a finding of the conformance checks: they are read from what its functions yield",
    "meaning.code": "the code of a Meaning",
    "fault.code": "the code of a Fault",
    "_in_use(folder)": "no refusal of a value: disk.py has an exception class of that name in hand",
}
WRITTEN_DIRECTLY = frozenset({"internal"})


class Carrier(NamedTuple):
    """A call that carries a code: the place and name of the argument, and what stands around it."""

    place: int
    keyword: str
    before: str = ""
    after: str = ""


PROBLEMS = {
    "Problem": Carrier(0, "code"),
    "refusal": Carrier(0, "code"),
    "Meaning": Carrier(0, "code"),
    "Fault": Carrier(0, "code"),
}
FINDINGS = {"Finding": Carrier(1, "code")}
REMARKS = {"Remark": Carrier(1, "code")}


@dataclass(slots=True)
class Search:
    """The modules, the carriers known so far, and the codes found."""

    modules: dict[str, ast.Module]
    carriers: dict[tuple[str, str], set[Carrier]]
    found: set[str] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)

    def run(self) -> None:
        """Read all calls until no new carrier turns up."""
        known = -1
        while known != (known := sum(map(len, self.carriers.values()))):
            for module, tree in self.modules.items():
                for function, call in calls(tree):
                    self._read(module, function, call)

    def _read(self, module: str, function: ast.FunctionDef | None, call: ast.Call) -> None:
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        shared = self.carriers.get(("", name), set()) if isinstance(call.func, ast.Name) else set()
        for carrier in [*shared, *self.carriers.get((module, name), ())]:
            for given in arguments(call, carrier):
                self._take(module, function, given, carrier)

    def _take(self, module: str, function: ast.FunctionDef | None, given: ast.expr, carrier: Carrier) -> None:
        before, name, after = parts(given)
        whole = (carrier.before + before, after + carrier.after)
        if name is None:
            self.found.add("".join(whole))
            return
        names = [one.arg for one in (*function.args.args, *function.args.kwonlyargs)] if function else []
        if function is None or name not in names:
            self.unread.add(name)
            return
        place = names.index(name) - (names[0] == "self")
        home = module if function.name.startswith("_") or names[0] == "self" else ""
        self.carriers.setdefault((home, function.name), set()).add(Carrier(place, name, *whole))


def calls(tree: ast.AST, function: ast.FunctionDef | None = None) -> Iterator[tuple[ast.FunctionDef | None, ast.Call]]:
    """Every call with the function it stands in."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Call):
            yield function, node
        yield from calls(node, node if isinstance(node, ast.FunctionDef) else function)


def arguments(call: ast.Call, carrier: Carrier) -> list[ast.expr]:
    """What a call gives for the code: one value, or the two of a choice."""
    given = [one.value for one in call.keywords if one.arg == carrier.keyword]
    given += call.args[carrier.place : carrier.place + 1] if not given else []
    return [choice for one in given for choice in ([one.body, one.orelse] if isinstance(one, ast.IfExp) else [one])]


def parts(given: ast.expr) -> tuple[str, str | None, str]:
    """Text, name and text of an argument; the name is None for a text alone."""
    if isinstance(given, ast.Constant) and isinstance(given.value, str):
        return given.value, None, ""
    if isinstance(given, ast.JoinedStr):
        texts = [one.value if isinstance(one, ast.Constant) else None for one in given.values]
        middle = texts.index(None)
        value = given.values[middle]
        before, after = (
            str(text) for text in ("".join(map(str, texts[:middle])), "".join(map(str, texts[1 + middle :])))
        )
        return before, ast.unparse(value.value) if isinstance(value, ast.FormattedValue) else "", after
    return "", ast.unparse(given), ""


def modules_of(package: Path) -> dict[str, ast.Module]:
    """The syntax trees of a package, by path."""
    paths = [path for path in sorted(package.rglob("*.py")) if "templates" not in path.parts]
    return {str(path.relative_to(package)): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def search(package: Path, carriers: dict[str, Carrier]) -> Search:
    """Search a package for codes."""
    found = Search(modules_of(package), {("", name): {carrier} for name, carrier in carriers.items()})
    found.run()
    return found


def yielded(tree: ast.Module) -> set[str]:
    """The first texts of the pairs that the functions of a module yield."""
    pairs = [node.value for node in ast.walk(tree) if isinstance(node, ast.Yield)]
    return {
        str(pair.elts[0].value)
        for pair in pairs
        if isinstance(pair, ast.Tuple) and isinstance(pair.elts[0], ast.Constant)
    }


def problem_codes(package: Path) -> list[str]:
    """All codes of problems, in order."""
    found = search(package, PROBLEMS)
    suites = ("plugins/conformance.py", "plugins/suites.py", "state/conformance.py")
    checks = {f"port-{code}" for suite in suites for code in yielded(found.modules[suite])}
    return sorted(found.found | checks | yielded(found.modules["data/border.py"]) | WRITTEN_DIRECTLY)


def unread_codes(package: Path) -> set[str]:
    """What was given as a code, could not be read, and is not known to be harmless."""
    return search(package, PROBLEMS).unread - set(PASSED_ON)


def finding_codes(package: Path) -> list[str]:
    """All codes of findings in the trust block, in order."""
    return sorted({*search(package, FINDINGS).found, *get_args(DoubtCode)})


def remark_codes(package: Path) -> list[str]:
    """All codes of findings of `check`, in order; those of the conformance suites are problems."""
    return sorted(search(package, REMARKS).found)
