"""The column form: all drafts of a stream at once. An optimisation of walk, never a second opinion.

Candidates are the rows at decision times with a fresh price. Their outcome does not depend on one another (first
touch); which of them are taken does, and a chain over the outcomes decides it: after a taken candidate the next one
is the first at or after its end. The funnel follows from intervals in which the stream is busy.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from backtestkit_cli.engine.candles import Bools, Candles, Floats, Ints
from backtestkit_cli.engine.decide import distance_rules
from backtestkit_cli.engine.draft import TOLERANCE_PERCENT, broken_rules
from backtestkit_cli.engine.drafts import DISTANCE_RULES, DraftColumns
from backtestkit_cli.engine.note import plain_text, signal_id
from backtestkit_cli.engine.result import StreamResult
from backtestkit_cli.engine.step import LEVELS, Side, Terms
from backtestkit_cli.engine.touch import first_touch, first_touch_of_one
from backtestkit_cli.engine.trades import REASONS, Codes, Trades
from backtestkit_cli.engine.vwap import vwap_all, vwap_at
from backtestkit_cli.model.event import (
    Cancelled,
    CancelReason,
    CloseReason,
    DraftRefused,
    Event,
    LevelReached,
    Opened,
    Scheduled,
)
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import FillPolicy
from backtestkit_cli.model.signal import Position, Signal
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.model.trade import long_pnl_percent, short_pnl_percent

TAKE_PROFIT, STOP_LOSS, TIME_EXPIRED, END_OF_DATA = (REASONS.index(reason) for reason in CloseReason)
CANCELLED = len(REASONS)  # outcome codes from here on are the cancel reasons, in their order
CANCEL_REASONS = tuple(CancelReason)
STOP_LEVEL, WAIT_OVER, _, _, DATA_OVER = (CANCELLED + place for place in range(len(CANCEL_REASONS)))
REFUSED = CANCELLED + len(CANCEL_REASONS)

_FIRST_BATCH, _LAST_BATCH, _SEQUENCE = 2048, 8192, 256


def run_columns(candles: Candles, rows: DraftColumns, ticks: Ints, terms: Terms) -> StreamResult:
    """Run one stream whose decisions are rows.

    `ticks` are its decision times (UTC ms, ascending, a part of an arithmetic grid); `rows` as in DraftColumns.
    """
    market = Market.of(candles, terms, has_limits=bool(rows.has_price_open.any()))
    offered = _candidates(market, rows, ticks, terms)
    outcome = _chain(market, offered, terms)
    return _result(market, rows, ticks, offered, outcome, terms)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Market:
    """The columns that fills are judged on. Row `i` is a minute; what happens at its end has the time row `i + 1`.

    `exit_high` and `exit_low` test the levels of an open position, `entry_high` and `entry_low` a limit entry.
    `next_there[i]` is the first row at or after `i` with a candle, None when there are no holes.
    """

    candles: Candles
    price: Floats | None
    exit_high: Floats
    exit_low: Floats
    entry_high: Floats
    entry_low: Floats
    next_there: Ints | None
    count: int

    @classmethod
    def of(cls, candles: Candles, terms: Terms, *, has_limits: bool) -> "Market":
        """Build the columns; the VWAP of every minute only where the policy judges fills on it."""
        count, policy = terms.limits.average_price_candles, terms.policy
        waits_for_price = has_limits and policy.entry == "vwap"
        price = vwap_all(candles, count) if policy.exit == "vwap" or waits_for_price else None
        exits = (candles.high, candles.low) if price is None or policy.exit == "touch" else (price, price)
        entries = (candles.high, candles.low)
        if price is not None and waits_for_price:
            entries = (np.minimum(candles.high, price), np.maximum(candles.low, price))
        return cls(
            candles=candles,
            price=price,
            exit_high=exits[0],
            exit_low=exits[1],
            entry_high=entries[0],
            entry_low=entries[1],
            next_there=_next_there(candles),
            count=count,
        )

    def price_at(self, rows: Ints) -> Floats:
        """VWAP at the end of the given minutes."""
        return vwap_at(self.candles, rows, self.count) if self.price is None else self.price[rows]

    def test_end(self, row: Ints) -> Ints:
        """The last row that is tested when the limit of time lies at the end of `row`; n where there is none."""
        end = np.minimum(row, len(self.candles))
        return end if self.next_there is None else self.next_there[end]


def _next_there(candles: Candles) -> Ints | None:
    if candles.present is None:
        return None
    rows = np.where(candles.present, np.arange(len(candles)), len(candles))
    return np.append(np.minimum.accumulate(rows[::-1])[::-1], len(candles))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """Drafts that may be offered, in order of time; one value per candidate.

    `place` is the row in DraftColumns, `row` the minute that opens at the decision. `entry` is what is booked,
    `vwap` and `worse` the market's two prices, `is_market` an entry now, `at_market` one at the market's price.
    """

    place: Ints
    row: Ints
    is_long: Bools
    vwap: Floats
    worse: Floats
    entry: Floats
    is_market: Bools
    at_market: Bools
    take_profit: Floats
    stop_loss: Floats
    lifetime: Floats
    wait: Floats
    is_valid: Bools


def _at_ticks(times: Ints, ticks: Ints) -> Bools:
    if not len(ticks):
        return np.zeros(len(times), dtype=bool)
    step_ms = int(ticks[1] - ticks[0]) if len(ticks) > 1 else MINUTE_MS
    place = (times - ticks[0]) // step_ms
    np.clip(place, 0, len(ticks) - 1, out=place)
    return np.asarray(ticks[0] + place * step_ms == times)


def _ticks_before(ticks: Ints, times_ms: Ints) -> Ints:
    """How many ticks lie before each time."""
    step_ms = int(ticks[1] - ticks[0]) if len(ticks) > 1 else MINUTE_MS
    return np.asarray(np.clip(-((ticks[0] - times_ms) // step_ms), 0, len(ticks)))


def _candidates(market: Market, rows: DraftColumns, ticks: Ints, terms: Terms) -> Candidates:
    candles, policy, limits = market.candles, terms.policy, terms.limits
    row = (rows.time_ms - candles.start_ms) // MINUTE_MS
    usable = (rows.side != 0) & ~rows.warm_up & ~rows.ambiguous & _at_ticks(rows.time_ms, ticks)
    usable &= _is_fresh(candles, row)
    place = np.flatnonzero(usable)
    row = row[place]
    is_long = rows.side[place] > 0
    vwap = market.price_at(row - 1) if rows.price is None or market.price is not None else rows.price[place]
    close = candles.close[row - 1]
    worse = np.where(is_long, np.maximum(vwap, close), np.minimum(vwap, close))
    booked = vwap if policy.market_books == "vwap" else worse
    given = rows.price_open[place]
    is_given = rows.has_price_open[place]
    is_market = ~is_given | np.where(is_long, booked <= given, booked >= given)
    at_market = is_market if policy.better_entry == "market" else ~is_given
    entry = np.where(at_market, booked, given)
    take_profit, stop_loss = rows.price_take_profit[place], rows.price_stop_loss[place]
    lifetime, wait = rows.lifetime_minutes[place], rows.wait_minutes[place]
    wait = np.where(np.isnan(wait), limits.schedule_await_minutes, wait)
    sign = np.where(is_long, 1.0, -1.0)
    valid = _is_clearly_valid(sign, is_market, vwap, entry, take_profit, stop_loss, lifetime, wait, limits)
    valid &= rows.distance_problem[place] == 0
    return Candidates(
        place=place,
        row=row,
        is_long=is_long,
        vwap=vwap,
        worse=worse,
        entry=entry,
        is_market=is_market,
        at_market=at_market,
        take_profit=take_profit,
        stop_loss=stop_loss,
        lifetime=lifetime,
        wait=wait,
        is_valid=valid,
    )


def _is_fresh(candles: Candles, row: Ints) -> Bools:
    """Whether a decision can be taken at the start of a row: the minute before it has a candle, and data go on."""
    inside = (row >= 1) & (row < len(candles))
    if candles.present is None:
        return inside
    return inside & candles.present[np.where(inside, row - 1, 0)]


def _is_clearly_valid(
    sign: Floats,
    is_market: Bools,
    price: Floats,
    entry: Floats,
    take_profit: Floats,
    stop_loss: Floats,
    lifetime: Floats,
    wait: Floats,
    limits: Limits,
) -> Bools:
    """Whether no validation rule is broken: the rules of `engine.draft` in one expression, without their names."""
    with np.errstate(all="ignore"):
        profit_percent = (sign * take_profit - sign * entry) / entry * 100
        stop_percent = (sign * entry - sign * stop_loss) / entry * 100
        ok = (profit_percent > 0) & (stop_percent > 0) & np.isfinite(profit_percent + stop_percent)
        ok &= (entry > 0) & (take_profit > 0) & (stop_loss > 0) & (lifetime > 0) & (lifetime == np.floor(lifetime))
        ok &= ~is_market | ((sign * price > sign * stop_loss) & (sign * price < sign * take_profit))
        ok &= is_market | ((wait >= 1) & (wait <= limits.max_wait_minutes) & (wait == np.floor(wait)))
        if limits.min_take_profit_percent:
            ok &= profit_percent >= limits.min_take_profit_percent - TOLERANCE_PERCENT
        if limits.min_stop_loss_percent:
            ok &= stop_percent >= limits.min_stop_loss_percent - TOLERANCE_PERCENT
        if limits.max_stop_loss_percent:
            ok &= stop_percent <= limits.max_stop_loss_percent + TOLERANCE_PERCENT
        if limits.max_lifetime_minutes:
            ok &= lifetime <= limits.max_lifetime_minutes
        return ok & np.isfinite(lifetime)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What became of the candidates named in `chosen`; `open` and `end` are rows (times), `open` -1 if never opened."""

    chosen: Ints
    open: Ints
    end: Ints
    code: Codes


def _resolve(market: Market, offered: Candidates, chosen: Ints, policy: FillPolicy) -> Outcome:
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


def _chain(market: Market, offered: Candidates, terms: Terms) -> Outcome:
    """Take candidates in order of time: each one that comes while the stream is free.

    Only valid ones occupy it; the others are refused wherever they find it free.
    """
    taken = _taken(market, offered, np.flatnonzero(offered.is_valid), terms)
    refused = np.flatnonzero(~offered.is_valid)
    refused = refused[~_busy_at(offered.row[refused], offered.row[taken.chosen], taken.end)]
    if not len(refused):
        return taken
    chosen = np.concatenate([taken.chosen, refused])
    order = np.argsort(chosen)
    return Outcome(
        chosen=chosen[order],
        open=np.concatenate([taken.open, np.full(len(refused), -1)])[order],
        end=np.concatenate([taken.end, offered.row[refused]])[order],
        code=np.concatenate([taken.code, np.full(len(refused), REFUSED, dtype=np.int8)])[order],
    )


def _taken(market: Market, offered: Candidates, valid: Ints, terms: Terms) -> Outcome:
    """The valid candidates that are taken.

    Batches are resolved as a whole while enough of a batch is taken, else one candidate after the other.
    """
    parts: list[Outcome] = []
    rows = offered.row[valid]
    total, place, size = len(valid), 0, _FIRST_BATCH
    while place < total:
        if size:
            batch = valid[place : place + size]
            found = _resolve(market, offered, batch, terms.policy)
            following = np.searchsorted(rows[place : place + size], found.end).tolist()
            steps, step = [], 0
            while step < len(batch):
                steps.append(step)
                step = following[step]
            kept = np.array(steps)
            parts.append(Outcome(chosen=batch[kept], open=found.open[kept], end=found.end[kept], code=found.code[kept]))
            place = _first_at(rows, int(found.end[kept[-1]]), place + len(batch))
            size = 0 if len(kept) * 16 < len(batch) else min(size * 2, _LAST_BATCH)
        else:
            first = place
            for _ in range(_SEQUENCE):
                if place >= total:
                    break
                found = _resolve(market, offered, valid[place : place + 1], terms.policy)
                parts.append(found)
                place = _first_at(rows, int(found.end[0]), place + 1)
            size = _FIRST_BATCH if place - first < _SEQUENCE * 12 else 0
    if not parts:
        none = np.zeros(0, dtype=np.int64)
        return Outcome(chosen=none, open=none, end=none, code=none.astype(np.int8))
    return Outcome(
        chosen=np.concatenate([part.chosen for part in parts]),
        open=np.concatenate([part.open for part in parts]),
        end=np.concatenate([part.end for part in parts]),
        code=np.concatenate([part.code for part in parts]),
    )


def _first_at(rows: Ints, time_row: int, place: int) -> int:
    """The first candidate from `place` on at or after a time."""
    if place >= len(rows) or rows[place] >= time_row:
        return place
    return place + int(np.searchsorted(rows[place:], time_row))


def _result(
    market: Market, rows: DraftColumns, ticks: Ints, offered: Candidates, outcome: Outcome, terms: Terms
) -> StreamResult:
    funnel, bridged = _funnel(market.candles, rows, ticks, offered, outcome, terms)
    trades = _trades(market, rows, offered, outcome, terms)
    return StreamResult(
        terms=terms,
        trades=trades,
        funnel=funnel,
        bridged_decisions=bridged,
        events=lambda: _events(market, rows, offered, outcome, trades, terms),
    )


def _trades(market: Market, rows: DraftColumns, offered: Candidates, outcome: Outcome, terms: Terms) -> Trades:
    policy, costs, candles = terms.policy, terms.costs, market.candles
    done = outcome.code < CANCELLED
    who, code, end, opened = outcome.chosen[done], outcome.code[done], outcome.end[done], outcome.open[done]
    is_long, entry = offered.is_long[who], offered.entry[who]
    profit, stop = offered.take_profit[who], offered.stop_loss[who]
    last = end - 1
    close = candles.close[last]
    by_touch = (code == STOP_LOSS) & (end == opened)  # in the activating minute
    in_market = (code == TIME_EXPIRED) | (code == END_OF_DATA)
    vwap = np.where(in_market, 0.0, np.nan)
    asked = np.flatnonzero(in_market) if policy.exit == "touch" else np.arange(len(who))
    vwap[asked] = market.price_at(last[asked])

    def worse(first: Floats, second: Floats) -> Floats:
        return np.where(is_long, np.minimum(first, second), np.maximum(first, second))

    exit_worse = worse(vwap, close)
    price = np.where(in_market, vwap if policy.market_books == "vwap" else exit_worse, profit)
    if policy.exit == "vwap" and policy.market_books == "worse":
        price = np.where(code == TAKE_PROFIT, worse(profit, close), price)
    price = np.where(code == STOP_LOSS, stop, price)
    if policy.stop_at == "worse":
        touched = worse(stop, candles.open[last])
        judged = vwap if policy.market_books == "vwap" else worse(stop, exit_worse)
        price = np.where(code == STOP_LOSS, np.where(by_touch | (policy.exit == "touch"), touched, judged), price)

    def pnl(price_open: Floats, price_close: Floats) -> Floats:
        as_long, as_short = (one(price_open, price_close, costs) for one in (long_pnl_percent, short_pnl_percent))
        return np.asarray(np.where(is_long, as_long, as_short))

    net = pnl(entry, price)
    ambiguous = _ambiguous_minutes(market, offered, who, code, opened, end, policy)
    at_market = offered.at_market[who]
    lag = pnl(np.where(at_market, offered.vwap[who], entry), np.where(in_market, vwap, price)) - pnl(
        np.where(at_market, offered.worse[who], entry), np.where(in_market, exit_worse, price)
    )
    bridged = np.zeros(len(who), dtype=bool)
    if candles.bridged is not None:
        bridged = candles.bridged[opened - 1] | candles.bridged[last]
    place = offered.place[who]
    return Trades(
        decided_ms=rows.time_ms[place],
        opened_ms=candles.start_ms + opened * MINUTE_MS,
        closed_ms=candles.start_ms + end * MINUTE_MS,
        side=rows.side[place],
        price_open=entry,
        price_close=price,
        price_take_profit=profit,
        price_stop_loss=stop,
        lifetime_minutes=offered.lifetime[who],
        reason=code,
        pnl_percent=net,
        ambiguous_minutes=ambiguous,
        profit_at_stake_percent=np.where(ambiguous > 0, pnl(entry, profit) - net, 0.0),
        vwap_lag_percent=lag,
        is_bridged=bridged,
        notes=rows.notes if isinstance(rows.notes, str) else tuple(rows.notes[at] for at in place.tolist()),
        ids=None if rows.ids is None else tuple(rows.ids[at] for at in place.tolist()),
    )


def _ambiguous_minutes(
    market: Market, offered: Candidates, who: Ints, code: Codes, opened: Ints, end: Ints, policy: FillPolicy
) -> Codes:
    """Minutes that hold both levels, and activating minutes that hold the take profit."""
    candles, is_long = market.candles, offered.is_long[who]
    profit, stop = offered.take_profit[who], offered.stop_loss[who]
    count = np.zeros(len(who), dtype=np.int8)
    if policy.exit == "touch":
        high, low = candles.high[end - 1], candles.low[end - 1]
        both = np.where(is_long, (high >= profit) & (low <= stop), (low <= profit) & (high >= stop))
        count += both & (code <= STOP_LOSS) & (end != opened)
    if policy.entry == "touch":
        at = np.where(offered.is_market[who], end, opened) - 1
        holds = np.where(is_long, candles.high[at] >= profit, candles.low[at] <= profit)
        count += holds & ~offered.is_market[who]
    return count


def _busy_at(times: Ints, begin: Ints, end: Ints) -> Bools:
    """Whether a time lies strictly inside one of the intervals, which are ordered and do not overlap."""
    if not len(begin):
        return np.zeros(len(times), dtype=bool)
    place = np.searchsorted(begin, times) - 1
    return (place >= 0) & (times < end[np.maximum(place, 0)])


def _funnel(
    candles: Candles, rows: DraftColumns, ticks: Ints, offered: Candidates, outcome: Outcome, terms: Terms
) -> tuple[Funnel, int]:
    """Count every decision time once; and how many decisions rest on a filled-in minute."""
    taken = outcome.code != REFUSED
    begin, end = offered.row[outcome.chosen[taken]], outcome.end[taken]
    over = (outcome.code[taken] == END_OF_DATA) | (outcome.code[taken] == DATA_OVER)
    end = end + over  # at the end of data the slot is free only after the tick
    funnel = Funnel(ticks=len(ticks))
    until = _ticks_before(ticks, candles.start_ms + end * MINUTE_MS)
    since = _ticks_before(ticks, candles.start_ms + begin * MINUTE_MS + 1)
    funnel.busy = int((until - since).sum())
    decided = bridged = 0
    if candles.present is None and candles.bridged is None:
        edges = candles.start_ms + np.array([1, len(candles)]) * MINUTE_MS
        low, high = _ticks_before(ticks, edges).tolist()
        decided = high - low - int((np.clip(until, low, high) - np.clip(since, low, high)).sum())
    else:
        tick_row = (ticks - candles.start_ms) // MINUTE_MS
        free = _is_fresh(candles, tick_row) & ~_busy_at(tick_row, begin, end)
        decided = int(free.sum())
        if candles.bridged is not None:
            bridged = int(candles.bridged[tick_row[free] - 1].sum())
    funnel.no_price = funnel.ticks - funnel.busy - decided

    at_tick = _at_ticks(rows.time_ms, ticks)
    has_position = (rows.side != 0) & ~rows.warm_up & ~rows.ambiguous
    funnel.off_grid = int(np.count_nonzero(has_position & ~at_tick))
    told = np.flatnonzero(at_tick)
    row = (rows.time_ms[told] - candles.start_ms) // MINUTE_MS
    busy = _busy_at(row, begin, end)
    funnel.late = int(np.count_nonzero(has_position[told] & busy))
    quiet = told[~busy & ~has_position[told] | ~busy & rows.short_history[told]]
    quiet = quiet[_is_fresh(candles, (rows.time_ms[quiet] - candles.start_ms) // MINUTE_MS)]
    funnel.warm_up = int(np.count_nonzero(rows.warm_up[quiet]))
    funnel.ambiguous = int(np.count_nonzero(rows.ambiguous[quiet] & ~rows.warm_up[quiet]))
    funnel.short_history = int(np.count_nonzero(rows.short_history[quiet]))
    funnel.drafts = len(outcome.chosen)
    funnel.no_draft = decided - funnel.warm_up - funnel.ambiguous - funnel.drafts
    _count_refusals(funnel, rows, offered, outcome, terms)
    is_market = offered.is_market[outcome.chosen]
    funnel.opened_at_decision = int((taken & is_market).sum())
    funnel.scheduled = int((taken & ~is_market).sum())
    funnel.activated = int((taken & ~is_market & (outcome.open >= 0)).sum())
    counts = np.bincount(outcome.code, minlength=REFUSED)
    for place, reason in enumerate(REASONS):
        if counts[place]:
            funnel.closed[reason] = int(counts[place])
    for place, cancel_reason in enumerate(CANCEL_REASONS):
        if counts[CANCELLED + place]:
            funnel.cancelled[cancel_reason] = int(counts[CANCELLED + place])
    return funnel, bridged


def _count_refusals(funnel: Funnel, rows: DraftColumns, offered: Candidates, outcome: Outcome, terms: Terms) -> None:
    who = outcome.chosen[outcome.code == REFUSED]
    funnel.invalid = len(who)
    if not len(who):
        return
    distances = rows.distance_problem[offered.place[who]]
    for bit, name in DISTANCE_RULES:
        count = int(np.count_nonzero(distances & bit))
        if count:
            funnel.invalid_by_rule[name] = count
    for rule, broken in _broken(offered, who[distances == 0], terms):
        count = int(np.count_nonzero(broken))
        if count:
            funnel.invalid_by_rule[rule] = count


def _broken(offered: Candidates, who: Ints, terms: Terms) -> Iterator[tuple[str, Bools]]:
    return broken_rules(
        is_long=offered.is_long[who],
        is_scheduled=~offered.is_market[who],
        price=offered.vwap[who],
        price_open=offered.entry[who],
        take_profit=offered.take_profit[who],
        stop_loss=offered.stop_loss[who],
        lifetime=offered.lifetime[who],
        wait=offered.wait[who],
        limits=terms.limits,
    )


def _refusals(rows: DraftColumns, offered: Candidates, outcome: Outcome, terms: Terms) -> dict[int, tuple[str, ...]]:
    """The broken rules of every refused draft, by candidate."""
    who = outcome.chosen[outcome.code == REFUSED]
    if not len(who):
        return {}
    named: dict[int, list[str]] = {int(candidate): [] for candidate in who}
    for rule, column in _broken(offered, who, terms):
        for candidate in who[column]:
            named[int(candidate)].append(rule)
    distances = rows.distance_problem[offered.place]
    return {candidate: distance_rules(int(distances[candidate])) or tuple(rules) for candidate, rules in named.items()}


def _events(
    market: Market, rows: DraftColumns, offered: Candidates, outcome: Outcome, trades: Trades, terms: Terms
) -> Iterator[Event]:
    """The events of the stream, as walk tells them."""
    refusals = _refusals(rows, offered, outcome, terms)
    price = market.price if market.price is not None else vwap_all(market.candles, market.count)
    trade = 0
    for candidate, opened, end, code in zip(
        outcome.chosen.tolist(), outcome.open.tolist(), outcome.end.tolist(), outcome.code.tolist(), strict=True
    ):
        decided_ms = int(rows.time_ms[offered.place[candidate]])
        if code == REFUSED:
            yield DraftRefused(
                time_ms=decided_ms, strategy=terms.strategy, symbol=terms.symbol, rules=refusals[candidate]
            )
            continue
        signal = _signal(rows, offered, candidate, terms)
        if not offered.is_market[candidate]:
            yield Scheduled(time_ms=decided_ms, signal=signal, price=float(offered.vwap[candidate]))
        if opened >= 0:
            yield Opened(time_ms=market.candles.time(opened), signal=signal)
            yield from levels_between(market, price, signal, opened, end if code == END_OF_DATA else end - 1)
        if code < CANCELLED:
            yield trades.closed(trade, signal)
            trade += 1
        else:
            yield Cancelled(
                time_ms=market.candles.time(end),
                signal=signal,
                price=float(price[end - 1]),
                reason=CANCEL_REASONS[code - CANCELLED],
            )


def _signal(rows: DraftColumns, offered: Candidates, candidate: int, terms: Terms) -> Signal:
    place = int(offered.place[candidate])
    decided_ms = int(rows.time_ms[place])
    given = rows.ids[place] if rows.ids else None
    return Signal(
        id=given or signal_id(terms.strategy, terms.symbol, decided_ms),
        strategy=terms.strategy,
        symbol=terms.symbol,
        position=Position.LONG if offered.is_long[candidate] else Position.SHORT,
        price_open=float(offered.entry[candidate]),
        price_take_profit=float(offered.take_profit[candidate]),
        price_stop_loss=float(offered.stop_loss[candidate]),
        lifetime_minutes=int(offered.lifetime[candidate]),
        decided_at=decided_ms,
        note=plain_text(rows.note(place)),
    )


def levels_between(market: Market, price: Floats, signal: Signal, start: int, stop: int) -> Iterator[LevelReached]:
    """Each tenth of the way to a level, at the first minute in `[start, stop)` whose price reaches it."""
    window = price[start:stop]
    entry = signal.price_open
    gain = window - entry if signal.is_long else entry - window
    sides: tuple[tuple[Side, Floats, float], ...] = (
        ("profit", gain, abs(signal.price_take_profit - entry)),
        ("loss", -gain, abs(entry - signal.price_stop_loss)),
    )
    found = []
    for side, way, distance in sides:
        percent = np.minimum(np.where(way > 0, way, 0.0) / distance * 100, 100.0)
        for level in LEVELS:
            reached = percent >= level
            at = int(reached.argmax()) if len(reached) else 0
            if not len(reached) or not reached[at]:
                break
            found.append((at, side, level))
    for at, side, level in sorted(found, key=lambda item: (item[0], item[2])):
        yield LevelReached(
            time_ms=market.candles.time(start + at + 1),
            signal=signal,
            side=side,
            level=level,
            price=float(window[at]),
        )
