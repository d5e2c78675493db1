"""`make mutation`: change the rules in small ways, one at a time, and count the changes that a test notices.

Only property tests and the unit tests of the rooms that are changed count. A mutant that no test reaches survives; one
that hangs is killed. Survivors that mean the same as the code are explained in survivors.md and still count as
survivors.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from queue import Queue

from mutation.child import BROKEN, HARNESS_FAILED
from mutation.mutants import PACKAGE, ROOT, Mutant, all_mutants, draw
from mutation.survivors import explained

# the rooms' own tests, so that no rule is held by a report that happens to show it; the corpus tests the probe
ROOMS_UNDER_TEST = [f"tests/unit/{room}" for room in ("engine", "measure", "model", "reference", "rules")]
FOLDERS = [*ROOMS_UNDER_TEST, "tests/property", "--ignore=tests/property/test_look_ahead_corpus.py"]
LEAST_SCORE = 0.9
_NO_TESTS_RAN, _HANGS_SECONDS = 5, 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Which tests reach each line of each module, and how long each takes; the name "" is the loading of tests.

    `readers` are the modules and the files of tests that import each module.
    """

    seconds: dict[str, float]
    lines: dict[str, dict[int, list[str]]]
    readers: dict[str, list[str]]

    def tests(self, mutant: Mutant) -> dict[str, float]:
        """The tests that can notice a mutant; what runs only at import is seen by whoever uses the module."""
        found = self._reaching(mutant)
        if mutant.at_import or found == {""}:
            readers = {mutant.module, *self.readers.get(mutant.module, [])}
            found = {test for one in readers for tests in self.lines.get(one, {}).values() for test in tests}
            found |= {test for test in self.seconds if test.partition("::")[0] in readers}
        return {test: self.seconds[test] for test in sorted(found - {""})}

    def runs_at_import(self, mutant: Mutant) -> bool:
        """Whether what a mutant does is also kept from the time of loading."""
        return "" in self._reaching(mutant)

    def _reaching(self, mutant: Mutant) -> set[str]:
        reached = self.lines.get(mutant.module, {})
        return {test for line in range(mutant.lines[0], mutant.lines[1] + 1) for test in reached.get(line, [])}


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
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = folder  # what a killed test leaves behind goes with it
        reach = _learn(Path(folder) / "reach.json")
        survivors = _survivors(drawn, reach, asked.workers)
    return _report(drawn, survivors)


def _learn(answer: Path) -> Reach:
    if _child([str(answer), *FOLDERS], ""):
        sys.exit("the tests fail on the code as it is")
    found = json.loads(answer.read_text(encoding="utf-8"))
    lines = {
        module: {int(line): tests for line, tests in reached.items()} for module, reached in found["lines"].items()
    }
    return Reach(seconds=found["seconds"], lines=lines, readers=_readers())


def _readers() -> dict[str, list[str]]:
    """The modules that import each module, and the files of tests that do."""
    sources = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    files = {path.relative_to(ROOT).as_posix(): path for path in (ROOT / "tests").rglob("test_*.py")}
    tests = {name: path.read_text(encoding="utf-8") for name, path in files.items()}
    found = {}
    for module in sources:
        name = f"backtestkit_cli.{module.removesuffix('.py').removesuffix('/__init__').replace('/', '.')} import"
        found[module] = [other for other, source in {**sources, **tests}.items() if name in source]
    return found


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "PYTHONDONTWRITEBYTECODE": "1"}


def _child(arguments: list[str], asked: str, seconds: float | None = None) -> int:
    command = [sys.executable, str(Path(__file__).with_name("child.py")), *arguments]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=_environment(), input=asked, text=True, capture_output=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return -1
    if done.returncode and arguments:
        _say(done.stdout[-3000:] + done.stderr[-1000:])
    return done.returncode


class Judge:
    """A process that judges one mutant after the other; for one thread."""

    def __init__(self, folders: list[str]) -> None:
        command = [sys.executable, str(Path(__file__).with_name("judge.py")), *folders]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=_environment(), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def code(self, mutant: Mutant, source: str, tests: dict[str, float]) -> int:
        """How the tests ended."""
        asked = {"module": mutant.module, "source": source, "function": mutant.function, "seconds": tests}
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        print(json.dumps(asked), file=requests, flush=True)
        return int(answers.readline())

    def end(self) -> None:
        """Let it go."""
        self._process.communicate()


def _survives(mutant: Mutant, reach: Reach, judges: Queue[Judge]) -> bool:
    tests = reach.tests(mutant)
    if not tests:
        return True
    code, source = BROKEN, mutant.mutated()
    if mutant.function:
        judge = judges.get()
        code = judge.code(mutant, source, tests)
        judges.put(judge)
    if code == BROKEN or (code == 0 and reach.runs_at_import(mutant)):
        asked = {"module": mutant.module, "source": source, "seconds": tests}
        code = _child([], json.dumps(asked), _HANGS_SECONDS)
    if code in (BROKEN, HARNESS_FAILED, _NO_TESTS_RAN):
        raise RuntimeError(f"not a mutant that can be tested: {mutant.line} {mutant.change}")
    return code == 0


def _survivors(drawn: list[Mutant], reach: Reach, workers: int) -> list[Mutant]:
    found, judges = [], Queue[Judge]()
    for _ in range(workers):
        judges.put(Judge(FOLDERS))
    with ThreadPoolExecutor(workers) as pool:
        asked = {pool.submit(_survives, mutant, reach, judges): mutant for mutant in drawn}
        for count, future in enumerate(as_completed(asked), 1):
            if future.result():
                found.append(asked[future])
                _say(f"{count}/{len(drawn)} survived: {asked[future].line} {asked[future].change}")
            elif not count % 20:
                _say(f"{count}/{len(drawn)}")
    while not judges.empty():
        judges.get().end()
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
