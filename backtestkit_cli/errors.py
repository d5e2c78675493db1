"""The exception family: everything the program refuses, and how it says so.

BacktestkitError            exit code 1
├── UsageError              2   a command line that cannot be carried out
├── ConfigError             2   YAML that is wrong, all its problems together
├── DataError               3   candles missing or damaged
├── StrategyError           4   user code that raised, hung or answered nonsense
├── GateFailedError         5   finished, but a requirement is not met
├── ExchangeError           6   the exchange or the network
│   ├── TransientError          may work when tried again
│   ├── RejectedError           refused for good
│   └── UnknownOutcomeError     nobody knows yet whether it happened
└── StateError              7   live state that needs reconciling

Each error is one or more problems; each problem says what is wrong, where, and what to do.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a problem is: a place in a file, a key path, or a market and a time."""

    file: str | None = None
    line: int | None = None
    column: int | None = None
    key: str | None = None
    symbol: str | None = None
    time_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `code` is stable kebab-case; `what` is a full sentence part without a final dot."""

    code: str
    what: str
    where: Source | None = None
    found: str | None = None
    expected: str | None = None
    hint: str | None = None


class BacktestkitError(Exception):
    """Anything the program can explain."""

    exit_code = 1

    def __init__(self, *problems: Problem) -> None:
        if not problems:
            raise ValueError("an error needs at least one problem")
        super().__init__(*problems)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All problems, in the order they should be read."""
        return self.args

    @property
    def code(self) -> str:
        """The code of the first problem."""
        return self.problems[0].code

    def __str__(self) -> str:
        return "; ".join(problem.what for problem in self.problems)


class UsageError(BacktestkitError):
    """A command line that cannot be carried out."""

    exit_code = 2


class ConfigError(BacktestkitError):
    """A configuration that is wrong."""

    exit_code = 2


class DataError(BacktestkitError):
    """Candles that are missing or damaged."""

    exit_code = 3


class StrategyError(BacktestkitError):
    """User code that raised, hung or answered nonsense."""

    exit_code = 4


class GateFailedError(BacktestkitError):
    """A run that finished but does not meet what was required of it."""

    exit_code = 5


class ExchangeError(BacktestkitError):
    """The exchange or the network failed."""

    exit_code = 6


class TransientError(ExchangeError):
    """May work when tried again."""


class RejectedError(ExchangeError):
    """Refused for good."""


class UnknownOutcomeError(ExchangeError):
    """Sent, but nobody knows yet whether it happened."""


class StateError(BacktestkitError):
    """Live state that needs reconciling before anything else."""

    exit_code = 7
