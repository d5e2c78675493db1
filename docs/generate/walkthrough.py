"""Runs a page as its reader would: files are written, commands are run, and what they print is kept.

Rules: a page works in a project of its own, made by `init`. A block of YAML, Python or CSV right below a line that
ends with a file name and a colon becomes that file. Lines of `sh` blocks that begin with `backtestkit` or `python` are
run, those that need a network or change the shell (`LEFT_OUT`) are not. A `text` block below `<!-- output -->` holds
what the commands of the block above it printed.
"""

import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_LINE = re.compile(r"`([\w./-]+\.(?:yaml|py|csv))`:\n\n\Z")
OUTPUT_MARK = "<!-- output -->\n\n"
LEFT_OUT = ("--exchange binance --symbol BTCUSDT --range", "--exchange kraken", "-completion")
STANDS_FOR = {"make demo": "backtestkit backtest ema-cross"}
"""Commands that are shown and cannot be run inside a project; the Makefile is held to it by a test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block of code. `file` is where it belongs; `is_output`: what the commands above print."""

    language: str
    text: str
    start: int
    end: int
    file: str | None = None
    is_output: bool = False

    @property
    def commands(self) -> dict[str, int]:
        """The commands to run, as they are shown, with the exit codes they are said to end with."""
        if self.language != "sh":
            return {}
        lines = [line.partition("  # ends with code ") for line in self.text.splitlines()]
        return {
            line: int(code or 0)
            for line, _, code in lines
            if (line.startswith(("backtestkit ", "python ")) or line in STANDS_FOR)
            and not any(words in line for words in LEFT_OUT)
        }


@dataclass(slots=True)
class Walk:
    """What came of a page: what each command printed, unexpected exit codes, and the page with fresh outputs."""

    outputs: dict[str, str] = field(default_factory=dict)
    surprises: dict[str, int] = field(default_factory=dict)
    page: str = ""


def blocks(page: str) -> Iterator[Block]:
    """The blocks of code of a page."""
    for match in BLOCK.finditer(page):
        before = page[: match.start()]
        file = FILE_LINE.search(before)
        yield Block(
            language=match[1],
            text=match[2],
            start=match.start(2),
            end=match.end(2),
            file=file[1] if file else None,
            is_output=before.endswith(OUTPUT_MARK),
        )


def walk(page: str, project: Path) -> Walk:
    """Do what a page says in an empty folder."""
    done, last, place = Walk(), "", 0
    run("backtestkit init .", project)
    for block in blocks(page):
        if block.file is not None:
            (project / block.file).parent.mkdir(parents=True, exist_ok=True)
            (project / block.file).write_text(block.text, encoding="utf-8")
        if block.is_output:
            done.page += page[place : block.start] + last
            place = block.end
        for command, expected in block.commands.items():
            meant = STANDS_FOR.get(command, command)
            code, printed = run(meant, project)
            done.outputs[command] = printed if meant == command else f".venv/bin/{meant}\n{printed}"
            if code != expected:
                done.surprises[command] = code
        if block.commands:
            last = "".join(done.outputs[command] for command in block.commands)
    done.page += page[place:]
    return done


def run(command: str, project: Path) -> tuple[int, str]:
    """Run one command line in a folder: its exit code, and all it printed."""
    from backtestkit_cli.cli.app import run as run_arguments

    words = shlex.split(command)
    if words[0] == "python":
        command_line = [sys.executable, *words[1:]]
        done = subprocess.run(command_line, cwd=project, capture_output=True, text=True, check=False)  # noqa: S603  # ours
        return done.returncode, done.stdout + done.stderr
    printed = io.StringIO()
    with patch.dict(os.environ, COLUMNS="80"), chdir(project), redirect_stdout(printed), redirect_stderr(printed):
        code = run_arguments(words[1:])
    return code, printed.getvalue()
