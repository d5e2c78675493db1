"""The column form: all drafts of a stream at once. An optimisation of walk, never a second opinion.

Candidates are the rows at decision times with a fresh price (`candidates`). Their outcome does not depend on one
another (`outcome`, first touch); which of them are taken does, and a chain over the outcomes decides it (`chain`):
after a taken candidate the next one is the first at or after its end. Trades (`booking`), the funnel (`counts`) and
the events (`story`, `listing`) follow from what was taken. Risk and sizing join streams and are left to walk.
"""

from functools import partial

from backtestkit_cli.engine.cache import NOTHING_KEPT, Cache
from backtestkit_cli.engine.candles import Candles, Ints
from backtestkit_cli.engine.columns.booking import booked
from backtestkit_cli.engine.columns.candidates import candidates
from backtestkit_cli.engine.columns.chain import chain
from backtestkit_cli.engine.columns.counts import count
from backtestkit_cli.engine.columns.listing import listing
from backtestkit_cli.engine.columns.market import Market
from backtestkit_cli.engine.columns.story import story
from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.engine.result import StreamResult
from backtestkit_cli.engine.step import Terms


def run_columns(
    candles: Candles,
    rows: DraftColumns,
    ticks: Ints,
    terms: Terms,
    stop_ms: int | None = None,
    cache: Cache = NOTHING_KEPT,
) -> StreamResult:
    """Run one stream whose decisions are rows.

    `ticks` are its decision times (UTC ms, ascending, a part of an arithmetic grid); `rows` as in DraftColumns. From
    `stop_ms` on nothing is decided and nothing waits.
    """
    market = Market.of(candles, terms, has_limits=bool(rows.has_price_open.any()), stop_ms=stop_ms, cache=cache)
    asked = ticks if stop_ms is None else ticks[: int(ticks.searchsorted(stop_ms))]
    offered = candidates(market, rows, asked, terms)
    outcome = chain(market, offered, terms)
    trades = booked(market, rows, offered, outcome, terms)
    funnel, bridged = count(market, rows, ticks, asked, offered, outcome, terms)
    return StreamResult(
        terms=terms,
        trades=trades,
        funnel=funnel,
        bridged_decisions=bridged,
        events=partial(story, market, rows, offered, outcome, trades, terms),
        listed=partial(listing, market, rows, offered, outcome, trades, terms),
    )
