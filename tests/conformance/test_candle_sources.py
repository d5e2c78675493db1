"""Every candle source keeps the promises of its port, and the checks see it when one does not."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from backtestkit_cli.data.files import FilesExchange
from backtestkit_cli.data.sample import SampleExchange
from backtestkit_cli.errors import DataError, Problem
from backtestkit_cli.model.candle import CANDLE_COLUMNS, MarketSteps
from backtestkit_cli.model.time import MINUTE_MS, TimeRange
from backtestkit_cli.plugins.conformance import check_candle_source
from backtestkit_cli.plugins.ports import CandleSource

START_MS = 1_680_000_000_000
WINDOW = TimeRange(START_MS, START_MS + 300 * MINUTE_MS)


class Kept:
    """A source that keeps some rows in memory; what it must not do is changed by its children."""

    def __init__(self) -> None:
        minutes = range(START_MS, START_MS + 400 * MINUTE_MS, MINUTE_MS)
        rows = [(time, 100.0, 102.0, 99.0, 101.0, 5.0) for time in minutes if time // MINUTE_MS % 50 != 7]
        self.rows = pl.DataFrame(
            rows, schema=dict.fromkeys(CANDLE_COLUMNS, pl.Float64) | {"time": pl.Int64}, orient="row"
        )

    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        return self.rows.filter((pl.col("time") >= start_ms) & (pl.col("time") < end_ms))

    def steps(self, symbol: str) -> MarketSteps:
        return MarketSteps(price=0.01)


def kept(folder: Path) -> CandleSource:
    return Kept()


def sample(folder: Path) -> CandleSource:
    return SampleExchange(seed=3)


def files(folder: Path) -> CandleSource:
    Kept().rows.write_parquet(folder / "BTCUSDT.parquet")
    return FilesExchange(path="{symbol}.parquet", steps={}, project=folder)


@pytest.mark.parametrize("make", [kept, sample, files])
def test_a_source_of_ours_keeps_its_promises(make: Callable[[Path], CandleSource], tmp_path: Path) -> None:
    assert check_candle_source(make(tmp_path), "BTCUSDT", WINDOW) == []


class AsText(Kept):
    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        return super().candles(symbol, start_ms, end_ms).with_columns(pl.col("time").cast(pl.String))


class AsList(Kept):
    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        return []  # type: ignore[return-value]  # on purpose


class Empty(Kept):
    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        return self.rows.clear()


class NoEnd(Kept):
    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        return super().candles(symbol, start_ms, end_ms + 1)


class Newest(Kept):
    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        return super().candles(symbol, start_ms, end_ms).reverse()


class Seconds(Kept):
    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        return super().candles(symbol, start_ms, end_ms).with_columns(pl.col("time") // 1000)


class Limited(Kept):
    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        return super().candles(symbol, start_ms, end_ms).head(100)


class Changing(Kept):
    calls = 0

    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        self.calls += 1
        return super().candles(symbol, start_ms, end_ms).with_columns(pl.col("volume") + self.calls)


class Odd(Kept):
    def __init__(self) -> None:
        super().__init__()
        first = pl.int_range(pl.len()) == 0
        self.rows = self.rows.with_columns(
            pl.when(first).then(float("nan")).otherwise(pl.col("volume")).alias("volume"),
            pl.when(first).then(-1.0).otherwise(pl.col("low")).alias("low"),
            pl.when(first).then(500.0).otherwise(pl.col("close")).alias("close"),
        )


class Raising(Kept):
    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        raise KeyError(symbol)


class Refusing(Kept):
    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        raise DataError(Problem("gone", "nothing is there"))


class Stepless(Kept):
    def steps(self, symbol: str) -> MarketSteps:
        return None  # type: ignore[return-value]  # on purpose


class ZeroSteps(Kept):
    def steps(self, symbol: str) -> MarketSteps:
        return MarketSteps(price=0.0)


class EndlessSteps(Kept):
    def steps(self, symbol: str) -> MarketSteps:
        return MarketSteps(quantity=float("inf"))


class WithNull(Kept):
    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        some = pl.when(pl.col("time") % (7 * MINUTE_MS) != 0).then(pl.col("volume"))
        return super().candles(symbol, start_ms, end_ms).with_columns(some.alias("volume"))


class StrictSymbols(Kept):
    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        known = {"BTCUSDT": "BTCUSDT"}[symbol]
        return super().candles(known, start_ms, end_ms)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (AsText(), "port-columns"),
        (AsList(), "port-columns"),
        (Empty(), "port-no-candles"),
        (NoEnd(), "port-window"),
        (Newest(), "port-time"),
        (Seconds(), "port-time"),
        (Limited(), "port-window"),
        (Changing(), "port-repeat"),
        (Odd(), "port-values"),
        (Raising(), "port-raised"),
        (Refusing(), "port-refused"),
        (Stepless(), "port-steps"),
        (ZeroSteps(), "port-steps"),
        (EndlessSteps(), "port-steps"),
        (WithNull(), "port-values"),
        (StrictSymbols(), "port-raised"),
    ],
)
def test_a_broken_promise_is_found(source: CandleSource, code: str) -> None:
    found = check_candle_source(source, "BTCUSDT", WINDOW)
    assert code in {one.code for one in found}
    assert all(one.where is not None and one.where.file == __file__ for one in found)
