"""The events of a stream that was computed in columns, as columns: what `story` tells, in the same order.

How many events each candidate has is known before any is written, so every kind is put in its places at once.
"""

import numpy as np

from backtestkit_cli.engine import listed
from backtestkit_cli.engine.candles import Floats, Ints
from backtestkit_cli.engine.columns.candidates import Candidates
from backtestkit_cli.engine.columns.levels import level_columns
from backtestkit_cli.engine.columns.market import Market
from backtestkit_cli.engine.columns.outcome import CANCELLED, REFUSED, Outcome
from backtestkit_cli.engine.columns.story import given_up, id_of, open_spans, rules_of_refused
from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.engine.listed import ListedEvents, ListedSignals
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.trades import Trades
from backtestkit_cli.model.time import MINUTE_MS


def listing(
    market: Market, rows: DraftColumns, offered: Candidates, outcome: Outcome, trades: Trades, terms: Terms
) -> ListedEvents:
    """List what became of every chosen candidate: refused; or scheduled, opened, levels, and its end."""
    chosen, code, price, start_ms = outcome.chosen, outcome.code, market.all_prices(), market.candles.start_ms
    refused, is_open, closed = code == REFUSED, outcome.open >= 0, code < CANCELLED
    limit = ~refused & ~offered.is_market[chosen]
    position, row, is_profit, level = level_columns(price, open_spans(offered, outcome))
    reached = np.bincount(np.flatnonzero(is_open)[position], minlength=len(chosen))
    count = 1 + limit + is_open + reached
    begin, end = np.cumsum(count) - count, np.cumsum(count) - 1
    places = int(count.sum())
    made = ListedEvents(
        time_ms=np.zeros(places, dtype=np.int64),
        kind=np.zeros(places, dtype=np.int8),
        signal=np.repeat(np.where(refused, -1, np.cumsum(~refused) - 1), count),
        price=np.full(places, np.nan),
        why=np.full(places, -1, dtype=np.int8),
        pnl_percent=np.full(places, np.nan),
        is_profit=np.zeros(places, dtype=bool),
        level=np.zeros(places, dtype=np.int64),
        rules=_rules(rows, offered, outcome, terms, end),
        signals=_signals(rows, offered, chosen[~refused], terms),
    )

    def put(at: Ints, kind: int, time_ms: Ints, seen: Floats | float) -> None:
        made.kind[at], made.time_ms[at], made.price[at] = kind, time_ms, seen

    decided_ms = rows.time_ms[offered.place[chosen]]
    put(end[refused], listed.DRAFT_REFUSED, decided_ms[refused], np.nan)
    put(begin[limit], listed.SCHEDULED, decided_ms[limit], offered.vwap[chosen[limit]])
    opening = (begin + limit)[is_open]
    put(opening, listed.OPENED, start_ms + outcome.open[is_open] * MINUTE_MS, offered.entry[chosen[is_open]])
    nth = np.arange(len(position)) - np.searchsorted(position, position)
    leveled = opening[position] + 1 + nth
    put(leveled, listed.LEVEL_REACHED, start_ms + (row + 1) * MINUTE_MS, price[row])
    made.is_profit[leveled], made.level[leveled] = is_profit, level
    put(end[closed], listed.CLOSED, trades.closed_ms, trades.price_close)
    made.pnl_percent[end[closed]] = trades.pnl_percent
    put(end[~closed & ~refused], listed.CANCELLED, *given_up(market, outcome))
    made.why[end[~refused]] = code[~refused]
    return made


def _rules(
    rows: DraftColumns, offered: Candidates, outcome: Outcome, terms: Terms, end: Ints
) -> dict[int, tuple[str, ...]]:
    refusals = rules_of_refused(rows, offered, outcome, terms)
    places = end[outcome.code == REFUSED].tolist()
    return dict(zip(places, (refusals[one] for one in refusals), strict=True))


def _signals(rows: DraftColumns, offered: Candidates, who: Ints, terms: Terms) -> ListedSignals:
    place = offered.place[who]
    decided_ms = rows.time_ms[place]
    ids = (id_of(rows, at, time_ms, terms) for at, time_ms in zip(place.tolist(), decided_ms.tolist(), strict=True))
    return ListedSignals(
        ids=tuple(ids),
        side=rows.side[place],
        price_open=offered.entry[who],
        price_take_profit=offered.take_profit[who],
        price_stop_loss=offered.stop_loss[who],
        lifetime_minutes=offered.lifetime[who].astype(np.int64),
        decided_ms=decided_ms,
    )
