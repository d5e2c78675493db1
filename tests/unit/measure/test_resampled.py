"""Other orders of trades and other draws of days: worked by hand where that is possible, and their laws."""

import numpy as np
import pytest
from make import deals, stream

from backtestkit_cli.engine.trades import Trades
from backtestkit_cli.measure.resampled import resampled_days, shuffled_trades, spread_of


def trades(*percents: float) -> Trades:
    return stream(*deals(*percents)).result.trades


def test_a_spread_holds_nine_of_ten_draws() -> None:
    found = spread_of(np.arange(101.0))
    assert (found.low, found.middle, found.high) == (5.0, 50.0, 95.0)


def test_of_two_trades_half_of_the_orders_fall_first() -> None:
    # -1 then 3 falls by 1 below the start, 3 then -1 by 1 below its peak: it is the same; of -1 1 -1 it is not
    both = shuffled_trades(trades(-1.0, 3.0), seed=1)
    assert both is not None
    assert both.drawdown_percent == pytest.approx(1.0)
    assert both.share_deeper == 0.0
    # 1 -1 -1 falls by 2, as -1 -1 1 does, and -1 1 -1 by 1: two orders of three
    three = shuffled_trades(trades(1.0, -1.0, -1.0), seed=1)
    assert three is not None
    assert three.drawdown_percent == pytest.approx(2.0)
    assert three.share_deeper == 0.0
    kind = shuffled_trades(trades(-1.0, 1.0, -1.0), seed=1)
    assert kind is not None
    assert kind.share_deeper == pytest.approx(2 / 3, abs=0.05)
    assert three.spread.low == pytest.approx(1.0)
    assert three.spread.high == pytest.approx(2.0)


def test_trades_that_all_gain_never_fall() -> None:
    found = shuffled_trades(trades(1.0, 2.0, 3.0), seed=1)
    assert found is not None
    assert (found.drawdown_percent, found.spread.high) == (0.0, 0.0)


@pytest.mark.parametrize("percents", [(), (1.0,)])
def test_fewer_than_two_trades_have_no_order(percents: tuple[float, ...]) -> None:
    assert shuffled_trades(trades(*percents), seed=1) is None


def test_days_drawn_again_lie_about_those_there_were() -> None:
    changes = np.random.default_rng(1).normal(0.2, 1.0, 200)
    found = resampled_days(changes, seed=3)
    assert found is not None
    assert found.sharpe is not None
    error = changes.std(ddof=1) * np.sqrt(200)
    assert found.pnl_percent.middle == pytest.approx(changes.sum(), abs=0.15 * error)
    assert found.pnl_percent.high - found.pnl_percent.low == pytest.approx(2 * 1.645 * error, rel=0.25)
    sharpe = changes.mean() / changes.std(ddof=1) * np.sqrt(365)
    assert found.sharpe.low < sharpe < found.sharpe.high
    assert 0 < found.share_of_loss < 0.1
    assert resampled_days(changes, seed=3) == found
    assert resampled_days(changes, seed=4) != found


def test_days_that_do_not_differ_have_no_sharpe_ratio() -> None:
    found = resampled_days(np.full(30, 0.5), seed=1)
    assert found is not None
    assert found.sharpe is None
    assert found.pnl_percent.low == found.pnl_percent.high == pytest.approx(15.0)
    assert found.share_of_loss == 0.0


def test_a_few_days_are_not_drawn_again() -> None:
    assert resampled_days(np.arange(19.0), seed=1) is None
