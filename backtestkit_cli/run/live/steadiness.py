"""Whether the clock of this computer runs steadily: a jump is told once, with what it means for the session.

A suspended computer looks like a clock that was set forward.
"""

from dataclasses import dataclass, field

from backtestkit_cli.errors import Problem
from backtestkit_cli.run.clock import Clock

STEADY_MS = 30_000
"""How far the clock may move against one that nobody can set before it is told."""


@dataclass(slots=True, eq=False)
class Steadiness:
    """The clock, and how far it was ahead of the one that nobody can set."""

    clock: Clock
    _ahead_ms: float = field(init=False)

    def __post_init__(self) -> None:
        self._ahead_ms = self._now_ahead_ms()

    def jump(self) -> Problem | None:
        """The jump since the last look, if there was one."""
        before_ms, self._ahead_ms = self._ahead_ms, self._now_ahead_ms()
        moved_ms = self._ahead_ms - before_ms
        if abs(moved_ms) < STEADY_MS:
            return None
        minutes = abs(moved_ms) / 60_000
        if moved_ms > 0:
            what = f"the clock went forward by {minutes:,.0f} min: the computer slept, or its clock was set"
            hint = "missed minutes are caught up; nothing is entered in them"
        else:
            what = f"the clock was set back by {minutes:,.0f} min"
            hint = "no minute is taken twice; if candles now come late, look whether the clock is right"
        return Problem("clock-jumped", what, hint=hint)

    def _now_ahead_ms(self) -> float:
        return self.clock.now_ms() - self.clock.monotonic() * 1000
