"""Backtest and run signal trading strategies: the public names, loaded when they are first used."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backtestkit_cli.engine.resample import resample as resample
    from backtestkit_cli.engine.sizing import QuantityLimits as QuantityLimits
    from backtestkit_cli.engine.sizing import atr_based as atr_based
    from backtestkit_cli.engine.sizing import fixed_percentage as fixed_percentage
    from backtestkit_cli.engine.sizing import kelly_criterion as kelly_criterion
    from backtestkit_cli.kit import Kit as Kit
    from backtestkit_cli.model.event import Active as Active
    from backtestkit_cli.model.event import Cancelled as Cancelled
    from backtestkit_cli.model.event import CandlesLoaded as CandlesLoaded
    from backtestkit_cli.model.event import Closed as Closed
    from backtestkit_cli.model.event import DecisionFailed as DecisionFailed
    from backtestkit_cli.model.event import DraftRefused as DraftRefused
    from backtestkit_cli.model.event import DraftsMade as DraftsMade
    from backtestkit_cli.model.event import FoldDone as FoldDone
    from backtestkit_cli.model.event import FrameStarted as FrameStarted
    from backtestkit_cli.model.event import Idle as Idle
    from backtestkit_cli.model.event import LevelReached as LevelReached
    from backtestkit_cli.model.event import ListenerFailed as ListenerFailed
    from backtestkit_cli.model.event import Opened as Opened
    from backtestkit_cli.model.event import OptimizerProgress as OptimizerProgress
    from backtestkit_cli.model.event import Progress as Progress
    from backtestkit_cli.model.event import ProjectMade as ProjectMade
    from backtestkit_cli.model.event import ProjectWritten as ProjectWritten
    from backtestkit_cli.model.event import QuantityCalculated as QuantityCalculated
    from backtestkit_cli.model.event import QuantityRefused as QuantityRefused
    from backtestkit_cli.model.event import RiskAllowed as RiskAllowed
    from backtestkit_cli.model.event import RiskCheckFailed as RiskCheckFailed
    from backtestkit_cli.model.event import RiskRefused as RiskRefused
    from backtestkit_cli.model.event import RunDone as RunDone
    from backtestkit_cli.model.event import RunFailed as RunFailed
    from backtestkit_cli.model.event import Scheduled as Scheduled
    from backtestkit_cli.model.event import SearchDone as SearchDone
    from backtestkit_cli.model.event import SignalEvent as SignalEvent
    from backtestkit_cli.model.event import SourceRead as SourceRead
    from backtestkit_cli.model.event import StrategyDone as StrategyDone
    from backtestkit_cli.model.event import StrategyFailed as StrategyFailed
    from backtestkit_cli.model.event import StrategyStarted as StrategyStarted
    from backtestkit_cli.model.event import StreamDone as StreamDone
    from backtestkit_cli.model.event import TrialDone as TrialDone
    from backtestkit_cli.model.event import TrialFailed as TrialFailed
    from backtestkit_cli.model.event import WalkerDone as WalkerDone
    from backtestkit_cli.model.event import WalkerProgress as WalkerProgress
    from backtestkit_cli.model.levels import SL_LEVEL1 as SL_LEVEL1
    from backtestkit_cli.model.levels import SL_LEVEL2 as SL_LEVEL2
    from backtestkit_cli.model.levels import TP_LEVEL1 as TP_LEVEL1
    from backtestkit_cli.model.levels import TP_LEVEL2 as TP_LEVEL2
    from backtestkit_cli.model.levels import TP_LEVEL3 as TP_LEVEL3
    from backtestkit_cli.model.signal import SignalDraft as SignalDraft
    from backtestkit_cli.plugins.ports import Market as Market
    from backtestkit_cli.plugins.registry import exchange as exchange
    from backtestkit_cli.plugins.registry import strategy as strategy
    from backtestkit_cli.report.conversation import dump_conversation as dump_conversation
    from backtestkit_cli.run.log import log as log
    from backtestkit_cli.run.memo import memo as memo

__version__ = "0.1.0"

_EVENTS = "backtestkit_cli.model.event"
_SIZING = "backtestkit_cli.engine.sizing"
_LEVELS = "backtestkit_cli.model.levels"
_PLACES = {
    "Active": _EVENTS,
    "Cancelled": _EVENTS,
    "CandlesLoaded": _EVENTS,
    "Closed": _EVENTS,
    "DecisionFailed": _EVENTS,
    "DraftRefused": _EVENTS,
    "DraftsMade": _EVENTS,
    "FoldDone": _EVENTS,
    "FrameStarted": _EVENTS,
    "Idle": _EVENTS,
    "Kit": "backtestkit_cli.kit",
    "LevelReached": _EVENTS,
    "ListenerFailed": _EVENTS,
    "Market": "backtestkit_cli.plugins.ports",
    "Opened": _EVENTS,
    "OptimizerProgress": _EVENTS,
    "Progress": _EVENTS,
    "ProjectMade": _EVENTS,
    "ProjectWritten": _EVENTS,
    "QuantityCalculated": _EVENTS,
    "QuantityLimits": _SIZING,
    "QuantityRefused": _EVENTS,
    "RiskAllowed": _EVENTS,
    "RiskCheckFailed": _EVENTS,
    "RiskRefused": _EVENTS,
    "RunDone": _EVENTS,
    "RunFailed": _EVENTS,
    "SL_LEVEL1": _LEVELS,
    "SL_LEVEL2": _LEVELS,
    "Scheduled": _EVENTS,
    "SearchDone": _EVENTS,
    "SignalDraft": "backtestkit_cli.model.signal",
    "SignalEvent": _EVENTS,
    "SourceRead": _EVENTS,
    "StrategyDone": _EVENTS,
    "StrategyFailed": _EVENTS,
    "StrategyStarted": _EVENTS,
    "StreamDone": _EVENTS,
    "TP_LEVEL1": _LEVELS,
    "TP_LEVEL2": _LEVELS,
    "TP_LEVEL3": _LEVELS,
    "TrialDone": _EVENTS,
    "TrialFailed": _EVENTS,
    "WalkerDone": _EVENTS,
    "WalkerProgress": _EVENTS,
    "atr_based": _SIZING,
    "dump_conversation": "backtestkit_cli.report.conversation",
    "exchange": "backtestkit_cli.plugins.registry",
    "fixed_percentage": _SIZING,
    "kelly_criterion": _SIZING,
    "log": "backtestkit_cli.run.log",
    "memo": "backtestkit_cli.run.memo",
    "resample": "backtestkit_cli.engine.resample",
    "strategy": "backtestkit_cli.plugins.registry",
}

__all__ = [
    "SL_LEVEL1",
    "SL_LEVEL2",
    "TP_LEVEL1",
    "TP_LEVEL2",
    "TP_LEVEL3",
    "Active",
    "Cancelled",
    "CandlesLoaded",
    "Closed",
    "DecisionFailed",
    "DraftRefused",
    "DraftsMade",
    "FoldDone",
    "FrameStarted",
    "Idle",
    "Kit",
    "LevelReached",
    "ListenerFailed",
    "Market",
    "Opened",
    "OptimizerProgress",
    "Progress",
    "ProjectMade",
    "ProjectWritten",
    "QuantityCalculated",
    "QuantityLimits",
    "QuantityRefused",
    "RiskAllowed",
    "RiskCheckFailed",
    "RiskRefused",
    "RunDone",
    "RunFailed",
    "Scheduled",
    "SearchDone",
    "SignalDraft",
    "SignalEvent",
    "SourceRead",
    "StrategyDone",
    "StrategyFailed",
    "StrategyStarted",
    "StreamDone",
    "TrialDone",
    "TrialFailed",
    "WalkerDone",
    "WalkerProgress",
    "__version__",
    "atr_based",
    "dump_conversation",
    "exchange",
    "fixed_percentage",
    "kelly_criterion",
    "log",
    "memo",
    "resample",
    "strategy",
]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)
