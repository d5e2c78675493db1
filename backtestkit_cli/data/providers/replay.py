"""Answers of a file, one after the other, whatever is asked: for examples and tests without a model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backtestkit_cli.data.answers import read_answers
from backtestkit_cli.errors import Problem, RejectedError, Source
from backtestkit_cli.model.message import Message


class Replay:
    """Gives the answers of a transcript, a file of JSON lines, in their order."""

    def __init__(self, transcript: str, project: Path, model: str | None = None) -> None:  # noqa: ARG002  # it is not asked
        self._path = project / transcript
        self._answers = iter(read_answers(self._path))

    def complete(self, messages: Sequence[Message], schema: Mapping[str, Any]) -> str:  # noqa: ARG002  # it knows all
        """Give the next answer.

        Raises:
            RejectedError: there is none left.
        """
        for answer in self._answers:
            return answer.text
        hint = "add a line, or ask for fewer drafts"
        raise RejectedError(Problem("transcript-over", "no answer is left", Source(file=str(self._path)), hint=hint))
