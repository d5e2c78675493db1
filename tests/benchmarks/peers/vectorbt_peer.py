"""vectorbt: `Portfolio.from_signals` on 1m rows, with the engine it takes by itself.

Levels are its own stops on high and low. It has no limit of time, so an exit mark stands one lifetime after every
entry mark. Signals are made beforehand and not measured.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import vectorbt as vbt

from benchmarks.market import SYMBOLS
from benchmarks.peers.signals import candles_from, candles_of, signals
from benchmarks.worker import Prepare, Run, serve
from benchmarks.workloads import FEE_PERCENT, SLIPPAGE_PERCENT, SWEEP, WORKLOADS, Workload

ENGINES = ("numba", "rust")


def simulation(candles: pd.DataFrame, workload: Workload) -> Run:
    """Prepare one symbol."""
    sides = signals(candles["close"], workload)
    level = workload.level_percent / 100
    return simulated(candles, sides, exits(sides, workload), level, level)


def sweep(candles: pd.DataFrame, engine: str = "auto") -> Run:
    """Prepare every combination of W4 as a column of its own."""
    w1 = WORKLOADS["W1"]
    all_sides = [signals(candles["close"], w1, int(one["fast"]), int(one["slow"])) for one in SWEEP]
    sides = np.column_stack(all_sides)
    marks = np.column_stack([exits(one, w1) for one in all_sides])
    profit, loss = (np.array([[one[key] / 100 for one in SWEEP]]) for key in ("profit", "loss"))
    return simulated(candles, pd.DataFrame(sides, index=candles.index), marks, profit, loss, engine)


def exits(sides: np.ndarray, workload: Workload) -> np.ndarray:
    """A mark one lifetime after each entry."""
    marks = np.zeros(len(sides), dtype=bool)
    marks[workload.lifetime_minutes :] = sides[: -workload.lifetime_minutes] != 0
    return marks


def simulated(
    candles: pd.DataFrame, sides: Any, marks: np.ndarray, profit: Any, loss: Any, engine: str = "auto"
) -> Run:
    """One simulation of all columns at once."""

    def run() -> int:
        portfolio = vbt.Portfolio.from_signals(
            candles["close"],
            entries=sides > 0,
            exits=marks,
            short_entries=sides < 0,
            short_exits=marks,
            open=candles["open"],
            high=candles["high"],
            low=candles["low"],
            tp_stop=profit,
            sl_stop=loss,
            fees=FEE_PERCENT / 100,
            slippage=SLIPPAGE_PERCENT / 100,
            size=1.0,
            init_cash=1e9,
            upon_opposite_entry="ignore",
            accumulate=False,
            freq="1min",
            engine=engine,
        )
        return len(portfolio.trades.records)

    return run


def prepare(folder: Path, name: str) -> Run:
    """Prepare a workload on one symbol."""
    return simulation(candles_of(folder, SYMBOLS[0]), WORKLOADS[name])


def prepare_sweep(folder: Path, engine: str) -> Run:
    """Prepare W4 for an engine."""
    return sweep(candles_of(folder, SYMBOLS[0]), engine)


def prepare_all(folder: Path) -> Run:
    """Prepare W1 on every symbol."""
    runs: list[Callable[[], int]] = [simulation(candles_of(folder, symbol), WORKLOADS["W1"]) for symbol in SYMBOLS]
    return lambda: sum(run() for run in runs)


def main() -> None:
    """Serve tasks on arrays, or run one whole process on a parquet file."""
    folder = Path(sys.argv[1])
    if sys.argv[2:]:
        candles = candles_from(folder / "data" / f"{SYMBOLS[0]}_1m.parquet")
        name, engine = sys.argv[2], sys.argv[3] if sys.argv[3:] else "auto"
        print(sweep(candles, engine)() if name == "W4" else simulation(candles, WORKLOADS[name])())
        return
    tasks: dict[str, Prepare] = {name: partial(prepare, folder, name) for name in WORKLOADS}
    for engine in ENGINES:
        tasks[f"W4 {engine}"] = partial(prepare_sweep, folder, engine)
    serve({**tasks, "W3": partial(prepare_all, folder)})


if __name__ == "__main__":
    main()
