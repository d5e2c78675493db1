"""What happened: facts for listeners, reports and the journal.

Times are UTC ms. What is learnt from a minute happens at its end. Events are what became of a stream and are stored,
but for idle and active ones; notices are about the run itself, only for who listens.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from backtestkit_cli.model.signal import Signal
from backtestkit_cli.model.time import Interval


class CloseReason(StrEnum):
    """Why a position was closed."""

    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"
    TIME_EXPIRED = "time_expired"
    END_OF_DATA = "end_of_data"


class CancelReason(StrEnum):
    """Why a waiting entry was given up."""

    STOP_LEVEL = "stop_level"
    WAIT_OVER = "wait_over"
    NO_QUANTITY = "no_quantity"
    RISK = "risk"
    STOPPED = "stopped"
    END_OF_DATA = "end_of_data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """A decision time passed without a signal; `price` is None without a fresh one."""

    time_ms: int
    strategy: str
    symbol: str
    price: float | None
    kind: Literal["idle"] = "idle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """A limit entry waits; `price` is the market at the decision."""

    time_ms: int
    signal: Signal
    price: float
    kind: Literal["scheduled"] = "scheduled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A position was opened at `signal.price_open`.

    `policy_price` is what the fill policy would have booked, where an exchange filled it; None elsewhere.
    """

    time_ms: int
    signal: Signal
    policy_price: float | None = None
    kind: Literal["opened"] = "opened"


@dataclass(frozen=True, slots=True, kw_only=True)
class Active:
    """A minute left the position open. Percents of the way to the levels, 0 to 100; one of them is 0."""

    time_ms: int
    signal: Signal
    price: float
    take_profit_percent: float
    stop_loss_percent: float
    kind: Literal["active"] = "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelReached:
    """The price came `level` percent (10 to 100) of the way to the take profit (`profit`) or the stop (`loss`)."""

    time_ms: int
    signal: Signal
    side: Literal["profit", "loss"]
    level: int
    price: float
    kind: Literal["level_reached"] = "level_reached"


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A position was closed at `price`.

    `pnl_percent` is net of costs. `ambiguous_minutes` counts minutes whose range leaves the order of events open and
    `profit_at_stake_percent` is what the take profit would have brought more. `vwap_lag_percent` is how much better
    the trade looks when market fills are booked at the VWAP. `is_bridged`: entry or exit lies in a filled-in minute.
    `pnl_quote` is the PnL in quote currency, None where nothing is sized. `policy_price` is what the fill policy would
    have booked, where an exchange filled it; None elsewhere.
    """

    time_ms: int
    signal: Signal
    opened_at: int
    price: float
    reason: CloseReason
    pnl_percent: float
    ambiguous_minutes: int
    profit_at_stake_percent: float
    vwap_lag_percent: float
    is_bridged: bool
    pnl_quote: float | None = None
    policy_price: float | None = None
    kind: Literal["closed"] = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """A waiting entry was given up; `price` is the market then, None without a fresh price."""

    time_ms: int
    signal: Signal
    price: float | None
    reason: CancelReason
    kind: Literal["cancelled"] = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftRefused:
    """A draft broke validation rules; all of them are named."""

    time_ms: int
    strategy: str
    symbol: str
    rules: tuple[str, ...]
    kind: Literal["draft_refused"] = "draft_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskRefused:
    """A risk profile refused a signal, at its decision or when it would have been activated.

    `price` is the market at a decision, the entry at an activation; `open_positions` what the profile held then;
    `why` the words of a check.
    """

    time_ms: int
    signal: Signal
    stage: Literal["decision", "activation"]
    price: float
    profile: str
    rule: str
    open_positions: int
    why: str = ""
    kind: Literal["risk_refused"] = "risk_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantityRefused:
    """A sizing left nothing to trade, at a decision or when an entry would have been activated.

    `rule` is snake_case, `why` says it in words.
    """

    time_ms: int
    signal: Signal
    stage: Literal["decision", "activation"]
    rule: str
    why: str
    kind: Literal["quantity_refused"] = "quantity_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionFailed:
    """A strategy call raised, or answered something that is no draft."""

    time_ms: int
    strategy: str
    symbol: str
    what: str
    kind: Literal["decision_failed"] = "decision_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameStarted:
    """A run over a frame begins; `ticks` are its instants."""

    time_ms: int
    frame: str
    start_ms: int
    end_ms: int
    interval: Interval
    ticks: range
    kind: Literal["frame_started"] = "frame_started"


@dataclass(frozen=True, slots=True, kw_only=True)
class CandlesLoaded:
    """The candles of a symbol were loaded: `count`, the first opens at `start_ms`, the last ends at `end_ms`."""

    time_ms: int
    exchange: str
    symbol: str
    interval: Interval
    start_ms: int
    end_ms: int
    count: int
    kind: Literal["candles_loaded"] = "candles_loaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a stream is, in minutes of its frame."""

    time_ms: int
    exchange: str
    strategy: str
    symbol: str
    done_minutes: int
    total_minutes: int
    kind: Literal["progress"] = "progress"

    @property
    def percent(self) -> float:
        """The share that is done, 0 to 100."""
        return 100 * self.done_minutes / self.total_minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamDone:
    """A stream came to its end, with so many closed trades."""

    time_ms: int
    exchange: str
    frame: str
    strategy: str
    symbol: str
    trades: int
    kind: Literal["stream_done"] = "stream_done"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDone:
    """All streams of a run came to their end."""

    time_ms: int
    run_id: str
    exchange: str
    frame: str
    streams: int
    trades: int
    kind: Literal["run_done"] = "run_done"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantityCalculated:
    """A sizing answered for a signal with its entry: the quantity in base currency, from that equity; 0 is none."""

    time_ms: int
    signal: Signal
    sizing: str
    equity: float
    quantity: float
    kind: Literal["quantity_calculated"] = "quantity_calculated"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed:
    """A run ended with an error; `time_ms` is how far it had come, `code` the one of the error."""

    time_ms: int
    exchange: str
    frame: str
    code: str
    what: str
    kind: Literal["run_failed"] = "run_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskAllowed:
    """A risk profile let a signal pass; `price` and `open_positions` as in a refusal."""

    time_ms: int
    signal: Signal
    price: float
    profile: str
    open_positions: int
    kind: Literal["risk_allowed"] = "risk_allowed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskCheckFailed:
    """A check of a risk profile raised, which refuses the signal; `check` is its reference."""

    time_ms: int
    signal: Signal
    price: float
    profile: str
    check: str
    what: str
    kind: Literal["risk_check_failed"] = "risk_check_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerFailed:
    """A listener or callback raised while it was told of an event of kind `event`."""

    time_ms: int
    event: str
    what: str
    kind: Literal["listener_failed"] = "listener_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyStarted:
    """A walker begins with a contestant: a strategy, or a variant of it with `params` of its own.

    `time_ms` is the start of the frame; `contestant` is what reports call it.
    """

    time_ms: int
    walker: str
    exchange: str
    frame: str
    strategy: str
    contestant: str
    params: Mapping[str, Any]
    kind: Literal["strategy_started"] = "strategy_started"


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyDone:
    """A walker is through with a contestant: its figures, the value that ranks it, and the best one so far.

    `tested_strategies` are those with a result; `time_ms` is the end of the frame.
    """

    time_ms: int
    walker: str
    exchange: str
    frame: str
    symbols: tuple[str, ...]
    strategy: str
    contestant: str
    params: Mapping[str, Any]
    run_id: str
    stats: Mapping[str, float | None]
    metric: str
    metric_value: float | None
    best_strategy: str | None
    best_metric: float | None
    tested_strategies: int
    total_strategies: int
    kind: Literal["strategy_done"] = "strategy_done"


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyFailed:
    """A contestant of a walker came to no result; the others go on. `code` is the one of its error."""

    time_ms: int
    walker: str
    exchange: str
    frame: str
    strategy: str
    contestant: str
    code: str
    what: str
    kind: Literal["strategy_failed"] = "strategy_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkerProgress:
    """How many contestants of a walker are done with, failed ones too."""

    time_ms: int
    walker: str
    exchange: str
    frame: str
    done_strategies: int
    total_strategies: int
    kind: Literal["walker_progress"] = "walker_progress"

    @property
    def percent(self) -> float:
        """The share that is done, 0 to 100."""
        return 100 * self.done_strategies / self.total_strategies


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkerDone:
    """A walker came to its end, or was stopped before; without a best one nobody had the metric."""

    time_ms: int
    walker: str
    exchange: str
    frame: str
    symbols: tuple[str, ...]
    metric: str
    total_strategies: int
    tested_strategies: int
    best_strategy: str | None
    best_metric: float | None
    best_stats: Mapping[str, float | None] | None
    kind: Literal["walker_done"] = "walker_done"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialDone:
    """Params were tried on the training time of a fold, 0 for the last search; without a value they have no metric.

    `best_params` and `best_metric` are those of this search so far. `done_trials` counts those of all searches.
    """

    time_ms: int
    strategy: str
    fold: int
    params: Mapping[str, bool | int | float | str]
    run_id: str
    metric: str
    metric_value: float | None
    best_params: Mapping[str, bool | int | float | str] | None
    best_metric: float | None
    done_trials: int
    total_trials: int
    kind: Literal["trial_done"] = "trial_done"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFailed:
    """Params that a search tried came to no result."""

    time_ms: int
    strategy: str
    fold: int
    params: Mapping[str, bool | int | float | str]
    code: str
    what: str
    kind: Literal["trial_failed"] = "trial_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldDone:
    """A fold of a search was judged on the time after its training; without params nothing could be chosen."""

    time_ms: int
    strategy: str
    fold: int
    total_folds: int
    params: Mapping[str, bool | int | float | str] | None
    metric: str
    in_sample: float | None
    out_of_sample: float | None
    kind: Literal["fold_done"] = "fold_done"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchDone:
    """A search came to its end, or was stopped before; `params` are the chosen ones."""

    time_ms: int
    strategy: str
    params: Mapping[str, bool | int | float | str] | None
    metric: str
    in_sample: float | None
    hold_out: float | None
    done_trials: int
    verdict: str
    kind: Literal["search_done"] = "search_done"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRead:
    """The rows of a source of an optimizer in a training range `[start_ms, end_ms)`, as a model is shown them."""

    time_ms: int
    optimizer: str
    symbol: str
    source: str
    rows: tuple[Mapping[str, Any], ...]
    start_ms: int
    end_ms: int
    kind: Literal["source_read"] = "source_read"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerProgress:
    """How many sources an optimizer has read, and how many drafts it is done with."""

    time_ms: int
    optimizer: str
    symbol: str
    done_sources: int
    total_sources: int
    done_drafts: int
    total_drafts: int
    kind: Literal["optimizer_progress"] = "optimizer_progress"

    @property
    def percent(self) -> float:
        """The share that is done, 0 to 100."""
        return 100 * (self.done_sources + self.done_drafts) / (self.total_sources + self.total_drafts)


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftsMade:
    """All drafts of an optimizer are there: their strategies by name, as a config has them."""

    time_ms: int
    optimizer: str
    symbol: str
    drafts: Mapping[str, Mapping[str, Any]]
    kind: Literal["drafts_made"] = "drafts_made"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectMade:
    """The config of a project was made of the drafts of an optimizer."""

    time_ms: int
    optimizer: str
    symbol: str
    text: str
    kind: Literal["project_made"] = "project_made"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectWritten:
    """The project of an optimizer lies in a folder."""

    time_ms: int
    optimizer: str
    symbol: str
    folder: str
    kind: Literal["project_written"] = "project_written"


SignalEvent: TypeAlias = Idle | Scheduled | Opened | Active | Closed | Cancelled
Event: TypeAlias = SignalEvent | LevelReached | DraftRefused | QuantityRefused | RiskRefused | DecisionFailed
WalkerEvent: TypeAlias = StrategyStarted | StrategyDone | StrategyFailed | WalkerProgress | WalkerDone
SearchEvent: TypeAlias = TrialDone | TrialFailed | FoldDone | SearchDone
OptimizerEvent: TypeAlias = SourceRead | OptimizerProgress | DraftsMade | ProjectMade | ProjectWritten
Notice: TypeAlias = (
    FrameStarted
    | CandlesLoaded
    | Progress
    | StreamDone
    | RunDone
    | QuantityCalculated
    | RunFailed
    | RiskAllowed
    | RiskCheckFailed
    | ListenerFailed
    | WalkerEvent
    | SearchEvent
    | OptimizerEvent
)


def key_of(event: Event) -> tuple[str, str]:
    """The stream an event belongs to: strategy and symbol."""
    match event:
        case Idle() | DraftRefused() | DecisionFailed():
            return event.strategy, event.symbol
        case _:
            return event.signal.strategy, event.signal.symbol
