"""An audit finds what is odd about candles and leaves them alone."""

import polars as pl
import pytest
from shared import SHARED, needs_shared
from unit.data.market import MARCH, candles

from backtestkit_cli.data.audit import Run, audit
from backtestkit_cli.data.files import read_candles
from backtestkit_cli.data.sample import SampleExchange
from backtestkit_cli.errors import DataError
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, parse_time


def at(minute: int) -> int:
    return MARCH + minute * MINUTE_MS


def test_holes_are_listed_with_start_and_length() -> None:
    found = audit(candles([0, 1, 4, 5, 10]))
    assert found.holes == (Run(start_ms=at(2), minutes=2), Run(start_ms=at(6), minutes=4))
    assert (found.rows, found.first_ms, found.last_ms) == (5, MARCH, at(10))
    assert (found.missing_minutes, found.longest_hole_minutes) == (6, 4)
    assert found.missing_percent == pytest.approx(100 * 6 / 11)
    assert found.faults == {}


def test_no_candles_are_audited_too() -> None:
    found = audit(candles([]))
    assert (found.rows, found.first_ms, found.holes, found.jumps, found.flat_runs) == (0, None, (), (), ())
    assert (found.missing_percent, found.longest_hole_minutes, found.missing_minutes) == (0.0, 0, 0)


def test_faults_are_counted_and_do_not_hide_the_holes() -> None:
    broken = pl.concat([candles([0, 1, 1, 5, 4, 9]), candles([10]).with_columns(volume=pl.lit(None, pl.Float64))])
    found = audit(broken)
    assert found.faults == {"candle-not-a-number": 1, "candle-duplicate": 1, "candle-unordered": 1}
    assert [hole.minutes for hole in found.holes] == [2, 3]
    assert audit(candles([0]), now_ms=MARCH + 1).faults == {"candle-unfinished": 1}


def test_minutes_without_volume_are_counted() -> None:
    frame = candles(range(6)).with_columns(volume=pl.when(pl.col("time") > at(3)).then(0.0).otherwise("volume"))
    assert audit(frame).zero_volume_minutes == 2


def test_jump_is_measured_between_neighbours_only() -> None:
    market = SampleExchange().candles("BTCUSDT", MARCH, MARCH + DAY_MS)
    raised = market.with_columns(
        pl.when(pl.col("time") >= at(700)).then(pl.col(name) * 1.2).otherwise(name).alias(name)
        for name in ("open", "high", "low", "close")
    )
    (jump,) = audit(raised).jumps
    assert jump.time_ms == at(700)
    assert jump.percent == pytest.approx(20, abs=1)
    assert audit(raised.filter(pl.col("time") != at(699))).jumps == ()
    assert audit(market).jumps == ()


def still(minutes: range | list[int]) -> pl.DataFrame:
    return candles(minutes).with_columns(pl.lit(100.0).alias(name) for name in ("open", "high", "low", "close"))


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        pytest.param(still(range(60)), [(0, 60)], id="one-hour"),
        pytest.param(still(range(59)), [], id="too-short"),
        pytest.param(still([*range(40), *range(41, 80)]), [], id="hole-parts-it"),
        pytest.param(
            pl.concat([candles(range(5)), still(range(5, 70)), candles(range(70, 75))]), [(5, 65)], id="inside"
        ),
        pytest.param(
            pl.concat([still(range(60)), still(range(60, 130)).with_columns(pl.col("^[ohlc].*$") + 1)]),
            [(0, 60), (60, 70)],
            id="price-changes",
        ),
    ],
)
def test_flat_runs_are_an_hour_or_more_at_one_price(frame: pl.DataFrame, expected: list[tuple[int, int]]) -> None:
    assert [((run.start_ms - MARCH) // MINUTE_MS, run.minutes) for run in audit(frame).flat_runs] == expected


def test_frame_without_candle_columns_is_refused() -> None:
    with pytest.raises(DataError):
        audit(pl.DataFrame({"time": [1]}))


@needs_shared
def test_gappy_download_has_its_known_holes() -> None:
    found = audit(read_candles(SHARED / "data" / "bybit_LINKUSDT_1m_gappy_2024-09.parquet"))
    assert len(found.holes) == 199
    assert found.missing_minutes == 159_399
    assert found.rows == 40_000
    assert 79 < found.missing_percent < 81
    assert found.faults == {}


@needs_shared
@pytest.mark.parametrize(("symbol", "without_volume"), [("BTCUSDT", 658), ("BTCUSDC", 12_971)])
def test_whole_downloads_have_no_holes(symbol: str, without_volume: int) -> None:
    found = audit(read_candles(SHARED / "data" / f"binanceus_{symbol}_1m_2023-03.parquet"))
    assert found.holes == ()
    assert found.zero_volume_minutes == without_volume
    assert found.first_ms == parse_time("2023-03-01")
