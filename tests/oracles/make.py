"""Writes the candles and the expected values of the oracle test: `python tests/oracles/make.py`.

It does not import the engine. Where no candle is missing the values of well-known functions come from TA-Lib, all
others from `plain.py`. Values are kept for every third row once even the slowest recursion has settled.
"""

import csv
import random
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from oracles.cases import PLAIN
from oracles.plain import MINUTE_MS, Column, Row, larger
from oracles.with_talib import talib_columns

FOLDER = Path(__file__).parents[1] / "data" / "oracles"
START_MS = 1_678_838_400_000 - 7 * MINUTE_MS
NAMES = ("open", "high", "low", "close", "volume")
FILES = {"whole": (360, 1), "holes": (2400, 5)}
"""Each file with its minutes and the interval its values are made on."""
SETTLED_ROWS = 180
EVERY = 3


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, (minutes, interval) in FILES.items():
        rows = _candles(name, minutes)
        _write(name, ["time", *NAMES], [[time, *row] for time, row in rows.items()])
        columns = larger(rows, interval)
        values = {case: answer(columns) for case, answer in PLAIN.items()}
        if name == "whole":
            values |= _by_talib(columns)
        first = SETTLED_ROWS if name == "whole" else 0
        table = [
            [columns["time"][row], *(values[case][row] for case in values)]
            for row in range(first, len(columns["time"]), EVERY)
        ]
        _write(f"{name}_expected", ["time", *values], table)


def _candles(name: str, minutes: int) -> dict[int, Row]:
    """A random walk with quiet minutes; the one with holes misses single minutes and long stretches."""
    dice = random.Random(name)
    price, rows = 250.0, dict[int, Row]()
    for minute in range(minutes):
        open_, price = price, round(price * (1 + dice.gauss(0, 0.002)), 2)
        high, low = max(open_, price) + round(dice.random(), 2), min(open_, price) - round(dice.random(), 2)
        volume = 0.0 if dice.random() < 0.1 else round(dice.random() * 5, 3)
        rows[START_MS + minute * MINUTE_MS] = (open_, round(high, 2), round(low, 2), price, volume)
    if name == "holes":
        times = list(rows)
        lost = {time for time in times[1:-1] if dice.random() < 0.05}
        lost |= {time for first in (700, 1500, 1900) for time in times[first : first + dice.choice((9, 25, 61))]}
        rows = {time: row for time, row in rows.items() if time not in lost}
    return rows


def _by_talib(columns: dict[str, Column]) -> dict[str, Column]:
    prices = (np.array(columns[name], dtype=np.float64) for name in NAMES[:4])
    found = {}
    for case, column in talib_columns(*prices).items():
        found[case] = [None if value != value else float(value) for value in column]
    return found


def _write(name: str, header: list[str], table: list[list[float | None]]) -> None:
    with (FOLDER / f"{name}.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([["" if value is None else repr(value) for value in row] for row in table])


if __name__ == "__main__":
    main()
