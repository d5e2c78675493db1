"""Where the studies of searches lie on disk, and how they are found again.

* `logs/optimizer/<strategy>.md`, `.json`, `.csv` (the trials) and `.html` are the newest report of a search.
* `logs/optimizer/<strategy>/<study id>.json` is what a report was made from; every study is kept. The same study gives
  the same bytes.
"""

from pathlib import Path

from backtestkit_cli.disk import file_name
from backtestkit_cli.errors import DataError, Problem, Source, UsageError
from backtestkit_cli.measure.study import Study
from backtestkit_cli.report.report import Report
from backtestkit_cli.report.study import MAIN_TABLE, study_report
from backtestkit_cli.report.study_json import study_from, study_json
from backtestkit_cli.report.written import OPTIMIZER, Written, write_with_reports

LAST = "last"


def study_folder(logs: Path, strategy: str) -> Path:
    """Where the studies of a strategy are kept."""
    return logs / OPTIMIZER / file_name(strategy)


def dump_study(study: Study, logs: Path, report: Report | None = None) -> Written:
    """Write the record of a search and its reports; `report` spares making it again.

    Raises:
        OSError: the disk refused; each file is the old one or the new one.
    """
    record = study_folder(logs, study.strategy) / f"{study.study_id}.json"
    return write_with_reports(record, study_json(study), report or study_report(study), MAIN_TABLE)


def find_study(logs: Path, text: str) -> Path:
    """Find the record of a study: by its id, a unique prefix of it, the name of its strategy, or `last`.

    Raises:
        UsageError: there is none, or more than one.
    """
    known = sorted((logs / OPTIMIZER).glob("*/*.json"), key=lambda path: (path.stat().st_mtime_ns, path))
    found = known[-1:] if text == LAST else [one for one in known if one.parent == study_folder(logs, text)][-1:]
    found = found or [one for one in known if text and one.stem.startswith(text)]
    if len(found) == 1:
        return found[0]
    where = Source(file=str(logs / OPTIMIZER))
    if found:
        hint = ", ".join(one.stem for one in found)
        raise UsageError(Problem("ambiguous-study", f"{text!r} begins more than one study", where, hint=hint))
    what = f"no study is stored of {text!r}" if known else "no study is stored yet"
    hint = "give the id of a study, a strategy, or `last`" if known else "run `backtestkit optimizer search` first"
    raise UsageError(Problem("no-study", what, where, expected=", ".join(one.stem for one in known) or None, hint=hint))


def read_study(path: Path) -> Study:
    """Read the record of a study.

    Raises:
        DataError: it is damaged.
    """
    try:
        return study_from(path.read_bytes())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = f"the study {path.stem} cannot be read: {type(error).__name__}"
        problem = Problem("damaged-study", what, Source(file=str(path)), hint="run the search again")
        raise DataError(problem) from error
