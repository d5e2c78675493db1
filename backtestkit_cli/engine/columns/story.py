"""The events of a stream that was computed in columns, one by one, as walk tells them."""

from collections.abc import Iterator

import numpy as np

from backtestkit_cli.engine.candles import Floats
from backtestkit_cli.engine.columns.candidates import Candidates, rules_broken_by
from backtestkit_cli.engine.columns.levels import Reached, Spans, levels_reached
from backtestkit_cli.engine.columns.market import Market
from backtestkit_cli.engine.columns.outcome import CANCEL_REASONS, CANCELLED, END_OF_DATA, REFUSED, STOPPED, Outcome
from backtestkit_cli.engine.decide import distance_rules
from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.engine.note import plain_text, signal_id
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.trades import Trades
from backtestkit_cli.model.event import Cancelled, DraftRefused, Event, Opened, Scheduled
from backtestkit_cli.model.signal import Position, Signal
from backtestkit_cli.model.time import MINUTE_MS


def story(
    market: Market,
    rows: DraftColumns,
    offered: Candidates,
    outcome: Outcome,
    trades: Trades,
    terms: Terms,
    *,
    with_levels: bool = True,
) -> Iterator[Event]:
    """Tell what became of every chosen candidate; without levels if nobody wants to know."""
    refusals = _refusals(rows, offered, outcome, terms)
    price = market.all_prices()
    levels = iter(_levels(market, price, offered, outcome) if with_levels else ())
    note = plain_text(rows.notes) if isinstance(rows.notes, str) else None
    trade = 0
    for candidate, opened, end, code in zip(
        outcome.chosen.tolist(), outcome.open.tolist(), outcome.end.tolist(), outcome.code.tolist(), strict=True
    ):
        decided_ms = int(rows.time_ms[offered.place[candidate]])
        if code == REFUSED:
            rules = refusals[candidate]
            yield DraftRefused(time_ms=decided_ms, strategy=terms.strategy, symbol=terms.symbol, rules=rules)
            continue
        signal = _signal(rows, offered, candidate, terms, note)
        if not offered.is_market[candidate]:
            yield Scheduled(time_ms=decided_ms, signal=signal, price=float(offered.vwap[candidate]))
        if opened >= 0:
            yield Opened(time_ms=market.candles.time(opened), signal=signal)
            for reached in next(levels, ()):
                yield reached.event(signal)
        if code < CANCELLED:
            yield trades.closed(trade, signal)
            trade += 1
        else:
            yield _cancelled(market, price, signal, end, code)


def _cancelled(market: Market, price: Floats, signal: Signal, end: int, code: int) -> Cancelled:
    """A waiting entry that was given up; a stop request comes at its own time, with the price of the last minute."""
    time_ms = market.candles.time(end)
    if code == STOPPED and market.stop_ms is not None:
        time_ms = market.stop_ms
    row = (time_ms - market.candles.start_ms) // MINUTE_MS - 1
    seen = float(price[row]) if market.candles.has(row) else None
    return Cancelled(time_ms=time_ms, signal=signal, price=seen, reason=CANCEL_REASONS[code - CANCELLED])


def _refusals(rows: DraftColumns, offered: Candidates, outcome: Outcome, terms: Terms) -> dict[int, tuple[str, ...]]:
    """The broken rules of every refused draft, by candidate."""
    who = outcome.chosen[outcome.code == REFUSED]
    if not len(who):
        return {}
    named: dict[int, list[str]] = {int(candidate): [] for candidate in who}
    for rule, column in rules_broken_by(offered, who, terms):
        for candidate in who[column]:
            named[int(candidate)].append(rule)
    distances = rows.distance_problem[offered.place]
    return {candidate: distance_rules(int(distances[candidate])) or tuple(rules) for candidate, rules in named.items()}


def _levels(market: Market, price: Floats, offered: Candidates, outcome: Outcome) -> list[list[Reached]]:
    """The levels of each opened position; the minute that closes it tells none, the end of data comes after them."""
    is_open = outcome.open >= 0
    who, end, code = outcome.chosen[is_open], outcome.end[is_open], outcome.code[is_open]
    spans = Spans(
        is_long=offered.is_long[who],
        entry=offered.entry[who],
        take_profit=offered.take_profit[who],
        stop_loss=offered.stop_loss[who],
        start=outcome.open[is_open],
        stop=np.maximum(np.where(code == END_OF_DATA, end, end - 1), outcome.open[is_open]),
    )
    return levels_reached(market.candles, price, spans)


def _signal(rows: DraftColumns, offered: Candidates, candidate: int, terms: Terms, note: str | None) -> Signal:
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
        note=plain_text(rows.note(place)) if note is None else note,
    )
