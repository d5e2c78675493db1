"""Tables that fit: how wide each column may be, and where a text too long for its column breaks.

Numbers and dates stay whole. Texts break between words, else after a mark inside a name (`/ . - =`, none of them in
front of a digit), else anywhere.
"""

import re
from collections.abc import Sequence

LEAST_NAME = 10
_PIECE = re.compile(r"(?:[^./=-]|[./=-](?=\d))*[./=-]?")


def fold(text: str, width: int) -> list[str]:
    """Break a text into lines: between words, else after a mark inside a name, else anywhere."""
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


def fitting(columns: Sequence[Sequence[str]], whole: Sequence[bool], room: int | None) -> list[int]:
    """The widths of columns, gaps aside: natural, or narrowed until all fit; whole ones are not, names at last."""
    widths = [max(map(len, column)) for column in columns]
    if room is None:
        return widths
    for break_names in (False, True):
        least = [
            natural if is_whole else min(natural, LEAST_NAME if break_names else max(map(longest_piece, column)))
            for natural, is_whole, column in zip(widths, whole, columns, strict=True)
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


def longest_piece(text: str) -> int:
    """The length of the longest part of a text that is not broken without need."""
    return max((len(piece) for word in text.split(" ") for piece in _PIECE.findall(word)), default=0)
