"""Asks the engine for the values of one expression, and makes candles to ask it about."""

import functools
import random
from collections.abc import Iterable, Mapping

import numpy as np

from backtestkit_cli.engine.candles import Bools, Candles, Floats, Ints
from backtestkit_cli.engine.rules.evaluate import Evaluation
from backtestkit_cli.engine.rules.expression import kind_of
from backtestkit_cli.engine.rules.parse import ParamValue, Scope, parse
from backtestkit_cli.engine.vwap import price_at
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.time import MINUTE_MS

START_MS = 1_678_838_400_000  # 2023-03-15T00:00Z, a Wednesday


def price_of(candles: Candles) -> functools.partial[Floats]:
    """The price of the engine at given times."""
    return functools.partial(price_at, candles, count=5)


def evaluation_of(candles: Candles, minutes: int = 1) -> Evaluation:
    """The engine on those candles."""
    return Evaluation(candles, minutes, price_of(candles))


def ask(text: str, candles: Candles, minutes: int = 1, params: Mapping[str, ParamValue] | None = None) -> Floats:
    """Values of an expression in every row; conditions as 1, 0 and NaN."""
    expression = parse(text, Scope(params=params or {}))
    evaluation = evaluation_of(candles, minutes)
    with np.errstate(all="ignore"):
        if kind_of(expression) == "number":
            return evaluation.numbers(expression)
        truth = evaluation.truth(expression)
    return np.where(truth.yes, 1.0, np.where(truth.no, 0.0, np.nan))


def candles_of(rows: Iterable[tuple[int, float, float, float, float, float]]) -> Candles:
    """Candles from (time, open, high, low, close, volume)."""
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    time: Ints = columns[0].astype(np.int64)
    return Candles.from_rows(time, *(column.astype(np.float64) for column in columns[1:]))


def random_candles(
    seed: int, minutes: int, *, start_ms: int = START_MS, holes: float = 0.0, quiet: float = 0.0
) -> Candles:
    """A random walk; `holes` is the share of runs that are missing, `quiet` that of minutes without volume."""
    dice = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(dice.normal(0, 0.002, minutes)))
    open_ = np.concatenate((close[:1], close[:-1]))
    high = np.maximum(open_, close) * (1 + dice.random(minutes) * 0.001)
    low = np.minimum(open_, close) * (1 - dice.random(minutes) * 0.001)
    volume = np.where(dice.random(minutes) < quiet, 0.0, dice.random(minutes) * 10)
    time = start_ms + np.arange(minutes, dtype=np.int64) * MINUTE_MS
    kept = _kept(seed, minutes, holes)
    return Candles.from_rows(time[kept], open_[kept], high[kept], low[kept], close[kept], volume[kept])


def cut(candles: Candles, first: int, last: int) -> Candles:
    """The minutes of the rows `[first, last)`, as views."""
    part = slice(first, last)
    return Candles(
        start_ms=candles.time(first),
        open=candles.open[part],
        high=candles.high[part],
        low=candles.low[part],
        close=candles.close[part],
        volume=candles.volume[part],
        present=None if candles.present is None else candles.present[part],
    )


def minutes_of(candles: Candles) -> list[Candle | None]:
    """Every minute in order: its candle, or None."""
    names = ("open", "high", "low", "close", "volume")
    table = zip(*(getattr(candles, name).tolist() for name in names), strict=True)
    return [Candle(candles.time(row), *values) if candles.has(row) else None for row, values in enumerate(table)]


def _kept(seed: int, minutes: int, holes: float) -> Bools:
    dice = random.Random(seed)
    kept = np.ones(minutes, dtype=bool)
    while holes and minutes > 9 and kept.mean() > 1 - holes:
        first = dice.randrange(1, minutes - 1)
        kept[first : min(minutes - 1, first + dice.choice((1, 1, 2, 7, 40)))] = False
    return kept


def same_bits(left: Floats, right: Floats) -> bool:
    """Whether two columns are the same, null where the other is."""
    return bool(np.array_equal(left, right, equal_nan=True))
