"""The daily curve: where it is marked, what open trades are worth there, and how streams add up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from make import HOUR_MS, NO_COSTS, START_MS, WEEK, Deal, candle_use, run, stream, trades

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.vwap import vwap_of
from backtestkit_cli.measure.equity import (
    DailyEquity,
    gained,
    mark_times,
    monthly,
    run_equity,
    run_hold,
    stream_equity,
    stream_hold,
)
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.policy import Costs
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, TimeRange, iso, parse_time
from backtestkit_cli.model.trade import pnl_percent
from backtestkit_cli.run.candle_use import prices_at

CANDLES = [
    Candle(START_MS + minute * MINUTE_MS, 10.0, 11.0 + minute, 9.0, 10.0 + minute, 1.0 + minute % 3)
    for minute in (*range(3, 8), 11)
]
"""Minutes of a day with a late start and a hole."""
FLAT_WEEK = candle_use(daily_prices=(100.0,) * 7)


def points(*made: Deal, costs: Costs = NO_COSTS, prices: tuple[float | None, ...] = (100.0,) * 7) -> list[float]:
    """What a week of these trades was worth above 100 at each mark."""
    found = stream_equity(stream(*made, costs=costs, candles=candle_use(daily_prices=prices)), WEEK)
    return [round(value - 100, 9) for value in found.values.tolist()]


@pytest.mark.parametrize(
    ("start", "end", "marks"),
    [
        ("2023-03-01", "2023-03-03", ["2023-03-02T00:00Z", "2023-03-03T00:00Z"]),
        ("2023-03-01T10:00", "2023-03-02T00:01", ["2023-03-02T00:00Z", "2023-03-02T00:01Z"]),
        ("2023-03-01T10:00", "2023-03-01T11:00", ["2023-03-01T11:00Z"]),
        ("2023-03-01T23:59", "2023-03-02", ["2023-03-02T00:00Z"]),
    ],
)
def test_marks_are_each_midnight_after_the_start_and_the_end(start: str, end: str, marks: list[str]) -> None:
    assert [iso(int(time)) for time in mark_times(TimeRange(parse_time(start), parse_time(end)))] == marks


def test_closed_trades_count_from_the_mark_at_which_they_close() -> None:
    made = (Deal(pnl=2.0, opened_hours=22, hours=2), Deal(pnl=-0.5, opened_hours=50, hours=1))
    assert points(*made) == [0, 2, 2, 1.5, 1.5, 1.5, 1.5, 1.5]


def test_an_open_long_is_worth_what_closing_it_at_the_price_there_brings() -> None:
    made = Deal(pnl=5.0, opened_hours=12, hours=60)
    assert points(made, prices=(101.0, 97.0, 103.0, 1.0, 1.0, 1.0, 1.0)) == [0, 1, -3, 5, 5, 5, 5, 5]


def test_an_open_short_gains_when_the_price_falls() -> None:
    made = Deal(pnl=5.0, opened_hours=12, hours=60, is_long=False)
    assert points(made, prices=(101.0, 97.0, 103.0, 1.0, 1.0, 1.0, 1.0)) == [0, -1, 3, 5, 5, 5, 5, 5]


def test_open_trades_pay_the_costs_of_both_sides() -> None:
    costs = Costs(fee_percent=0.1, slippage_percent=0.2)
    made = Deal(pnl=5.0, opened_hours=12, hours=24)
    expected = round(pnl_percent(True, 100.0, 101.0, costs), 9)
    assert points(made, costs=costs, prices=(101.0,) * 7) == [0, expected, 5, 5, 5, 5, 5, 5]
    assert expected < 0.5


def test_a_trade_that_opens_at_a_mark_is_marked_there() -> None:
    assert points(Deal(pnl=5.0, opened_hours=24, hours=24), prices=(99.0,) * 7)[:3] == [0, -1, 5]


def test_a_trade_that_closes_after_the_range_is_marked_at_its_end() -> None:
    assert points(Deal(pnl=9.0, opened_hours=160, hours=40), prices=(104.0,) * 7) == [0] * 7 + [4]


def test_a_trade_that_opens_after_the_range_is_not_in_the_curve() -> None:
    assert points(Deal(pnl=9.0, opened_hours=169, hours=1)) == [0] * 8


def test_the_end_of_a_range_inside_a_day_is_a_mark_of_its_own() -> None:
    within = TimeRange(START_MS + 6 * HOUR_MS, START_MS + 30 * HOUR_MS)
    one = stream(Deal(pnl=9.0, opened_hours=8, hours=40), candles=candle_use(daily_prices=(101.0, 103.0)))
    found = stream_equity(one, within)
    assert found.values.tolist() == pytest.approx([100, 101, 103], rel=1e-12)
    assert found.times_ms.tolist() == [within.start_ms, START_MS + DAY_MS, within.end_ms]


def test_without_any_price_an_open_trade_is_worth_its_costs() -> None:
    assert points(Deal(pnl=5.0, opened_hours=12, hours=24), prices=(None,) * 7)[:3] == [0, 0, 5]


def test_streams_of_a_run_add_up_from_one_hundred_on() -> None:
    first = stream(Deal(pnl=2.0, opened_hours=1, hours=1), candles=FLAT_WEEK)
    second = stream(Deal(pnl=-3.0, opened_hours=30, hours=1), symbol="ETHUSDT", candles=FLAT_WEEK)
    assert run_equity(run(first, second)).values.tolist() == [100, 102, 99, 99, 99, 99, 99, 99]


def test_a_run_without_a_stream_stays_where_it_began() -> None:
    assert run_equity(run()).values.tolist() == [100.0] * 8


def test_a_day_belongs_to_the_month_in_which_it_begins() -> None:
    start_ms = parse_time("2023-02-27")
    values = np.array([100.0, 101.0, 103.0, 102.0, 106.0])
    equity = DailyEquity(times_ms=start_ms + DAY_MS * np.arange(5), values=values)
    assert monthly(equity) == [("2023-02", 3.0, 103.0), ("2023-03", 3.0, 106.0)]


def test_months_of_two_years_stay_apart_and_in_order() -> None:
    times = np.array([parse_time(f"{year}-{month:02}-01") for year in (2022, 2023) for month in (1, 2)], dtype=np.int64)
    equity = DailyEquity(times_ms=times, values=np.array([100.0, 101.0, 103.0, 106.0]))
    assert monthly(equity) == [("2022-01", 1.0, 101.0), ("2022-12", 2.0, 103.0), ("2023-01", 3.0, 106.0)]


@pytest.mark.parametrize(
    ("minute", "window"),
    [
        pytest.param(3, None, id="before the first candle there is none"),
        pytest.param(4, (3,), id="the first candle counts when it has closed"),
        pytest.param(8, (5, 6, 7), id="three minutes that have closed by then"),
        pytest.param(10, (5, 6, 7), id="in a hole the last known one"),
        pytest.param(12, (11,), id="after a hole what is left of the window"),
        pytest.param(99, (11,), id="after the last candle the last known one"),
    ],
)
def test_the_price_of_a_mark_is_the_last_one_known_there(minute: int, window: tuple[int, ...] | None) -> None:
    columns = [np.array(column, dtype=np.float64) for column in zip(*CANDLES, strict=True)]
    candles = Candles.from_rows(columns[0].astype(np.int64), *columns[1:])
    by_minute = {(candle.time - START_MS) // MINUTE_MS: candle for candle in CANDLES}
    expected = None if window is None else vwap_of([by_minute[place] for place in window])
    assert prices_at(candles, np.array([START_MS + minute * MINUTE_MS]), 3) == (expected,)


SPANS = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 90), st.booleans()), max_size=10)


@given(SPANS, st.lists(st.floats(50, 200).map(lambda price: round(price, 2)), min_size=7, max_size=7))
def test_the_curve_is_what_a_plain_loop_over_trades_and_marks_gives(
    spans: list[tuple[int, int, bool]], prices: list[float]
) -> None:
    """Also where trades overlap, as those of several streams do."""
    spans.sort(key=lambda span: span[0] + span[1])
    made = [Deal(pnl=hours / 10, opened_hours=start, hours=hours, is_long=long) for start, hours, long in spans]
    marks = mark_times(WEEK)
    expected = []
    for mark, price in zip(marks.tolist(), prices, strict=True):
        worth = 0.0
        for start, hours, long in spans:
            opened_ms = START_MS + start * HOUR_MS
            if opened_ms + hours * HOUR_MS <= mark:
                worth += hours / 10
            elif opened_ms <= mark:
                worth += pnl_percent(long, 100.0, price, NO_COSTS)
        expected.append(worth)
    found = gained(trades(*made), marks, np.array(prices), NO_COSTS)
    assert found.tolist() == pytest.approx(expected, rel=1e-12, abs=1e-10)


def test_buy_and_hold_is_bought_at_the_first_close_and_ends_at_the_last_one() -> None:
    used = candle_use(price_first=100.0, price_last=104.0, daily_prices=(101.0, 99.0, 100.0, 100.0, 100.0, 100.0, 1.0))
    one = run(stream(candles=used))
    assert [round(value, 9) for value in stream_hold(stream(candles=used), one).values.tolist()] == [
        *(100, 101, 99, 100, 100, 100, 100, 104)
    ]
    costs = Costs(fee_percent=0.1, slippage_percent=0.2)
    dear = run(stream(candles=used, costs=costs))
    assert stream_hold(dear.streams[0], dear).values[-1] == 100 + pnl_percent(True, 100.0, 104.0, costs)


def test_buy_and_hold_of_streams_adds_up_and_is_unknown_where_one_has_no_price() -> None:
    rising = candle_use(price_first=100.0, price_last=110.0, daily_prices=(105.0,) * 7)
    late = candle_use(price_first=100.0, price_last=90.0, daily_prices=(None, *(95.0,) * 6))
    found = run_hold(run(stream(candles=rising), stream(symbol="ETHUSDT", candles=late))).values
    assert [round(value, 9) for value in found[[0, 2, -1]].tolist()] == [100, 100, 100]
    assert np.isnan(found[1])
    assert np.isnan(run_hold(run(stream(candles=candle_use(price_first=None, price_last=None)))).values[1:]).all()
