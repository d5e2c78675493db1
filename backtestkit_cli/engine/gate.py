"""Size and risk: what a position may be, and the ledger of positions and money that streams share.

A check and its reservation are one step: what is admitted is held in the ledger until it is closed. Only positions
count, waiting entries do not. Limits run in a fixed order, then the checks, profiles in the order of the strategy; the
first refusal ends. A waiting entry is sized when it activates; until then it adds nothing to an exposure.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from backtestkit_cli.engine.account import Account
from backtestkit_cli.engine.draft import TOLERANCE_PERCENT
from backtestkit_cli.model.event import Closed
from backtestkit_cli.model.signal import Signal


class SizingQuestion(NamedTuple):
    """What a sizing is asked about: the signal with its entry, the equity, and the stream's closed trades in percent.

    Equity is the balance plus all realised PnL of the run, in quote currency; closed trades are oldest first.
    """

    time_ms: int
    signal: Signal
    equity: float
    closed_percents: Sequence[float]


class Sized(NamedTuple):
    """A quantity in base currency, cut to the market's steps; 0 is none, and `rule` says why, `why` in words."""

    quantity: float
    rule: str = ""
    why: str = ""


Sizer = Callable[[SizingQuestion], Sized]


class RiskQuestion(NamedTuple):
    """What a check is asked about: the signal with its entry, the market's price, and the profile's positions.

    `equity` is None in a run without a balance.
    """

    time_ms: int
    signal: Signal
    price: float
    positions: Sequence[Signal]
    equity: float | None = None


CHECK_RAISED = "check_raised"
"""The rule of a refusal by a check that could not answer."""


class CheckError(Exception):
    """A check could not answer; the text says why."""


Check = Callable[[RiskQuestion], str | None]
"""Answers None, or why the signal is refused; raises `CheckError`."""


class Refusal(NamedTuple):
    """Which profile refused, by which rule, and why in words where a check said so."""

    profile: str
    rule: str
    open_positions: int
    why: str = ""


class Gate(Protocol):
    """Decides whether, and how large, a signal may become a position."""

    def size(self, time_ms: int, signal: Signal) -> Sized | None:
        """How much of it; None where nothing is sized."""
        ...

    def refuses(self, time_ms: int, signal: Signal, price: float) -> Refusal | None:
        """Why not, or None."""
        ...


class OpenGate:
    """Admits everything, and sizes nothing."""

    def size(self, time_ms: int, signal: Signal) -> Sized | None:  # noqa: ARG002
        """Nothing is sized."""
        return None

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
    max_exposure_percent: float | None = None
    max_daily_loss_percent: float | None = None
    max_drawdown_percent: float | None = None
    min_reward_risk: float | None = None
    checks: Mapping[str, Check] = field(default_factory=dict)

    def refusal(self, question: RiskQuestion, account: Account | None = None) -> tuple[str, str] | None:
        """The first rule that refuses, with words where a check gives them."""
        signal = question.signal
        for rule, limit, count in self.counts(signal, question.positions):
            if limit is not None and count >= limit:
                return rule, ""
        if account is not None:
            for rule in self._broken_money_limits(question, account):
                return rule, ""
        if self.min_reward_risk is not None and reward_risk(signal) < self.min_reward_risk:
            return "min_reward_risk", ""
        for name, check in self.checks.items():
            try:
                why = check(question)
            except CheckError as error:
                return CHECK_RAISED, str(error)
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

    def _broken_money_limits(self, question: RiskQuestion, account: Account) -> Iterator[str]:
        """Exposure is what all positions of the symbol were worth at their entries; losses are what is realised."""
        _, signal, _, held, _ = question
        if self.max_exposure_percent is not None:
            exposure = entry_value(signal) + sum(entry_value(one) for one in held if one.symbol == signal.symbol)
            if exposure * 100 > account.equity * (self.max_exposure_percent + TOLERANCE_PERCENT):
                yield "max_exposure_percent"
        losses = (
            ("max_daily_loss_percent", self.max_daily_loss_percent, account.day_loss_percent(question.time_ms)),
            ("max_drawdown_percent", self.max_drawdown_percent, account.drawdown_percent),
        )
        for rule, limit, percent in losses:
            if limit is not None and percent >= limit:
                yield rule


def entry_value(signal: Signal) -> float:
    """What a position was worth at its entry, in quote currency; nothing as long as it is not sized."""
    return 0.0 if signal.quantity is None else signal.quantity * signal.price_open


def reward_risk(signal: Signal) -> float:
    """The way to the take profit over the way to the stop, costs aside."""
    return abs(signal.price_take_profit - signal.price_open) / abs(signal.price_open - signal.price_stop_loss)


@dataclass(slots=True)
class Ledger:
    """The positions of all streams that share profiles, and their account where they are sized.

    `profiles` names those of each strategy, in order; `sizers` are by strategy and symbol.
    """

    profiles: Mapping[str, Sequence[RiskProfile]]
    account: Account | None = None
    sizers: dict[tuple[str, str], Sizer] = field(default_factory=dict)
    positions: dict[str, dict[tuple[str, str], Signal]] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether it admits everything, and sizes nothing."""
        return not self.sizers and not any(self.profiles.values())

    def size(self, time_ms: int, signal: Signal) -> Sized | None:
        """Ask the sizing of the signal's stream."""
        key = signal.strategy, signal.symbol
        if self.account is None or key not in self.sizers:
            return None
        percents = self.account.closed_percents.get(key, ())
        return self.sizers[key](SizingQuestion(time_ms, signal, self.account.equity, percents))

    def refuses(self, time_ms: int, signal: Signal, price: float) -> Refusal | None:
        """Ask the profiles of the signal's strategy."""
        for profile in self.profiles.get(signal.strategy, ()):
            held = tuple(self.positions.get(profile.name, {}).values())
            equity = None if self.account is None else self.account.equity
            found = profile.refusal(RiskQuestion(time_ms, signal, price, held, equity), self.account)
            if found is not None:
                return Refusal(profile.name, found[0], len(held), found[1])
        return None

    def hold(self, signal: Signal) -> None:
        """A position was opened."""
        for profile in self.profiles.get(signal.strategy, ()):
            self.positions.setdefault(profile.name, {})[signal.strategy, signal.symbol] = signal

    def release(self, closed: Closed) -> None:
        """A position was closed."""
        if self.account is not None:
            self.account.book(closed)
        self.let_go(closed.signal)

    def let_go(self, signal: Signal) -> None:
        """A position is not held any more."""
        for profile in self.profiles.get(signal.strategy, ()):
            self.positions.get(profile.name, {}).pop((signal.strategy, signal.symbol), None)
