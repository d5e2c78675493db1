"""`make rules`: every case of a folder against our engine, by walk and by the column form; prints equal / total."""

import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "golden")]

from test_rules_cases import (  # type: ignore[import-not-found]  # noqa: E402  # found by the path above
    compare,
    in_columns,
    walked,
)

from backtestkit_cli.model.event import Event  # noqa: E402
from backtestkit_cli.model.funnel import Funnel  # noqa: E402

Run = Callable[[Path], tuple[list[Event], dict[str, Funnel]]]


def main(folder: Path) -> int:
    """Compare, tell each difference in a line; 1 unless all are equal."""
    cases = sorted(path.parent for path in folder.glob("*/case.yaml"))
    runs: dict[str, Run] = {"walk": walked, "columns": in_columns}
    complete = bool(cases)
    for name, run in runs.items():
        equal = total = refused = 0
        for case in cases:
            found = run(case)
            if not found[1]:
                refused += 1
                continue
            total += 1
            try:
                compare(case, found)
                equal += 1
            except AssertionError as error:
                complete = False
                print(f"{name} {case.name}: {str(error).splitlines()[0][:200]}")
        print(f"{name}: {equal} / {total} equal" + (f", {refused} not taken by this form" if refused else ""))
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
