"""Writes problems as text for people: what is wrong, where, and what to do.

Rules: plain text without colours; one line for the code, one for the place, one for what is wrong, then what was
found, expected and advised. Control characters are written as escapes, so that no message can steer the terminal.
"""

import unicodedata

from backtestkit_cli.errors import Problem, Source
from backtestkit_cli.model.time import iso


def render_problem(problem: Problem) -> str:
    """Write one problem, without a final line break."""
    lines = [f"error: {problem.code}"]
    if problem.where and (place := render_source(problem.where)):
        lines.append(f"  {place}")
    asks = problem.hint if problem.hint and problem.hint.endswith("?") else None
    lines.append(f"  {problem.what}; {asks}" if asks else f"  {problem.what}")
    if problem.found is not None:
        lines.append(f"  found: {problem.found}")
    if problem.expected is not None:
        label = "known here" if problem.code.startswith("unknown-") else "expected"
        lines.append(f"  {label}: {problem.expected}")
    if problem.hint and not asks:
        lines.append(f"  {problem.hint}")
    return "\n".join(printable(line) for line in lines)


def render_source(source: Source) -> str:
    """Write a place on one line: file, line and column, then the key path or the market and time."""
    numbers = [str(number) for number in (source.line, source.column) if number is not None]
    place = ":".join([source.file, *numbers]) if source.file else ""
    key = " ".join(filter(None, (source.key, "" if place or not numbers else f"column {numbers[-1]}")))
    market = source.symbol or ""
    if source.time_ms is not None:
        market = f"{market} at {iso(source.time_ms)}".strip()
    return "   ".join(part for part in (place, key, market) if part)


def printable(line: str) -> str:
    """Write characters that would steer a terminal as escapes."""
    return "".join(
        _escape(char) if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") else char for char in line
    )


def _escape(char: str) -> str:
    return char.encode("unicode_escape", errors="backslashreplace").decode("ascii")
