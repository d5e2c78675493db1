"""A clock that moves only when told: sleeping moves it, and is remembered."""

from dataclasses import dataclass, field
from typing import Protocol


class ShownClock(Protocol):
    """What the exchange needs of a clock."""

    def now_ms(self) -> int:
        """The time in UTC ms."""
        ...


@dataclass(slots=True)
class FakeClock:
    """Time in UTC ms; `sleeps` holds every pause asked for, in seconds."""

    time_ms: int
    sleeps: list[float] = field(default_factory=list)

    def now_ms(self) -> int:
        """The time."""
        return self.time_ms

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self.time_ms / 1000

    def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self.sleeps.append(seconds)
        self.time_ms += round(seconds * 1000)
