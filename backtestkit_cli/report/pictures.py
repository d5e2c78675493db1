"""What charts are drawn from beside the report: candles of each symbol and daily curves, kept in the bundle.

* `candles.parquet` has the drawn candles of each symbol, `equity.parquet` each stream's worth at its daily marks beside
  buy and hold, and that of all streams together where there are several. They are the curves that the figures of the
  report were measured on.
* Both are the same bytes for the same run. What a bundle does not have is not drawn.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from backtestkit_cli.engine.drawn import DrawnCandles
from backtestkit_cli.engine.result import RunResult
from backtestkit_cli.errors import DataError, Problem, Source
from backtestkit_cli.measure.equity import DailyEquity, run_equity, run_hold, stream_equity, stream_hold
from backtestkit_cli.model.time import Interval
from backtestkit_cli.report.frames import parquet, storable
from backtestkit_cli.report.stored import kept_file

if TYPE_CHECKING:
    import polars as pl

CANDLES, EQUITY = "candles.parquet", "equity.parquet"
PRICES = ("open", "high", "low", "close")

Stream: TypeAlias = tuple[str | None, str | None]
"""Strategy and symbol as they are stored; None and None for all streams together."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Marks:
    """What a stream was worth at each daily mark, and buy and hold beside it, NaN without a price."""

    equity: DailyEquity
    hold: DailyEquity


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pictures:
    """Drawn candles by symbol, and daily marks by stream; what is not there is not drawn."""

    candles: Mapping[str, DrawnCandles] = field(default_factory=dict)
    marks: Mapping[Stream, Marks] = field(default_factory=dict)


def pictures_of(run: RunResult) -> Pictures:
    """Take the pictures of a run; of the streams of one symbol the one that is drawn longest gives its candles."""
    candles: dict[str, DrawnCandles] = {}
    marks: dict[Stream, Marks] = {}
    if len(run.streams) > 1:
        marks[None, None] = Marks(equity=run_equity(run), hold=run_hold(run))
    for stream in run.streams:
        symbol, drawn = storable(stream.symbol), stream.drawn
        if drawn is not None and (symbol not in candles or len(drawn) > len(candles[symbol])):
            candles[symbol] = drawn
        equity, hold = stream_equity(stream, run.range, run.balance), stream_hold(stream, run)
        marks[storable(stream.strategy), symbol] = Marks(equity=equity, hold=hold)
    return Pictures(candles=candles, marks=marks)


def pictures_parquet(run: RunResult) -> dict[str, bytes]:
    """Write the pictures of a run: file names with their content."""
    pictures = pictures_of(run)
    return {
        CANDLES: parquet(_joined(map(_candle_frame, pictures.candles, pictures.candles.values()))),
        EQUITY: parquet(_joined(map(_mark_frame, pictures.marks, pictures.marks.values()))),
    }


def read_pictures(bundle: Path) -> Pictures:
    """Read the pictures of a stored run; without a file there are none.

    Raises:
        DataError: a file is damaged.
    """
    import polars as pl

    try:
        candles = {str(key[0]): _candles(part) for key, part in _parts(bundle / CANDLES, "symbol")}
        marks = {(key[0], key[1]): _marks(part) for key, part in _parts(bundle / EQUITY, "strategy", "symbol")}
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        what = f"the candles or the equity of run {bundle.name} cannot be read: {error}"
        hint = "run the backtest again"
        raise DataError(Problem("damaged-report", what, Source(file=str(bundle)), hint=hint)) from None
    return Pictures(candles=candles, marks=marks)


def _joined(frames: "Iterable[pl.DataFrame]") -> "pl.DataFrame":
    import polars as pl

    found = list(frames)
    return pl.concat(found) if found else pl.DataFrame()


def _candle_frame(symbol: str, drawn: DrawnCandles) -> "pl.DataFrame":
    import polars as pl

    return pl.DataFrame({"time": drawn.time_ms, **{name: getattr(drawn, name) for name in PRICES}}).select(
        pl.lit(symbol).alias("symbol"),
        pl.lit(drawn.interval.value).alias("interval"),
        pl.col("time").cast(pl.Datetime("ms", "UTC")),
        *PRICES,
    )


def _mark_frame(stream: Stream, marks: Marks) -> "pl.DataFrame":
    import polars as pl

    strategy, symbol = stream
    columns = {"time": marks.equity.times_ms, "equity": marks.equity.values, "hold": marks.hold.values}
    return pl.DataFrame(columns).select(
        pl.lit(strategy, dtype=pl.String).alias("strategy"),
        pl.lit(symbol, dtype=pl.String).alias("symbol"),
        pl.col("time").cast(pl.Datetime("ms", "UTC")),
        "equity",
        pl.col("hold").fill_nan(None),
        pl.lit(marks.equity.is_money).alias("is_money"),
    )


def _parts(path: Path, *keys: str) -> "Iterator[tuple[tuple[Any, ...], pl.DataFrame]]":
    import polars as pl

    try:
        frame = pl.read_parquet(BytesIO(kept_file(path.parent, path.name)))
    except FileNotFoundError:
        return
    if len(frame):
        yield from frame.partition_by(keys, as_dict=True).items()


def _candles(frame: "pl.DataFrame") -> DrawnCandles:
    return DrawnCandles(
        interval=Interval(frame["interval"][0]),
        time_ms=frame["time"].dt.epoch("ms").to_numpy(),
        **{name: frame[name].to_numpy() for name in PRICES},
    )


def _marks(frame: "pl.DataFrame") -> Marks:
    times_ms = frame["time"].dt.epoch("ms").to_numpy()
    hold = frame["hold"].cast(float).fill_null(np.nan).to_numpy()
    is_money = bool(frame["is_money"][0])
    return Marks(
        equity=DailyEquity(times_ms=times_ms, values=frame["equity"].to_numpy(), is_money=is_money),
        hold=DailyEquity(times_ms=times_ms, values=hold, is_money=is_money),
    )
