"""Risk: limits that streams share, and the ledger of positions that they are checked against.

A check and its reservation are one step: what is admitted is held in the ledger until it is closed. Only positions
count, waiting entries do not. Limits run in a fixed order, then the checks, profiles in the order of the strategy; the
first refusal ends.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from backtestkit_cli.model.signal import Signal


class RiskQuestion(NamedTuple):
    """What a check is asked about: the signal with its entry, the market's price, and the profile's positions."""

    time_ms: int
    signal: Signal
    price: float
    positions: Sequence[Signal]


Check = Callable[[RiskQuestion], str | None]
"""Answers None, or why the signal is refused."""


class Refusal(NamedTuple):
    """Which profile refused, by which rule, and why in words where a check said so."""

    profile: str
    rule: str
    open_positions: int
    why: str = ""


class Gate(Protocol):
    """Decides whether a signal may become a position."""

    def refuses(self, time_ms: int, signal: Signal, price: float) -> Refusal | None:
        """Why not, or None."""
        ...


class OpenGate:
    """Admits everything."""

    def refuses(self, time_ms: int, signal: Signal, price: float) -> Refusal | None:  # noqa: ARG002
        """Nothing is refused."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskProfile:
    """Limits of one profile; None means no limit."""

    name: str
    max_positions: int | None = None
    max_per_symbol: int | None = None
    max_per_strategy: int | None = None
    max_long: int | None = None
    max_short: int | None = None
    min_reward_risk: float | None = None
    checks: Mapping[str, Check] = field(default_factory=dict)

    def refusal(self, question: RiskQuestion) -> tuple[str, str] | None:
        """The first rule that refuses, with words where a check gives them."""
        signal = question.signal
        for rule, limit, count in self.counts(signal, question.positions):
            if limit is not None and count >= limit:
                return rule, ""
        if self.min_reward_risk is not None and reward_risk(signal) < self.min_reward_risk:
            return "min_reward_risk", ""
        for name, check in self.checks.items():
            why = check(question)
            if why is not None:
                return name, why
        return None

    def counts(self, signal: Signal, held: Sequence[Signal]) -> tuple[tuple[str, int | None, int], ...]:
        """Each limit on counts for a signal: its name, what it allows (None: no limit), and what is held."""
        return (
            ("max_positions", self.max_positions, len(held)),
            ("max_per_symbol", self.max_per_symbol, sum(one.symbol == signal.symbol for one in held)),
            ("max_per_strategy", self.max_per_strategy, sum(one.strategy == signal.strategy for one in held)),
            ("max_long", self.max_long if signal.is_long else None, sum(one.is_long for one in held)),
            ("max_short", None if signal.is_long else self.max_short, sum(not one.is_long for one in held)),
        )


def reward_risk(signal: Signal) -> float:
    """The way to the take profit over the way to the stop, costs aside."""
    return abs(signal.price_take_profit - signal.price_open) / abs(signal.price_open - signal.price_stop_loss)


@dataclass(slots=True)
class Ledger:
    """The positions of all streams that share profiles; `profiles` names those of each strategy, in order."""

    profiles: Mapping[str, Sequence[RiskProfile]]
    positions: dict[str, dict[tuple[str, str], Signal]] = field(default_factory=dict)

    def refuses(self, time_ms: int, signal: Signal, price: float) -> Refusal | None:
        """Ask the profiles of the signal's strategy."""
        for profile in self.profiles.get(signal.strategy, ()):
            held = tuple(self.positions.get(profile.name, {}).values())
            found = profile.refusal(RiskQuestion(time_ms, signal, price, held))
            if found is not None:
                return Refusal(profile.name, found[0], len(held), found[1])
        return None

    def hold(self, signal: Signal) -> None:
        """A position was opened."""
        for profile in self.profiles.get(signal.strategy, ()):
            self.positions.setdefault(profile.name, {})[signal.strategy, signal.symbol] = signal

    def release(self, signal: Signal) -> None:
        """A position was closed."""
        for profile in self.profiles.get(signal.strategy, ()):
            self.positions.get(profile.name, {}).pop((signal.strategy, signal.symbol), None)
