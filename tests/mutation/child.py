"""Run tests in a process of their own: on the code as it is, told to learn which test reaches what, or on one mutant.

Reads one JSON document: `module` and `source` of the mutant, `seconds` of each test to run. A module is changed while
it is imported; a test that takes many times as long as it should ends the process.
"""

import json
import resource
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

import pytest
from hypothesis import HealthCheck, Phase, settings

ROOT = Path(__file__).parents[2]
BROKEN, HARNESS_FAILED = 70, 71
_FREE_SECONDS, _TIMES, _START_SECONDS = 4, 5, 60
_MEMORY = 6 << 30


class _Changed(SourceFileLoader):
    """Loads the mutant in place of the file."""

    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self._code = code
        self.was_used = False

    def get_code(self, fullname: str) -> CodeType:
        self.was_used = True
        return self._code


class ChangedModule(MetaPathFinder):
    """Finds one module, changed, before anything else does."""

    def __init__(self, module: str, source: str) -> None:
        path = str(ROOT / "backtestkit_cli" / module)
        self._name = ".".join(("backtestkit_cli", *Path(module).with_suffix("").parts)).removesuffix(".__init__")
        self.loader = _Changed(self._name, path, compile(source, path, "exec"))

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        return spec_from_file_location(fullname, self.loader.path, loader=self.loader)


class OnlyThese:
    """Keeps the tests that are asked for, the quickest first, and limits the time of each."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        kept = [item for item in items if item.nodeid in self._seconds]
        items[:] = sorted(kept, key=lambda item: self._seconds[item.nodeid])

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        limit_time_of(self._seconds[item.nodeid])


class Reach:
    """Learns from one run how long each test takes and which lines of the rules it reaches."""

    def __init__(self) -> None:
        from coverage import Coverage

        folders = [str(ROOT / "backtestkit_cli" / room) for room in ("engine", "measure", "model")]
        self._coverage = Coverage(data_file=None, source=folders, config_file=False)
        self.seconds: dict[str, float] = {}

    def pytest_sessionstart(self) -> None:
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._coverage.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            self._coverage.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration

    def lines(self) -> dict[str, dict[int, list[str]]]:
        """The tests that reach each line of each module; an empty name where it runs while tests are loaded."""
        self._coverage.stop()
        found, package = self._coverage.get_data(), ROOT / "backtestkit_cli"
        return {
            Path(path).relative_to(package).as_posix(): {
                line: sorted(tests) for line, tests in found.contexts_by_lineno(path).items()
            }
            for path in found.measured_files()
        }


def limit_time_of(seconds: float) -> None:
    """Leave the process many times the time that a test takes on the code as it is."""
    _limit_time(_FREE_SECONDS + _TIMES * seconds)


def limit_memory() -> None:
    """End the process before it takes the machine's memory."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


def _limit_time(seconds: float) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def settle() -> None:
    """The same examples in every process, no search for the smallest one, and no complaint about a busy machine."""
    settings.register_profile(
        "mutation",
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("mutation")


def _run(arguments: list[str], plugin: object) -> int:
    return int(pytest.main(["-q", "-x", "--assert=plain", "-p", "no:cacheprovider", *arguments], plugins=[plugin]))


def learn(folders: list[str], answer: Path) -> int:
    """Run all tests on the code as it is and write what they reach."""
    reach = Reach()
    code = _run(folders, reach)
    answer.write_text(json.dumps({"seconds": reach.seconds, "lines": reach.lines()}), encoding="utf-8")
    return code


def judge(module: str, source: str, seconds: dict[str, float]) -> int:
    """Run the tests on one mutant; 0 when none notices."""
    try:
        changed = ChangedModule(module, source)
    except SyntaxError:
        return BROKEN
    sys.meta_path.insert(0, changed)
    limit_memory()
    _limit_time(_START_SECONDS)
    code = _run(sorted({test.split("::")[0] for test in seconds}), OnlyThese(seconds))
    return code if changed.loader.was_used else BROKEN


if __name__ == "__main__":
    settle()
    if len(sys.argv) > 2:
        sys.exit(learn(sys.argv[2:], Path(sys.argv[1])))
    sys.exit(judge(**json.load(sys.stdin)))
