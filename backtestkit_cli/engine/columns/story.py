"""The events of a stream that was computed in columns, one by one, as walk tells them."""

from collections.abc import Iterator
from itertools import compress, tee
from math import isnan

import numpy as np

from backtestkit_cli.engine.candles import Floats, Ints
from backtestkit_cli.engine.columns.candidates import Candidates, rules_broken_by
from backtestkit_cli.engine.columns.levels import Reached, Spans, levels_reached
from backtestkit_cli.engine.columns.market import Market
from backtestkit_cli.engine.columns.outcome import CANCEL_REASONS, CANCELLED, END_OF_DATA, REFUSED, STOPPED, Outcome
from backtestkit_cli.engine.decide import distance_rules
from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.engine.note import plain_text, signal_id
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.trades import Trades
from backtestkit_cli.model.event import Cancelled, CancelReason, DraftRefused, Event, Opened, Scheduled
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
    refusals = rules_of_refused(rows, offered, outcome, terms)
    is_signal = outcome.code != REFUSED
    signals, again = tee(_signals(rows, offered, outcome.chosen[is_signal], terms))
    closings = trades.closings(compress(again, (outcome.code[is_signal] < CANCELLED).tolist()))
    cancellations = _cancellations(market, outcome)
    levels: Iterator[list[Reached]] = iter(())
    if with_levels:
        levels = levels_reached(market.candles, market.all_prices(), open_spans(offered, outcome))
    for candidate, opened, code in zip(
        outcome.chosen.tolist(), outcome.open.tolist(), outcome.code.tolist(), strict=True
    ):
        if code == REFUSED:
            decided_ms, rules = int(rows.time_ms[offered.place[candidate]]), refusals[candidate]
            yield DraftRefused(time_ms=decided_ms, strategy=terms.strategy, symbol=terms.symbol, rules=rules)
            continue
        signal = next(signals)
        if not offered.is_market[candidate]:
            yield Scheduled(time_ms=signal.decided_at, signal=signal, price=float(offered.vwap[candidate]))
        if opened >= 0:
            yield Opened(time_ms=market.candles.time(opened), signal=signal)
            for reached in next(levels, ()):
                yield reached.event(signal)
        if code < CANCELLED:
            yield next(closings)
        else:
            time_ms, price, reason = next(cancellations)
            yield Cancelled(time_ms=time_ms, signal=signal, price=price, reason=reason)


def _cancellations(market: Market, outcome: Outcome) -> Iterator[tuple[int, float | None, CancelReason]]:
    """Time, price and reason of each entry given up."""
    times_ms, prices = given_up(market, outcome)
    codes = outcome.code[(outcome.code >= CANCELLED) & (outcome.code != REFUSED)]
    known = [None if isnan(price) else price for price in prices.tolist()]
    return zip(times_ms.tolist(), known, [CANCEL_REASONS[code - CANCELLED] for code in codes.tolist()], strict=True)


def given_up(market: Market, outcome: Outcome) -> tuple[Ints, Floats]:
    """When entries were given up, and the price there; a stop request comes at its own time, after a whole minute."""
    is_given_up = (outcome.code >= CANCELLED) & (outcome.code != REFUSED)
    start_ms = market.candles.start_ms
    times_ms = start_ms + outcome.end[is_given_up] * MINUTE_MS
    if market.stop_ms is not None:
        times_ms[outcome.code[is_given_up] == STOPPED] = market.stop_ms
    return times_ms, market.price_at((times_ms - start_ms) // MINUTE_MS - 1)


def rules_of_refused(
    rows: DraftColumns, offered: Candidates, outcome: Outcome, terms: Terms
) -> dict[int, tuple[str, ...]]:
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


def open_spans(offered: Candidates, outcome: Outcome) -> Spans:
    """Where levels of opened positions are told: not in the minute that closes, but in that of the end of data."""
    is_open = outcome.open >= 0
    who, end, code = outcome.chosen[is_open], outcome.end[is_open], outcome.code[is_open]
    return Spans(
        is_long=offered.is_long[who],
        entry=offered.entry[who],
        take_profit=offered.take_profit[who],
        stop_loss=offered.stop_loss[who],
        start=outcome.open[is_open],
        stop=np.maximum(np.where(code == END_OF_DATA, end, end - 1), outcome.open[is_open]),
    )


def _signals(rows: DraftColumns, offered: Candidates, who: Ints, terms: Terms) -> Iterator[Signal]:
    """The signals of candidates, in their order."""
    place = offered.place[who]
    note = plain_text(rows.notes) if isinstance(rows.notes, str) else None
    columns = (
        rows.time_ms[place],
        offered.is_long[who],
        offered.entry[who],
        offered.take_profit[who],
        offered.stop_loss[who],
        offered.lifetime[who].astype(np.int64),
    )

    def signal(
        at: int, decided_ms: int, is_long: bool, entry: float, take_profit: float, stop_loss: float, lifetime: int
    ) -> Signal:
        return Signal(
            id=id_of(rows, at, decided_ms, terms),
            strategy=terms.strategy,
            symbol=terms.symbol,
            position=Position.LONG if is_long else Position.SHORT,
            price_open=entry,
            price_take_profit=take_profit,
            price_stop_loss=stop_loss,
            lifetime_minutes=lifetime,
            decided_at=decided_ms,
            note=plain_text(rows.note(at)) if note is None else note,
        )

    return map(signal, place.tolist(), *(column.tolist() for column in columns))


def id_of(rows: DraftColumns, place: int, decided_ms: int, terms: Terms) -> str:
    """The id of the signal of a row."""
    return (rows.ids[place] if rows.ids else None) or signal_id(terms.strategy, terms.symbol, decided_ms)
