"""Doubts about decisions in words: what changed, when, and what it means for the result."""

from collections.abc import Iterable

from backtestkit_cli.engine.doubt import Doubt, DoubtCode
from backtestkit_cli.model.time import iso

MEANINGS: dict[DoubtCode, str] = {
    "looks-ahead": "looks ahead, so its result cannot be had in trading",
    "not-deterministic": "decides differently each time, so its result is one of many",
    "carries-state": "remembers earlier calls, so a restart or another start changes its decisions",
}


def doubt_text(doubt: Doubt) -> str:
    """One doubt as a sentence."""
    known, again = (_written(doubt.column, value) for value in (doubt.known, doubt.again))
    changed = f"{doubt.column} at {iso(doubt.time_ms)} is {known}, but {again} {doubt.again_when}"
    return f"{MEANINGS[doubt.code]}: {changed}"


def gravest(doubts: Iterable[Doubt]) -> tuple[Doubt, ...]:
    """One doubt of each kind, the gravest kind first."""
    first: dict[DoubtCode, Doubt] = {}
    for doubt in doubts:
        first.setdefault(doubt.code, doubt)
    return tuple(first[code] for code in MEANINGS if code in first)


def _written(column: str, value: str | float | None) -> str:
    if value is None:
        return "no draft" if column == "position" else "not given"
    return value if isinstance(value, str) else f"{value:.10g}"
