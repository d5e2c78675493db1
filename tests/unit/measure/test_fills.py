"""What fill policies are worth, with numbers worked by hand."""

from random import Random

import pytest
from make import NO_COSTS, Deal, run, stream, trades

from backtestkit_cli.engine.result import RunResult
from backtestkit_cli.measure.fills import Causes, Owed, causes, compare
from backtestkit_cli.model.event import CloseReason
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.policy import PRESETS, Costs, FillPolicy, Policy, ReferencePolicy
from backtestkit_cli.model.trade import pnl_percent

STOP, PROFIT, EXPIRED = CloseReason.STOP_LOSS, CloseReason.TAKE_PROFIT, CloseReason.TIME_EXPIRED


def under(policy: Policy, *made: Deal, **changed: object) -> RunResult:
    return run(stream(*made), policy=policy, **changed)


def test_equal_trades_differ_by_nothing() -> None:
    made = trades(Deal(price_close=103.0), Deal(opened_hours=2, price_close=99.0, reason=STOP))
    assert causes(made, made, NO_COSTS) == Causes(shared_trades=2)


def test_a_shared_trade_is_told_by_its_entry_then_its_exit_price() -> None:
    here = trades(Deal(price_open=100.0, price_close=110.0, reason=EXPIRED))
    there = trades(Deal(price_open=125.0, price_close=100.0, reason=EXPIRED))
    # at the other's exit: 0 % from 100 against -20 % from 125; then +10 % at its own exit
    assert causes(here, there, NO_COSTS) == Causes(shared_trades=1, entry_price=20.0, exit_price=10.0)


def test_another_exit_reason_takes_the_whole_exit() -> None:
    here = trades(Deal(is_long=False, price_open=100.0, price_close=90.0, reason=PROFIT))
    there = trades(Deal(is_long=False, price_open=100.0, price_close=110.0, reason=STOP))
    assert causes(here, there, NO_COSTS) == Causes(shared_trades=1, exit_reason=20.0)


def test_trades_of_one_policy_alone_count_whole() -> None:
    here = trades(Deal(pnl=2.0), Deal(pnl=-0.5, opened_hours=4))
    there = trades(Deal(pnl=2.0), Deal(pnl=1.5, opened_hours=2), Deal(pnl=-3.0, opened_hours=6))
    found = causes(here, there, NO_COSTS)
    assert (found.shared_trades, found.own_trades, found.others_trades) == (1, 1, 2)
    assert (found.own, found.others) == (-0.5, 1.5)


def test_another_side_at_the_same_time_is_another_trade() -> None:
    here, there = trades(Deal(pnl=1.0)), trades(Deal(pnl=0.25, is_long=False))
    found = causes(here, there, NO_COSTS)
    assert (found.shared_trades, found.own, found.others) == (0, 1.0, -0.25)


def test_nothing_against_nothing_is_nothing() -> None:
    assert causes(trades(), trades(), NO_COSTS) == Causes()
    assert causes(trades(Deal(pnl=1.0)), trades(), NO_COSTS) == Causes(own_trades=1, own=1.0)


def test_the_parts_add_up_to_the_whole_difference() -> None:
    random, costs = Random(3), Costs(fee_percent=0.07, slippage_percent=0.13)
    for _ in range(200):
        here, there = ([_deal(random, hour, costs) for hour in range(40) if random.random() < 0.7] for _ in "ab")
        found = compare([run(stream(*made, costs=costs), costs=costs) for made in (there, here)]).streams[0].fills[1]
        assert found.causes.points == pytest.approx(found.difference_points, abs=1e-10)
        assert found.causes.shared_trades + found.causes.own_trades == found.trades


def _deal(random: Random, hour: int, costs: Costs) -> Deal:
    is_long, entry, close = random.random() < 0.5, random.uniform(95, 105), random.uniform(95, 105)
    return Deal(
        pnl=pnl_percent(is_long, entry, close, costs),
        opened_hours=hour,
        hours=0.5,
        is_long=is_long,
        price_open=entry,
        price_close=close,
        reason=random.choice((STOP, PROFIT, EXPIRED)),
    )


def test_figures_stand_beside_those_of_the_configured_policy() -> None:
    runs = [
        under(PRESETS["honest"], Deal(pnl=1.0), Deal(pnl=-2.0, opened_hours=2), Deal(pnl=0.5, opened_hours=4)),
        under(PRESETS["vwap"], Deal(pnl=1.5), Deal(pnl=-1.0, opened_hours=2)),
        under(ReferencePolicy()),
    ]
    honest, vwap, reference = compare(runs).streams[0].fills
    assert (honest.policy, honest.trades, honest.pnl_percent, honest.difference_points) == ("honest", 3, -0.5, 0.0)
    assert (honest.is_optimistic, vwap.is_optimistic, reference.is_optimistic) == (False, True, True)
    assert honest.win_rate_percent == pytest.approx(200 / 3)
    assert (honest.max_drawdown_percent, vwap.max_drawdown_percent) == (2.0, 1.0)
    assert (vwap.pnl_percent, vwap.difference_points, vwap.win_rate_percent) == (0.5, 1.0, 50.0)
    assert (vwap.causes.shared_trades, vwap.causes.others) == (2, -0.5)
    assert (reference.trades, reference.difference_points, reference.win_rate_percent) == (0, 0.5, None)


def test_all_streams_together_are_measured_in_order_of_closing() -> None:
    def both(policy: Policy, first: float, second: float) -> RunResult:
        streams = stream(Deal(pnl=first, opened_hours=4)), stream(Deal(pnl=second), symbol="ETHUSDT")
        return run(*streams, policy=policy)

    found = compare([both(PRESETS["honest"], 1.0, -2.0), both(PRESETS["touch"], 1.5, -1.0)])
    assert [(one.strategy, one.symbol) for one in found.streams] == [("ema-cross", "BTCUSDT"), ("ema-cross", "ETHUSDT")]
    honest, touch = found.total.fills
    assert (honest.pnl_percent, honest.max_drawdown_percent) == (-1.0, 2.0)
    assert (touch.pnl_percent, touch.difference_points, touch.trades) == (0.5, 1.5, 2)
    assert touch.causes == sum((one.fills[1].causes for one in found.streams), Causes())


def test_an_optimistic_policy_owes_what_shared_trades_brought_more() -> None:
    honest = under(PRESETS["honest"], Deal(pnl=1.0), Deal(pnl=-2.0, opened_hours=2))
    vwap = under(PRESETS["vwap"], Deal(pnl=1.5), Deal(pnl=4.0, opened_hours=6))
    owed = compare([honest, vwap]).owed
    assert owed == Owed(policy="vwap", pnl_percent=5.5, honest_percent=-1.0, fills_points=0.5, other_points=6.0)


def test_the_configured_policy_is_spoken_of_if_it_is_optimistic_else_the_one_that_owes_most() -> None:
    at_level = under(FillPolicy(stop_at="level"), Deal(pnl=1.1))
    others = [under(PRESETS["honest"], Deal(pnl=1.0)), under(PRESETS["vwap"], Deal(pnl=1.5))]
    for runs, expected in (([at_level, *others], "honest, stop_at: level"), ([*others, at_level], "vwap")):
        owed = compare(runs).owed
        assert owed is not None
        assert owed.policy == expected


def test_nothing_is_owed_where_there_is_nothing_to_compare() -> None:
    honest, touch, vwap = (under(PRESETS[name], Deal(pnl=1.0)) for name in ("honest", "touch", "vwap"))
    assert compare([honest, touch]).owed is None
    assert compare([touch, vwap]).owed is None


def test_rows_off_the_grid_are_added_up() -> None:
    made = run(stream(funnel=Funnel(off_grid=2)), stream(symbol="ETHUSDT", funnel=Funnel(off_grid=3)))
    found = compare([made])
    assert ([one.fills[0].off_grid for one in found.streams], found.total.fills[0].off_grid) == ([2, 3], 5)


def test_a_comparison_says_whether_money_stands_beside_it() -> None:
    made = stream(Deal(pnl=1.0))
    both = [run(made, policy=PRESETS[name]) for name in ("honest", "touch")]
    assert not compare(both).is_beside_money
    assert compare([run(made, policy=PRESETS["honest"], balance=1000.0), both[1]]).is_beside_money
    assert not compare([both[0], run(made, policy=PRESETS["touch"], balance=1000.0)]).is_beside_money
