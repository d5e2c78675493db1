"""One event of a live session in one line, for the screen, the log and the people who are told."""

from typing import assert_never

from backtestkit_cli.engine.gate import reward_risk
from backtestkit_cli.model.event import (
    Active,
    Cancelled,
    Closed,
    DecisionFailed,
    DraftRefused,
    Event,
    Idle,
    LevelReached,
    Opened,
    QuantityRefused,
    RiskRefused,
    Scheduled,
)
from backtestkit_cli.model.time import iso


def price_text(value: float | None) -> str:
    """A price for people, as short as it can be."""
    return "–" if value is None else f"{value:,.2f}" if value >= 100 else f"{value:.6g}"


def percent_text(value: float | None, *, signed: bool = False) -> str:
    """A percent for people."""
    return "–" if value is None else f"{value:{'+' if signed else ''}.2f} %"


def _why(event: RiskRefused) -> str:
    """Why a risk profile refused, with the figure where the event has it."""
    match event.rule:
        case _ if event.why:
            return event.why
        case "max_positions":
            return f"max_positions, {event.open_positions} open"
        case "min_reward_risk":
            return f"min_reward_risk, this one has {reward_risk(event.signal):.2f}"
        case _:
            return event.rule


def line_of(event: Event) -> str:
    """One event in a line; empty for what is not told."""
    match event:
        case Idle() | Active():
            return ""
        case DraftRefused():
            told = f"invalid    {event.strategy} {event.symbol}  {' '.join(event.rules)}"
        case DecisionFailed():
            told = f"failed     {event.strategy} {event.symbol}  {event.what}"
        case Opened(signal=signal):
            told = (
                f"opened     {signal.strategy} {signal.symbol}  {signal.position} at {price_text(signal.price_open)}, "
                f"TP {price_text(signal.price_take_profit)}, SL {price_text(signal.price_stop_loss)}"
            )
        case Scheduled(signal=signal):
            told = f"waits      {signal.strategy} {signal.symbol}  {signal.position} at {price_text(signal.price_open)}"
        case Closed(signal=signal):
            told = (
                f"closed     {signal.strategy} {signal.symbol}  {signal.position} "
                f"{price_text(signal.price_open)} → {price_text(event.price)}, "
                f"{event.reason.replace('_', ' ')}, {percent_text(event.pnl_percent, signed=True)}"
            )
        case Cancelled(signal=signal):
            told = f"cancelled  {signal.strategy} {signal.symbol}  {event.reason.replace('_', ' ')}"
        case LevelReached(signal=signal):
            told = f"level      {signal.strategy} {signal.symbol}  {event.level} % of the way to {event.side}"
        case RiskRefused(signal=signal):
            told = f"refused    {signal.strategy} {signal.symbol}  {event.profile}: {_why(event)}"
        case QuantityRefused(signal=signal):
            told = f"refused    {signal.strategy} {signal.symbol}  {event.why}"
        case _:
            assert_never(event)
    return f"{iso(event.time_ms)}  {told}"
