"""The money that sized streams share: what it began with, and what closed positions have made of it.

Only what is realised counts. What closes at 00:00 UTC belongs to the day that ends there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from backtestkit_cli.model.event import Closed
from backtestkit_cli.model.time import DAY_MS


@dataclass(slots=True)
class Account:
    """Money in quote currency. `closed_percents` are those of the closed trades of each stream, oldest first."""

    balance: float
    equity: float = field(init=False)
    closed_percents: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    _peak: float = field(init=False)
    _day: int = field(init=False, default=-1)
    _day_equity: float = field(init=False)

    def __post_init__(self) -> None:
        self.equity = self._peak = self._day_equity = self.balance

    def book(self, closed: Closed) -> None:
        """A position was closed; one that is not sized changes no money."""
        key = closed.signal.strategy, closed.signal.symbol
        self.closed_percents.setdefault(key, []).append(closed.pnl_percent)
        if closed.pnl_quote is None:
            return
        day = (closed.time_ms - 1) // DAY_MS
        if day != self._day:
            self._day, self._day_equity = day, self.equity
        self.equity += closed.pnl_quote
        self._peak = max(self._peak, self.equity)

    @property
    def body(self) -> dict[str, float]:
        """What it has come to, so that it can be kept."""
        return {"equity": self.equity, "peak": self._peak, "day": self._day, "day_equity": self._day_equity}

    def restore(self, body: Mapping[str, float]) -> None:
        """Go on from what was kept."""
        self.equity, self._peak, self._day_equity = body["equity"], body["peak"], body["day_equity"]
        self._day = int(body["day"])

    def day_loss_percent(self, time_ms: int) -> float:
        """What has been lost since 00:00 UTC, in percent of the equity then; negative for a gain."""
        if time_ms // DAY_MS != self._day:
            return 0.0
        return _fall_percent(self._day_equity, self.equity)

    @property
    def drawdown_percent(self) -> float:
        """How far the equity is below its highest value, in percent of that."""
        return _fall_percent(self._peak, self.equity)


def _fall_percent(before: float, now: float) -> float:
    """A fall in percent of what it fell from; all of it where there was nothing to lose."""
    return (before - now) / before * 100 if before > 0 else 100.0
