"""Words and lines that all parts of a story share."""

import textwrap
from collections.abc import Iterable, Iterator

from backtestkit_cli.engine.rules.sight import Value
from backtestkit_cli.model.time import iso
from backtestkit_cli.report.text import price_text

WIDTH = 80
LABEL = 16
INDENT = "  "


def clock(time_ms: int) -> str:
    """A time, UTC."""
    return iso(time_ms).replace("T", " ").removesuffix("Z")


def fact(label: str, text: str) -> str:
    """A label and what stands behind it; further lines stand below the first."""
    first, *more = [part for line in text.split("\n") for part in wrapped(line, WIDTH - len(INDENT) - LABEL) or [""]]
    return "\n".join([f"{INDENT}{label:<{LABEL}}{first}".rstrip(), *(f"{INDENT}{'':<{LABEL}}{one}" for one in more)])


def wrapped(text: str, width: int = WIDTH) -> list[str]:
    """A text in lines of a width; what has no blanks stays whole."""
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def headed(head: str, lines: Iterable[str]) -> Iterator[str]:
    """Lines below a head; nothing without lines."""
    found = list(lines)
    if found:
        yield ""
        yield head
        yield from found


def value_text(value: Value) -> str:
    """A value of a rule: a number, true or false; null is unknown."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return price_text(value) if abs(value) >= 1 else f"{value:.8g}"


def percent_text(value: float, digits: int = 4) -> str:
    """A percent without a sign."""
    return f"{value:.{digits}f} %"
