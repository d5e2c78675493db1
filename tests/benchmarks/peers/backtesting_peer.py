"""backtesting.py: 1m bars, market orders filled on the next bar, its own bracket of levels, the time limit in `next`.

Signals are made beforehand and not measured.
"""

import sys
from functools import partial
from pathlib import Path

import backtesting.backtesting
import pandas as pd
from backtesting import Backtest, Strategy

from benchmarks.market import SYMBOLS
from benchmarks.peers.signals import candles_from, candles_of, signals
from benchmarks.worker import Run, serve
from benchmarks.workloads import FEE_PERCENT, SLIPPAGE_PERCENT, WORKLOADS, Workload


def simulation(candles: pd.DataFrame, workload: Workload) -> Run:
    """Prepare one symbol."""
    sides = signals(candles["close"], workload)
    level = workload.level_percent / 100

    class Bracket(Strategy):
        def init(self) -> None:
            pass

        def next(self) -> None:
            bar = len(self.data) - 1
            if self.position:
                if bar - self.trades[0].entry_bar >= workload.lifetime_minutes:
                    self.position.close()
            elif sides[bar] > 0:
                price = self.data.Close[-1]
                self.buy(size=1, tp=price * (1 + level), sl=price * (1 - level))
            elif sides[bar] < 0:
                price = self.data.Close[-1]
                self.sell(size=1, tp=price * (1 - level), sl=price * (1 + level))

    costs = (FEE_PERCENT + SLIPPAGE_PERCENT) / 100
    bars = candles.rename(columns=str.capitalize)
    backtest = Backtest(bars, Bracket, cash=1e9, commission=costs, finalize_trades=True)
    return lambda: int(backtest.run()["# Trades"])


def prepare(folder: Path, name: str) -> Run:
    """Prepare a workload on one symbol."""
    return simulation(candles_of(folder, SYMBOLS[0]), WORKLOADS[name])


def main() -> None:
    """Serve tasks on arrays, or run one whole process on a parquet file."""
    backtesting.backtesting._tqdm = lambda steps, **_options: steps
    folder = Path(sys.argv[1])
    if sys.argv[2:]:
        print(simulation(candles_from(folder / "data" / f"{SYMBOLS[0]}_1m.parquet"), WORKLOADS[sys.argv[2]])())
        return
    serve({name: partial(prepare, folder, name) for name in WORKLOADS})


if __name__ == "__main__":
    main()
