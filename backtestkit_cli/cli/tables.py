"""Plain tables for commands that only show: aligned, without colours, the same on a terminal and in a file."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH = 72
_LEAST = 10
_PIECE = re.compile(r"(?:[^./]|(?<=\d)[.](?=\d))*[./]?")
GAP = "  "


def columns(rows: Sequence[Mapping[str, Any]], width: int | None = None) -> str:
    """One line per row under a head of the keys, numbers to the right; cells are folded to fit a width."""
    names = list(rows[0])
    cells = [[name.replace("_", " ") for name in names], *([_text(row[name]) for name in names] for row in rows)]
    right = [all(isinstance(row[name], int | float) or row[name] is None for row in rows) for name in names]
    widths = _fitting([list(column) for column in zip(*cells, strict=True)], right, width)

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


def fold(text: str, width: int) -> list[str]:
    """Break a text into lines: between words, else after a dot or slash of a path, else anywhere."""
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
            continue
        pieces = [word] if len(word) <= width else _PIECE.findall(word)
        lines += [""] if lines[-1] else []
        for piece in pieces:
            if lines[-1] and len(lines[-1]) + len(piece) > width:
                lines.append("")
            lines[-1] += piece
            while len(lines[-1]) > width:
                lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return lines


def _fitting(columns: Sequence[Sequence[str]], right: Sequence[bool], width: int | None) -> list[int]:
    """The widths of columns: natural, or narrowed until all fit; numbers stay whole, names as long as it can be."""
    widths = [max(map(len, column)) for column in columns]
    if width is None:
        return widths
    room = width - len(GAP) * (len(widths) - 1)
    for break_names in (False, True):
        least = [
            natural if is_right else min(natural, _LEAST if break_names else max(map(_longest_piece, column)))
            for natural, is_right, column in zip(widths, right, columns, strict=True)
        ]
        _narrow(widths, least, room)
    return widths


def _narrow(widths: list[int], least: Sequence[int], room: int) -> None:
    """Take from the column that can spare most, until all fit or none can spare any."""
    while sum(widths) > room:
        widest = max(range(len(widths)), key=lambda place: widths[place] - least[place])
        if widths[widest] <= least[widest]:
            return
        widths[widest] -= 1


def _longest_piece(text: str) -> int:
    return max((len(piece) for word in text.split(" ") for piece in _PIECE.findall(word)), default=0)


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
