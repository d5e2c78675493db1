"""Pictures come back from a bundle as they were taken, and are the curves that the figures were measured on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from make import candle_use, drawn, run, stream

from backtestkit_cli.errors import DataError
from backtestkit_cli.report.dump import dump
from backtestkit_cli.report.pictures import CANDLES, EQUITY, Pictures, pictures_of, pictures_parquet, read_pictures

from .cases import GOLDEN


def content(pictures: Pictures) -> object:
    """Everything in pictures as plain values; NaN, which is not equal to itself, as a word."""
    candles = {
        symbol: (one.interval, *(getattr(one, name).tolist() for name in ("time_ms", "open", "high", "low", "close")))
        for symbol, one in pictures.candles.items()
    }
    marks = {
        stream: [
            (
                curve.is_money,
                curve.times_ms.tolist(),
                ["none" if np.isnan(value) else value for value in curve.values.tolist()],
            )
            for curve in (one.equity, one.hold)
        ]
        for stream, one in pictures.marks.items()
    }
    return candles, marks


@pytest.mark.parametrize("name", GOLDEN)
def test_pictures_come_back_as_they_were(name: str, tmp_path: Path) -> None:
    made = GOLDEN[name]()
    done = dump(made, tmp_path, manifest={})
    assert content(read_pictures(done.bundle)) == content(pictures_of(made))


def test_streams_of_one_symbol_share_the_candles_that_reach_farthest() -> None:
    long, short = replace(stream(1.0), drawn=drawn(count=9)), replace(stream(2.0, strategy="b"), drawn=drawn(count=4))
    assert {name: len(one) for name, one in pictures_of(run(short, long)).candles.items()} == {"BTCUSDT": 9}


def test_all_together_are_there_only_where_there_are_several() -> None:
    assert set(pictures_of(run(stream(1.0))).marks) == {("ema-cross", "BTCUSDT")}
    assert (None, None) in pictures_of(run(stream(1.0), stream(2.0, strategy="b"))).marks


def test_a_bundle_that_keeps_neither_has_no_pictures(tmp_path: Path) -> None:
    assert content(read_pictures(tmp_path)) == ({}, {})


@pytest.mark.parametrize("name", [CANDLES, EQUITY])
@pytest.mark.parametrize("payload", [b"", b"PAR1 no parquet PAR1", b"PAR1"])
def test_a_damaged_file_is_told(name: str, payload: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(payload)
    with pytest.raises(DataError) as caught:
        read_pictures(tmp_path)
    assert caught.value.code == "damaged-report"


def test_the_file_of_another_table_is_told(tmp_path: Path) -> None:
    bundle = dump(run(stream(1.0)), tmp_path, manifest={}).bundle
    (bundle / CANDLES).write_bytes((bundle / "trades.parquet").read_bytes())
    with pytest.raises(DataError):
        read_pictures(bundle)


def test_a_stream_without_a_price_has_no_hold() -> None:
    one = stream(1.0, candles=candle_use(price_first=None, price_last=None, daily_prices=(None,) * 7))
    marks = pictures_of(run(one)).marks["ema-cross", "BTCUSDT"]
    assert np.isnan(marks.hold.values[1:]).all()
    assert not np.isnan(marks.equity.values).any()


@pytest.mark.parametrize("name", [CANDLES, EQUITY])
def test_the_pictures_of_another_run_are_refused(name: str, tmp_path: Path) -> None:
    one, other = (dump(run(stream(pnl)), tmp_path / str(pnl), manifest={}).bundle for pnl in (1.0, -2.0))
    changed = (other / name).read_bytes()
    if name == CANDLES:
        changed = pictures_parquet(run(replace(stream(1.0), drawn=drawn(count=9))))[CANDLES]
    (one / name).write_bytes(changed)
    with pytest.raises(DataError) as caught:
        read_pictures(one)
    assert caught.value.code == "damaged-report"
