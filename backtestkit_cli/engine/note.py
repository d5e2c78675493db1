"""Notes and ids of signals: markdown becomes one plain line; an id follows from what was decided, where and when.

Source: semantics of the original, section 1 (order of the cleaning steps); rules, section 4 (ids).
"""

import hashlib
import re
from functools import lru_cache

_STEPS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, flags), replacement)
    for pattern, replacement, flags in (
        (r"```[\s\S]*?```", "", 0),
        (r"`([^`]+)`", r"\1", 0),
        (r"!\[([^\]]*)\]\([^)]*\)", r"\1", 0),
        (r"\[([^\]]*)\]\([^)]*\)", r"\1", 0),
        (r"^#{1,6}\s+(.+)$", r"\1", re.MULTILINE),
        (r"\*\*\*(.+?)\*\*\*", r"\1", 0),
        (r"\*\*(.+?)\*\*", r"\1", 0),
        (r"\*(.+?)\*", r"\1", 0),
        (r"___(.+?)___", r"\1", 0),
        (r"__(.+?)__", r"\1", 0),
        (r"_(.+?)_", r"\1", 0),
        (r"~~(.+?)~~", r"\1", 0),
        (r"^\s*[-*+]\s+", "• ", re.MULTILINE),
        (r"^\s*\d+\.\s+", "• ", re.MULTILINE),
        (r"^\s*>\s+", "", re.MULTILINE),
        (r"^(\*{3,}|-{3,}|_{3,})$", "", re.MULTILINE),
        (r"<[^>]+>", "", 0),
        (r"\n{2,}", "\n", 0),
        (r"[ \t]+", " ", 0),
        (r"\n", " ", 0),
        (r"\s+", " ", 0),
    )
)


def plain_text(note: str | None) -> str:
    """Turn a markdown note into one plain line; none becomes the empty text."""
    text = note or ""
    if not text:
        return ""
    for pattern, replacement in _STEPS:
        text = pattern.sub(replacement, text)
    return text.strip()


@lru_cache(maxsize=16_384)  # events, tables and reports of one run all ask for it
def signal_id(strategy: str, symbol: str, decided_at: int) -> str:
    """The UUID4 of a decision: the same in backtest, paper and live."""
    digits = hashlib.sha256(f"{strategy}\n{symbol}\n{decided_at}".encode()).hexdigest()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"
