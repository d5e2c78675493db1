"""What is compared: the numbers of each workload, as the peers need them.

Our side reads the same workloads from `project/configs/bench.yaml`, as a user would write them.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One strategy: candles of `interval_minutes`, an indicator, levels in percent of the entry, a time limit."""

    interval_minutes: int
    indicator: Literal["ema", "rsi"]
    level_percent: float
    lifetime_minutes: int


WORKLOADS = {
    "W1": Workload(interval_minutes=15, indicator="ema", level_percent=1.0, lifetime_minutes=1440),
    "W2": Workload(interval_minutes=5, indicator="rsi", level_percent=0.4, lifetime_minutes=240),
}
FAST, SLOW = 12, 26
SWEEP = [
    {"fast": fast, "slow": slow, "profit": profit, "loss": loss}
    for fast in (6, 9, 12, 15, 18)
    for slow in (21, 26, 34, 42, 55)
    for profit, loss in ((1.0, 1.0), (1.5, 1.0), (2.0, 1.0), (1.0, 2.0))
]
"""W4: what W1 is varied by."""
RSI_LENGTH, WEAK, STRONG = 14, 30.0, 70.0
FEE_PERCENT = SLIPPAGE_PERCENT = 0.05
