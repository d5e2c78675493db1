"""The candles everybody is measured on: a seeded geometric random walk, 1m candles of one year per symbol.

Rules kept here:
- one seed gives the same walk; symbol `k` of seed `s` is drawn from `(s, k)`;
- a minute is six steps of the walk, so that high and low are extremes of a path;
- prices have two decimals, volumes four and are never zero.
"""

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

START_MS = 1_704_067_200_000
MINUTE_MS = 60_000
MINUTES = 365 * 24 * 60
SYMBOLS = tuple(f"S{number:02d}" for number in range(20))
COLUMNS = ("open", "high", "low", "close", "volume")

_PRICE, _YEARLY_VOLATILITY, _STEPS = 40_000.0, 0.60, 6

Table = npt.NDArray[np.float64]


def make(seed: int, symbol: int, minutes: int = MINUTES) -> Table:
    """Draw one symbol: one line per column of COLUMNS, one value per minute."""
    random = np.random.Generator(np.random.PCG64([seed, symbol]))
    deviation = _YEARLY_VOLATILITY / np.sqrt(MINUTES * _STEPS)
    steps = random.standard_normal(minutes * _STEPS) * deviation
    path = (_PRICE * np.exp(np.cumsum(steps))).reshape(minutes, _STEPS)
    close = path[:, -1]
    opened = np.concatenate(([_PRICE], close[:-1]))
    high, low = np.maximum(path.max(axis=1), opened), np.minimum(path.min(axis=1), opened)
    volume = np.exp(random.standard_normal(minutes) * 0.8 + 2.0)
    return np.vstack([*(price.round(2) for price in (opened, high, low, close)), np.maximum(volume.round(4), 0.0001)])


def load(folder: Path, symbol: str) -> Table:
    """Read one symbol into memory."""
    table: Table = np.load(folder / f"{symbol}.npy")
    return table


def write(folder: Path, seed: int) -> None:
    """Write every symbol as an array, and the first as the parquet file that whole processes read."""
    import polars as pl

    for number, symbol in enumerate(SYMBOLS):
        table = make(seed, number)
        np.save(folder / f"{symbol}.npy", table)
        if number == 0:
            time = START_MS + MINUTE_MS * np.arange(MINUTES, dtype=np.int64)
            frame = pl.DataFrame({"time": time, **dict(zip(COLUMNS, table, strict=True))})
            (folder / "data").mkdir()
            frame.write_parquet(folder / "data" / f"{symbol}_1m.parquet", compression="zstd")


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
