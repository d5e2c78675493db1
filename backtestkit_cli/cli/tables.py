"""Plain tables for commands that only show: aligned, without colours, the same on a terminal and in a file."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH = 72


def columns(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line per row under a head of the keys; numbers to the right."""
    names = list(rows[0])
    cells = [[_text(row[name]) for name in names] for row in rows]
    heads = [name.replace("_", " ") for name in names]
    widths = [max(len(head), *(len(line[place]) for line in cells)) for place, head in enumerate(heads)]
    right = [all(isinstance(row[name], int | float) or row[name] is None for row in rows) for name in names]

    def line(texts: Sequence[str]) -> str:
        shown = (
            text.rjust(width) if is_right else text.ljust(width)
            for text, width, is_right in zip(texts, widths, right, strict=True)
        )
        return "  ".join(shown).rstrip()

    return "\n".join([line(heads), *map(line, cells)])


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
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    text = f"{value:,.10g}" if isinstance(value, float) else str(value)
    return "".join(" " if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") else char for char in text)
