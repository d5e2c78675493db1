"""A backtest of the original over the ticks of a frame, for drivers that know how ours are walked.

* A tick is a decision time where the throttle lets the strategy be asked, or would have while something was held. The
  latter are `busy`, those that the loop leaves out after a close too.
* A stop that is asked for acts at the next tick: the waiting entry goes away in silence, what is followed was followed
  to its end before, and what is still held stays as it is.
* A row of a strategy is looked at where the strategy is asked. One at another tick is `late` while something is held,
  else `off_grid`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.decide import Answer, Decider
from backtestkit_cli.engine.reference.exchange import Exchange
from backtestkit_cli.engine.reference.fast_path import Wake
from backtestkit_cli.engine.reference.loop import backtest, turns
from backtestkit_cli.engine.reference.market import OurDecider
from backtestkit_cli.engine.reference.risk import RiskDesk
from backtestkit_cli.engine.reference.stream import ReferenceStream, ReferenceTerms
from backtestkit_cli.engine.reference.told import Teller
from backtestkit_cli.model.event import Event
from backtestkit_cli.model.funnel import Funnel


@dataclass(slots=True, kw_only=True, eq=False)
class ReferenceWalk:
    """One stream on its way through the ticks of a frame; it stands between the original and the decider.

    `on_tick` hears of every tick before it is done.
    """

    candles: Candles
    exchange: Exchange
    decider: Decider
    terms: ReferenceTerms
    ticks: Sequence[int]
    desk: RiskDesk
    on_tick: Callable[[int], None]
    bridged_decisions: int = 0
    is_stop_asked: bool = False
    stream: ReferenceStream = field(init=False)
    teller: Teller = field(init=False)
    _place: int = 0
    _would_ask_ms: int = 0

    def __post_init__(self) -> None:
        self.stream = ReferenceStream(terms=self.terms, exchange=self.exchange, decide=OurDecider(self), desk=self.desk)
        self.teller = Teller(candles=self.candles, stream=self.stream)

    @property
    def funnel(self) -> Funnel:
        """What is counted so far."""
        return self.teller.funnel

    @property
    def stop_ms(self) -> int | None:
        """The tick at which a stop acted."""
        return self.teller.stop_ms

    def run(self) -> Iterator[Wake]:
        """Run; yields before each step that others may come before."""
        tape, seen = self.stream.tape, 0
        for wake in backtest(self.stream, self.ticks):
            if tape.progressed != seen:
                seen = tape.progressed
                self._come_to(wake.time_ms)
            yield wake
        for tick in self.ticks[self._place :]:
            self._meet(tick, is_free=False)

    def decide(self, time_ms: int, price: float) -> Answer:
        """Ask the decider, and count its answer."""
        self.funnel.short_history += self.is_short_history(time_ms)
        self.bridged_decisions += self.candles.is_bridged(self.candles.row(time_ms))
        answer = self.decider.decide(time_ms, price)
        self.teller.answered(answer)
        return answer

    def has_row(self, time_ms: int) -> bool:
        """As the decider says."""
        return self.decider.has_row(time_ms)

    def is_short_history(self, time_ms: int) -> bool:
        """As the decider says."""
        return self.decider.is_short_history(time_ms)

    def _come_to(self, tick: int) -> None:
        """Meet the tick that is done next, after those that are left out."""
        while self.ticks[self._place] < tick:
            self._meet(self.ticks[self._place], is_free=False)
        if self.is_stop_asked and self.stop_ms is None:
            self.teller.stop_ms = tick
            self.stream.stop(tick)
        self._meet(tick, is_free=self.stream.pending is None and self.stream.scheduled is None)
        self.on_tick(tick)

    def _meet(self, tick: int, *, is_free: bool) -> None:
        funnel, last_ms = self.funnel, self.stream.last_call_ms
        if last_ms is not None and not is_free:
            last_ms = max(last_ms, self._would_ask_ms)
        is_due = last_ms is None or tick - last_ms >= self.terms.interval_ms
        self._place += 1
        funnel.ticks += is_due
        if self.stop_ms is not None:
            funnel.stopped += is_due
        elif is_free:
            funnel.off_grid += self.has_row(tick) and not is_due
        else:
            funnel.busy += is_due
            funnel.late += self.has_row(tick)
        if is_due:
            self._would_ask_ms = tick


def walk_originals(walks: Sequence[ReferenceWalk]) -> Iterator[Event]:
    """Walk streams in simulated time, at equal times closes first, then in the order given."""
    for place in turns([walk.run() for walk in walks]):
        yield from walks[place].teller.told()
    for walk in walks:
        walk.teller.end()
