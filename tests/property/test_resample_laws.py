"""Laws of larger candles and of the price."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import plain
from oracles.asking import START_MS, cut, minutes_of, price_of, random_candles, same_bits

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.resample import Resampled, resample
from backtestkit_cli.engine.vwap import price_at, vwap_all, vwap_at, vwap_of
from backtestkit_cli.model.time import MINUTE_MS

INTERVALS = st.sampled_from([1, 3, 5, 15, 30, 60])
COLUMNS = ("open", "high", "low", "close", "volume", "vwap")


@st.composite
def markets(draw: st.DrawFn, minutes: int = 400) -> Candles:
    """Candles that start anywhere on the minute grid, with or without holes and quiet minutes."""
    return random_candles(
        draw(st.integers(0, 2**32)),
        draw(st.integers(1, minutes)),
        start_ms=START_MS + draw(st.integers(0, 90)) * MINUTE_MS,
        holes=draw(st.sampled_from([0.0, 0.1, 0.6])),
        quiet=draw(st.sampled_from([0.0, 0.3, 1.0])),
    )


@given(markets(), INTERVALS)
def test_larger_candles_are_those_of_the_slow_way(candles: Candles, minutes: int) -> None:
    rows = {candle.time: candle[1:] for candle in minutes_of(candles) if candle is not None}
    expected = plain.larger(rows, minutes)
    larger = Resampled(candles, minutes)
    assert larger.close_ms.tolist() == expected["time"]
    assert larger.exists.tolist() == [close is not None for close in expected["close"]]
    for name in COLUMNS:
        wanted = np.array([np.nan if value is None else value for value in expected[name]])
        assert same_bits(getattr(larger, name), wanted), name


@given(markets(), INTERVALS, st.integers(0, 400))
def test_later_minutes_change_no_earlier_candle(candles: Candles, minutes: int, kept: int) -> None:
    whole = Resampled(candles, minutes)
    part = Resampled(cut(candles, 0, min(kept, len(candles))), minutes)
    for name in COLUMNS:
        assert same_bits(getattr(part, name), getattr(whole, name)[: len(part)])


@given(markets(), INTERVALS)
def test_a_candle_is_seen_at_its_close_and_opens_after_the_start(candles: Candles, minutes: int) -> None:
    larger = Resampled(candles, minutes)
    assert (larger.close_ms <= candles.end_ms).all()
    assert (larger.close_ms - minutes * MINUTE_MS >= candles.start_ms).all()
    assert (larger.close_ms % (minutes * MINUTE_MS) == 0).all()


@given(markets(), st.integers(1, 12))
def test_the_price_is_the_same_for_a_window_some_rows_and_all(candles: Candles, count: int) -> None:
    everything = vwap_all(candles, count)
    rows = np.arange(-3, len(candles) + 3)
    some = vwap_at(candles, rows, count)
    assert same_bits(some[3:-3], everything)
    assert np.isnan(some[:3]).all()
    assert np.isnan(some[-3:]).all()
    assert same_bits(vwap_at(candles, rows[3:-3], count), everything)
    assert same_bits(vwap_at(candles, rows[2 + count : -3], count), everything[count - 1 :])
    listed = minutes_of(candles)
    for row in range(0, len(candles), 7):
        window = [candle for candle in listed[max(0, row - count + 1) : row + 1] if candle is not None]
        alone = vwap_of(window) if listed[row] is not None else np.nan
        assert same_bits(np.array([alone]), everything[row : row + 1])


def test_the_price_is_the_same_across_the_borders_of_blocks() -> None:
    candles = random_candles(5, 20_000, quiet=0.5)
    rows = np.array([4, 8_190, 8_191, 8_192, 8_193, 8_196, 16_384, 19_999])
    assert same_bits(vwap_at(candles, rows, 5), vwap_all(candles, 5)[rows])


def test_the_price_at_a_time_ends_with_the_minute_before() -> None:
    candles = random_candles(6, 10)
    times = np.array([START_MS, START_MS + MINUTE_MS, START_MS + 10 * MINUTE_MS, START_MS + 11 * MINUTE_MS])
    prices = price_at(candles, times, 5)
    assert np.isnan(prices[[0, 3]]).all()
    assert prices[1:3].tolist() == vwap_all(candles, 5)[[0, 9]].tolist()


def test_without_candles_there_is_no_price() -> None:
    nothing = cut(random_candles(7, 5), 0, 0)
    assert len(vwap_all(nothing, 5)) == 0
    assert np.isnan(vwap_at(nothing, np.array([0, 1]), 5)).all()
    assert np.isnan(vwap_of([]))
    assert len(Resampled(nothing, 5).vwap) == 0


def _frame(candles: Candles, minutes: int) -> pl.DataFrame:
    """The frame a vectorised strategy is given."""
    rows = Resampled(candles, minutes)
    columns = {"time": rows.close_ms, **{name: getattr(rows, name) for name in COLUMNS}}
    columns["price"] = price_of(candles)(rows.close_ms)
    return pl.DataFrame(columns, nan_to_null=True).filter(rows.exists)


@settings(max_examples=40)
@given(markets(), st.sampled_from([(1, "5m", 5), (5, "15m", 15), (5, "1h", 60)]))
def test_frames_are_resampled_as_candles_are(candles: Candles, intervals: tuple[int, str, int]) -> None:
    row_minutes, text, minutes = intervals
    frame = _frame(candles, row_minutes)
    if frame.height < 2 or frame["time"].diff().min() != row_minutes * MINUTE_MS:
        return
    found = resample(frame, text)
    assert found.equals(resample(frame.lazy(), text).collect())
    larger = Resampled(candles, minutes)
    # The frame begins with the first of its rows that exists.
    first = int(np.searchsorted(larger.close_ms - minutes * MINUTE_MS, frame["time"][0] - row_minutes * MINUTE_MS))
    last = int(np.searchsorted(larger.close_ms, frame["time"][-1], side="right"))
    assert found["time"].to_list() == larger.close_ms[first:last].tolist()
    for name in COLUMNS:
        wanted = getattr(larger, name)[first:last]
        close_enough = 0.01 if name == "vwap" else 1e-12  # means of means where a row has no volume
        np.testing.assert_allclose(found[name].fill_null(np.nan).to_numpy(), wanted, rtol=close_enough, err_msg=name)
    prices = price_of(candles)(larger.close_ms[first:last])
    assert same_bits(found["price"].fill_null(np.nan).to_numpy(), prices)


def test_only_how_volumes_compare_decides_the_vwap_of_a_frame() -> None:
    frame = _frame(random_candles(9, 30), 1)
    little = frame.with_columns(pl.col("volume") / 1024)
    assert resample(little, "5m")["vwap"].equals(resample(frame, "5m")["vwap"])


def test_an_unknown_interval_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="known are 1m, 3m"):
        resample(_frame(random_candles(8, 30), 1), "7m")


def test_no_rows_make_no_candles() -> None:
    assert resample(_frame(random_candles(8, 30), 1).clear(), "5m").height == 0
