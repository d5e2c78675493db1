"""Whether a strategy can earn its costs: take profits against them, trades a year, wins it needs against wins it had.

Costs of a trade are the fee and the slippage of both sides. Risk limits and sizing are left aside.
"""

from collections.abc import Iterator

import numpy as np

from backtestkit_cli.engine.candles import Candles, Floats
from backtestkit_cli.engine.trades import Trades
from backtestkit_cli.engine.vwap import price_at
from backtestkit_cli.model.policy import Costs
from backtestkit_cli.model.time import DAY_MS, TimeRange
from backtestkit_cli.run.checks.decisions import Decisions
from backtestkit_cli.run.checks.remark import Remark

DAYS_A_YEAR = 365
DRAG_WARNING_PERCENT = 100.0


def cost_remarks(
    drafts: Decisions, trades: Trades, candles: Candles, within: TimeRange, costs: Costs, price_candles: int
) -> Iterator[Remark]:
    """Hold drafts and trades of one stream against its costs."""
    round_trip = 2 * (costs.fee_percent + costs.slippage_percent)
    if not round_trip:
        hint = "set settings.costs to what your exchange takes"
        yield Remark("warning", "costs-zero", "fee and slippage are zero: nobody trades for nothing", hint)
    profit, loss = _distances(drafts, candles, price_candles)
    below = int((profit <= round_trip).sum())
    if round_trip and below:
        text = f"the take profit of {below} of {len(profit)} drafts does not cover the costs of {round_trip:g} %"
        yield Remark("warning", "take-profit-below-costs", text, "move it farther away, or trade where it costs less")
    if round_trip and len(trades):
        yield _drag(len(trades), within, round_trip)
    if len(trades) and len(profit):
        yield from _break_even(float(profit.mean()) - round_trip, float(loss.mean()) + round_trip, trades)


def _distances(drafts: Decisions, candles: Candles, price_candles: int) -> tuple[Floats, Floats]:
    """The ways to take profit and stop loss in percent of the entry, of drafts that have both."""
    side, price_open, profit, stop = drafts.values.T[:4]
    entry = np.where(np.isnan(price_open), price_at(candles, drafts.times_ms, price_candles), price_open)
    with np.errstate(all="ignore"):
        ways = side * (profit - entry) / entry * 100, side * (entry - stop) / entry * 100
    is_usable = np.isfinite(ways[0]) & np.isfinite(ways[1]) & (np.abs(side) == 1)
    return ways[0][is_usable], ways[1][is_usable]


def _drag(trades: int, within: TimeRange, round_trip: float) -> Remark:
    a_day = trades * DAY_MS / (within.end_ms - within.start_ms)
    yearly = a_day * round_trip * DAYS_A_YEAR
    text = f"{a_day:.3g} trades a day cost {yearly:.3g} % of the stake a year, at {round_trip:g} % each"
    return Remark("warning" if yearly > DRAG_WARNING_PERCENT else "info", "cost-drag", text)


def _break_even(win: float, loss: float, trades: Trades) -> Iterator[Remark]:
    """The share of wins at which levels like these earn nothing, against the share that was had."""
    if win <= 0 or loss <= 0:
        return
    needed, had = 100 * loss / (win + loss), 100 * float((trades.pnl_percent > 0).mean())
    text = f"levels like its own need {needed:.0f} % wins after costs; it had {had:.0f} % in {len(trades)} trades"
    yield Remark("warning" if had < needed else "info", "break-even", text)
