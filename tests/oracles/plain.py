"""The functions of the rule language once more: slow, plain Python, written from the rules and not from the engine.

A column is a list of floats; None is null. Candles are rows of (open, high, low, close, volume, vwap), None where the
candle is absent.
"""

import math
from collections.abc import Callable, Sequence

Column = list[float | None]
MINUTE_MS = 60_000


def window(column: Column, n: int, answer: Callable[[list[float]], float | None]) -> Column:
    """Ask each window of n known values; null where one is missing or unknown."""
    found: Column = []
    for row in range(len(column)):
        values = column[max(0, row - n + 1) : row + 1]
        known = [value for value in values if value is not None]
        found.append(answer(known) if len(known) == n else None)
    return found


def each(answer: Callable[..., float | None], *columns: Column) -> Column:
    """Ask each row; null where one of the values is."""
    return [None if None in row else answer(*row) for row in zip(*columns, strict=True)]


def ratio(above: float, below: float) -> float | None:
    """A share; null of nothing."""
    return above / below if below else None


def before(column: Column, n: int) -> Column:
    """The column n rows earlier."""
    return [column[row - n] if row >= n else None for row in range(len(column))]


def recursion(column: Column, n: int, weight: float) -> Column:
    """Exponential mean, seeded with the mean of n values, begun again after a null."""
    found: Column = []
    run: list[float] = []
    last = 0.0
    for value in column:
        if value is None:
            run = []
            found.append(None)
            continue
        run.append(value)
        if len(run) == n:
            last = math.fsum(run) / n
        elif len(run) > n:
            last = weight * value + (1 - weight) * last
        found.append(last if len(run) >= n else None)
    return found


def sma(x: Column, n: int) -> Column:
    return window(x, n, lambda values: math.fsum(values) / n)


def wma(x: Column, n: int) -> Column:
    return window(x, n, lambda values: sum(i * value for i, value in enumerate(values, 1)) / (n * (n + 1) / 2))


def ema(x: Column, n: int) -> Column:
    return recursion(x, n, 2 / (n + 1))


def rma(x: Column, n: int) -> Column:
    return recursion(x, n, 1 / n)


def change(x: Column, n: int) -> Column:
    return each(lambda now, then: now - then, x, before(x, n))


def roc(x: Column, n: int) -> Column:
    return each(lambda now, then: None if then == 0 else 100 * (now / then - 1), x, before(x, n))


def rsi(x: Column, n: int) -> Column:
    steps = change(x, 1)
    gains = rma(each(lambda step: max(step, 0.0), steps), n)
    losses = rma(each(lambda step: max(-step, 0.0), steps), n)
    return each(lambda gain, loss: ratio(100 * gain, gain + loss), gains, losses)


def macd(x: Column, fast: int, slow: int) -> Column:
    return each(lambda a, b: a - b, ema(x, fast), ema(x, slow))


def macd_signal(x: Column, fast: int, slow: int, n: int) -> Column:
    return ema(macd(x, fast, slow), n)


def atr(high: Column, low: Column, close: Column, n: int) -> Column:
    ranges = each(
        lambda top, low_, then: max(top - low_, abs(top - then), abs(low_ - then)), high, low, before(close, 1)
    )
    return rma(ranges, n)


def stdev(x: Column, n: int) -> Column:
    def deviation(values: list[float]) -> float:
        mean = math.fsum(values) / n
        return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / n)

    return window(x, n, deviation)


def band(x: Column, n: int, k: float) -> Column:
    return each(lambda mean, deviation: mean + k * deviation, sma(x, n), stdev(x, n))


def highest(x: Column, n: int) -> Column:
    return window(x, n, max)


def lowest(x: Column, n: int) -> Column:
    return window(x, n, min)


def obv(close: Column, volume: Column, n: int) -> Column:
    signed = each(lambda step, traded: traded * ((step > 0) - (step < 0)), change(close, 1), volume)
    return window(signed, n, math.fsum)


def mfi(high: Column, low: Column, close: Column, volume: Column, n: int) -> Column:
    typical = each(lambda top, low_, last: (top + low_ + last) / 3, high, low, close)
    steps, flows = change(typical, 1), each(lambda price, traded: price * traded, typical, volume)
    gains = window(each(lambda step, flow: flow if step > 0 else 0.0, steps, flows), n, math.fsum)
    losses = window(each(lambda step, flow: flow if step < 0 else 0.0, steps, flows), n, math.fsum)
    return each(lambda gain, loss: ratio(100 * gain, gain + loss), gains, losses)


def adx(high: Column, low: Column, close: Column, n: int) -> Column:
    ups, downs = change(high, 1), each(lambda step: -step, change(low, 1))
    plus = each(lambda up, down: up if up > down and up > 0 else 0.0, ups, downs)
    minus = each(lambda up, down: down if down > up and down > 0 else 0.0, ups, downs)
    ranges = atr(high, low, close, n)
    plus_index = each(lambda move, length: ratio(100 * move, length), rma(plus, n), ranges)
    minus_index = each(lambda move, length: ratio(100 * move, length), rma(minus, n), ranges)
    return rma(each(lambda a, b: ratio(100 * abs(a - b), a + b), plus_index, minus_index), n)


def stoch_k(high: Column, low: Column, close: Column, n: int, smooth: int) -> Column:
    place = each(lambda c, low_, high_: ratio(100 * (c - low_), high_ - low_), close, lowest(low, n), highest(high, n))
    return sma(place, smooth)


def stoch_d(high: Column, low: Column, close: Column, n: int, smooth: int, signal: int) -> Column:
    return sma(stoch_k(high, low, close, n, smooth), signal)


def vwap_window(close: Column, volume: Column, vwap: Column, n: int) -> Column:
    amounts = window(each(lambda price, traded: price * traded, vwap, volume), n, math.fsum)
    means = sma(close, n)
    return each(
        lambda amount, traded, mean: amount / traded if traded else mean, amounts, window(volume, n, math.fsum), means
    )


def crosses(a: Column, b: Column) -> Column:
    """1 where a crosses above b, else 0; one half that is false decides, known or not."""
    found: Column = []
    for a_now, b_now, a_then, b_then in zip(a, b, before(a, 1), before(b, 1), strict=True):
        is_above = None if a_now is None or b_now is None else a_now > b_now
        was_not = None if a_then is None or b_then is None else a_then <= b_then
        is_false = is_above is False or was_not is False
        found.append(0.0 if is_false else None if is_above is None or was_not is None else 1.0)
    return found


def rising(x: Column, n: int) -> Column:
    """1 where each of n steps goes up, else 0."""
    return window(change(x, 1), n, lambda steps: float(all(step > 0 for step in steps)))


Row = tuple[float, float, float, float, float]


def larger(rows: dict[int, Row], minutes: int) -> dict[str, Column]:
    """Build larger candles from 1m rows by open time; columns by name, with the `time` of each close."""
    length = minutes * MINUTE_MS
    first, end = -(-min(rows) // length) * length, max(rows) + MINUTE_MS
    names = ("open", "high", "low", "close", "volume", "vwap", "typical", "hour", "weekday")
    columns: dict[str, Column] = {name: [] for name in ("time", *names)}
    for opened in range(first, end - length + 1, length):
        inside = [rows[time] for time in range(opened, opened + length, MINUTE_MS) if time in rows]
        closed = opened + length
        columns["time"].append(closed)
        values = _candle(inside, closed) if inside else [None] * len(names)
        for name, value in zip(names, values, strict=True):
            columns[name].append(value)
    return columns


def _candle(inside: Sequence[Row], closed: int) -> list[float | None]:
    high, low = max(row[1] for row in inside), min(row[2] for row in inside)
    close, volume = inside[-1][3], sum(row[4] for row in inside)
    amount = sum((row[1] + row[2] + row[3]) / 3 * row[4] for row in inside)
    vwap = amount / volume if volume else sum(row[3] for row in inside) / len(inside)
    hour, weekday = closed // 3_600_000 % 24, (closed // 86_400_000 + 3) % 7 + 1
    return [inside[0][0], high, low, close, volume, vwap, (high + low + close) / 3, hour, weekday]
