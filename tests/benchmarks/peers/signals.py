"""The signals of a workload in pandas: one value per minute, set in the minute whose close decides."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.market import COLUMNS, START_MS, load
from benchmarks.workloads import FAST, RSI_LENGTH, SLOW, STRONG, WEAK, Workload


def candles_of(folder: Path, symbol: str) -> pd.DataFrame:
    """Candles as a frame with a time index, from the array."""
    table = load(folder, symbol)
    times = pd.date_range(pd.Timestamp(START_MS, unit="ms"), periods=table.shape[1], freq="1min")
    return pd.DataFrame(dict(zip(COLUMNS, table, strict=True)), index=times)


def candles_from(path: Path) -> pd.DataFrame:
    """Candles as a frame with a time index, from a parquet file."""
    frame = pd.read_parquet(path)
    frame.index = pd.to_datetime(frame.pop("time"), unit="ms")
    return frame


def signals(close: "pd.Series[float]", workload: Workload, fast: int = FAST, slow: int = SLOW) -> np.ndarray:
    """1 long, -1 short, 0 nothing, for every minute."""
    minutes = workload.interval_minutes
    rows = len(close) // minutes
    closes = pd.Series(close.to_numpy()[: rows * minutes].reshape(rows, minutes)[:, -1])
    sides = _crosses(closes, fast, slow) if workload.indicator == "ema" else _extremes(closes)
    every_minute = np.zeros(len(close), dtype=np.int8)
    every_minute[minutes - 1 : rows * minutes : minutes] = sides
    return every_minute


def _crosses(close: "pd.Series[float]", fast: int, slow: int) -> np.ndarray:
    above = close.ewm(span=fast, adjust=False).mean() > close.ewm(span=slow, adjust=False).mean()
    sides = above.astype(np.int8).diff().fillna(0).to_numpy().astype(np.int8)
    sides[: 3 * slow] = 0
    return sides


def _extremes(close: "pd.Series[float]") -> np.ndarray:
    step = close.diff().iloc[1:]
    gain = step.clip(lower=0).ewm(alpha=1 / RSI_LENGTH, adjust=False).mean().to_numpy()
    loss = (-step).clip(lower=0).ewm(alpha=1 / RSI_LENGTH, adjust=False).mean().to_numpy()
    strength = np.concatenate(([np.nan], 100 * gain / (gain + loss)))
    sides = (strength < WEAK).astype(np.int8) - (strength > STRONG).astype(np.int8)
    sides[: 5 * RSI_LENGTH] = 0
    return sides
