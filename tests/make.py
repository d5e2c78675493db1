"""Builders with defaults: a test states only what matters to it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backtestkit_cli.engine.drawn import DrawnCandles
from backtestkit_cli.engine.result import CandleUse, RunResult, StreamResult, StreamRun, ToldEvents
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.trades import Trades, trades_of
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.event import Closed, CloseReason, Event, Opened
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import Costs, FillPolicy
from backtestkit_cli.model.signal import Position, Signal, SignalDraft
from backtestkit_cli.model.time import MINUTE_MS, Interval, TimeRange, parse_time
from backtestkit_cli.model.trade import pnl_percent, pnl_quote

START_MS = parse_time("2023-03-01")
WEEK = TimeRange(START_MS, parse_time("2023-03-08"))
HOUR_MS = 60 * MINUTE_MS
NO_COSTS = Costs(fee_percent=0.0, slippage_percent=0.0)


def candle(time_ms: int = START_MS, price: float = 100.0, **changed: Any) -> Candle:
    """A candle that stands still at a price."""
    return Candle(time_ms, price, price, price, price, 1.0)._replace(**changed)


def draft(**changed: Any) -> SignalDraft:
    """A long at the market of 100, levels 2 percent away, for a day."""
    values: dict[str, Any] = {
        "position": Position.LONG,
        "price_take_profit": 102.0,
        "price_stop_loss": 98.0,
        "lifetime_minutes": 1440,
    }
    return SignalDraft(**values | changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """One trade in few words; without `pnl` it follows from the prices, at no costs."""

    pnl: float | None = None
    opened_hours: float = 0.0
    hours: float = 1.0
    is_long: bool = True
    reason: CloseReason = CloseReason.TAKE_PROFIT
    price_open: float = 100.0
    price_close: float = 102.0
    ambiguous_minutes: int = 0
    at_stake: float = 0.0
    lag: float = 0.0
    is_bridged: bool = False
    note: str = ""
    id: str = ""
    quantity: float | None = None


def closed(deal: Deal, strategy: str = "ema-cross", symbol: str = "BTCUSDT", row: int = 0) -> Closed:
    """The closing event of a deal."""
    opened_ms = START_MS + round(deal.opened_hours * 60) * MINUTE_MS
    sign = 1 if deal.is_long else -1
    signal = Signal(
        id=deal.id or f"00000000-0000-4000-8000-{row:012d}",
        strategy=strategy,
        symbol=symbol,
        position=Position.LONG if deal.is_long else Position.SHORT,
        price_open=deal.price_open,
        price_take_profit=deal.price_open * (1 + sign * 0.02),
        price_stop_loss=deal.price_open * (1 - sign * 0.02),
        lifetime_minutes=1440,
        decided_at=opened_ms,
        note=deal.note,
        quantity=deal.quantity,
    )
    pnl = pnl_percent(deal.is_long, deal.price_open, deal.price_close, NO_COSTS) if deal.pnl is None else deal.pnl
    return Closed(
        time_ms=opened_ms + round(deal.hours * 60) * MINUTE_MS,
        signal=signal,
        opened_at=opened_ms,
        price=deal.price_close,
        reason=deal.reason,
        pnl_percent=pnl,
        ambiguous_minutes=deal.ambiguous_minutes,
        profit_at_stake_percent=deal.at_stake,
        vwap_lag_percent=deal.lag,
        is_bridged=deal.is_bridged,
        pnl_quote=None if deal.quantity is None else pnl_quote(deal.quantity, deal.price_open, pnl),
    )


def deals(*percents: float, every_hours: float = 2.0) -> list[Deal]:
    """Long trades of one hour with these PnLs, one after the other; what lost was stopped."""
    return [
        Deal(
            pnl=pnl,
            opened_hours=every_hours * place,
            price_close=100.0 + pnl,
            reason=CloseReason.STOP_LOSS if pnl < 0 else CloseReason.TAKE_PROFIT,
        )
        for place, pnl in enumerate(percents)
    ]


def trades(*made: Deal | float, strategy: str = "ema-cross", symbol: str = "BTCUSDT") -> Trades:
    """Finished trades, from deals or from bare PnLs."""
    return trades_of(_closings(made, strategy, symbol))


def _closings(made: Sequence[Deal | float], strategy: str, symbol: str) -> list[Closed]:
    spread = deals(*(one if isinstance(one, (int, float)) else 0.0 for one in made))
    given = [one if isinstance(one, Deal) else spread[place] for place, one in enumerate(made)]
    return [closed(deal, strategy, symbol, row) for row, deal in enumerate(given)]


def funnel_of(found: Trades, **counts: Any) -> Funnel:
    """A whole funnel that ends in these trades; counts add to it."""
    opened = len(found)
    made = Funnel(ticks=opened, drafts=opened, opened_at_decision=opened)
    for code in found.reason.tolist():
        made.closed[tuple(CloseReason)[code]] += 1
    for name, count in counts.items():
        now = getattr(made, name)
        setattr(made, name, now + count)
    drafts = int(counts.get("invalid", 0)) + int(counts.get("scheduled", 0))
    made.drafts += drafts
    ended = ("stopped", "busy", "no_price", "warm_up", "ambiguous", "no_draft", "errors")
    made.ticks += drafts + sum(int(counts.get(name, 0)) for name in ended)
    return made


def candle_use(**changed: Any) -> CandleUse:
    """A week of whole candles, from 100 to 103, with two hours of history before it."""
    values: dict[str, Any] = {
        "fingerprint": "f1e2d3c4b5a6" + 52 * "0",
        "history_start_ms": START_MS - 2 * HOUR_MS,
        "data_end_ms": WEEK.end_ms + 48 * HOUR_MS,
        "candles": 13_080,
        "missing_minutes": 0,
        "bridged_minutes": 0,
        "price_first": 100.0,
        "price_last": 103.0,
        "daily_prices": (101.0, 99.0, 100.5, 102.0, 101.5, 102.5, 103.0),
    }
    return CandleUse(**values | changed)


def drawn(price: float = 100.0, count: int = 672) -> DrawnCandles:
    """Quarters of an hour from the start of the week on, each a little above the one before."""
    opens = np.linspace(price, price * 1.07, count)
    return DrawnCandles(
        interval=Interval.M15,
        time_ms=START_MS + Interval.M15.ms * np.arange(count),
        open=opens,
        high=opens + 0.2,
        low=opens - 0.2,
        close=opens + 0.1,
    )


def stream(
    *made: Deal | float,
    strategy: str = "ema-cross",
    symbol: str = "BTCUSDT",
    policy: FillPolicy | None = None,
    costs: Costs = NO_COSTS,
    funnel: Funnel | None = None,
    events: Iterable[Event] | None = None,
    bridged_decisions: int = 0,
    **changed: Any,
) -> StreamRun:
    """One stream with these trades; its events are an opening and a closing for each."""
    closings = _closings(made, strategy, symbol)
    found = trades_of(closings)
    told: list[Event] = []
    for event in closings:
        told += [Opened(time_ms=event.opened_at, signal=event.signal), event]
    happened = tuple(told if events is None else events)
    terms = Terms(strategy=strategy, symbol=symbol, policy=policy or FillPolicy(), costs=costs, limits=Limits())
    result = StreamResult(
        terms=terms,
        trades=found,
        funnel=funnel or funnel_of(found),
        bridged_decisions=bridged_decisions,
        events=ToldEvents(happened),
    )
    values: dict[str, Any] = {
        "strategy": strategy,
        "symbol": symbol,
        "interval": Interval.M15,
        "form": "rules",
        "result": result,
        "candles": candle_use(),
        "drawn": drawn(),
    }
    return StreamRun(**values | changed)


def run(*streams: StreamRun, **changed: Any) -> RunResult:
    """A run of these streams over the week."""
    first = streams[0].result.terms if streams else None
    values: dict[str, Any] = {
        "run_id": "0123456789ab",
        "kind": "backtest",
        "exchange": "sample",
        "frame": "week",
        "range": WEEK,
        "tick": Interval.M1,
        "policy": first.policy if first else FillPolicy(),
        "costs": first.costs if first else NO_COSTS,
        "gap": "skip",
        "streams": streams,
        "shows_notes": True,
    }
    return RunResult(**values | changed)
