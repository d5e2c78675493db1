"""One strategy on one symbol of a live session: its walk over a market that grows, and how its strategy is asked."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from backtestkit_cli.engine.candles import Candles, Ints
from backtestkit_cli.engine.decide import Answer, Failed, NoDraft, RowDecider, decision_ticks
from backtestkit_cli.engine.gate import Ledger, Refusal
from backtestkit_cli.engine.growing import GrowingMarket
from backtestkit_cli.engine.market import MarketView
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.walk import StreamWalk
from backtestkit_cli.errors import StrategyError
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.event import Closed
from backtestkit_cli.model.signal import Signal, SignalDraft, SignalState
from backtestkit_cli.model.time import MINUTE_MS, TimeRange
from backtestkit_cli.plugins.ports import Mode
from backtestkit_cli.run.context import CURRENT, Context
from backtestkit_cli.run.deadline import Deadline
from backtestkit_cli.run.standing import Key
from backtestkit_cli.run.strategies import DecisionStrategy, Strategy


class Booked(NamedTuple):
    """A position that is in the account. `decided_ms` is None where an older version kept it without."""

    signal_id: str
    decided_ms: int | None

    def is_of(self, signal: Signal) -> bool:
        """Whether it is the position of a signal."""
        return self.signal_id == signal.id and self.decided_ms in (None, signal.decided_at)


@dataclass(slots=True)
class LiveLedger(Ledger):
    """The ledger of all streams. `closed_for` is why nothing may be opened just now, `closed_symbols`
    why not in some symbols.

    `booked` is the last position of each stream that is in the account, by its id and its decision time, for a strategy
    may give an id again: one that closes again, because a crash came before its stream was kept, is not booked twice.
    """

    closed_for: Refusal | None = None
    closed_symbols: Mapping[str, Refusal] = field(default_factory=dict)
    booked: dict[Key, Booked] = field(default_factory=dict)

    def refuses(self, time_ms: int, signal: Signal, price: float) -> Refusal | None:
        """What forbids every entry comes before all profiles."""
        return self.closed_for or self.closed_symbols.get(signal.symbol) or Ledger.refuses(self, time_ms, signal, price)

    @property
    def is_open(self) -> bool:
        """It may close at any minute."""
        return False

    def is_joined(self, one: Key, other: Key) -> bool:
        """Whether an entry of one stream may forbid one of the other: they share a risk profile."""
        names = ({profile.name for profile in self.profiles.get(strategy, ())} for strategy, _ in (one, other))
        return not next(names).isdisjoint(next(names))

    def release(self, closed: Closed) -> None:
        """A position was closed."""
        key = closed.signal.strategy, closed.signal.symbol
        booked = self.booked.get(key)
        if booked is not None and booked.is_of(closed.signal):
            self.let_go(closed.signal)
        else:
            Ledger.release(self, closed)
        self.booked[key] = Booked(closed.signal.id, closed.signal.decided_at)


@dataclass(slots=True, eq=False)
class PreparedAnswer:
    """A decider that was asked beforehand, outside of the walk."""

    answer: Answer = NoDraft.NONE
    is_short: bool = False

    def decide(self, time_ms: int, price: float) -> Answer:  # noqa: ARG002  # it was asked with both
        """The one answer."""
        return self.answer

    def has_row(self, time_ms: int) -> bool:  # noqa: ARG002  # nobody is asked while busy
        """Nothing is computed beforehand."""
        return False

    def is_short_history(self, time_ms: int) -> bool:  # noqa: ARG002
        """As the answer says."""
        return self.is_short


@dataclass(slots=True, eq=False)
class LiveStream:
    """A stream on its way. `at_ms` is the last instant that was settled, `decided_ms` the last decision time passed."""

    strategy: Strategy
    market: GrowingMarket
    steps: MarketSteps
    walk: StreamWalk
    history_start_ms: int
    first_ms: int
    interval_ms: int
    mode: Mode
    context: Context
    at_ms: int
    decided_ms: int = 0

    @classmethod
    def of(
        cls,
        *,
        strategy: Strategy,
        market: GrowingMarket,
        steps: MarketSteps,
        terms: Terms,
        ledger: LiveLedger,
        interval_ms: int,
        first_ms: int,
        history_start_ms: int,
        mode: Mode,
        context: Context,
        state: SignalState,
        at_ms: int,
        decided_ms: int,
        walk_of: type[StreamWalk] = StreamWalk,
    ) -> "LiveStream":
        """Begin, or go on from a state; decisions are taken from `first_ms` on."""
        ticks = _ticks(market, max(first_ms, at_ms + MINUTE_MS, decided_ms + 1), interval_ms)
        walk = walk_of(market.candles, market.price, ticks, PreparedAnswer(), terms, ledger, state=state)
        walk.funnel.ticks = 0
        return cls(
            strategy=strategy,
            market=market,
            steps=steps,
            walk=walk,
            history_start_ms=history_start_ms,
            first_ms=first_ms,
            interval_ms=interval_ms,
            mode=mode,
            context=context,
            at_ms=at_ms,
            decided_ms=decided_ms,
        )

    @property
    def key(self) -> Key:
        """Strategy and symbol."""
        return self.walk.terms.strategy, self.walk.terms.symbol

    @property
    def drafted(self) -> dict[str, Any]:
        """The figures of the draft that was answered last; none where there was none."""
        answer = self.walk.decider.answer if isinstance(self.walk.decider, PreparedAnswer) else None
        told = asdict(answer) if isinstance(answer, SignalDraft) else {}
        return {name: value for name, value in told.items() if name not in ("note", "id") and value is not None}

    def take_room(self) -> None:
        """The market has new columns."""
        ticks = _ticks(self.market, max(self.first_ms, self.at_ms + MINUTE_MS), self.interval_ms)
        self.walk.go_on(self.market.candles, self.market.price, ticks)

    def ask(self, time_ms: int, deadline: Deadline) -> PreparedAnswer:
        """Ask the strategy about an instant; whatever it raises is an answer too. Runs in a thread of its own."""
        candles = self.market.until(time_ms).from_time(self.history_start_ms)
        self.context.time_ms = time_ms
        token = CURRENT.set(self.context)
        try:
            return self._answer(candles, time_ms, deadline)
        except StrategyError as error:
            return PreparedAnswer(Failed(error.problems[0].what))
        finally:
            CURRENT.reset(token)

    def _answer(self, candles: Candles, time_ms: int, deadline: Deadline) -> PreparedAnswer:
        symbol, strategy = self.walk.terms.symbol, self.strategy
        if isinstance(strategy, DecisionStrategy):
            market = MarketView(symbol, candles, self.steps, self.mode)
            decider = strategy.decider_on(market, candles.start_ms, deadline, lambda _: None)
            price = float(self.market.price[self.market.candles.row(time_ms) - 1])
            return PreparedAnswer(decider.decide(time_ms, price), decider.is_short_history(time_ms))
        rows = RowDecider(strategy.rows(symbol, candles, TimeRange(time_ms, time_ms), deadline))
        return PreparedAnswer(rows.decide(time_ms, 0.0), rows.is_short_history(time_ms))


def _ticks(market: GrowingMarket, start_ms: int, interval_ms: int) -> Ints:
    start_ms = -(-start_ms // MINUTE_MS) * MINUTE_MS
    return decision_ticks(start_ms, max(start_ms, market.candles.end_ms), MINUTE_MS, interval_ms)
