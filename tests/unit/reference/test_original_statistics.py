"""The original's statistics, where the tables of recordings are silent."""

import math
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as some
from unit.reference.worlds import at

from backtestkit_cli.engine.reference.events import ReferenceEvent, Row
from backtestkit_cli.measure.original import (
    ClosedTrade,
    LiveLog,
    backtest_figures,
    heat_figures,
    live_figures,
    newest_first,
    walker_ranking,
    walker_results,
)
from backtestkit_cli.model.event import Active, Cancelled, CancelReason, Closed, CloseReason, Idle, Opened, Scheduled
from backtestkit_cli.model.fixed import round_half_up, to_fixed
from backtestkit_cli.model.signal import Position


def trades(*pnl: float, symbol: str = "A") -> list[ClosedTrade]:
    return [ClosedTrade(symbol, one, at(place), at(place + 1)) for place, one in enumerate(pnl)]


def row(name: str) -> Row:
    return Row(
        id=name,
        strategy="one",
        symbol="A",
        position=Position.LONG,
        price_open=100.0,
        price_take_profit=101.0,
        price_stop_loss=99.0,
        lifetime_minutes=60,
        decided_at=at(0),
        pending_at=at(0),
        is_scheduled=False,
    )


def idle(minute: int) -> Idle:
    return Idle(time_ms=at(minute), strategy="one", symbol="A", price=100.0)


def active(minute: int, name: str) -> Active:
    return Active(time_ms=at(minute), signal=row(name), price=100.0, take_profit_percent=0.0, stop_loss_percent=0.0)


def closed(minute: int, name: str) -> Closed:
    return Closed(
        time_ms=at(minute),
        signal=row(name),
        opened_at=at(0),
        price=101.0,
        reason=CloseReason.TIME_EXPIRED,
        pnl_percent=1.0,
        ambiguous_minutes=0,
        profit_at_stake_percent=0.0,
        vwap_lag_percent=0.0,
        is_bridged=False,
    )


def test_only_the_newest_are_held_and_the_newest_stands_first() -> None:
    assert newest_first(range(300))[:2] == [299, 298]
    assert len(newest_first(range(300))) == 250
    assert backtest_figures(trades(*[1.0] * 100, *[-1.0] * 250)).win_count == 0


def listed(*events: ReferenceEvent) -> list[int | None]:
    """The times of a live log, newest first."""
    log = LiveLog()
    for event in events:
        log.add(event)
    return [event.time_ms for event in log.events]


def opened(minute: int, name: str) -> Opened:
    return Opened(time_ms=at(minute), signal=row(name))


def test_an_active_event_takes_the_place_of_the_last_of_its_signal() -> None:
    found = listed(opened(1, "x"), active(2, "x"), closed(3, "y"), active(4, "x"), active(5, "z"))
    assert found == [at(5), at(3), at(4), at(1)]


def test_an_idle_event_stands_in_front_where_something_open_is_older() -> None:
    assert listed(opened(1, "x"), closed(2, "x"), idle(3), idle(4)) == [at(4), at(3), at(2), at(1)]


def test_an_idle_event_replaces_the_oldest_one_where_nothing_open_is_older() -> None:
    assert listed(idle(1), closed(2, "x"), idle(3)) == [at(2), at(3)]
    assert listed(idle(1), opened(2, "x"), closed(3, "x"), idle(4)) == [at(3), at(2), at(4)]


def test_a_live_run_without_a_close_has_zeros_and_no_win_rate() -> None:
    count, figures = live_figures([idle(1)])
    assert (count, figures.total_closed, figures.win_rate, figures.total_pnl) == (1, 0, None, 0.0)
    assert figures.expected_yearly_returns == 0.0
    assert live_figures([])[1].total_pnl is None


def test_a_flat_trade_is_neither_win_nor_loss_and_breaks_no_streak() -> None:
    figures = backtest_figures(trades(1.0, 0.0, 1.0))
    assert (figures.total_closed, figures.win_count, figures.loss_count) == (3, 2, 0)
    assert heat_figures(trades(1.0, 0.0, 1.0)).symbols[0].max_win_streak == 2


def test_a_row_of_the_heat_map_has_the_average_of_its_trades() -> None:
    row_of = heat_figures(trades(1.0, 3.0, -1.0)).symbols[0]
    assert (row_of.avg_pnl, row_of.total_pnl, row_of.win_rate) == (1.0, 3.0, 2 / 3 * 100)
    assert row_of.expectancy == pytest.approx(2 / 3 * 2.0 + 1 / 3 * -1.0)


def test_a_single_trade_has_no_deviation_in_the_heat_map() -> None:
    row_of = heat_figures(trades(1.0)).symbols[0]
    assert (row_of.std_dev, row_of.sharpe_ratio) == (None, None)


def test_a_metric_of_zero_stands_above_losses_and_below_gains() -> None:
    tested = [(name, backtest_figures(trades(pnl))) for name, pnl in (("loss", -0.5), ("none", 0.0), ("gain", 0.5))]
    ranking = walker_ranking(walker_results(tested, "totalPnl"))
    assert [one.strategy for one in ranking] == ["gain", "none", "loss"]


def test_ratios_without_what_they_divide_by_are_zero() -> None:
    gains = backtest_figures(trades(1.0, 2.0))
    assert gains.certainty_ratio == 0.0
    assert backtest_figures(trades(1.0, 1.0)).sharpe_ratio == 0.0
    at_once = backtest_figures([ClosedTrade("A", 1.0, at(0), at(0))])
    assert at_once.expected_yearly_returns == 0.0


def test_the_heat_map_looks_backwards_for_its_drawdown() -> None:
    assert heat_figures(trades(3.0, -5.0)).symbols[0].max_drawdown == 5.0
    assert heat_figures(trades(-5.0, 3.0)).symbols[0].max_drawdown == 2.0


def test_symbols_are_ranked_by_sharpe_with_those_without_one_last() -> None:
    heat = heat_figures([*trades(1.0, symbol="A"), *trades(-1.0, -2.0, symbol="B"), *trades(1.0, 2.0, symbol="C")])
    assert [one.symbol for one in heat.symbols] == ["C", "B", "A"]
    assert heat.portfolio_sharpe_ratio == pytest.approx((-3.0 * 2 + 3.0 * 2) / 5)


def test_of_equal_strategies_the_first_is_best_and_the_last_stands_first() -> None:
    figures = {name: backtest_figures(trades(*pnl)) for name, pnl in (("a", (1.0, 2.0)), ("b", (1.0, 2.0)), ("c", ()))}
    results = walker_results(figures.items(), "totalPnl")
    assert results[-1].best_strategy == "a"
    assert [one.strategy for one in walker_ranking(results)] == ["b", "a", "c"]
    better = walker_results([*figures.items(), ("d", backtest_figures(trades(4.0)))], "totalPnl")
    assert (better[-1].best_strategy, better[-1].best_metric) == ("d", 4.0)


@given(some.floats(-1e15, 1e15), some.integers(0, 8))
def test_fixed_text_is_the_nearest_with_so_many_digits(value: float, digits: int) -> None:
    text = to_fixed(value, digits)
    assert len(text.partition(".")[2]) == digits
    assert abs(Fraction(text) - Fraction(value)) <= Fraction(1, 2 * 10**digits)


def test_minus_zero_has_no_sign_but_what_becomes_zero_keeps_it() -> None:
    assert to_fixed(-0.0, 2) == "0.00"
    assert to_fixed(-0.001, 2) == "-0.00"


@given(some.floats(-1e9, 1e9))
def test_rounding_goes_to_the_nearest_and_half_goes_up(value: float) -> None:
    assert -Fraction(1, 2) < round_half_up(value) - Fraction(value) <= Fraction(1, 2)


def test_the_oldest_idle_event_is_found_behind_what_has_ended() -> None:
    assert listed(closed(1, "x"), idle(2), idle(3)) == [at(3), at(1)]


def test_waiting_and_cancelled_signals_are_not_listed() -> None:
    cancelled = Cancelled(time_ms=at(3), signal=row("x"), price=100.0, reason=CancelReason.WAIT_OVER)
    assert listed(Scheduled(time_ms=at(1), signal=row("x"), price=100.0), idle(2), cancelled) == [at(2)]


def test_a_live_run_is_measured_by_its_closes_with_whole_minutes() -> None:
    lasting = replace(closed(3, "x"), time_ms=at(3) + 20_000)
    count, figures = live_figures([opened(0, "x"), lasting, idle(4)])
    assert (count, figures) == (3, backtest_figures([ClosedTrade("A", 1.0, at(0), at(3))]))


def test_a_portfolio_adds_up_its_symbols_and_leaves_out_what_is_no_number() -> None:
    found = heat_figures([*trades(1.0, -3.0, symbol="A"), *trades(0.5, symbol="B")])
    assert (found.total_symbols, found.portfolio_total_trades, found.portfolio_total_pnl) == (2, 3, -1.5)
    broken = heat_figures([*trades(math.inf, symbol="A"), *trades(0.5, symbol="B")])
    assert {row.symbol: row.total_pnl for row in broken.symbols} == {"A": None, "B": 0.5}
    assert broken.portfolio_total_pnl == 0.5
    none = heat_figures([])
    assert (none.symbols, none.total_symbols, none.portfolio_total_pnl) == ((), 0, None)
    assert none.portfolio_total_trades == 0


def test_a_live_run_without_an_event_counts_nothing() -> None:
    held, figures = live_figures([])
    assert (held, figures.total_closed, figures.win_count, figures.loss_count) == (0, 0, 0, 0)
