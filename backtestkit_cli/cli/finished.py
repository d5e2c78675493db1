"""How a comparison or a search is told when it has ended: its files are kept, its short report is shown."""

from typing import TYPE_CHECKING

from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.project import short

if TYPE_CHECKING:
    from backtestkit_cli.run.finished_contest import FinishedContest
    from backtestkit_cli.run.search.finished import FinishedStudy


def tell_finished(result: "FinishedContest | FinishedStudy", top: int, output: Output) -> None:
    """Keep it as far as it came, and tell it; with `--json` an interruption has a document of its own."""
    from backtestkit_cli.report.as_json import document
    from backtestkit_cli.report.terminal import terminal

    files = result.dump()
    if output.as_json and result.status != "interrupted":
        output.result({**document(result.summary()), "files": [str(path) for path in files.reports]}, "")
    elif not output.as_json:
        place = next(short(path) for path in files.reports if path.suffix == ".md")
        output.result(None, terminal(result.summary(top), output.console(), place=place))
        output.tell("\n".join(f"wrote {short(path)}" for path in files.reports))
