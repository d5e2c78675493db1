"""`make mutation`: change the rules in small ways, one at a time, and count the changes that a test notices.

Only unit and property tests count. A mutant that no test reaches survives; one that hangs is killed. Survivors that
mean the same as the code are explained in survivors.md and still count as survivors.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from mutation.child import BROKEN
from mutation.mutants import PACKAGE, ROOT, Mutant, all_mutants, draw
from mutation.survivors import explained

# CPython 3.11 hangs where a thread is traced and interrupted; what interrupts threads reaches no rule anyway
FOLDERS = ["tests/unit", "tests/property", "--ignore=tests/unit/plugins/test_deadline.py"]
LEAST_SCORE = 0.9
_NO_TESTS_RAN, _HANGS_SECONDS = 5, 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Which tests reach each line of each module, and how long each takes."""

    seconds: dict[str, float]
    lines: dict[str, dict[int, list[str]]]
    readers: dict[str, list[str]]

    def tests(self, mutant: Mutant) -> dict[str, float]:
        """The tests that can notice a mutant; what runs at import is seen by whoever uses the module."""
        found: set[str] = set()
        if mutant.at_import:
            for module in (mutant.module, *self.readers.get(mutant.module, [])):
                found.update(test for tests in self.lines.get(module, {}).values() for test in tests)
        else:
            reached = self.lines.get(mutant.module, {})
            found.update(test for line in range(mutant.lines[0], mutant.lines[1] + 1) for test in reached.get(line, []))
        return {test: self.seconds[test] for test in sorted(found)}


def main() -> int:
    """Run, print the score and the survivors; 1 below the least score."""
    parser = argparse.ArgumentParser(description="mutation test of the rules")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--all", action="store_true", help="test every mutant")
    parser.add_argument("--only", default="", help="the beginning of a module's path, such as engine/rules/")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    mutants = all_mutants(asked.only)
    drawn = mutants if asked.all else draw(mutants, asked.count, asked.seed)
    _say(f"{len(drawn)} of {len(mutants)} mutants; first the tests on the code as it is")
    reach = _learn()
    survivors = _survivors(drawn, reach, asked.workers)
    return _report(drawn, survivors)


def _learn() -> Reach:
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "reach.json"
        code = _child([str(answer), *FOLDERS], "")
        if code:
            sys.exit("the tests fail on the code as it is")
        found = json.loads(answer.read_text(encoding="utf-8"))
    lines = {
        module: {int(line): tests for line, tests in reached.items()} for module, reached in found["lines"].items()
    }
    return Reach(seconds=found["seconds"], lines=lines, readers=_readers())


def _readers() -> dict[str, list[str]]:
    """The modules that import each module."""
    found = defaultdict(list)
    sources = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    for module in sources:
        name = f"backtestkit_cli.{module.removesuffix('.py').removesuffix('/__init__').replace('/', '.')} import"
        found[module] = [other for other, source in sources.items() if name in source]
    return found


def _child(arguments: list[str], asked: str, seconds: float | None = None) -> int:
    command = [sys.executable, str(Path(__file__).with_name("child.py")), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, input=asked, text=True, capture_output=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return -1
    if done.returncode and arguments:
        _say(done.stdout[-3000:] + done.stderr[-1000:])
    return done.returncode


def _survives(mutant: Mutant, reach: Reach) -> bool:
    tests = reach.tests(mutant)
    if not tests:
        return True
    asked = {"module": mutant.module, "source": mutant.mutated(), "seconds": tests}
    code = _child([], json.dumps(asked), _HANGS_SECONDS)
    if code in (BROKEN, _NO_TESTS_RAN):
        raise RuntimeError(f"not a mutant that can be tested: {mutant.line} {mutant.change}")
    return code == 0


def _survivors(drawn: list[Mutant], reach: Reach, workers: int) -> list[Mutant]:
    found = []
    with ThreadPoolExecutor(workers) as pool:
        asked = {pool.submit(_survives, mutant, reach): mutant for mutant in drawn}
        for count, future in enumerate(as_completed(asked), 1):
            if future.result():
                found.append(asked[future])
                _say(f"{count}/{len(drawn)} survived: {asked[future].line} {asked[future].change}")
            elif not count % 20:
                _say(f"{count}/{len(drawn)}")
    return sorted(found)


def _report(drawn: list[Mutant], survivors: list[Mutant]) -> int:
    reasons = explained()
    for mutant in survivors:
        reason = reasons.get((mutant.module, mutant.change))
        print(f"\nsurvived: {mutant.line}" + (f" (explained: {reason})" if reason else ""))
        print("\n".join(_diff(mutant)))
    killed = len(drawn) - len(survivors)
    known = sum((mutant.module, mutant.change) in reasons for mutant in survivors)
    print(f"\n{killed}/{len(drawn)} mutants killed ({killed / len(drawn):.1%}); {known} of the survivors are explained")
    return 0 if killed >= LEAST_SCORE * len(drawn) else 1


def _diff(mutant: Mutant) -> Iterator[str]:
    before = (PACKAGE / mutant.module).read_text(encoding="utf-8").splitlines()
    name = f"backtestkit_cli/{mutant.module}"
    yield from unified_diff(before, mutant.mutated().splitlines(), name, name, lineterm="", n=1)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
