"""What code of the config failed at in a stream: decisions, sizings and risk checks, in words for its report.

A sizing or check fails alike at every question, as a rule: each text is told once, with its first time.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from backtestkit_cli.engine.gate import CHECK_RAISED
from backtestkit_cli.errors import Source
from backtestkit_cli.model.event import Event, QuantityRefused, RiskRefused
from backtestkit_cli.model.time import iso
from backtestkit_cli.plugins.places import raised
from backtestkit_cli.run.deadline import CallTimedOut

GATE_FAILURES = frozenset(("sizing_raised", "sizing_answer", CHECK_RAISED))
MOST_TOLD = 3

Watched: TypeAlias = Callable[[str, Callable[[Any], Any]], Callable[[Any], Any]]
"""Gives a function a deadline, so that calling it raises `CallTimedOut`; its name is for messages."""


def unwatched(_what: str, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """No deadline."""
    return function


def failure_text(error: BaseException, place: Source, doing: str) -> str:
    """What a sizing or check did in place of an answer."""
    return str(error) if isinstance(error, CallTimedOut) else raised(error, place, doing).what


def first_of(failures: Sequence[str]) -> list[str]:
    """The first failures, and how many more there are."""
    told = list(failures[:MOST_TOLD])
    more = len(failures) - len(told)
    return [*told[:-1], f"{told[-1]} (and {more} more)"] if more else told


def gate_failures(events: Iterable[Event]) -> list[tuple[int, str]]:
    """When sizings and risk checks raised or answered wrongly (UTC ms), and what, in words."""
    return [
        (event.time_ms, event.why)
        for event in events
        if isinstance(event, QuantityRefused | RiskRefused) and event.rule in GATE_FAILURES
    ]


def told_once(failures: Iterable[tuple[int, str]]) -> list[str]:
    """Each text once, with its first time and how often it came."""
    found: dict[str, list[int]] = {}
    for time_ms, what in failures:
        found.setdefault(what, []).append(time_ms)
    return [f"{iso(times[0])}: {what}{_often(len(times))}" for what, times in found.items()]


def _often(count: int) -> str:
    return f" ({count} times)" if count > 1 else ""
