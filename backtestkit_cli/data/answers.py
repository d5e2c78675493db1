"""Answers of language models in a file: JSON lines, each with `answer`, and `prompt`, the hash of what was asked.

A file is only appended to. A last line that was cut by a power failure is as if it had never been written.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from backtestkit_cli.errors import ConfigError, DataError, Problem, Source
from backtestkit_cli.model.message import Message


class Answered(NamedTuple):
    """One line: the hash of a prompt, empty in a transcript, and what was answered."""

    prompt: str
    text: str


def prompt_hash(model: str, messages: Sequence[Message], schema: Mapping[str, Any]) -> str:
    """Give 64 hex digits of everything a model is told."""
    told = [model, [message.plain() for message in messages], schema]
    return hashlib.sha256(json.dumps(told, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def read_answers(path: Path) -> tuple[Answered, ...]:
    """Read a file of answers.

    Raises:
        ConfigError: there is no such file.
        DataError: it is not what it should be; the line is told.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(Problem("file-missing", "there is no such file of answers", Source(file=str(path)))) from None
    except (OSError, UnicodeDecodeError) as error:
        what = "the file of answers cannot be read as UTF-8 text"
        raise DataError(Problem("file-unreadable", what, Source(file=str(path)), found=str(error)[:120])) from error
    whole = text[: text.rfind("\n") + 1].split("\n")[:-1]
    return tuple(_answered(line, Source(file=str(path), line=number)) for number, line in enumerate(whole, 1))


def _answered(line: str, where: Source) -> Answered:
    try:
        given = json.loads(line)
    except (ValueError, RecursionError):
        given = None
    answer, prompt = (given.get("answer"), given.get("prompt", "")) if isinstance(given, dict) else (None, "")
    if not isinstance(answer, str) or not isinstance(prompt, str):
        expected = 'one JSON object on each line, such as {"answer": "…"}'
        raise DataError(Problem("bad-answer-line", "this line holds no answer", where, expected=expected))
    return Answered(prompt, answer)


class AnswerBook:
    """The answers of one file by the hash of their prompt; a file that is not there has none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known = {one.prompt: one.text for one in read_answers(path)} if path.exists() else {}

    def get(self, prompt: str) -> str | None:
        """Give what was answered to a prompt."""
        return self._known.get(prompt)

    def add(self, prompt: str, text: str) -> None:
        """Write an answer down; it stays when the program ends."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"prompt": prompt, "answer": text})
        with self.path.open("a+b") as file:
            _cut_torn_line(file)
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._known[prompt] = text


def _cut_torn_line(file: Any) -> None:
    end = file.seek(0, os.SEEK_END)
    if end == 0:
        return
    file.seek(end - 1)
    if file.read(1) != b"\n":
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
