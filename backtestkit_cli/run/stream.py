"""One stream of a run, and streams on their way: which of the walks is theirs, and what happens on it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from backtestkit_cli.engine.candles import Candles, Ints
from backtestkit_cli.engine.decide import Decider
from backtestkit_cli.engine.gate import Ledger
from backtestkit_cli.engine.leap import leap
from backtestkit_cli.engine.reference.walk import ReferenceWalk, walk_originals
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.vwap import vwap_all
from backtestkit_cli.engine.walk import StreamWalk, walk_together
from backtestkit_cli.model.event import Event, LevelReached
from backtestkit_cli.run.checks.quick import QuickCheck
from backtestkit_cli.run.standing import Key
from backtestkit_cli.run.strategies import Strategy


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """One strategy on one symbol, with everything the engine needs but its decisions."""

    name: str
    symbol: str
    candles: Candles
    terms: Terms
    ticks: Ints
    quick: QuickCheck

    @property
    def key(self) -> Key:
        """Strategy and symbol."""
        return self.name, self.symbol

    def walk(self, decider: Decider, ledger: Ledger) -> StreamWalk:
        """A walk over its ticks."""
        return StreamWalk(
            candles=self.candles,
            price=vwap_all(self.candles, self.terms.limits.average_price_candles),
            ticks=self.ticks,
            decider=decider,
            terms=self.terms,
            ledger=ledger,
        )


class Walking(NamedTuple):
    """A stream on its way."""

    stream: Stream
    strategy: Strategy
    decider: Decider
    walk: StreamWalk | ReferenceWalk


def walked(walks: Sequence[StreamWalk | ReferenceWalk]) -> Iterator[Event]:
    """What happens on some walks in time order; one that is alone leaps from decision to decision where it can."""
    originals = [walk for walk in walks if isinstance(walk, ReferenceWalk)]
    if originals:
        return walk_originals(originals)
    ours = [walk for walk in walks if isinstance(walk, StreamWalk)]
    is_alone = len(ours) == 1 and ours[0].ledger.is_open
    return leap(ours[0]) if is_alone and not ours[0].tells_active else walk_together(ours)


def first_events(happening: Iterator[Event], count: int, *, with_levels: bool) -> Iterator[Event]:
    """Events until so many have come; levels count only where they are told."""
    while count and (event := next(happening, None)) is not None:
        count -= with_levels or not isinstance(event, LevelReached)
        yield event
