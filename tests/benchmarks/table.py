"""The printed answer: one line per ratio, with its goal and whether it is met."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison. `value` is a ratio, or MiB; None could not be measured. `note` tells counts and times."""

    what: str
    value: float | None
    goal: float | None = None
    is_better: Literal["above", "below"] = "above"
    unit: Literal["×", "MiB"] = "×"
    note: str = ""

    def cells(self) -> tuple[str, str, str, str, str]:
        """The texts of the line."""
        sign = "≥" if self.is_better == "above" else "≤"
        goal = "" if self.goal is None else f"{sign} {_number(self.goal, self.unit)}"
        value = "–" if self.value is None else _number(self.value, self.unit)
        return self.what, value, goal, self._verdict(), self.note

    def _verdict(self) -> str:
        if self.value is None:
            return "not run"
        if self.goal is None:
            return ""
        met = self.value >= self.goal if self.is_better == "above" else self.value <= self.goal
        return "ok" if met else "missed"


def text_of(rows: Sequence[Row]) -> str:
    """All rows as one aligned table."""
    lines = [("comparison", "ratio", "goal", "", "medians, for information"), *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    return "\n".join(
        f"{what:<{widths[0]}}  {value:>{widths[1]}}  {goal:>{widths[2]}}  {verdict:<{widths[3]}}  {note}".rstrip()
        for what, value, goal, verdict, note in lines
    )


def _number(value: float, unit: str) -> str:
    if unit == "MiB":
        return f"{value:.0f} MiB"
    return f"×{value:.0f}" if value >= 20 else f"×{value:.1f}" if value >= 1 else f"×{value:.2f}"
