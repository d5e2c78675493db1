"""Every kind of broken file is answered by one readable message, which a golden file holds.

`UPDATE_GOLDEN=1 pytest tests/unit/config/test_broken_files.py` rewrites the golden files.
"""

import os
from pathlib import Path

import pytest

from backtestkit_cli.cli.messages import render_problem
from backtestkit_cli.config.merge import load
from backtestkit_cli.errors import ConfigError, Problem

TESTS = Path(__file__).parents[2]
BROKEN = sorted((TESTS / "data" / "broken").glob("*.yaml"))
GOLDEN = TESTS / "golden" / "config"


def problems_of(file: Path) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load([Path(file.name)])
    return caught.value.problems


@pytest.mark.parametrize("file", BROKEN, ids=lambda file: file.stem)
def test_a_broken_file_is_answered_by_its_golden_message_with_a_place(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    problems = problems_of(file)
    message = "\n".join(render_problem(problem) for problem in problems) + "\n"
    golden = GOLDEN / f"{file.stem}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(message, encoding="utf-8")
    assert message == golden.read_text(encoding="utf-8")
    for problem in problems:
        if problem.code != "more-problems":
            assert problem.where is not None
            assert problem.where.file == file.name
            assert problem.where.line or problem.code in ("no-sections", "bad-encoding")


def test_the_corpus_is_large_and_every_golden_message_has_its_file() -> None:
    assert len(BROKEN) >= 60
    assert {file.stem for file in GOLDEN.glob("*.txt")} == {file.stem for file in BROKEN}


def test_messages_never_speak_in_the_words_of_the_libraries() -> None:
    foreign = ("pydantic", "Input should", "Field required", "_type", "yaml.org", "validator", "Traceback")
    for golden in GOLDEN.glob("*.txt"):
        message = golden.read_text(encoding="utf-8")
        assert not [word for word in foreign if word in message], golden.name
        assert "this value is not accepted here" not in message, golden.name
