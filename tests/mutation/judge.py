"""Judge mutants one after the other, each in a fork of a process that has loaded the code and all tests once.

Reads one JSON document a line: `module` and `source` of the mutant, the `function` it lies in, `seconds` of each test
to run. The fork gives that function its changed code and runs the tests. Answers one number a line: 0 where no test
noticed, `BROKEN` where the function is not there to be changed; everything else is a mutant that was noticed.
"""

import gc
import json
import os
import sys
from pathlib import Path
from types import CodeType, FunctionType
from typing import TextIO

import pytest
from mutation.child import BROKEN, HARNESS_FAILED, ROOT, limit_memory, limit_time_of, settle

_NOTICED = 1


class Judge:
    """Takes the place of the loop over all tests."""

    def __init__(self, requests: TextIO, answers: TextIO) -> None:
        self._requests = requests
        self._answers = answers
        self._seconds: dict[str, float] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if any(name.read_text().strip() == "polars-0" for name in Path("/proc/self/task").glob("*/comm")):
            raise pytest.UsageError("a test computes a table while it is loaded; forks would wait for ever")
        functions = _loaded_functions()
        for line in self._requests:
            print(self._forked(session, functions, **json.loads(line)), file=self._answers, flush=True)
        return True

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        limit_time_of(self._seconds[item.nodeid])

    def _forked(
        self,
        session: pytest.Session,
        functions: dict[tuple[str, str], list[FunctionType]],
        module: str,
        source: str,
        function: str,
        seconds: dict[str, float],
    ) -> int:
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        code = HARNESS_FAILED
        try:
            code = BROKEN
            if _change(functions, str(ROOT / "backtestkit_cli" / module), source, function):
                limit_memory()
                self._seconds = seconds
                code = _run(session, seconds)
        finally:
            os._exit(code)


def _run(session: pytest.Session, seconds: dict[str, float]) -> int:
    items = sorted((item for item in session.items if item.nodeid in seconds), key=lambda item: seconds[item.nodeid])
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return _NOTICED
    return 0


def _loaded_functions() -> dict[tuple[str, str], list[FunctionType]]:
    """All functions of the package by file and name; each but a redefined one is there once."""
    found: dict[tuple[str, str], list[FunctionType]] = {}
    for one in gc.get_objects():
        if isinstance(one, FunctionType) and one.__code__.co_filename.startswith(str(ROOT / "backtestkit_cli")):
            found.setdefault((one.__code__.co_filename, one.__code__.co_qualname), []).append(one)
    return found


def _change(functions: dict[tuple[str, str], list[FunctionType]], path: str, source: str, name: str) -> bool:
    """Give a function its changed code; whoever holds the function holds the changed one."""
    try:
        codes = [code for code in _codes_of(compile(source, path, "exec")) if code.co_qualname == name]
    except SyntaxError:
        return False
    live = functions.get((path, name), [])
    if len(codes) != 1 or len(live) != 1 or codes[0].co_freevars != live[0].__code__.co_freevars:
        return False
    live[0].__code__ = codes[0]
    return True


def _codes_of(code: CodeType) -> list[CodeType]:
    """The codes inside a code, at any depth."""
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return inner + [deeper for one in inner for deeper in _codes_of(one)]


def main() -> int:
    """Load the tests of the given folders and judge until there is no more to read."""
    requests, answers = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    settle()
    arguments = ["-q", "-x", "--assert=plain", "-p", "no:cacheprovider", *sys.argv[1:]]
    return int(pytest.main(arguments, plugins=[Judge(requests, answers)]))


if __name__ == "__main__":
    sys.exit(main())
