"""A study as it is kept: plain values that become an equal study again, floats to the last bit."""

import json

from backtestkit_cli.measure.study import Study
from backtestkit_cli.report.contest_json import contest_made
from backtestkit_cli.report.stored import made, plain


def study_json(study: Study) -> bytes:
    """Write a study; infinite figures, which JSON does not know, as Python writes them."""
    return (json.dumps(plain(study)) + "\n").encode("ascii")


def study_from(content: bytes) -> Study:
    """Read a study.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: this is none.
    """
    told = json.loads(content)
    return made(Study, told, contest=contest_made(told["contest"]))
