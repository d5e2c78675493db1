"""Backtest and run signal trading strategies: the public names, loaded when they are first used."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backtestkit_cli.engine.resample import resample as resample
    from backtestkit_cli.kit import Kit as Kit
    from backtestkit_cli.model.signal import SignalDraft as SignalDraft
    from backtestkit_cli.plugins.ports import Market as Market
    from backtestkit_cli.plugins.registry import exchange as exchange
    from backtestkit_cli.plugins.registry import strategy as strategy

__version__ = "0.1.0"

_PLACES = {
    "Kit": "backtestkit_cli.kit",
    "Market": "backtestkit_cli.plugins.ports",
    "SignalDraft": "backtestkit_cli.model.signal",
    "exchange": "backtestkit_cli.plugins.registry",
    "resample": "backtestkit_cli.engine.resample",
    "strategy": "backtestkit_cli.plugins.registry",
}

__all__ = ["Kit", "Market", "SignalDraft", "__version__", "exchange", "resample", "strategy"]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)
