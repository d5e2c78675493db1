"""Whether a plugin keeps the promises of its port: checks that can be run on anybody's.

Every check returns what it found, an empty list when all is well, and never raises: what the plugin raises is a finding
too. A finding is a `Problem` whose code begins with `port-`.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields
from typing import TYPE_CHECKING, TypeAlias

from backtestkit_cli.errors import BacktestkitError, Problem
from backtestkit_cli.model.candle import CANDLE_COLUMNS, PRICE_COLUMNS, MarketSteps
from backtestkit_cli.model.time import MINUTE_MS, TimeRange, iso
from backtestkit_cli.plugins.places import place_of, raised
from backtestkit_cli.plugins.ports import CandleSource
from backtestkit_cli.plugins.words import shown

if TYPE_CHECKING:
    import polars as pl

Findings: TypeAlias = Iterator[tuple[str, str]]

_NO_SUCH_SYMBOL = "NO/SUCH ../SYMBOL"


def check_candle_source(source: CandleSource, symbol: str, window: TimeRange) -> list[Problem]:
    """Check a candle source on a symbol and a window in which it has candles.

    Asked are the window, its halves, one minute, windows without a minute, the minute before and after everything, a
    symbol nobody has, and the steps of the market.
    """
    found: list[Problem] = []
    for check in _CANDLE_SOURCE_CHECKS:
        try:
            found += [
                Problem(f"port-{code}", what, place_of(type(source))) for code, what in check(source, symbol, window)
            ]
        except BacktestkitError as error:
            found += [Problem("port-refused", f"refused what it must answer: {error}", place_of(type(source)))]
        except Exception as error:  # noqa: BLE001  # around a plugin call
            problem = raised(error, place_of(type(source)), "while it was checked")
            found.append(Problem("port-raised", problem.what, problem.where))
    return found


def _check_columns(source: CandleSource, symbol: str, window: TimeRange) -> Findings:
    import polars as pl

    wanted = {name: pl.Int64 if name == "time" else pl.Float64 for name in CANDLE_COLUMNS}
    for asked in (window, TimeRange(window.start_ms, window.start_ms)):
        answer: object = source.candles(symbol, asked.start_ms, asked.end_ms)
        if not isinstance(answer, pl.DataFrame):
            yield "columns", f"answered {shown(answer)} for {asked}, not a DataFrame"
        elif dict(answer.schema) != wanted:
            columns = ", ".join(f"{name} {kind}" for name, kind in answer.schema.items())
            yield "columns", f"the columns for {asked} are {columns}; wanted are {', '.join(CANDLE_COLUMNS)}"


def _check_times(source: CandleSource, symbol: str, window: TimeRange) -> Findings:
    times = source.candles(symbol, window.start_ms, window.end_ms)["time"]
    if times.is_empty():
        yield "no-candles", f"has no candles of {symbol} in {window}"
        return
    if (times % MINUTE_MS != 0).any():
        yield "time", "has open times that are no whole minute"
    if not (times.diff().drop_nulls() > 0).all():
        yield "time", "has open times that do not ascend"
    outside = times.filter((times < window.start_ms) | (times >= window.end_ms))
    if len(outside):
        yield "window", f"gave the candle of {iso(int(outside[0]))}, which is outside of {window}"


def _check_values(source: CandleSource, symbol: str, window: TimeRange) -> Findings:
    import polars as pl

    frame = source.candles(symbol, window.start_ms, window.end_ms)
    low, high = pl.col("low"), pl.col("high")
    wrong = {
        "has what is no finite number": ~pl.all_horizontal(pl.col(name).is_finite() for name in CANDLE_COLUMNS[1:]),
        "has a price of zero or less": pl.any_horizontal(pl.col(name) <= 0 for name in PRICE_COLUMNS),
        "has a volume below zero": pl.col("volume") < 0,
        "has an open or close outside of low and high": pl.any_horizontal(
            (pl.col(name) < low) | (pl.col(name) > high) for name in ("open", "close")
        ),
    }
    for what, condition in wrong.items():
        rows = frame.filter(condition.fill_null(value=True))
        if rows.height:
            yield "values", f"{what} in {rows.height} candles, the first at {iso(int(rows['time'][0]))}"


def _check_windows(source: CandleSource, symbol: str, window: TimeRange) -> Findings:
    whole = source.candles(symbol, window.start_ms, window.end_ms)
    if not whole.equals(source.candles(symbol, window.start_ms, window.end_ms)):
        yield "repeat", f"answers differently when it is asked for {window} again"
    for cut in (window.start_ms + window.minutes // 2 * MINUTE_MS, window.start_ms + MINUTE_MS + 1):
        first, second = (
            source.candles(symbol, window.start_ms, cut),
            source.candles(symbol, cut, window.end_ms),
        )
        if not _joined(first, second).equals(whole):
            yield "window", f"answers {window} differently in two parts, cut at {iso(cut)}"
    for empty in (TimeRange(window.start_ms, window.start_ms), TimeRange(window.end_ms, window.start_ms)):
        if source.candles(symbol, empty.start_ms, empty.end_ms).height:
            yield "window", f"gave candles for {empty}, in which no minute opens"


def _check_far_windows(source: CandleSource, symbol: str, window: TimeRange) -> Findings:
    for asked in (TimeRange(0, MINUTE_MS), TimeRange(window.end_ms + 10**12, window.end_ms + 10**12 + MINUTE_MS)):
        if source.candles(symbol, asked.start_ms, asked.end_ms).height > 1:
            yield "window", f"gave more than one candle for {asked}"


def _check_unknown_symbol(source: CandleSource, symbol: str, window: TimeRange) -> Findings:  # noqa: ARG001
    with suppress(BacktestkitError):
        source.candles(_NO_SUCH_SYMBOL, window.start_ms, window.end_ms)
    return iter(())


def _check_steps(source: CandleSource, symbol: str, window: TimeRange) -> Findings:  # noqa: ARG001
    steps: object = source.steps(symbol)
    if not isinstance(steps, MarketSteps):
        yield "steps", f"has steps {shown(steps)}, not MarketSteps"
        return
    for field in fields(steps):
        step = getattr(steps, field.name)
        if step is not None and not (isinstance(step, float | int) and 0 < step < float("inf")):
            yield "steps", f"has a {field.name} step of {shown(step)}; wanted is a number above zero, or None"


def _joined(first: "pl.DataFrame", second: "pl.DataFrame") -> "pl.DataFrame":
    import polars as pl

    return pl.concat([first, second])


_CANDLE_SOURCE_CHECKS: tuple[Callable[[CandleSource, str, TimeRange], Findings], ...] = (
    _check_columns,
    _check_times,
    _check_values,
    _check_windows,
    _check_far_windows,
    _check_unknown_symbol,
    _check_steps,
)
