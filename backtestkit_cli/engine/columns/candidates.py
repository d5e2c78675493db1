"""Drafts that may be offered: rows with a side, at a decision time with a fresh price.

What the market would book and what is broken in a draft is known before anything is chosen.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from backtestkit_cli.engine.candles import Bools, Floats, Ints
from backtestkit_cli.engine.columns.grid import is_fresh, on_grid
from backtestkit_cli.engine.columns.market import Market
from backtestkit_cli.engine.draft import TOLERANCE_PERCENT, broken_rules
from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.time import MINUTE_MS


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


def candidates(market: Market, rows: DraftColumns, ticks: Ints, terms: Terms) -> Candidates:
    """Find the drafts that stand at one of `ticks` where the market has a price."""
    candles, policy, limits = market.candles, terms.policy, terms.limits
    row = (rows.time_ms - candles.start_ms) // MINUTE_MS
    usable = (rows.side != 0) & ~rows.warm_up & ~rows.ambiguous & on_grid(rows.time_ms, ticks)
    usable &= is_fresh(candles, row)
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


def rules_broken_by(offered: Candidates, who: Ints, terms: Terms) -> Iterator[tuple[str, Bools]]:
    """Each validation rule, and which of the candidates `who` break it."""
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
        if limits.long_only:
            ok &= sign > 0
        if limits.max_lifetime_minutes:
            ok &= lifetime <= limits.max_lifetime_minutes
        return ok & np.isfinite(lifetime)
