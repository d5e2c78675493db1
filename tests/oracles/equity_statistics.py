"""Writes the daily curves of the statistics test and what other libraries make of them.

`python tests/oracles/equity_statistics.py`, with `empyrical-reloaded` and `pandas` installed. It does not import the
engine. Sharpe, Sortino and volatility are those of empyrical, which takes the days as it is given them. What empyrical
would compound (drawdown, Calmar, months) is counted by pandas over the sum of the days.
"""

import csv
import random
from importlib import import_module
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "data" / "oracles"
CURVES = {
    "steady": ("2023-01-01", 420, 0.15, 0.9),
    "falling": ("2024-02-11", 75, -0.3, 2.1),
    "idle": ("2022-12-20", 50, 0.05, 1.3),
}
"""First day, days, mean and deviation of a day in points; half the days of `idle` bring nothing."""
YEAR_DAYS = 365


def main() -> None:
    """Write both files."""
    days = {name: _days(name, *shape) for name, shape in CURVES.items()}
    curves = [[name, *row] for name, rows in days.items() for row in rows]
    _write("equity", ["curve", "time_ms", "equity"], curves)
    found = [[name, key, repr(value)] for name, rows in days.items() for key, value in _expected(rows).items()]
    _write("equity_expected", ["curve", "figure", "value"], found)


def _days(name: str, first: str, count: int, mean: float, deviation: float) -> list[tuple[int, float]]:
    """A curve from 100 on: midnight in UTC ms, worth in percent of the stake."""
    pandas = import_module("pandas")
    dice = random.Random(name)
    times = (
        pandas.date_range(first, periods=count + 1, freq="D", tz="UTC").astype("datetime64[ms, UTC]").astype("int64")
    )
    worth, rows = 100.0, [(int(times[0]), 100.0)]
    for time_ms in times[1:]:
        if name != "idle" or dice.random() < 0.5:
            worth = round(worth + dice.gauss(mean, deviation), 6)
        rows.append((int(time_ms), worth))
    return rows


def _expected(rows: list[tuple[int, float]]) -> dict[str, float]:
    empyrical, pandas = import_module("empyrical"), import_module("pandas")
    index = pandas.to_datetime([time_ms for time_ms, _ in rows], unit="ms", utc=True)
    worth = pandas.Series([value for _, value in rows], index=index)
    changes = worth.diff().dropna()
    yearly: dict[str, Any] = {"period": "daily", "annualization": YEAR_DAYS}
    falls = worth.cummax() - worth
    begins = changes.set_axis(changes.index - pandas.Timedelta(days=1))
    months = begins.groupby(begins.index.strftime("%Y-%m")).sum()
    return {
        "sharpe_ratio": float(empyrical.sharpe_ratio(changes, **yearly)),
        "sortino_ratio": float(empyrical.sortino_ratio(changes, **yearly)),
        "volatility_percent": float(empyrical.annual_volatility(changes, **yearly)),
        "calmar_ratio": float(changes.mean() * YEAR_DAYS / falls.max()),
        "daily_drawdown_percent": float(falls.max()),
        "daily_drawdown_days": _length_days(worth, falls),
        "best_day_percent": float(changes.max()),
        "worst_day_percent": float(changes.min()),
        "positive_days_percent": float((changes > 0).mean() * 100),
        **{str(month): float(points) for month, points in months.items()},
    }


def _length_days(worth: Any, falls: Any) -> float:
    """From the peak before the deepest fall to the first day that regains it, or to the last."""
    trough = falls.idxmax()
    peak = worth[:trough].idxmax()
    later = worth[trough:]
    regained = later[later >= worth[peak]]
    end = regained.index[0] if len(regained) else worth.index[-1]
    return float((end - peak).total_seconds() / 86_400)


def _write(name: str, header: list[str], table: list[list[Any]]) -> None:
    with (FOLDER / f"{name}.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(table)


if __name__ == "__main__":
    main()
