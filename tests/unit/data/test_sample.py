"""The made-up market is the same for ever, whichever way it is asked, and looks like a market."""

import hashlib

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtestkit_cli.data.border import SCHEMA, checked
from backtestkit_cli.data.sample import SampleExchange
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, parse_time

MARCH = parse_time("2023-03-01")
APRIL = parse_time("2023-04-01")


@pytest.fixture(scope="module")
def march() -> pl.DataFrame:
    return SampleExchange().candles("BTCUSDT", MARCH, APRIL)


def test_month_has_every_minute_and_passes_the_border(march: pl.DataFrame) -> None:
    assert len(march) == 31 * 1440
    assert checked(march, where="sample", now_ms=APRIL).equals(march)


def test_candles_never_change(march: pl.DataFrame) -> None:
    content = b"".join(column.to_numpy().tobytes() for column in march)
    assert hashlib.sha256(content).hexdigest() == "33a444b976339ee7514f4fc562dcc00e8e54cf6e9f23c8871bcaf0b4c383b004"


def test_first_candle_is_this_one(march: pl.DataFrame) -> None:
    assert march.row(0) == (1677628800000, 29879.94, 29888.54, 29865.44, 29882.46, 0.243883)


@settings(max_examples=40, deadline=None)
@given(
    start=st.integers(MARCH - 40 * DAY_MS, MARCH + 40 * DAY_MS),
    first=st.integers(0, 3 * DAY_MS),
    second=st.integers(0, 40 * DAY_MS),
    symbol=st.sampled_from(["BTCUSDT", "BTC/USDT", "X", ""]),
)
def test_parts_of_a_window_are_the_window(start: int, first: int, second: int, symbol: str) -> None:
    market = SampleExchange(seed=3)
    whole = market.candles(symbol, start, start + first + second)
    parts = [
        market.candles(symbol, start, start + first),
        market.candles(symbol, start + first, start + first + second),
    ]
    assert pl.concat(parts).equals(whole)


def test_window_of_no_minute_is_empty() -> None:
    for start, end in ((MARCH, MARCH), (APRIL, MARCH), (MARCH + 1, MARCH + MINUTE_MS)):
        empty = SampleExchange().candles("BTCUSDT", start, end)
        assert empty.is_empty()
        assert empty.schema == SCHEMA


def test_candles_open_where_the_one_before_closed(march: pl.DataFrame) -> None:
    assert march["open"][1:].equals(march["close"][:-1].alias("open"))


def test_minute_without_volume_stands_still(march: pl.DataFrame) -> None:
    still = march.filter(pl.col("volume") == 0)
    assert 50 < len(still) < 2000
    assert still["high"].equals(still["low"].alias("high"))


def test_prices_and_volumes_lie_on_their_steps(march: pl.DataFrame) -> None:
    for name, digits in (("open", 2), ("high", 2), ("low", 2), ("close", 2), ("volume", 6)):
        values = march[name].to_list()
        assert values == [round(value, digits) for value in values]
    assert SampleExchange().steps("BTCUSDT") == MarketSteps(price=0.01, quantity=0.000001)
    assert SampleExchange().end_ms("BTCUSDT") is None


def test_seed_and_symbol_make_different_markets() -> None:
    asked = [(7, "BTCUSDT"), (8, "BTCUSDT"), (7, "BTCUSD"), (7, "ETHUSDT")]
    closes = [SampleExchange(seed).candles(symbol, MARCH, MARCH + DAY_MS)["close"].to_list() for seed, symbol in asked]
    assert len({tuple(close) for close in closes}) == len(asked)


@pytest.mark.parametrize("year", [1975, 2023, 2100])
def test_bitcoin_stays_between_fifteen_and_eighty_thousand(year: int) -> None:
    start = parse_time(f"{year}-01-01")
    closes = [
        SampleExchange().candles("BTCUSDT", start + day * DAY_MS, start + day * DAY_MS + MINUTE_MS)["close"][0]
        for day in range(0, 3650, 40)
    ]
    assert min(closes) > 15_000
    assert max(closes) < 80_000


def test_returns_look_like_a_market(march: pl.DataFrame) -> None:
    steps = np.diff(np.log(march["close"].to_numpy()))
    sizes = np.abs(steps)
    kurtosis = float(((steps - steps.mean()) ** 4).mean() / steps.var() ** 2)
    hours = (march["time"].to_numpy()[1:] // (60 * MINUTE_MS)) % 24
    weekend = np.isin((march["time"].to_numpy()[1:] // DAY_MS) % 7, (2, 3))
    assert 0.0003 < steps.std() < 0.002
    assert kurtosis > 6
    assert np.corrcoef(sizes[1:], sizes[:-1])[0, 1] > 0.1
    assert abs(np.corrcoef(steps[1:], steps[:-1])[0, 1]) < 0.05
    assert sizes[(hours >= 13) & (hours < 17)].mean() > 1.5 * sizes[(hours >= 2) & (hours < 6)].mean()
    assert sizes[~weekend].mean() > 1.2 * sizes[weekend].mean()


def test_days_trend_both_ways() -> None:
    market = SampleExchange()
    closes = np.array(
        [
            market.candles("BTCUSDT", day, day + MINUTE_MS)["close"][0]
            for day in range(MARCH, MARCH + 200 * DAY_MS, DAY_MS)
        ]
    )
    ups = np.diff(closes) > 0
    longest = max(len(run) for run in "".join("u" if up else "d" for up in ups).replace("du", "d u").split())
    assert 0.3 < ups.mean() < 0.7
    assert longest >= 4
