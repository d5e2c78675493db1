"""How much history a strategy needs: the least from which its decisions are those it makes with all there is.

* Measured on drafts, where every price tells, with the start of history moved by halving.
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
from backtestkit_cli.run.checks.later import span_minutes, until


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
        least, is_settled = _needed(afresh, candles, moment, step_minutes, is_asked=is_asked)
        if found is None or least > found.minutes:
            found = WarmUp(least, len(moments), is_settled, moment)
    return found


def _needed(afresh: Afresh, candles: Candles, moment: int, step_minutes: int, *, is_asked: bool) -> tuple[int, bool]:
    """Minutes of history for one decision, in whole steps, and whether there was room for more."""
    window = afresh.terms().limits.average_price_candles
    most = (span_minutes(candles, moment) - window) // step_minutes

    def decided(steps: int) -> Decisions:
        part = until(candles, moment).from_time(moment - (steps * step_minutes + window) * MINUTE_MS)
        return afresh.alone(part, moment) if is_asked else afresh.rows(part, moment)

    def is_enough(steps: int) -> bool:
        try:
            return not differences(known, decided(steps), moment, moment)
        except StrategyError:
            return False

    known = decided(most)
    low, high = -1, most  # not enough, enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return max(0, high) * step_minutes, high < most - most // 20
