"""Exchanges outside of a run: the same candles and prices that a strategy sees, and nothing that has not closed."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from e2e.project import START_MS, at, candle_csv, candle_rows, make_project
from loopback import FakeClock, LoopbackExchange

from backtestkit_cli import Kit
from backtestkit_cli.errors import BacktestkitError
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.time import MINUTE_MS, iso
from backtestkit_cli.run.outside import OutsideExchange

NOW_MS = 1_700_000_040_000 + 3000 * MINUTE_MS + 12_345
HOUR_MS = 60 * MINUTE_MS


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW_MS)


@pytest.fixture
def remote(clock: FakeClock) -> Iterator[OutsideExchange]:
    with LoopbackExchange(clock=clock) as running:
        kit = Kit.empty()
        kit.add_exchange(name="loop", use="ccxt", id="binance", base_url=running.url)
        yield replace(kit.exchange("loop"), clock=clock)  # type: ignore[arg-type]  # a clock of the tests
    assert running.errors == []


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(BacktestkitError) as caught:
        call()
    return caught.value.code


def files_kit(folder: Path, rows: list[list[float]]) -> Kit:
    (folder / "TEST.csv").write_text(candle_csv(rows), encoding="utf-8")
    kit = Kit.empty(folder)
    kit.add_exchange(name="files", use="files", path="{symbol}.csv", steps={"TEST": {"price": 0.5, "quantity": 0.01}})
    return kit


def test_candles_and_price_are_those_a_strategy_sees_at_that_time(tmp_path: Path) -> None:
    kit, seen = Kit.load(make_project(tmp_path).folder / "configs"), list[Any]()

    def look(market: Any) -> None:
        window = market.candles("15m", 3)
        seen.append((market.now, market.price, window.time.tolist(), window.close.tolist(), window.volume.tolist()))

    kit.add_strategy(name="look", interval="6h", use=look, warm_up="1h")
    kit.backtest("look").run()
    outside = kit.exchange("sample")
    assert len(seen) == 4
    for now, price, times, closes, volumes in seen:
        window = outside.candles("BTCUSDT", "15m", 3, at=now)
        assert (window.time.tolist(), window.close.tolist(), window.volume.tolist()) == (times, closes, volumes)
        assert outside.price("BTCUSDT", at=iso(now)) == price


def test_what_has_not_closed_does_not_exist(tmp_path: Path) -> None:
    outside = files_kit(tmp_path, candle_rows(180)).exchange("files")
    late = START_MS + 2 * HOUR_MS - 1
    assert outside.candles("TEST", "1h", 5, at=late).time.tolist() == [START_MS]
    assert outside.candles("TEST", "1h", 5, at=late + 1).time.tolist() == [START_MS, START_MS + HOUR_MS]
    assert outside.candles("TEST", limit=1, at=late).time.tolist() == [late + 1 - 2 * MINUTE_MS]
    inside = outside.candles("TEST", "1h", range="2023-03-01T00:30..2023-03-01T02:30")
    assert inside.time.tolist() == [START_MS + HOUR_MS]
    assert len(outside.candles("TEST", "4h", range="2023-03-01T00:00..2023-03-01T03:00")) == 0


def test_the_present_of_files_is_the_end_of_their_data(tmp_path: Path) -> None:
    rows = candle_rows(120)
    outside = files_kit(tmp_path, rows).exchange("files")
    assert outside.candles("TEST", "1m", 2).time.tolist() == [rows[-2][0], rows[-1][0]]
    typical = [(high + low + close) / 3 for _, _, high, low, close, _ in rows[-5:]]
    assert outside.price("TEST") == pytest.approx(sum(typical) / 5, rel=1e-12)
    assert outside.price("TEST") == outside.price("TEST", at=at(120))


def test_missing_minutes_leave_a_larger_candle_and_no_fresh_price(tmp_path: Path) -> None:
    rows = [row for place, row in enumerate(candle_rows(180)) if not 110 <= place < 125]
    outside = files_kit(tmp_path, rows).exchange("files")
    assert outside.candles("TEST", "1h", 2, at=at(120)).time.tolist() == [START_MS, START_MS + HOUR_MS]
    assert code_of(lambda: outside.price("TEST", at=at(120))) == "no-candles"
    assert outside.price("TEST", at=at(110)) > 0


def test_prices_and_quantities_are_written_on_the_steps(tmp_path: Path) -> None:
    outside = files_kit(tmp_path, candle_rows(10)).exchange("files")
    assert outside.steps("TEST") == MarketSteps(price=0.5, quantity=0.01)
    assert outside.format_price("TEST", 10.3) == "10.5"
    assert outside.format_quantity("TEST", 1.239) == "1.23"


def test_an_exchange_of_ccxt_is_asked_over_the_network(remote: OutsideExchange) -> None:
    window = remote.candles("BTC/USDT", "5m", 3)
    last_open = NOW_MS // (5 * MINUTE_MS) * 5 * MINUTE_MS - 5 * MINUTE_MS
    assert window.time.tolist() == [last_open - 10 * MINUTE_MS, last_open - 5 * MINUTE_MS, last_open]
    minutes = remote.candles("BTC/USDT", "1m", 5)
    assert minutes.time[-1] == NOW_MS // MINUTE_MS * MINUTE_MS - MINUTE_MS
    typical = (minutes.high + minutes.low + minutes.close) / 3
    expected = float(np.sum(typical * minutes.volume) / np.sum(minutes.volume))
    assert remote.price("BTC/USDT") == pytest.approx(expected, rel=1e-12)
    steps = remote.steps("BTC/USDT")
    assert steps.price is not None
    assert float(remote.format_price("BTC/USDT", 12345.678901)) == pytest.approx(12345.678901, abs=steps.price)


def test_a_plugin_exchange_is_asked_directly_and_fetched_for_backtests(tmp_path: Path) -> None:
    def saw() -> Any:
        class Saw:
            def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
                times = list(range(start_ms, end_ms, MINUTE_MS))
                one = {name: [100.0] * len(times) for name in ("open", "high", "low", "close", "volume")}
                return pl.DataFrame({"time": times, **one}, schema_overrides={"time": pl.Int64})

            def steps(self, symbol: str) -> MarketSteps:
                return MarketSteps()

        return Saw()

    kit = Kit.empty(tmp_path)
    kit.add_exchange(name="saw", use=saw)
    assert kit.exchange("saw").price("X") == 100.0
    assert len(kit.exchange("saw").candles("X", "1h", 3)) == 3
    assert kit.exchange("saw").format_price("X", 0.1) == "0.1"
    kit.add_strategy(name="idle", interval="1h", use=lambda market: None)
    asked = kit.backtest("idle", symbols=["X"], range="2023-03-01T12:00..2023-03-01T18:00")
    assert code_of(asked.run) == "no-stored-candles"
    assert kit.fetch("saw", "X", "2023-03-01..2023-03-05").candles == 4 * 1440
    assert asked.run().streams[0].result.funnel.no_draft == 6


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda one: one.candles("TEST", "7m", 1), "bad-interval"),
        (lambda one: one.candles("TEST", "3d", 1), "bad-interval"),
        (lambda one: one.candles("TEST", "1m", 0), "bad-value"),
        (lambda one: one.candles("TEST", "1m", 1.5), "bad-value"),
        (lambda one: one.candles("TEST", "1m"), "conflict"),
        (lambda one: one.candles("TEST", "1m", 1, range="2023-03-01..2023-03-02"), "conflict"),
        (lambda one: one.candles("TEST", "1m", range="2023"), "bad-range"),
        (lambda one: one.price("TEST", at="soon"), "bad-time"),
        (lambda one: one.price("T T"), "bad-symbol"),
        (lambda one: one.steps(""), "bad-symbol"),
        (lambda one: one.price("TEST", at="2020-01-01"), "no-candles"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(call: Any, code: str, tmp_path: Path) -> None:
    outside = files_kit(tmp_path, candle_rows(10)).exchange("files")
    assert code_of(lambda: call(outside)) == code


def test_an_unknown_exchange_is_refused() -> None:
    assert code_of(lambda: Kit.empty().exchange("nowhere")) == "unknown-name"
