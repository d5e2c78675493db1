"""What becomes of each candidate, as if it were alone: first touch of its entry, then of its levels."""

from dataclasses import dataclass

import numpy as np

from backtestkit_cli.engine.candles import Ints
from backtestkit_cli.engine.columns.candidates import Candidates
from backtestkit_cli.engine.columns.market import Market
from backtestkit_cli.engine.touch import first_touch, first_touch_of_one
from backtestkit_cli.engine.trades import REASONS, Codes
from backtestkit_cli.model.event import CancelReason, CloseReason
from backtestkit_cli.model.policy import FillPolicy

TAKE_PROFIT, STOP_LOSS, TIME_EXPIRED, END_OF_DATA = (REASONS.index(reason) for reason in CloseReason)
CANCELLED = len(REASONS)  # outcome codes from here on are the cancel reasons, in their order
CANCEL_REASONS = tuple(CancelReason)
REFUSED = CANCELLED + len(CANCEL_REASONS)
STOP_LEVEL, WAIT_OVER, STOPPED, DATA_OVER = (
    CANCELLED + CANCEL_REASONS.index(reason)
    for reason in (CancelReason.STOP_LEVEL, CancelReason.WAIT_OVER, CancelReason.STOPPED, CancelReason.END_OF_DATA)
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What became of the candidates named in `chosen`; `open` and `end` are rows (times), `open` -1 if never opened."""

    chosen: Ints
    open: Ints
    end: Ints
    code: Codes


def resolve(market: Market, offered: Candidates, chosen: Ints, policy: FillPolicy) -> Outcome:
    """The outcome of each chosen candidate, as if it were alone; all of them are valid."""
    row, held = offered.row[chosen], offered.is_market[chosen]
    if held.all():
        end, code = _hold(market, offered, chosen, row, policy)
        return Outcome(chosen=chosen, open=row, end=end, code=code)
    opened, end, start = row.copy(), row.copy(), row.copy()
    code = np.full(len(chosen), REFUSED, dtype=np.int8)
    waiting = np.flatnonzero(~held)
    opened[waiting], end[waiting], code[waiting] = _wait(market, offered, chosen[waiting], policy)
    activated = waiting[(opened[waiting] >= 0) & (code[waiting] == REFUSED)]
    start[activated] = opened[activated]
    held[activated] = True
    hold = np.flatnonzero(held)
    end[hold], code[hold] = _hold(market, offered, chosen[hold], start[hold], policy)
    return Outcome(chosen=chosen, open=opened, end=end, code=code)


def _wait(market: Market, offered: Candidates, who: Ints, policy: FillPolicy) -> tuple[Ints, Ints, Codes]:
    """Limit entries: (row opened or -1, row of the end, code; REFUSED stands for opened and still held)."""
    candles, rows = market.candles, len(market.candles)
    is_long, limit, stop = offered.is_long[who], offered.entry[who], offered.stop_loss[who]
    start = offered.row[who]
    last = start + offered.wait[who].astype(np.int64) - 1
    never = np.full(len(who), np.inf)
    upper, lower = np.where(is_long, never, limit), np.where(is_long, limit, -never)
    reached = first_touch(market.entry_high, market.entry_low, start, np.minimum(last + 1, rows), upper, lower)
    over = market.test_end(last)
    code = np.where(over < rows, WAIT_OVER, DATA_OVER).astype(np.int8)
    end = np.minimum(over + 1, rows)
    opened = np.full(len(who), -1, dtype=np.int64)
    got = np.flatnonzero(reached >= 0)
    at = reached[got]
    end[got] = at + 1
    if policy.entry == "vwap":
        seen = market.price_at(at)
        beyond = np.where(is_long[got], seen <= stop[got], seen >= stop[got])
        code[got] = np.where(beyond, STOP_LEVEL, REFUSED)
        opened[got] = np.where(beyond, -1, at + 1)
    else:
        beyond = np.where(is_long[got], candles.low[at] <= stop[got], candles.high[at] >= stop[got])
        code[got] = np.where(beyond, STOP_LOSS, REFUSED)
        opened[got] = at + 1
    stopped = end >= market.stop_row  # a stop request acts before everything else of its instant
    opened[stopped], end[stopped], code[stopped] = -1, market.stop_row, STOPPED
    return opened, end, code


def _hold(market: Market, offered: Candidates, who: Ints, start: Ints, policy: FillPolicy) -> tuple[Ints, Codes]:
    """Open positions whose first tested minute is `start`: (row of the end, code)."""
    rows = len(market.candles)
    is_long, profit, stop = offered.is_long[who], offered.take_profit[who], offered.stop_loss[who]
    last = market.test_end(start + offered.lifetime[who].astype(np.int64) - 1)
    upper, lower = np.where(is_long, profit, stop), np.where(is_long, stop, profit)
    test_until = np.minimum(last + 1, rows)
    if len(who) == 1:
        one = (int(start[0]), int(test_until[0]), float(upper[0]), float(lower[0]))
        reached = np.array([first_touch_of_one(market.exit_high, market.exit_low, *one)])
    else:
        reached = first_touch(market.exit_high, market.exit_low, start, test_until, upper, lower)
    code = np.where(last < rows, TIME_EXPIRED, END_OF_DATA).astype(np.int8)
    end = test_until.copy()
    got = np.flatnonzero(reached >= 0)
    at = reached[got]
    end[got] = at + 1
    high_hit, low_hit = market.exit_high[at] >= upper[got], market.exit_low[at] <= lower[got]
    profit_hit, stop_hit = np.where(is_long[got], high_hit, low_hit), np.where(is_long[got], low_hit, high_hit)
    wins = profit_hit if policy.order == "profit_first" else ~stop_hit
    code[got] = np.where(wins, TAKE_PROFIT, STOP_LOSS)
    return end, code
