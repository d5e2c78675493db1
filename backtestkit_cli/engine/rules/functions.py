"""The functions of the rule language: what each computes, and how many candles it needs.

Rules kept here:
- columns of doubles in, one value per row out; NaN is null;
- a row sees itself and earlier rows only;
- every window is computed from its own values, oldest first, never by a running sum; a null in it gives null;
- a recursion runs from the start of history, seeded with the mean of its first n values, and starts again after a null;
- a division by zero gives null.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from backtestkit_cli.engine.candles import Bools, Floats
from backtestkit_cli.engine.rules.truth import Truth, both, compare

Kind = Literal["number", "truth"]

_BLOCK_ROWS = 8192  # a block and its temporaries stay in the second-level cache


@dataclass(frozen=True, slots=True)
class Span:
    """How many candles a function needs beyond those of its arguments.

    `needed`: before that many no decision is taken; `settled`: from then on the first candle's weight is below 1e-9;
    `earlier`: rows it looks back apart from its window.
    """

    needed: int = 0
    settled: int = 0
    earlier: int = 0

    def __add__(self, other: "Span") -> "Span":
        return Span(self.needed + other.needed, self.settled + other.settled, self.earlier + other.earlier)


NO_SPAN = Span()


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function. It is called with its candle columns, then its arguments in the order of `takes`.

    `takes` names the arguments; those in `LENGTHS` are whole numbers, all others columns; a last `...` stands for
    more of the same. `span` answers from the lengths. `is_rowwise`: the answer of a row depends on that row alone.
    """

    compute: Callable[..., Floats | Truth]
    takes: tuple[str, ...]
    span: Callable[..., Span]
    columns: tuple[str, ...] = ()
    answers: Kind = "number"
    is_rowwise: bool = False

    @property
    def usage(self) -> str:
        """Its arguments as they are written in a rule."""
        return f"({', '.join(self.takes)})"


LENGTHS = frozenset({"n", "fast", "slow", "smooth", "signal"})


def finite(column: Floats) -> Floats:
    """Turn what is not finite into null."""
    beyond = np.isinf(column)
    return np.where(beyond, np.nan, column) if beyond.any() else column


def earlier(x: Floats, n: int) -> Floats:
    """The value of n rows before."""
    moved = np.full(len(x), np.nan)
    if n < len(x):
        moved[n:] = x[: len(x) - n]
    return moved


def window_sum(x: Floats, n: int, *, rising_weights: bool = False) -> Floats:
    """Sum the last n rows, oldest first; with `rising_weights` the oldest counts once and the newest n times."""
    total = np.full(len(x), np.nan)
    for first, last in _blocks(len(x), n):
        part = total[first:last]
        part[:] = x[first - n + 1 : last - n + 1]
        for place in range(1, n):
            value = x[first - n + 1 + place : last - n + 1 + place]
            part += value * (place + 1) if rising_weights else value
    return total


def sma(x: Floats, n: int) -> Floats:
    """Mean of the last n rows."""
    return window_sum(x, n) / n


def wma(x: Floats, n: int) -> Floats:
    """Mean of the last n rows with weights 1 … n, the newest the heaviest."""
    return window_sum(x, n, rising_weights=True) / (n * (n + 1) // 2)


def ema(x: Floats, n: int) -> Floats:
    """Exponential mean with α = 2 / (n + 1)."""
    return _recursion(x, n, 2 / (n + 1))


def rma(x: Floats, n: int) -> Floats:
    """Exponential mean with α = 1 / n (Wilder)."""
    return _recursion(x, n, 1 / n)


def rsi(x: Floats, n: int) -> Floats:
    """Share of gains in all moves, 0 … 100, by `rma`; null without a move."""
    step = change(x, 1)
    gain, loss = rma(np.maximum(step, 0.0), n), rma(np.maximum(-step, 0.0), n)
    return 100 * (gain / (gain + loss))


def macd(x: Floats, fast: int, slow: int) -> Floats:
    """Fast exponential mean minus the slow one."""
    return ema(x, fast) - ema(x, slow)


def macd_signal(x: Floats, fast: int, slow: int, n: int) -> Floats:
    """Exponential mean of `macd`."""
    return ema(finite(macd(x, fast, slow)), n)


def atr(high: Floats, low: Floats, close: Floats, n: int) -> Floats:
    """Wilder's mean of the true range; the first range is that of the second candle."""
    before = earlier(close, 1)
    true_range = np.maximum(np.maximum(high - low, np.abs(high - before)), np.abs(low - before))
    return rma(true_range, n)


def stdev(x: Floats, n: int) -> Floats:
    """Population deviation of the last n rows, in two passes."""
    mean = sma(x, n)
    squares = np.full(len(x), np.nan)
    for first, last in _blocks(len(x), n):
        part = squares[first:last]
        part[:] = 0.0
        for back in range(n - 1, -1, -1):
            distance = x[first - back : last - back] - mean[first:last]
            part += distance * distance
    return np.sqrt(squares / n)


def bb_upper(x: Floats, n: int, k: Floats) -> Floats:
    """Upper Bollinger band."""
    return sma(x, n) + k * stdev(x, n)


def bb_lower(x: Floats, n: int, k: Floats) -> Floats:
    """Lower Bollinger band."""
    return sma(x, n) - k * stdev(x, n)


def highest(x: Floats, n: int) -> Floats:
    """Highest of the last n rows, this one included."""
    return _extreme(x, n, np.maximum)


def lowest(x: Floats, n: int) -> Floats:
    """Lowest of the last n rows, this one included."""
    return _extreme(x, n, np.minimum)


def change(x: Floats, n: int) -> Floats:
    """Difference to n rows before."""
    return finite(x - earlier(x, n))


def roc(x: Floats, n: int) -> Floats:
    """Difference to n rows before, in percent of it."""
    return 100 * (x / earlier(x, n) - 1)


def crosses_above(a: Floats, b: Floats) -> Truth:
    """Above now, and not above one row before."""
    return both(compare(">", a, b), compare("<=", earlier(a, 1), earlier(b, 1)))


def crosses_below(a: Floats, b: Floats) -> Truth:
    """Below now, and not below one row before."""
    return both(compare("<", a, b), compare(">=", earlier(a, 1), earlier(b, 1)))


def rising(x: Floats, n: int) -> Truth:
    """Whether each of the last n steps goes up; unknown with a null among them."""
    return compare(">", lowest(change(x, 1), n), np.zeros(len(x)))


def falling(x: Floats, n: int) -> Truth:
    """Whether each of the last n steps goes down; unknown with a null among them."""
    return compare("<", highest(change(x, 1), n), np.zeros(len(x)))


def smallest(*values: Floats) -> Floats:
    """Smallest of several values; null with a null among them."""
    return _join(np.minimum, values)


def largest(*values: Floats) -> Floats:
    """Largest of several values; null with a null among them."""
    return _join(np.maximum, values)


def clip(x: Floats, low: Floats, high: Floats) -> Floats:
    """Value moved inside `low … high`; `high` wins where they cross."""
    return np.minimum(np.maximum(x, low), high)


def obv(close: Floats, volume: Floats, n: int) -> Floats:
    """Volume of the last n rows, up moves minus down moves."""
    return window_sum(volume * np.sign(change(close, 1)), n)


def mfi(high: Floats, low: Floats, close: Floats, volume: Floats, n: int) -> Floats:
    """Share of rising typical prices in the money flow of n rows, 0 … 100; null without flow."""
    typical = (high + low + close) / 3
    step, flow = change(typical, 1), typical * volume
    unknown = np.where(np.isnan(step + flow), np.nan, 0.0)
    gain = window_sum(np.where(step > 0, flow, unknown), n)
    loss = window_sum(np.where(step < 0, flow, unknown), n)
    return 100 * (gain / (gain + loss))


def adx(high: Floats, low: Floats, n: int) -> Floats:
    """Wilder's strength of direction, 0 … 100.

    Both directional indices divide by the same true range, which therefore falls out of their ratio.
    """
    up, down = change(high, 1), -change(low, 1)
    unknown = np.where(np.isnan(up + down), np.nan, 0.0)
    plus = rma(np.where((up > down) & (up > 0), up, unknown), n)
    minus = rma(np.where((down > up) & (down > 0), down, unknown), n)
    return rma(finite(100 * (np.abs(plus - minus) / (plus + minus))), n)


def stoch_k(high: Floats, low: Floats, close: Floats, n: int, smooth: int) -> Floats:
    """Place of the close in the range of n rows, 0 … 100, smoothed by `sma`; null without a range."""
    bottom = lowest(low, n)
    return sma(finite(100 * ((close - bottom) / (highest(high, n) - bottom))), smooth)


def stoch_d(high: Floats, low: Floats, close: Floats, n: int, smooth: int, signal: int) -> Floats:
    """`stoch_k` smoothed once more."""
    return sma(finite(stoch_k(high, low, close, n, smooth)), signal)


def vwap_window(close: Floats, volume: Floats, vwap: Floats, n: int) -> Floats:
    """Volume-weighted average of n rows; the mean of their closes without volume."""
    total = window_sum(volume, n)
    return np.where(total == 0, sma(close, n), window_sum(vwap * volume, n) / total)


def _blocks(rows: int, n: int) -> Iterator[tuple[int, int]]:
    """Blocks of the rows that have n rows up to and with themselves."""
    for first in range(n - 1, rows, _BLOCK_ROWS):
        yield first, min(first + _BLOCK_ROWS, rows)


def _extreme(x: Floats, n: int, join: Callable[[Floats, Floats], Floats]) -> Floats:
    """Sliding extreme by doubling the window; exact, because the order does not matter."""
    best, width = x, 1
    while width < n:
        step = min(width, n - width)
        best = join(best, earlier(best, step))
        width += step
    return best


def _join(join: Callable[[Floats, Floats], Floats], values: tuple[Floats, ...]) -> Floats:
    best = values[0]
    for value in values[1:]:
        best = join(best, value)
    return best


def _recursion(x: Floats, n: int, weight: float) -> Floats:
    """Exponential mean of every run of values without a null, each seeded with the mean of its first n."""
    import polars as pl

    smooth = np.full(len(x), np.nan)
    for first, last in _runs(np.isfinite(x), n):
        values = x[first + n - 1 : last].copy()
        values[0] = np.add.accumulate(x[first : first + n])[-1] / n
        smooth[first + n - 1 : last] = pl.Series(values).ewm_mean(alpha=weight, adjust=False).to_numpy()
    return smooth


def _runs(known: Bools, n: int) -> list[tuple[int, int]]:
    """Runs of at least n known rows as (first, after the last)."""
    edges = [np.flatnonzero(known[1:] != known[:-1]) + 1]
    if len(known) and known[0]:
        edges.insert(0, np.zeros(1, dtype=np.intp))
    if len(known) and known[-1]:
        edges.append(np.full(1, len(known)))
    runs = np.concatenate(edges).reshape(-1, 2)
    return [(int(first), int(last)) for first, last in runs[runs[:, 1] - runs[:, 0] >= n]]


def _window(n: int) -> Span:
    return Span(n, n)


def _window_of_steps(n: int) -> Span:
    return Span(n, n, 1)


def _ema(n: int) -> Span:
    return Span(3 * n, 11 * n)


def _rma(n: int) -> Span:
    return Span(5 * n, 21 * n)


def _adx(n: int) -> Span:
    return Span(10 * n, 42 * n)


def _steps(n: int) -> Span:
    return Span(earlier=n)


def _macd(fast: int, slow: int) -> Span:
    return _ema(max(fast, slow))


def _macd_signal(fast: int, slow: int, n: int) -> Span:
    return _ema(max(fast, slow) + n)


def _nested_windows(*lengths: int) -> Span:
    return Span(sum(lengths), sum(lengths))


def _none() -> Span:
    return NO_SPAN


def _one_row() -> Span:
    return Span(earlier=1)


_RANGE = ("high", "low", "close")
_XN = ("x", "n")
_AB = ("a", "b")

FUNCTIONS: dict[str, Function] = {
    "sma": Function(compute=sma, takes=_XN, span=_window),
    "wma": Function(compute=wma, takes=_XN, span=_window),
    "ema": Function(compute=ema, takes=_XN, span=_ema),
    "rma": Function(compute=rma, takes=_XN, span=_rma),
    "rsi": Function(compute=rsi, takes=_XN, span=_rma),
    "macd": Function(compute=macd, takes=("x", "fast", "slow"), span=_macd),
    "macd_signal": Function(compute=macd_signal, takes=("x", "fast", "slow", "n"), span=_macd_signal),
    "atr": Function(compute=atr, takes=("n",), span=_rma, columns=_RANGE),
    "stdev": Function(compute=stdev, takes=_XN, span=_window),
    "bb_upper": Function(compute=bb_upper, takes=("x", "n", "k"), span=_window),
    "bb_lower": Function(compute=bb_lower, takes=("x", "n", "k"), span=_window),
    "highest": Function(compute=highest, takes=_XN, span=_window),
    "lowest": Function(compute=lowest, takes=_XN, span=_window),
    "change": Function(compute=change, takes=_XN, span=_steps),
    "roc": Function(compute=roc, takes=_XN, span=_steps),
    "crosses_above": Function(compute=crosses_above, takes=_AB, span=_one_row, answers="truth"),
    "crosses_below": Function(compute=crosses_below, takes=_AB, span=_one_row, answers="truth"),
    "rising": Function(compute=rising, takes=_XN, span=_window_of_steps, answers="truth"),
    "falling": Function(compute=falling, takes=_XN, span=_window_of_steps, answers="truth"),
    "abs": Function(compute=np.abs, takes=("x",), span=_none, is_rowwise=True),
    "min": Function(compute=smallest, takes=("a", "b", "..."), span=_none, is_rowwise=True),
    "max": Function(compute=largest, takes=("a", "b", "..."), span=_none, is_rowwise=True),
    "clip": Function(compute=clip, takes=("x", "low", "high"), span=_none, is_rowwise=True),
    "obv": Function(compute=obv, takes=("n",), span=_window_of_steps, columns=("close", "volume")),
    "mfi": Function(compute=mfi, takes=("n",), span=_window_of_steps, columns=(*_RANGE, "volume")),
    "adx": Function(compute=adx, takes=("n",), span=_adx, columns=("high", "low")),
    "stoch_k": Function(compute=stoch_k, takes=("n", "smooth"), span=_nested_windows, columns=_RANGE),
    "stoch_d": Function(compute=stoch_d, takes=("n", "smooth", "signal"), span=_nested_windows, columns=_RANGE),
    "vwap_window": Function(compute=vwap_window, takes=("n",), span=_window, columns=("close", "volume", "vwap")),
}
