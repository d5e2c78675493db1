"""The meaning of a backtest: `advance` once per closed minute of one stream.

Order at an instant: stop request, what the ended minute did to the position or waiting entry, the decision, the end
of data. Every gate of a decision counts once in the funnel. The column form must tell the same story.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

import numpy as np

from backtestkit_cli.engine.candles import Candles, Floats, Ints
from backtestkit_cli.engine.decide import Answer, Decider, Failed, NoDraft, Unusable, count_answer
from backtestkit_cli.engine.gate import Ledger
from backtestkit_cli.engine.step import (
    FLAT,
    CandleClosed,
    DataEnded,
    DraftOffered,
    Input,
    Quote,
    StopRequested,
    Terms,
    advance,
    progress,
)
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.event import (
    Active,
    Cancelled,
    Closed,
    DecisionFailed,
    DraftRefused,
    Event,
    Idle,
    Opened,
    QuantityRefused,
    RiskRefused,
    Scheduled,
)
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.signal import Flat, OpenPosition, SignalState, WaitingEntry
from backtestkit_cli.model.time import MINUTE_MS, TimeRange


@dataclass(slots=True)
class StreamWalk:
    """One stream on its way through time; `price` is the VWAP at the end of each minute, `ticks` the decision times.

    `ledger` holds the positions of streams that share risk profiles. `tells_idle` and `tells_active` make the events
    that nobody stores. `next_ms` is the next instant at which something can happen, None when all is done. Who sets
    `is_stop_asked` on the way makes the next instant, or the free decision of this one, the time of a stop request.
    While it `is_stale`, live, the instants are past ones: nothing is asked any more.
    """

    candles: Candles
    price: Floats
    ticks: Ints
    decider: Decider
    terms: Terms
    ledger: Ledger = field(default_factory=lambda: Ledger({}))
    stop_ms: int | None = None
    is_stop_asked: bool = False
    is_stale: bool = False
    tells_idle: bool = False
    tells_active: bool = False
    state: SignalState = FLAT
    funnel: Funnel = field(default_factory=Funnel)
    bridged_decisions: int = 0
    next_ms: int | None = None
    _place: int = 0
    _ticks: memoryview = field(init=False)
    _prices: memoryview = field(init=False)
    _closes: memoryview = field(init=False)

    def __post_init__(self) -> None:
        # a view reads single values twice as fast as a numpy column, and copies nothing
        self._ticks = np.ascontiguousarray(self.ticks).data
        self._prices = np.ascontiguousarray(self.price).data
        self._closes = np.ascontiguousarray(self.candles.close).data
        self.funnel.ticks = len(self.ticks)
        self._move_on()

    def go_on(self, candles: Candles, price: Floats, ticks: Ints) -> None:
        """Take longer candles, and the decision times that are still to come."""
        self.candles, self.price, self.ticks, self._place = candles, price, ticks, 0
        self._ticks, self._prices, self._closes = ticks.data, price.data, candles.close.data

    def is_tick(self, time_ms: int) -> bool:
        """Whether the next decision time is this instant."""
        return self._place < len(self._ticks) and self._ticks[self._place] == time_ms

    def asks(self, time_ms: int) -> bool:
        """Whether the strategy is asked at this instant, once what the ended minute did is settled."""
        is_free = isinstance(self.state, Flat) and not (self.is_stale or self.is_stop_asked)
        return self.is_tick(time_ms) and is_free and self.stop_ms is None and self._quote(time_ms) is not None

    def run(self) -> Iterator[Event]:
        """Walk from the first decision time until nothing more can happen."""
        return walk_together([self])

    def stop(self, time_ms: int) -> Iterator[Event]:
        """A stop request that has come by now acts before everything else of its instant."""
        self._take_request(time_ms)
        if self.stop_ms is not None and time_ms >= self.stop_ms:
            yield from self.give_up(self.stop_ms)

    def give_up(self, time_ms: int) -> Iterator[Event]:
        """Cancel the entry that waits, if one does."""
        if isinstance(self.state, WaitingEntry):
            quote = self._quote(time_ms - time_ms % MINUTE_MS)
            yield from self._apply(StopRequested(time_ms, quote.vwap if quote else None))

    def settle(self, time_ms: int) -> Iterator[Event]:
        """What the minute that ends now did to the position or the waiting entry, which is older than that minute."""
        quote = self._quote(time_ms)
        if quote is None:
            return
        yield from self._apply(CandleClosed(time_ms, self._candle(time_ms), quote))
        if self.tells_active and isinstance(self.state, OpenPosition) and self.state.opened_at < time_ms:
            yield self._active(self.state, time_ms, quote.vwap)

    def decide(self, time_ms: int) -> Iterable[Event]:
        """The decision, if this is a decision time."""
        if self.is_tick(time_ms):
            self._place += 1
            return self._tick(time_ms)
        return ()

    def end(self, time_ms: int) -> Iterable[Event]:
        """The end of data, after all else; then on to the next instant."""
        events: Iterable[Event] = ()
        if time_ms == self.candles.end_ms:
            quote = self._quote(time_ms)
            if quote is not None:
                events = tuple(self._apply(DataEnded(time_ms, quote)))
        self._move_on(time_ms)
        return events

    def skip_to(self, time_ms: int, place: int, state: SignalState) -> None:
        """Go on at a later instant; the decision times before it, up to `place`, find the stream busy."""
        for tick in self._ticks[self._place : place]:
            self.funnel.busy += 1
            self.funnel.late += self.decider.has_row(tick)
        self.state, self._place, self.next_ms = state, place, time_ms

    def _take_request(self, time_ms: int) -> None:
        if self.is_stop_asked and (self.stop_ms is None or time_ms < self.stop_ms):
            self.stop_ms = time_ms

    def _move_on(self, time_ms: int | None = None) -> None:
        upcoming = self._ticks[self._place] if self._place < len(self._ticks) else None
        following = upcoming if time_ms is None or isinstance(self.state, Flat) else time_ms + MINUTE_MS
        if following is None or following > self.candles.end_ms:
            for late in self._ticks[self._place :]:
                self._count_late(late)
            following = None
        self.next_ms = following

    def _tick(self, time_ms: int) -> Iterable[Event]:
        funnel = self.funnel
        if isinstance(self.state, Flat):
            self._take_request(time_ms)
        if self.stop_ms is not None and time_ms >= self.stop_ms:
            funnel.stopped += 1
            return ()
        if not isinstance(self.state, Flat):
            funnel.busy += 1
            funnel.late += self.decider.has_row(time_ms)
            return ()
        if self.is_stale:
            funnel.missed += 1
            return ()
        quote = self._quote(time_ms) if time_ms < self.candles.end_ms else None
        events: Iterable[Event] = ()
        if quote is None:
            funnel.no_price += 1
        else:
            self.bridged_decisions += quote.is_bridged
            funnel.short_history += self.decider.is_short_history(time_ms)
            events = tuple(self._answered(self.decider.decide(time_ms, quote.vwap), time_ms, quote))
        if self.tells_idle and isinstance(self.state, Flat):
            price = quote.vwap if quote else None
            idle = Idle(time_ms=time_ms, strategy=self.terms.strategy, symbol=self.terms.symbol, price=price)
            return (*events, idle)
        return events

    def _answered(self, answer: Answer, time_ms: int, quote: Quote) -> Iterator[Event]:
        terms = self.terms
        count_answer(self.funnel, answer)
        match answer:
            case NoDraft():
                pass
            case Failed(what):
                yield DecisionFailed(time_ms=time_ms, strategy=terms.strategy, symbol=terms.symbol, what=what)
            case Unusable(rules):
                self.funnel.refuse(rules)
                yield DraftRefused(time_ms=time_ms, strategy=terms.strategy, symbol=terms.symbol, rules=rules)
            case _:
                yield from self._apply(DraftOffered(time_ms, answer, quote))

    def _count_late(self, time_ms: int) -> None:
        if self.stop_ms is not None and time_ms >= self.stop_ms:
            self.funnel.stopped += 1
        else:
            self.funnel.no_price += 1

    def _apply(self, happened: Input) -> Iterator[Event]:
        before = self.state
        self.state, events = advance(before, happened, self.terms, self.ledger)
        for event in events:
            self._count(before, event)
            yield event

    def _count(self, before: SignalState, event: Event) -> None:
        funnel = self.funnel
        match event:
            case DraftRefused(rules=rules):
                funnel.refuse(rules)
            case QuantityRefused(stage="decision", rule=rule):
                funnel.no_quantity += 1
                funnel.no_quantity_by_rule[rule] += 1
            case RiskRefused(stage="decision", profile=profile):
                funnel.risk += 1
                funnel.risk_by_profile[profile] += 1
            case Scheduled():
                funnel.scheduled += 1
            case Opened(signal=signal):
                self.ledger.hold(signal)
                funnel.activated += isinstance(before, WaitingEntry)
                funnel.opened_at_decision += isinstance(before, Flat)
            case Closed(reason=reason):
                self.ledger.release(event)
                funnel.closed[reason] += 1
            case Cancelled(reason=cancel_reason):
                funnel.cancelled[cancel_reason] += 1
            case _:
                pass

    def _quote(self, time_ms: int) -> Quote | None:
        row = self.candles.row(time_ms) - 1
        if not self.candles.has(row):
            return None
        return Quote(self._prices[row], self._closes[row], self.candles.is_bridged(row))

    def _candle(self, time_ms: int) -> Candle:
        candles, row = self.candles, self.candles.row(time_ms) - 1
        return Candle(
            candles.time(row),
            float(candles.open[row]),
            float(candles.high[row]),
            float(candles.low[row]),
            float(candles.close[row]),
            float(candles.volume[row]),
        )

    @staticmethod
    def _active(state: OpenPosition, time_ms: int, price: float) -> Active:
        side, percent = progress(state.signal, price)
        return Active(
            time_ms=time_ms,
            signal=state.signal,
            price=price,
            take_profit_percent=percent if side == "profit" else 0.0,
            stop_loss_percent=percent if side == "loss" else 0.0,
        )


def walk_together(walks: Sequence[StreamWalk]) -> Iterator[Event]:
    """Walk streams in time order.

    At equal times stop requests come first, then closes, then activations and cancellations, then decisions, and the
    end of data last; within each by strategy, then symbol. So it never matters in which order streams are given.
    """
    ordered = sorted(walks, key=lambda walk: (walk.terms.strategy, walk.terms.symbol))
    times = [(walk.next_ms, place) for place, walk in enumerate(ordered) if walk.next_ms is not None]
    heapify(times)
    while times:
        now_ms = times[0][0]
        due = []
        while times and times[0][0] == now_ms:
            due.append(heappop(times)[1])
        here = [ordered[place] for place in due]
        yield from settle_together(here, now_ms)
        for walk in here:
            yield from walk.decide(now_ms)
        for place, walk in zip(due, here, strict=True):
            yield from walk.end(now_ms)
            if walk.next_ms is not None:
                heappush(times, (walk.next_ms, place))


def settle_together(ordered: Sequence[StreamWalk], now_ms: int) -> Iterator[Event]:
    """What an instant does before its decisions: stop requests, then closes, then activations and cancellations."""
    for walk in ordered:
        yield from walk.stop(now_ms)
    waiting = [walk for walk in ordered if isinstance(walk.state, WaitingEntry)]
    for walk in ordered:
        if isinstance(walk.state, OpenPosition):
            yield from walk.settle(now_ms)
    for walk in waiting:
        yield from walk.settle(now_ms)


def off_grid_rows(row_times: Ints, ticks: Ints) -> int:
    """How many rows stand at no decision time of the frame."""
    if not len(ticks):
        return len(row_times)
    next_tick = ticks[np.minimum(np.searchsorted(ticks, row_times), len(ticks) - 1)]
    return int(np.count_nonzero(next_tick != row_times))


def rows_outside(row_times: Ints, ticks: Ints, within: TimeRange) -> int:
    """How many of these rows lie outside of the frame; those after a last tick in it do not."""
    is_outside = (row_times < within.start_ms) | (row_times >= within.end_ms)
    return off_grid_rows(row_times[is_outside], ticks)
