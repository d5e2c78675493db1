"""How much history a strategy needs: the least from which its decisions are those it makes with all there is.

* Measured on drafts, where every price tells, with the start of history moved by halving; a draft for which the length
  found so far is enough is not measured again.
* Decisions count as the same within 1e-9. One that changes up to the very first candle has no such length. Where the
  strategy raises there was not enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.errors import StrategyError
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.run.checks.afresh import Afresh
from backtestkit_cli.run.checks.decisions import Decisions, differences
from backtestkit_cli.run.checks.later import until


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What was measured: minutes of history, at how many decisions, and whether more might be needed."""

    minutes: int
    decisions: int
    is_settled: bool
    time_ms: int


def measure_warm_up(
    afresh: Afresh, candles: Candles, moments: Sequence[int], step_minutes: int, *, is_asked: bool
) -> WarmUp | None:
    """The greatest need among the decisions at some moments; None without a moment."""
    found: WarmUp | None = None
    for moment in moments:
        one = _Start(afresh, candles, moment, step_minutes, is_asked=is_asked)
        if found is None or not one.is_enough(found.minutes // step_minutes):
            steps, is_settled = one.least()
            found = WarmUp(steps * step_minutes, len(moments), is_settled, moment)
    return found


class _Start:
    """Where history begins for one decision, counted in steps before it."""

    def __init__(self, afresh: Afresh, candles: Candles, moment: int, step_minutes: int, *, is_asked: bool) -> None:
        self._afresh = afresh
        self._candles = until(candles, moment)
        self._moment = moment
        self._step_ms = step_minutes * MINUTE_MS
        self._window_ms = afresh.terms().limits.average_price_candles * MINUTE_MS
        self._is_asked = is_asked
        self._most = (moment - candles.start_ms - self._window_ms) // self._step_ms
        self._known = self._decided(self._most)

    def is_enough(self, steps: int) -> bool:
        """Whether the decision is the one that is made with all history."""
        try:
            return not differences(self._known, self._decided(steps), self._moment, self._moment)
        except StrategyError:
            return False

    def least(self) -> tuple[int, bool]:
        """The least number of steps that is enough, and whether there was room for more."""
        low, high = -1, self._most  # not enough, enough
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.is_enough(middle) else (middle, high)
        return max(0, high), high < self._most - self._most // 20

    def _decided(self, steps: int) -> Decisions:
        part = self._candles.from_time(self._moment - steps * self._step_ms - self._window_ms)
        return self._afresh.alone(part, self._moment) if self._is_asked else self._afresh.rows(part, self._moment)
