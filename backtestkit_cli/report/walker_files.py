"""Where the comparisons of a walker lie on disk, and how they are found again.

* `logs/walker/<name>.md`, `.json`, `.csv` (the ranking) and `.html` are the newest report of a walker.
* `logs/walker/<name>/contest.json` is what they were made from: any of them can be made again, and nothing is run.
* The same comparison gives the same bytes.
"""

from pathlib import Path

from backtestkit_cli.disk import file_name
from backtestkit_cli.errors import DataError, Problem, Source, UsageError
from backtestkit_cli.measure.contest import Contest
from backtestkit_cli.report.contest_json import contest_from, contest_parts
from backtestkit_cli.report.report import Report
from backtestkit_cli.report.walker import MAIN_TABLE, walker_report
from backtestkit_cli.report.written import WALKER, Written, write_with_reports

CONTEST = "contest.json"


def contest_folder(logs: Path, walker: str) -> Path:
    """Where a walker keeps what its reports are made from."""
    return logs / WALKER / file_name(walker)


def dump_contest(contest: Contest, logs: Path, report: Report | None = None) -> Written:
    """Write the record of a comparison and its reports; `report` spares making it again.

    Raises:
        OSError: the disk refused; each file is the old one or the new one.
    """
    record = contest_folder(logs, contest.walker) / CONTEST
    return write_with_reports(record, contest_parts(contest), report or walker_report(contest), MAIN_TABLE)


def find_contest(logs: Path, text: str) -> Path:
    """Find the record of a comparison by the name of its walker, or the one written last as `last`.

    Raises:
        UsageError: there is none.
    """
    known = sorted((logs / WALKER).glob(f"*/{CONTEST}"), key=lambda path: (path.stat().st_mtime_ns, path))
    if text == "last" and known:
        return known[-1]
    own = contest_folder(logs, text) / CONTEST
    if own in known:
        return own
    what = f"no comparison is stored of {text!r}" if known else "no comparison is stored yet"
    expected = ", ".join(path.parent.name for path in known) or None
    hint = "give the name of a walker, or `last`" if known else "run `backtestkit walker` first"
    raise UsageError(Problem("no-comparison", what, Source(file=str(logs / WALKER)), expected=expected, hint=hint))


def read_contest(path: Path) -> Contest:
    """Read the record of a comparison.

    Raises:
        DataError: it is damaged.
    """
    try:
        return contest_from(path.read_bytes())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = f"the comparison of {path.parent.name} cannot be read: {type(error).__name__}"
        where, hint = Source(file=str(path)), "run the walker again"
        raise DataError(Problem("damaged-comparison", what, where, hint=hint)) from error
