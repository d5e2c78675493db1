"""What a run found out: one result per stream, and the run around them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from backtestkit_cli.engine.doubt import Doubt
from backtestkit_cli.engine.drawn import DrawnCandles
from backtestkit_cli.engine.listed import ListedEvents
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.trades import Trades
from backtestkit_cli.model.event import Event, LevelReached
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.policy import Costs, Policy
from backtestkit_cli.model.time import Interval, TimeRange

RunStatus = Literal["complete", "interrupted", "stopped", "not ended", "left", "ended"]
"""The last three are those of live sessions: nobody said that it ended, it goes on with the next start, it is over."""


class Story(Protocol):
    """Tells the events of a stream in order of time, again at every call; without levels if nobody wants to know."""

    def __call__(self, *, with_levels: bool = True) -> Iterator[Event]: ...


@dataclass(frozen=True, slots=True)
class ToldEvents:
    """Events that happened, kept one by one."""

    events: tuple[Event, ...]

    def __call__(self, *, with_levels: bool = True) -> Iterator[Event]:
        return (event for event in self.events if with_levels or not isinstance(event, LevelReached))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StreamResult:
    """What became of one stream. `listed` gives the same events as columns, None where they are only told."""

    terms: Terms
    trades: Trades
    funnel: Funnel
    bridged_decisions: int
    events: Story
    listed: Callable[[], ListedEvents] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleUse:
    """Which candles a stream rested on.

    `history_start_ms` is where its history began, `data_end_ms` the close of its last candle. `missing_minutes` and
    `bridged_minutes` count between history start and frame end. `price_first` and `price_last` are the first and last
    close inside the frame (None without one). `daily_prices` are the VWAP prices at each 00:00 UTC in `(start, end]` of
    the range and at its end, the last known one where there is no fresh price, None before the first candle. `months`
    has a checksum of each UTC month.
    """

    fingerprint: str
    history_start_ms: int
    data_end_ms: int
    candles: int
    missing_minutes: int
    bridged_minutes: int
    price_first: float | None
    price_last: float | None
    daily_prices: tuple[float | None, ...]
    months: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StreamRun:
    """One stream of a run: result, candles, and how it was decided (`rules`, `decision`, `vector`, `signals`).

    `sizing` is the name of its sizing, None where nothing is sized. `failures` counts what its strategy, sizing and
    risk checks raised or answered wrongly; `warnings` tell it. `rows_outside` counts the rows off the grid
    that lie outside of the range. `doubts` are decisions that changed when they were made again.
    `drawn` are the candles from the start of the range to its end, or to the last close of a trade if that is later;
    None where they were not kept.
    """

    strategy: str
    symbol: str
    interval: Interval
    form: Literal["rules", "decision", "vector", "signals"]
    result: StreamResult
    candles: CandleUse
    note: str = ""
    sizing: str | None = None
    warnings: tuple[str, ...] = ()
    failures: int = 0
    rows_outside: int = 0
    doubts: tuple[Doubt, ...] = ()
    drawn: DrawnCandles | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnChoice:
    """A column that readers of a report want to see; what is None is as it is without a choice."""

    key: str
    label: str | None = None
    format: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunResult:
    """A finished, or interrupted, run. Nothing in it depends on the wall clock.

    `balance` is what the sized streams share, in quote currency; None where none is sized.
    """

    run_id: str
    kind: Literal["backtest", "live"]
    exchange: str
    frame: str
    range: TimeRange
    tick: Interval
    policy: Policy
    costs: Costs
    gap: Literal["skip", "bridge", "fail"]
    streams: tuple[StreamRun, ...]
    warnings: tuple[str, ...] = ()
    status: RunStatus = "complete"
    shows_notes: bool = False
    columns: Mapping[str, tuple[ColumnChoice, ...]] = field(default_factory=dict)
    is_made_up: bool = False
    balance: float | None = None

    def part(self, streams: tuple[StreamRun, ...]) -> "RunResult":
        """Some of its streams; without the balance where none of them is sized."""
        balance = self.balance if any(stream.sizing for stream in streams) else None
        return replace(self, streams=streams, balance=balance)
