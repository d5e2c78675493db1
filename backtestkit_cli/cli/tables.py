"""Plain tables for commands that only show: aligned, without colours, the same on a terminal and in a file."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from backtestkit_cli.report.fold import fitting, fold

_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH = 72
_WHOLE = re.compile(r"\d{4}-\d\d-\d\d[ T][\d:]+Z?|\d{8}T\d{6}Z|[0-9a-f]{12}")
GAP = "  "
NOTHING = "–"


def columns(rows: Sequence[Mapping[str, Any]], width: int | None = None) -> str:
    """One line per row under a head of the keys, numbers to the right; cells are folded to fit a width."""
    names = list(rows[0])
    cells = [[name.replace("_", " ") for name in names], *([_text(row[name]) for name in names] for row in rows)]
    right = [all(isinstance(row[name], int | float) or row[name] is None for row in rows) for name in names]
    by_column = [list(column) for column in zip(*cells, strict=True)]
    whole = [is_right or all(map(_is_whole, column[1:])) for column, is_right in zip(by_column, right, strict=True)]
    widths = fitting(by_column, whole, None if width is None else width - len(GAP) * (len(names) - 1))

    def line(texts: Sequence[str]) -> str:
        shown = (
            text.rjust(width) if is_right else text.ljust(width)
            for text, width, is_right in zip(texts, widths, right, strict=True)
        )
        return GAP.join(shown).rstrip()

    lines = []
    for row in cells:
        folded = [fold(text, width) for text, width in zip(row, widths, strict=True)]
        lines += [line(texts) for texts in zip_longest(*folded, fillvalue="")]
    return "\n".join(lines)


def _is_whole(text: str) -> bool:
    """Whether a text is a date or the id of a run, which nobody reads in pieces."""
    return text == NOTHING or _WHOLE.fullmatch(text) is not None


def pairs(facts: Mapping[str, Any]) -> str:
    """One line per fact: name, value."""
    width = max(len(name) for name in facts)
    return "\n".join(f"{name.replace('_', ' '):<{width}}  {_text(value)}" for name, value in facts.items())


def spark(values: Sequence[float]) -> str:
    """A line of blocks between the lowest and the highest value."""
    step = max(1, -(-len(values) // _WIDTH))
    picked = list(values[::step])
    low, high = min(picked), max(picked)
    scale = (len(_BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BLOCKS[round((value - low) * scale)] for value in picked)


def _text(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    text = f"{value:,.10g}" if isinstance(value, float) else str(value)
    return "".join(" " if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") else char for char in text)
