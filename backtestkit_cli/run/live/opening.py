"""How a live session begins: its markets with their history, its streams as the state left them, and the note of it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import NamedTuple

from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.stored import kept
from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.growing import GrowingMarket
from backtestkit_cli.engine.orders.walk import CarriedWalk
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.walk import StreamWalk
from backtestkit_cli.errors import DataError, Problem, Source
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.signal import Flat, OpenPosition, WaitingEntry
from backtestkit_cli.model.time import MINUTE_MS, iso
from backtestkit_cli.run.live.audience import LiveAudience
from backtestkit_cli.run.live.feed import Feed
from backtestkit_cli.run.live.stream import LiveLedger, LiveStream
from backtestkit_cli.run.plan import LivePlan
from backtestkit_cli.run.record import used_by
from backtestkit_cli.run.sizing import Sizing
from backtestkit_cli.run.standing import Key
from backtestkit_cli.run.strategies import Strategy
from backtestkit_cli.state.journal import Journal
from backtestkit_cli.state.session import SessionRecord, StreamRecord

QUIET_MINUTES = 60
"""How long a market may be without a candle when a session begins."""


async def market_of(
    config: Config, plan: LivePlan, feed: Feed, symbol: str, start_ms: int, present_ms: int
) -> GrowingMarket:
    """Take the history of a symbol up to now.

    Raises:
        DataError: there is no candle, or one that cannot be.
        ExchangeError: the exchange does not answer.
    """
    frame = await feed.history(symbol, start_ms, present_ms)
    if frame.is_empty():  # a short history lies in the minute that is still open, or in a hole
        start_ms -= QUIET_MINUTES * MINUTE_MS
        frame = await feed.history(symbol, start_ms, present_ms)
    if frame.is_empty():
        hint = "look whether the symbol is traded there, and whether the clock of this computer is right"
        what = f"{plan.exchange} has no candles of {symbol} since {iso(start_ms)}"
        raise DataError(Problem("no-candles", what, Source(symbol=symbol, time_ms=start_ms), hint=hint))
    bridges = config.settings.gap == "bridge"
    candles = Candles.from_rows(*(column.to_numpy() for column in frame), bridge=bridges)
    return GrowingMarket.of(candles, config.settings.limits.average_price_candles, bridges=bridges)


class Opening(NamedTuple):
    """What all streams of a session have in common."""

    config: Config
    plan: LivePlan
    record: SessionRecord
    ledger: LiveLedger
    audience: LiveAudience

    def stream(
        self,
        key: Key,
        strategy: Strategy,
        sizing: Sizing | None,
        record: StreamRecord,
        market: GrowingMarket,
        steps: MarketSteps,
    ) -> LiveStream:
        """Make a stream that goes on where its record ends; its position is held in the ledger."""
        name, symbol = key
        is_carried = self.plan.is_real
        terms = Terms(
            strategy=name,
            symbol=symbol,
            policy=self.plan.policy,
            costs=self.plan.costs,
            limits=self.config.limits(self.plan.exchange),
        )
        history_start_ms = self.record.history_start_ms[name]
        if isinstance(record.state, OpenPosition) or (is_carried and isinstance(record.state, WaitingEntry)):
            self.ledger.hold(record.state.signal)
        if sizing is not None:
            self.ledger.sizers[key] = lambda question: sizing.sizer(
                market.until(question.time_ms).from_time(history_start_ms), steps.quantity, self.audience
            )(question)
        return LiveStream.of(
            strategy=strategy,
            market=market,
            steps=steps,
            terms=terms,
            ledger=self.ledger,
            interval_ms=self.config.strategies[name].interval.ms,
            first_ms=self.record.started_ms,
            history_start_ms=history_start_ms,
            mode="live" if is_carried else "paper",
            walk_of=CarriedWalk if is_carried else StreamWalk,
            context=self.audience.context(*key),
            state=record.state,
            at_ms=market.known_ms - MINUTE_MS if isinstance(record.state, Flat) else record.at_ms,
            decided_ms=record.decided_ms,
        )


def note_start(
    journal: Journal,
    config: Config,
    plan: LivePlan,
    record: SessionRecord,
    markets: Mapping[str, GrowingMarket],
    forms: Mapping[str, str],
    now_ms: int,
) -> None:
    """Note what is needed to do this session again as a backtest, and to report it."""
    used = used_by(config, record.strategies, record.exchange, None)
    known_ms = {symbol: market.known_ms for symbol, market in markets.items()}
    told = {**asdict(record), "streams": [list(key) for key in plan.keys], "known_ms": known_ms}
    told |= {"forms": dict(forms), "price_candles": config.settings.limits.average_price_candles}
    journal.add("start", now_ms, **told, config=kept(config, used))
