"""The wall clock: the only module that asks the system for the time."""

import time


class WallClock:
    """Real time. Tests hand in a clock of their own with the same three methods."""

    def now_ms(self) -> int:
        """The time in UTC ms."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean something."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(max(0.0, seconds))
