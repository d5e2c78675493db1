"""The meaning of a backtest: `advance` once per closed minute of one stream.

Order at an instant: stop request, what the ended minute did to the position or waiting entry, the decision, the end
of data. Every gate of a decision counts once in the funnel. The column form must tell the same story.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from backtestkit_cli.engine.candles import Candles, Floats, Ints
from backtestkit_cli.engine.decide import Decider, Failed, NoDraft, Unusable
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
    Scheduled,
)
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.signal import Flat, OpenPosition, SignalState, WaitingEntry
from backtestkit_cli.model.time import MINUTE_MS


@dataclass(slots=True)
class StreamWalk:
    """One stream on its way through time; `price` is the VWAP at the end of each minute, `ticks` the decision times.

    `tells_idle` and `tells_active` make the events that nobody stores.
    """

    candles: Candles
    price: Floats
    ticks: Ints
    decider: Decider
    terms: Terms
    stop_ms: int | None = None
    tells_idle: bool = False
    tells_active: bool = False
    state: SignalState = FLAT
    funnel: Funnel = field(default_factory=Funnel)
    bridged_decisions: int = 0

    def run(self) -> Iterator[Event]:
        """Walk from the first decision time until nothing more can happen."""
        candles, ticks = self.candles, self.ticks.tolist()
        self.funnel.ticks = len(ticks)
        end_ms = candles.end_ms
        place, time_ms = 0, ticks[0] if ticks else end_ms
        while time_ms <= end_ms:
            if self.stop_ms is not None and time_ms >= self.stop_ms:
                yield from self._stop(self.stop_ms)
            yield from self._settle(time_ms)
            if place < len(ticks) and ticks[place] == time_ms:
                place += 1
                yield from self._tick(time_ms)
            if time_ms == end_ms:
                yield from self._end(time_ms)
            if not isinstance(self.state, Flat):
                time_ms += MINUTE_MS
            elif place < len(ticks):
                time_ms = ticks[place]
            else:
                break
        for late in ticks[place:]:
            self._count_late(late)

    def _stop(self, stop_ms: int) -> Iterator[Event]:
        if isinstance(self.state, WaitingEntry):
            quote = self._quote(stop_ms - stop_ms % MINUTE_MS)
            yield from self._apply(StopRequested(stop_ms, quote.vwap if quote else None))

    def _settle(self, time_ms: int) -> Iterator[Event]:
        if isinstance(self.state, Flat) or self.state_since == time_ms:
            return
        quote = self._quote(time_ms)
        if quote is None:
            return
        yield from self._apply(CandleClosed(time_ms, self._candle(time_ms), quote))
        if self.tells_active and isinstance(self.state, OpenPosition) and self.state.opened_at < time_ms:
            yield self._active(self.state, time_ms, quote.vwap)

    @property
    def state_since(self) -> int:
        """When the state began; the minute that ends then is not its own."""
        match self.state:
            case OpenPosition(opened_at=opened_at):
                return opened_at
            case WaitingEntry(signal=signal):
                return signal.decided_at
            case Flat():
                return 0

    def _tick(self, time_ms: int) -> Iterator[Event]:
        funnel = self.funnel
        if self.stop_ms is not None and time_ms >= self.stop_ms:
            funnel.stopped += 1
            return
        if not isinstance(self.state, Flat):
            funnel.busy += 1
            funnel.late += self.decider.has_row(time_ms)
            return
        quote = self._quote(time_ms) if time_ms < self.candles.end_ms else None
        if quote is None:
            funnel.no_price += 1
            if self.tells_idle:
                yield Idle(time_ms=time_ms, strategy=self.terms.strategy, symbol=self.terms.symbol, price=None)
            return
        self.bridged_decisions += quote.is_bridged
        funnel.short_history += self.decider.is_short_history(time_ms)
        yield from self._decide(time_ms, quote)
        if self.tells_idle and isinstance(self.state, Flat):
            yield Idle(time_ms=time_ms, strategy=self.terms.strategy, symbol=self.terms.symbol, price=quote.vwap)

    def _decide(self, time_ms: int, quote: Quote) -> Iterator[Event]:
        funnel, terms = self.funnel, self.terms
        match self.decider.decide(time_ms, quote.vwap):
            case NoDraft.NONE:
                funnel.no_draft += 1
            case NoDraft.WARM_UP:
                funnel.warm_up += 1
            case NoDraft.AMBIGUOUS:
                funnel.ambiguous += 1
            case Failed(what):
                funnel.errors += 1
                yield DecisionFailed(time_ms=time_ms, strategy=terms.strategy, symbol=terms.symbol, what=what)
            case Unusable(rules):
                funnel.drafts += 1
                funnel.refuse(rules)
                yield DraftRefused(time_ms=time_ms, strategy=terms.strategy, symbol=terms.symbol, rules=rules)
            case draft:
                funnel.drafts += 1
                yield from self._apply(DraftOffered(time_ms, draft, quote))

    def _end(self, time_ms: int) -> Iterator[Event]:
        quote = self._quote(time_ms)
        if quote is not None:
            yield from self._apply(DataEnded(time_ms, quote))

    def _count_late(self, time_ms: int) -> None:
        if self.stop_ms is not None and time_ms >= self.stop_ms:
            self.funnel.stopped += 1
        else:
            self.funnel.no_price += 1

    def _apply(self, happened: Input) -> Iterator[Event]:
        before = self.state
        self.state, events = advance(before, happened, self.terms)
        for event in events:
            self._count(before, event)
            yield event

    def _count(self, before: SignalState, event: Event) -> None:
        funnel = self.funnel
        match event:
            case DraftRefused(rules=rules):
                funnel.refuse(rules)
            case Scheduled():
                funnel.scheduled += 1
            case Opened() if isinstance(before, WaitingEntry):
                funnel.activated += 1
            case Opened():
                funnel.opened_at_decision += 1
            case Closed(reason=reason):
                funnel.closed[reason] += 1
            case Cancelled(reason=cancel_reason):
                funnel.cancelled[cancel_reason] += 1
            case _:
                pass

    def _quote(self, time_ms: int) -> Quote | None:
        row = self.candles.row(time_ms) - 1
        if not self.candles.has(row):
            return None
        return Quote(float(self.price[row]), float(self.candles.close[row]), self.candles.is_bridged(row))

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


def off_grid_rows(row_times: Ints, ticks: Ints) -> int:
    """How many rows stand at no decision time of the frame."""
    return int(len(row_times) - np.isin(row_times, ticks).sum())
