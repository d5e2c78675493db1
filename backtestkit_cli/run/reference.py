"""Runs under `fill: reference`: our config and candles, as the original would have met them.

* Candles are loaded as far as the original may look: to the end of a signal's list, and of larger candles that open
  at the last tick.
* Nothing is asked for that ends after the present.
* What the original does not look at, or leaves out of its result, is told with each stream.
"""

from collections.abc import Callable, Iterator

from backtestkit_cli.config.merge import Config
from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.decide import Decider
from backtestkit_cli.engine.gate import Ledger
from backtestkit_cli.engine.reference.desks import Desks
from backtestkit_cli.engine.reference.exchange import Exchange
from backtestkit_cli.engine.reference.market import CandleHistory, ReferenceMarket
from backtestkit_cli.engine.reference.stream import ReferenceTerms
from backtestkit_cli.engine.reference.walk import ReferenceWalk
from backtestkit_cli.measure.trust import counted
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.event import CancelReason, CloseReason
from backtestkit_cli.model.policy import Policy, ReferencePolicy
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS
from backtestkit_cli.run.plan import Plan, ticks_of
from backtestkit_cli.run.strategies import CallingDecider

LOOKS_BEYOND_MS = DAY_MS
"""How far behind the last list a request may reach: no candle that a strategy can ask for is longer."""
PROGRESS_MS = 60 * MINUTE_MS


def shared_by(policy: Policy, ledger: Ledger) -> Ledger | Desks:
    """What the streams of a group share: the ledger, or its profiles as the original asks them."""
    return Desks(ledger.profiles) if isinstance(policy, ReferencePolicy) else ledger


def looks_beyond_ms(policy: Policy) -> int:
    """How much longer than others a run needs candles."""
    return LOOKS_BEYOND_MS if isinstance(policy, ReferencePolicy) else 0


def reference_market(config: Config, plan: Plan, symbol: str, candles: Candles, steps: MarketSteps) -> ReferenceMarket:
    """The market that a strategy in Python is given."""
    return ReferenceMarket(symbol, _exchange(config, plan, candles), steps)


def reference_walk(
    config: Config,
    plan: Plan,
    key: tuple[str, str],
    candles: Candles,
    decider: Decider,
    desks: Desks,
    on_progress: Callable[[str, str, int], None],
) -> ReferenceWalk:
    """Make one stream ready to walk."""
    strategy, symbol = key
    terms = ReferenceTerms(
        strategy=strategy,
        symbol=symbol,
        interval_ms=config.strategies[strategy].interval.ms,
        limits=config.limits(plan.exchange),
        costs=plan.costs,
    )

    def on_tick(time_ms: int) -> None:
        done_ms = time_ms - plan.range.start_ms
        if done_ms % PROGRESS_MS < plan.tick.ms:
            on_progress(strategy, symbol, done_ms // MINUTE_MS)

    walk = ReferenceWalk(
        candles=candles,
        exchange=_exchange(config, plan, candles),
        decider=decider,
        terms=terms,
        ticks=ticks_of(plan),
        desk=desks.of(strategy),
        on_tick=on_tick,
    )
    desks.streams[key] = walk.stream
    return walk


def notes_of(walk: ReferenceWalk) -> Iterator[str]:
    """What to tell of a stream beside its events."""
    teller, limits = walk.teller, walk.terms.limits
    if teller.own_waits:
        entries, minutes = counted(teller.own_waits, "limit entry", "limit entries"), limits.schedule_await_minutes
        yield f"{entries} asked to wait otherwise; under fill: reference all wait {minutes} (schedule_await_minutes)"
    if walk.funnel.closed[CloseReason.END_OF_DATA]:
        yield "a position was still open when the ticks were over; it is no trade of this result"
    if walk.funnel.cancelled[CancelReason.END_OF_DATA]:
        yield "a limit entry still waited when the ticks were over"
    for code, count in sorted(teller.failed_steps.items()):
        yield f"{counted(count, 'step')} could not be done, as in the original: {code}"
    market = walk.decider.market if isinstance(walk.decider, CallingDecider) else None
    if isinstance(market, ReferenceMarket) and market.short_windows:
        yield (
            f"{counted(market.short_windows, 'request')} for candles got fewer than asked for; a longer `warm_up` "
            "loads more"
        )


def _exchange(config: Config, plan: Plan, candles: Candles) -> Exchange:
    limits = config.settings.limits
    return Exchange(
        source=CandleHistory(candles),
        now_ms=plan.present_ms,
        average_candles=limits.average_price_candles,
        anomaly_factor=limits.anomaly_factor,
        anomaly_median_candles=limits.anomaly_median_candles,
    )
