"""vectorbt: `Portfolio.from_signals` on 1m rows, with the engine it takes by itself.

Levels are its own stops on high and low. It has no limit of time, so an exit mark stands one lifetime after every
entry mark. Signals are made beforehand and not measured.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import vectorbt as vbt

from benchmarks.market import SYMBOLS
from benchmarks.peers.signals import candles_from, candles_of, signals
from benchmarks.worker import Prepare, Run, serve
from benchmarks.workloads import FEE_PERCENT, SLIPPAGE_PERCENT, WORKLOADS, Workload


def simulation(candles: pd.DataFrame, workload: Workload) -> Run:
    """Prepare one symbol."""
    sides = signals(candles["close"], workload)
    exits = np.zeros(len(sides), dtype=bool)
    exits[workload.lifetime_minutes :] = sides[: -workload.lifetime_minutes] != 0
    level = workload.level_percent / 100

    def run() -> int:
        portfolio = vbt.Portfolio.from_signals(
            candles["close"],
            entries=sides > 0,
            exits=exits,
            short_entries=sides < 0,
            short_exits=exits,
            open=candles["open"],
            high=candles["high"],
            low=candles["low"],
            tp_stop=level,
            sl_stop=level,
            fees=FEE_PERCENT / 100,
            slippage=SLIPPAGE_PERCENT / 100,
            size=1.0,
            init_cash=1e9,
            upon_opposite_entry="ignore",
            accumulate=False,
            freq="1min",
        )
        return len(portfolio.trades.records)

    return run


def prepare(folder: Path, name: str) -> Run:
    """Prepare a workload on one symbol."""
    return simulation(candles_of(folder, SYMBOLS[0]), WORKLOADS[name])


def prepare_all(folder: Path) -> Run:
    """Prepare W1 on every symbol."""
    runs: list[Callable[[], int]] = [simulation(candles_of(folder, symbol), WORKLOADS["W1"]) for symbol in SYMBOLS]
    return lambda: sum(run() for run in runs)


def main() -> None:
    """Serve tasks on arrays, or run one whole process on a parquet file."""
    folder = Path(sys.argv[1])
    if sys.argv[2:]:
        print(simulation(candles_from(folder / "data" / f"{SYMBOLS[0]}_1m.parquet"), WORKLOADS[sys.argv[2]])())
        return
    tasks: dict[str, Prepare] = {name: partial(prepare, folder, name) for name in WORKLOADS}
    serve({**tasks, "W3": partial(prepare_all, folder)})


if __name__ == "__main__":
    main()
