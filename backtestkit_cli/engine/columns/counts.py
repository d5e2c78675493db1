"""The funnel of a stream, from the intervals in which it is busy: every decision time is counted once."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from backtestkit_cli.engine.candles import Candles, Ints
from backtestkit_cli.engine.columns.candidates import Candidates, rules_broken_by
from backtestkit_cli.engine.columns.chain import busy_at
from backtestkit_cli.engine.columns.grid import is_fresh, on_grid, ticks_before
from backtestkit_cli.engine.columns.market import Market
from backtestkit_cli.engine.columns.outcome import (
    CANCEL_REASONS,
    CANCELLED,
    DATA_OVER,
    END_OF_DATA,
    REFUSED,
    Outcome,
)
from backtestkit_cli.engine.drafts import DISTANCE_RULES, DraftColumns
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.trades import REASONS
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.time import MINUTE_MS


class Busy(NamedTuple):
    """Intervals of rows inside of which the stream is not free; ordered, without overlap."""

    begin: Ints
    end: Ints


class Times(NamedTuple):
    """How many decision times found the stream busy, and how many came to a decision (some on filled-in minutes)."""

    busy: int
    decided: int
    bridged: int


def count(
    market: Market,
    rows: DraftColumns,
    ticks: Ints,
    asked: Ints,
    offered: Candidates,
    outcome: Outcome,
    terms: Terms,
) -> tuple[Funnel, int]:
    """Count all decision times (`asked` are those before a stop request), and the decisions on filled-in minutes."""
    busy = _busy(offered, outcome)
    times = _times(market.candles, asked, busy)
    funnel = Funnel(ticks=len(ticks), stopped=len(ticks) - len(asked), busy=times.busy)
    funnel.no_price = len(asked) - times.busy - times.decided
    funnel.off_grid = int(np.count_nonzero(rows.has_position & ~on_grid(rows.time_ms, ticks)))
    _count_rows(funnel, market.candles, rows, asked, busy)
    funnel.drafts = len(outcome.chosen)
    funnel.no_draft = times.decided - funnel.warm_up - funnel.ambiguous - funnel.drafts
    for rule, broken in _refusals(rows, offered, outcome, terms):
        if broken:
            funnel.invalid_by_rule[rule] = broken
    _count_outcomes(funnel, offered, outcome)
    return funnel, times.bridged


def _busy(offered: Candidates, outcome: Outcome) -> Busy:
    taken = outcome.code != REFUSED
    over = (outcome.code[taken] == END_OF_DATA) | (outcome.code[taken] == DATA_OVER)
    # at the end of data the slot is free only after the tick
    return Busy(offered.row[outcome.chosen[taken]], outcome.end[taken] + over)


def _times(candles: Candles, ticks: Ints, busy: Busy) -> Times:
    until = ticks_before(ticks, candles.start_ms + busy.end * MINUTE_MS)
    since = ticks_before(ticks, candles.start_ms + busy.begin * MINUTE_MS + 1)
    found_busy = int((until - since).sum())
    if candles.present is None and candles.bridged is None:
        edges = candles.start_ms + np.array([1, len(candles)]) * MINUTE_MS
        low, high = ticks_before(ticks, edges).tolist()
        inside = int((np.clip(until, low, high) - np.clip(since, low, high)).sum())
        return Times(found_busy, high - low - inside, 0)
    row = (ticks - candles.start_ms) // MINUTE_MS
    free = row[is_fresh(candles, row) & ~busy_at(row, *busy)]
    return Times(found_busy, len(free), 0 if candles.bridged is None else int(candles.bridged[free - 1].sum()))


def _count_rows(funnel: Funnel, candles: Candles, rows: DraftColumns, ticks: Ints, busy: Busy) -> None:
    """What rows say at decision times: those that come too late, and those without a draft."""
    has_position = rows.has_position
    told = np.flatnonzero(on_grid(rows.time_ms, ticks))
    is_busy = busy_at((rows.time_ms[told] - candles.start_ms) // MINUTE_MS, *busy)
    funnel.late = int(np.count_nonzero(has_position[told] & is_busy))
    quiet = told[~is_busy & (~has_position[told] | rows.short_history[told])]
    quiet = quiet[is_fresh(candles, (rows.time_ms[quiet] - candles.start_ms) // MINUTE_MS)]
    funnel.warm_up = int(np.count_nonzero(rows.warm_up[quiet]))
    funnel.ambiguous = int(np.count_nonzero(rows.ambiguous[quiet] & ~rows.warm_up[quiet]))
    funnel.short_history = int(np.count_nonzero(rows.short_history[quiet]))


def _refusals(rows: DraftColumns, offered: Candidates, outcome: Outcome, terms: Terms) -> Iterator[tuple[str, int]]:
    """How many refused drafts broke each rule."""
    who = outcome.chosen[outcome.code == REFUSED]
    if len(who):
        distances = rows.distance_problem[offered.place[who]]
        yield from ((name, int(np.count_nonzero(distances & bit))) for bit, name in DISTANCE_RULES)
        for rule, broken in rules_broken_by(offered, who[distances == 0], terms):
            yield rule, int(np.count_nonzero(broken))


def _count_outcomes(funnel: Funnel, offered: Candidates, outcome: Outcome) -> None:
    taken = outcome.code != REFUSED
    is_market = offered.is_market[outcome.chosen]
    funnel.invalid = int(np.count_nonzero(~taken))
    funnel.opened_at_decision = int(np.count_nonzero(taken & is_market))
    funnel.scheduled = int(np.count_nonzero(taken & ~is_market))
    funnel.activated = int(np.count_nonzero(taken & ~is_market & (outcome.open >= 0)))
    counts = np.bincount(outcome.code, minlength=REFUSED).tolist()
    funnel.closed.update({reason: found for reason, found in zip(REASONS, counts, strict=False) if found})
    cancelled = zip(CANCEL_REASONS, counts[CANCELLED:], strict=False)
    funnel.cancelled.update({reason: found for reason, found in cancelled if found})
