"""Whether the clock of this computer is right, and candles come in time; what is wrong is told once, until it is right.

* Where the exchange shows its time, that is what the clock is held against: several answers in a row have to agree, for
  one may have been under way for long, or come from a cache.
* Who was told that the clock jumped is not told again of the same wrong clock.
* Where it shows none, candles that always come one by one and too late say that one of the two clocks is wrong.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from backtestkit_cli.errors import Problem
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.time import MINUTE_MS

AHEAD_MS, BEHIND_MS = 3000, 5000
"""From where on the clock is wrong. The time that an exchange shows is cut to seconds, and older when it arrives."""
ANSWERS = 3
LATE_MINUTES = 5
HINT = "set it, best by NTP, and start again if times in the journal matter"


@dataclass(slots=True, eq=False)
class Punctuality:
    """What was seen of the clock and the newest candles."""

    _ahead_ms: deque[int] = field(default_factory=lambda: deque(maxlen=ANSWERS))
    _late_minutes: int = 0
    _told: str = ""
    _has_jumped: bool = False

    def jumped(self) -> None:
        """The clock jumped, and that was told."""
        self._ahead_ms.clear()
        self._late_minutes, self._has_jumped = 0, True

    def look(self, now_ms: int, ahead_ms: int | None, newer: Mapping[str, Sequence[Candle]]) -> Problem | None:
        """Look at the answers of a minute, all candles that are new by symbol; what is to be told now."""
        if ahead_ms is not None:
            self._ahead_ms.append(ahead_ms)
        self._count_late(now_ms, newer)
        problem = self._wrong_clock() or self._late_candles()
        told, self._told = self._told, "" if problem is None else problem.code
        is_known = problem is None or problem.code == told or self._has_jumped
        self._has_jumped &= problem is None and len(self._ahead_ms) < ANSWERS
        return None if is_known else problem

    def _count_late(self, now_ms: int, newer: Mapping[str, Sequence[Candle]]) -> None:
        came = [candles for candles in newer.values() if candles]
        if not came:
            return
        is_late = all(now_ms - (candles[-1].time + MINUTE_MS) >= MINUTE_MS for candles in came)
        self._late_minutes = self._late_minutes + 1 if is_late and all(len(one) == 1 for one in came) else 0

    def _wrong_clock(self) -> Problem | None:
        if len(self._ahead_ms) < ANSWERS:
            return None
        if (least_ms := min(self._ahead_ms)) >= AHEAD_MS:
            what = f"the clock of this computer is {_span(least_ms)} ahead of the exchange's"
            return Problem("clock-ahead", f"{what}: minutes seem to be over when they are learnt of", hint=HINT)
        if (most_ms := max(self._ahead_ms)) <= -BEHIND_MS:
            what = f"the clock of this computer is {_span(-most_ms)} behind the exchange's"
            return Problem("clock-behind", f"{what}: what is decided comes that much too late", hint=HINT)
        return None

    def _late_candles(self) -> Problem | None:
        if self._late_minutes < LATE_MINUTES:
            return None
        what = f"each candle of the last {LATE_MINUTES} minutes came more than a minute late, so nothing can be entered"
        return Problem(
            "candles-late", what, hint="look whether the clock of this computer is ahead, then at the exchange"
        )


def _span(milliseconds: int) -> str:
    seconds = milliseconds // 1000
    return f"{seconds} s" if seconds < 120 else f"{seconds / 60:,.0f} min"
