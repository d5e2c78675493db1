"""Drives every pair of state and input through the step function, and writes down what happened.

Rules: each kind of state and of input has examples that reach all it can do, with prices around an entry at 100. Every
example of a state meets every example of an input, under each preset, with risk that admits and that refuses; a cell
of the table tells the different outcomes. Nothing in the table is written by hand.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any, get_args

from backtestkit_cli.engine import step
from backtestkit_cli.engine.gate import Gate, Ledger, RiskProfile
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.event import Cancelled, Closed, Event
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import PRESETS, Costs
from backtestkit_cli.model.signal import Flat, OpenPosition, Position, Signal, SignalDraft, SignalState, WaitingEntry
from backtestkit_cli.model.time import MINUTE_MS

NOW = 10 * MINUTE_MS
SIGNAL = Signal(
    id="an id",
    strategy="a strategy",
    symbol="BTCUSDT",
    position=Position.LONG,
    price_open=100.0,
    price_take_profit=105.0,
    price_stop_loss=95.0,
    lifetime_minutes=60,
    decided_at=0,
)
WAITING = WaitingEntry(signal=SIGNAL, wait_until=NOW + MINUTE_MS)
POSITION = OpenPosition(signal=SIGNAL, opened_at=0, expires_at=NOW + MINUTE_MS, entry_vwap=100.0, entry_worse=100.0)
DRAFT = SignalDraft(position="long", price_take_profit=105.0, price_stop_loss=95.0, lifetime_minutes=60)


def minute(low: float, high: float, price: float) -> step.CandleClosed:
    """A minute that ended now, with its price and close."""
    candle = Candle(NOW - MINUTE_MS, low, high, low, price, 1.0)
    return step.CandleClosed(NOW, candle, step.Quote(price, price, is_bridged=False))


STATES: Mapping[type, tuple[SignalState, ...]] = {
    Flat: (step.FLAT,),
    WaitingEntry: (WAITING, replace(WAITING, wait_until=NOW)),
    OpenPosition: (POSITION, replace(POSITION, expires_at=NOW), replace(POSITION, profit_level=10, loss_level=10)),
}
INPUTS: Mapping[type, tuple[step.Input, ...]] = {
    step.CandleClosed: (
        minute(100.1, 100.2, 100.1),
        minute(99.9, 100.1, 100.0),
        minute(94.0, 96.0, 94.0),
        minute(94.0, 106.0, 100.0),
        minute(101.0, 106.0, 106.0),
        minute(101.0, 103.0, 102.0),
    ),
    step.DraftOffered: tuple(
        step.DraftOffered(NOW, draft, step.Quote(100.5, 100.5, is_bridged=False))
        for draft in (DRAFT, replace(DRAFT, price_open=99.0), replace(DRAFT, price_stop_loss=110.0))
    ),
    step.StopRequested: (step.StopRequested(NOW, 100.0), step.StopRequested(NOW, None)),
    step.DataEnded: (step.DataEnded(NOW, step.Quote(100.0, 100.0, is_bridged=False)),),
}


def unknown_kinds() -> set[str]:
    """Kinds of states and inputs without an example."""
    kinds = {*get_args(SignalState), *get_args(step.Input)}
    return {kind.__name__ for kind in kinds - {*STATES, *INPUTS}}


def outcomes(state_kind: type, input_kind: type) -> dict[tuple[str, ...], str]:
    """What can come of a pair: the events, with the state after them."""
    found: dict[tuple[str, ...], str] = {}
    for state, happened, terms, gate in _cases(state_kind, input_kind):
        after, events = step.advance(state, happened, terms, gate)
        if after != state or events:
            found.setdefault(_told(events), type(after).__name__)
    return found


def _cases(state_kind: type, input_kind: type) -> Iterator[tuple[SignalState, step.Input, step.Terms, Gate]]:
    closed = RiskProfile(name="a profile", max_positions=0)
    gates: tuple[Gate, ...] = (step.OPEN_GATE, Ledger({"a strategy": [closed]}))
    for policy, gate in product(PRESETS.values(), gates):
        terms = step.Terms(strategy="a strategy", symbol="BTCUSDT", policy=policy, costs=Costs(), limits=Limits())
        for state in STATES[state_kind]:
            for happened in INPUTS[input_kind]:
                yield state, happened, terms, gate


def _told(events: tuple[Event, ...]) -> tuple[str, ...]:
    """The kinds of events, each once, with the reason where there is one."""
    return tuple(dict.fromkeys(map(_event, events)))


def _event(event: Any) -> str:
    name = type(event).__name__
    return f"{name} ({event.reason.value})" if isinstance(event, Closed | Cancelled) else name


def transitions() -> str:
    """The table of states and inputs."""
    lines = ["| | " + " | ".join(f"`{kind.__name__}`" for kind in INPUTS) + " |", "| --- |" + " --- |" * len(INPUTS)]
    for state_kind in STATES:
        cells = (_cell(outcomes(state_kind, input_kind), state_kind.__name__) for input_kind in INPUTS)
        lines.append(f"| **`{state_kind.__name__}`** | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(found: dict[tuple[str, ...], str], own: str) -> str:
    texts = [f"{', '.join(events)} → {'stays' if after == own else f'`{after}`'}" for events, after in found.items()]
    return "<br>".join(texts) or "nothing"


def diagram() -> str:
    """The changes of state as a diagram."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> Flat"]
    arrows: dict[tuple[str, str], list[str]] = {}
    for state_kind in STATES:
        for input_kind in INPUTS:
            for events, after in outcomes(state_kind, input_kind).items():
                if after != state_kind.__name__:
                    arrows.setdefault((state_kind.__name__, after), []).append(" + ".join(events))
    for (before, after), texts in arrows.items():
        told = dict.fromkeys(re.sub(r" \(\w+\)", "", text) for text in texts)
        lines.append(f"    {before} --> {after}: {', '.join(told)}")
    return "\n".join([*lines, "```"])
