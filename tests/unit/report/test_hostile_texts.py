"""Texts of users and exchanges cannot become markup, links, colours or control characters in any report."""

import io
import json
import re
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from make import Deal, run, stream
from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console

from backtestkit_cli.engine.result import RunResult
from backtestkit_cli.report.as_json import json_text
from backtestkit_cli.report.build import build
from backtestkit_cli.report.markdown import escape, markdown
from backtestkit_cli.report.report import Report
from backtestkit_cli.report.terminal import terminal
from backtestkit_cli.report.text import clean

from .cases import HOSTILE

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
ADDRESS = re.compile(r"(https?://|www\.|[\w.]@\w)")


def holding(text: str, note: str = "note") -> RunResult:
    """A run with a foreign text in every place that takes one."""
    one = stream(
        Deal(pnl=1.0, note=note, id=text or "id"),
        strategy=text,
        symbol=text,
        note=f"x{text}",
        warnings=(text,),
    )
    other = stream(2.0, strategy="other", symbol="BTCUSDT")
    return run(one, other, exchange=text, frame=text, warnings=(text, f"{text} {text}"))


@cache
def built(text: str) -> Report:
    """The report of such a run; the tests of one text share it."""
    return build(holding(text))


def shape(tokens: list[Token]) -> list[Any]:
    """The structure of a document without its texts."""
    return [
        (token.type, token.tag, shape(token.children or []))
        for token in tokens
        if token.type not in ("text", "text_special")
    ]


@cache
def plain_shape() -> list[Any]:
    return shape(READER.parse(markdown(built("plain"))))


def cells(tokens: list[Token]) -> list[str]:
    return ["".join(child.content for child in token.children or []) for token in tokens if token.type == "inline"]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_markdown_reads_back_as_the_text_and_nothing_else(text: str) -> None:
    written = markdown(built(text))
    tokens = READER.parse(written)
    assert shape(tokens) == plain_shape()
    found = cells(tokens)
    assert found[found.index("Exchange") + 1] == clean(text)
    assert found[found.index("Frame") + 1] == clean(text)
    assert f"{clean(text)} on {clean(text)}".strip() in found
    assert not ADDRESS.search(written)
    assert "<" not in written
    assert all(char.isprintable() or char == "\n" for char in written)
    written.encode("utf-8")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_terminal_shows_the_text_without_obeying_it(text: str) -> None:
    written = terminal(built(text), Console(file=io.StringIO(), width=400), place=text)
    assert all(char.isprintable() or char == "\n" for char in written)
    assert f"Exchange     {clean(text)}".rstrip() in written
    written.encode("utf-8")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_json_keeps_the_text_as_it_was_given(text: str) -> None:
    written = json_text(built(text))
    kept = text.encode("utf-8", "replace").decode("utf-8")
    told = json.loads(written)
    assert told["run"]["exchange"] == kept
    assert told["streams"][0]["symbol"] == kept
    assert told["streams"][0]["warnings"][-1]["text"] or not kept
    assert any(finding["text"] == kept for finding in told["streams"][0]["warnings"])


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        pytest.param("a\u202eb\u200bc\ufeff", "abc", id="what turns or hides text is dropped"),
        pytest.param(" a\t\nb\x00c  d ", "a b c d", id="blanks for control characters, one at a time"),
        pytest.param("a\ud800b", "a?b", id="half a character"),
        pytest.param("\x1b[31mred", "[31mred", id="an escape sequence is only its letters"),
        pytest.param("漢字 🙂", "漢字 🙂", id="everything else"),
    ],
)
def test_a_text_becomes_one_printable_line(text: str, kept: str) -> None:
    assert clean(text) == kept


def test_names_with_underscores_stay_readable() -> None:
    assert escape("snake_case_name") == "snake_case_name"


def test_a_note_cannot_leave_its_row() -> None:
    whole = holding("plain", note="first | second\nthird")
    rows = [line for line in markdown(build(whole)).splitlines() if "second" in line]
    assert [row.count(" | ") for row in rows] == [rows[0].count(" | ")]
    assert "first \\| second third" in rows[0]


def test_a_name_of_the_longest_kind_does_not_break_an_80_column_terminal() -> None:
    long = replace(stream(1.0), strategy="s" * 64, symbol="漢" * 40)
    written = terminal(build(run(long, stream(2.0))), Console(file=io.StringIO(), width=80))
    assert max(map(len, written.splitlines())) <= 80
