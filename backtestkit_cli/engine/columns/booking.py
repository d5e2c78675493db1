"""What the trades booked: exit prices, PnL, and what an ambiguous minute or the VWAP is worth."""

import numpy as np

from backtestkit_cli.engine.candles import Bools, Floats, Ints
from backtestkit_cli.engine.columns.candidates import Candidates
from backtestkit_cli.engine.columns.market import Market
from backtestkit_cli.engine.columns.outcome import CANCELLED, END_OF_DATA, STOP_LOSS, TAKE_PROFIT, TIME_EXPIRED, Outcome
from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.trades import Codes, Trades
from backtestkit_cli.model.policy import FillPolicy
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.model.trade import long_pnl_percent, short_pnl_percent


def booked(market: Market, rows: DraftColumns, offered: Candidates, outcome: Outcome, terms: Terms) -> Trades:
    """The finished positions of an outcome, in order of closing."""
    policy, costs, candles = terms.policy, terms.costs, market.candles
    done = outcome.code < CANCELLED
    who, code, end, opened = outcome.chosen[done], outcome.code[done], outcome.end[done], outcome.open[done]
    is_long, entry = offered.is_long[who], offered.entry[who]
    profit, stop = offered.take_profit[who], offered.stop_loss[who]
    last = end - 1
    close = candles.close[last]
    by_touch = (code == STOP_LOSS) & (end == opened)  # in the activating minute
    in_market = (code == TIME_EXPIRED) | (code == END_OF_DATA)
    vwap = np.full(len(who), np.nan)
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
        is_bridged=_bridged(market, opened, end),
        quantity=np.full(len(opened), np.nan),
        notes=rows.notes if isinstance(rows.notes, str) else tuple(rows.notes[at] for at in place.tolist()),
        ids=None if rows.ids is None else tuple(rows.ids[at] for at in place.tolist()),
    )


def _bridged(market: Market, opened: Ints, end: Ints) -> Bools:
    """Whether the minute of the entry or of the exit was filled in."""
    bridged = market.candles.bridged
    return np.zeros(len(end), dtype=bool) if bridged is None else bridged[opened - 1] | bridged[end - 1]


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
