"""The mutation test itself: which changes it makes, that a child notices one, and that its list is true."""

import ast
import json
import subprocess
import sys

import pytest
from mutation.child import BROKEN, ROOT
from mutation.mutants import PACKAGE, draw, mutants_of
from mutation.operators import conditions, negated, replacements
from mutation.run import Judge
from mutation.survivors import explained


def changes(code: str) -> list[str]:
    [statement] = ast.parse(code).body
    node = statement.value if isinstance(statement, ast.Expr) else statement
    return [*replacements(node), *(negated(test) for test in conditions(node))]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("a < b", ["(a <= b)", "(a >= b)"]),
        ("a == b", ["(a != b)"]),
        ("a - b", ["(a + b)"]),
        ("a and b and c", ["(a or b or c)", "(b and c)", "(a and c)", "(a and b)"]),
        ("not a", ["a"]),
        ("-a", ["a"]),
        ("3", ["(4)", "(2)"]),
        ("True", ["False"]),
        ("'left'", ["'right'"]),
        ("'text'", []),
        ("f(a, b)", ["f(b, a)"]),
        ("f(a, a)", []),
        ("np.minimum(a, b)", []),
        ("abs(a)", ["a"]),
        ("np.minimum", ["np.maximum"]),
        ("return a", ["return None"]),
        ("a += b", ["pass", "a -= b"]),
        ("a.b = c", ["pass"]),
        ("a = c", []),
        ("if a: return", ["pass", "(not a)"]),
        ("if TYPE_CHECKING: a()", []),
    ],
)
def test_a_change_is_small_and_means_something_else(code: str, expected: list[str]) -> None:
    assert changes(code) == expected


def test_a_mutant_is_one_edit_and_a_draw_depends_on_its_seed_alone() -> None:
    mutants = mutants_of("model/fixed.py")
    changed = next(mutant for mutant in mutants if mutant.change == "value - whole >= 0.5 → (value - whole > 0.5)")
    assert "return whole + (value - whole > 0.5)" in changed.mutated().replace("((", "(").replace("))", ")")
    assert draw(list(mutants), 5, 3) == draw(list(mutants), 5, 3) != draw(list(mutants), 5, 4)


TEST = "tests/unit/engine/test_draft.py::test_a_limit_of_zero_switches_its_rule_off"


def judged_afresh(module: str, source: str) -> int:
    """How a process ends that runs one test on a changed module."""
    asked = json.dumps({"module": module, "source": source, "seconds": {TEST: 1.0}})
    child = [sys.executable, str(ROOT / "tests/mutation/child.py")]
    return subprocess.run(child, cwd=ROOT, input=asked, capture_output=True, text=True).returncode


def test_a_process_and_a_fork_notice_a_mutant_and_let_the_code_as_it_is_pass() -> None:
    mutant = next(one for one in mutants_of("engine/draft.py") if one.after == "(not limits.max_stop_loss_percent)")
    changed, as_it_is = mutant.mutated(), (PACKAGE / mutant.module).read_text(encoding="utf-8")
    assert [judged_afresh(mutant.module, source) for source in (changed, as_it_is)] == [1, 0]
    judge = Judge([TEST.partition("::")[0]])
    assert [judge.code(mutant, source, {TEST: 1.0}) for source in (changed, as_it_is, changed)] == [1, 0, 1]
    judge.end()


def test_what_a_fork_cannot_change_it_leaves_to_a_process_of_its_own() -> None:
    constant = next(one for one in mutants_of("engine/draft.py") if one.at_import)
    judge = Judge([TEST.partition("::")[0]])
    assert judge.code(constant, constant.mutated(), {TEST: 1.0}) == BROKEN
    judge.end()


def test_a_mutant_knows_the_function_it_lies_in() -> None:
    known = {(mutant.before, mutant.function) for mutant in mutants_of("engine/rules/functions.py")}
    assert ("self.needed + other.needed", "Span.__add__") in known
    assert ("x - earlier(x, n)", "change") in known


def test_every_explained_survivor_is_a_mutant_of_the_code() -> None:
    listed = explained()
    modules = {module for module, _ in listed}
    known = {(mutant.module, mutant.change) for module in modules for mutant in mutants_of(module)}
    assert set(listed) - known == set()
    assert all(reason.strip() for reason in listed.values())


def test_no_line_is_left_out_of_the_coverage() -> None:
    marked = [path for path in PACKAGE.rglob("*.py") if "pragma" in path.read_text(encoding="utf-8")]
    assert marked == []
