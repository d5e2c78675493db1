"""Money: what sized trades made of a balance, worked by hand."""

from dataclasses import replace

import numpy as np
import pytest
from make import HOUR_MS, START_MS, WEEK, Deal, candle_use, run, stream, trades

from backtestkit_cli.engine.result import StreamRun
from backtestkit_cli.measure.equity import DailyEquity, monthly, run_equity, run_hold, stream_equity, stream_hold
from backtestkit_cli.measure.money import AT_EQUAL_STAKES, max_exposure_percent, money_metrics, unsized_metrics
from backtestkit_cli.measure.statistics import calmar_ratio, daily_drawdown, run_metrics, stream_metrics
from backtestkit_cli.measure.trust import trust, trust_together
from backtestkit_cli.model.event import CloseReason
from backtestkit_cli.model.policy import Costs
from backtestkit_cli.model.time import DAY_MS

BALANCE = 1000.0
STOPPED_AT_ONCE = Deal(pnl=-5.0, quantity=8.0, hours=0, reason=CloseReason.STOP_LOSS)


def sized(*made: Deal, prices: tuple[float | None, ...] = (100.0,) * 7, symbol: str = "BTCUSDT") -> StreamRun:
    return stream(*made, symbol=symbol, candles=candle_use(daily_prices=prices), sizing="careful")


def money(*made: Deal) -> dict[str, float | int | None]:
    return {metric.key: metric.value for metric in money_metrics(trades(*made), BALANCE)}


def test_a_trade_brings_its_percent_of_what_its_entry_was_worth() -> None:
    found = money(Deal(pnl=2.0, quantity=3.0), Deal(pnl=-1.0, opened_hours=5, quantity=4.0))
    assert found == {
        "pnl_quote": pytest.approx(3 * 100 * 0.02 - 4 * 100 * 0.01),
        "return_percent": pytest.approx(0.2),
        "balance_drawdown_quote": pytest.approx(4.0),
        "balance_drawdown_percent": pytest.approx(100 * 4 / 1006),
        "max_exposure_percent": pytest.approx(100 * 400 / 1006),
    }


@pytest.mark.parametrize(
    ("made", "percent"),
    [
        pytest.param([], 0.0, id="no trade"),
        pytest.param([Deal(pnl=0.0, quantity=2.0)], 20.0, id="one position"),
        pytest.param(
            [Deal(pnl=0.0, quantity=2.0, hours=3), Deal(pnl=0.0, quantity=1.0, opened_hours=2)], 30.0, id="both"
        ),
        pytest.param(
            [Deal(pnl=0.0, quantity=2.0, hours=2), Deal(pnl=0.0, quantity=1.0, opened_hours=2)], 20.0, id="in turn"
        ),
        pytest.param(
            [Deal(pnl=0.0, quantity=2.0, is_long=False, hours=3), Deal(pnl=0.0, quantity=1.0)], 30.0, id="sides add"
        ),
        pytest.param(
            [Deal(pnl=-50.0, quantity=10.0), Deal(pnl=0.0, quantity=5.0, opened_hours=1)], 100.0, id="of the equity"
        ),
        pytest.param(
            [Deal(pnl=-100.0, quantity=10.0), Deal(pnl=0.0, quantity=1.0, opened_hours=1)], np.inf, id="spent"
        ),
        pytest.param(
            [Deal(pnl=-99.95, quantity=10.0), Deal(pnl=0.0, quantity=0.01, opened_hours=1)], 200.0, id="nearly spent"
        ),
        pytest.param([STOPPED_AT_ONCE], 80.0, id="closed in the instant it opened"),
        pytest.param([STOPPED_AT_ONCE, STOPPED_AT_ONCE], 100 * 800 / 960, id="one after the other"),
        pytest.param([Deal(pnl=0.0, quantity=5.0), STOPPED_AT_ONCE], 80.0, id="what a decision opens comes last"),
        pytest.param(
            [
                Deal(pnl=0.0, quantity=2.0, hours=2, reason=CloseReason.END_OF_DATA),
                Deal(pnl=0.0, quantity=1.0, opened_hours=2),
            ],
            30.0,
            id="the end of data comes last",
        ),
    ],
)
def test_exposure_is_the_worth_of_open_positions_against_the_equity(made: list[Deal], percent: float) -> None:
    assert max_exposure_percent(trades(*made), BALANCE) == pytest.approx(percent)


def test_an_account_is_marked_with_what_open_positions_are_worth() -> None:
    made = Deal(pnl=5.0, quantity=2.0, opened_hours=12, hours=60)
    found = stream_equity(sized(made, prices=(101.0, 97.0, 103.0, 1.0, 1.0, 1.0, 1.0)), WEEK, BALANCE)
    assert found.is_money
    assert found.values.tolist() == pytest.approx([1000, 1002, 994, 1010, 1010, 1010, 1010, 1010])
    assert found.changes.tolist() == pytest.approx([0.2, -100 * 8 / 1002, 100 * 16 / 994, 0, 0, 0, 0])


def test_streams_share_one_balance_and_the_unsized_are_no_part_of_it() -> None:
    first, second = sized(Deal(pnl=2.0, quantity=1.0)), sized(Deal(pnl=-1.0, quantity=4.0), symbol="ETHUSDT")
    beside = stream(Deal(pnl=50.0), symbol="XRPUSDT")
    whole = run(first, second, beside, balance=BALANCE)
    assert run_equity(whole).values[-1] == pytest.approx(998.0)
    found = {metric.key: metric.value for metric in run_metrics(whole)}
    assert found["pnl_quote"] == pytest.approx(-2.0)
    assert found["trades"] == 3
    alone = {metric.key: metric.value for metric in stream_metrics(beside, WEEK, BALANCE)}
    assert "pnl_quote" not in alone
    assert (whole.part((first, beside)).balance, whole.part((beside,)).balance) == (BALANCE, None)
    codes = [finding.code for finding in trust(beside, whole)]
    assert "not-sized" in codes
    assert "not-sized" not in [finding.code for finding in trust(first, whole)]


def account(*values: float) -> DailyEquity:
    times = START_MS + np.arange(len(values)) * DAY_MS
    return DailyEquity(times_ms=times, values=np.array(values), is_money=True)


def test_days_and_months_of_money_are_percents_of_what_they_began_with() -> None:
    assert account(1000, 1100, 990).changes.tolist() == pytest.approx([10, -10])
    ((month, percent, worth),) = monthly(account(1000, 1100, 990))
    assert (month, round(percent, 12), worth) == ("2023-03", -1.0, 990.0)


def test_an_account_that_is_spent_moves_no_more() -> None:
    assert account(1000, 0, 0, 50).changes.tolist() == [-100, 0, 0]


def test_a_drawdown_of_money_is_percent_of_its_peak() -> None:
    found = daily_drawdown(account(1000, 2000, 1500, 1900, 2100, 1890))
    assert (found.depth_percent, found.length_days) == (25.0, 3.0)
    assert calmar_ratio(account(1000, 2000, 1500)) == pytest.approx((100 - 25) / 2 * 365 / 25)


def test_what_needs_borrowed_money_is_a_warning() -> None:
    one = sized(Deal(pnl=1.0, quantity=15.0))
    (found,) = [finding for finding in trust(one, run(one, balance=BALANCE)) if finding.code == "borrowed-money"]
    assert found.level == "warning"
    assert "150 %" in found.text


def test_reasons_without_a_quantity_are_told() -> None:
    one = sized(Deal(pnl=1.0, quantity=1.0))
    one.result.funnel.no_quantity_by_rule["atr_unknown"] = 2
    texts = [finding.text for finding in trust(one, run(one, balance=BALANCE)) if finding.code == "no-quantity"]
    assert texts == ["2 drafts got no quantity (2 × the range is not known yet)"]
    for without in (sized(Deal(pnl=1.0, quantity=1.0)), sized()):
        assert "no-quantity" not in [finding.code for finding in trust(without, run(without, balance=BALANCE))]
    nothing = sized()
    nothing.result.funnel.no_quantity_by_rule["atr_unknown"] = 2
    assert "no-quantity" not in [finding.code for finding in trust(nothing, run(nothing, balance=BALANCE))]


def test_unsized_trades_have_no_money() -> None:
    assert {metric.reason for metric in unsized_metrics()} == {"nothing is sized"}
    assert np.isnan(trades(Deal()).pnl_quote).all()
    mixed = replace(trades(Deal(quantity=1.0), Deal(opened_hours=1)), notes=("a", "b"), ids=("1", "2"))
    kept = mixed.where(~np.isnan(mixed.quantity))
    assert (len(kept), kept.notes, kept.ids) == (1, ("a",), ("1",))
    assert kept.closed_ms.tolist() == [START_MS + HOUR_MS]
    assert mixed.where(np.array([True, True])) is mixed


def test_the_drawdown_of_money_is_of_closed_trades_from_the_peak() -> None:
    made = [
        Deal(pnl=10.0, quantity=10.0, hours=1),
        Deal(pnl=-5.0, quantity=10.0, opened_hours=2),
        Deal(pnl=-6.0, quantity=10.0, opened_hours=4),
        Deal(pnl=50.0, quantity=10.0, opened_hours=6),
        Deal(pnl=-11.2, quantity=10.0, opened_hours=8),
    ]
    found = money(*made)
    assert found["balance_drawdown_quote"] == pytest.approx(112.0)
    assert found["balance_drawdown_percent"] == pytest.approx(100 * 110 / 1100)
    assert money(Deal(pnl=1.0, quantity=1.0))["balance_drawdown_percent"] == 0.0


def test_beside_money_sums_of_percents_are_called_what_they_are() -> None:
    one = sized(Deal(pnl=2.0, quantity=3.0))
    labels = {metric.key: metric.label for metric in stream_metrics(one, WEEK, BALANCE)}
    assert {key: labels[key] for key in AT_EQUAL_STAKES} == dict(AT_EQUAL_STAKES)
    alone = {metric.key: metric.label for metric in stream_metrics(one, WEEK)}
    assert not set(AT_EQUAL_STAKES.values()) & set(alone.values())
    costs = Costs(fee_percent=0.1, slippage_percent=0.1)
    dear = stream(Deal(pnl=2.0, quantity=3.0), costs=costs, sizing="careful")
    for found in trust(dear, replace(run(dear, balance=BALANCE), costs=costs)):
        if found.code in ("costs", "vwap-lag"):
            assert found.text.startswith("at equal stakes: ")


def test_streams_that_borrow_only_together_are_warned_of() -> None:
    one, two = (sized(Deal(pnl=1.0, quantity=6.0), symbol=symbol) for symbol in ("BTCUSDT", "ETHUSDT"))
    both = run(one, two, balance=BALANCE)
    assert "borrowed-money" not in [finding.code for stream in both.streams for finding in trust(stream, both)]
    (found,) = trust_together(both)
    assert (found.level, found.code) == ("warning", "borrowed-money")
    assert "all streams together were worth up to 120 % of the equity" in found.text
    assert trust_together(both.part((one,))) == ()
    assert trust_together(run(one, two)) == ()
    spent = run(
        sized(Deal(pnl=-100.0, quantity=10.0)), sized(Deal(quantity=1.0, opened_hours=1), symbol="B"), balance=1000
    )
    assert "more than was left" in trust_together(spent)[0].text


def test_losses_beyond_the_stake_are_no_matter_of_a_balance() -> None:
    one = sized(*[Deal(pnl=-40.0, quantity=0.1, opened_hours=2 * place) for place in range(3)])
    assert "more-than-the-stake" not in [finding.code for finding in trust(one, run(one, balance=BALANCE))]
    assert "more-than-the-stake" in [finding.code for finding in trust(one, run(one))]


def test_worth_of_one_is_still_a_worth_and_a_debt_is_none() -> None:
    assert account(1, 1.5, 0.5, -1.0, 4.0).changes.tolist() == pytest.approx([50, -100 / 1.5, -300, 0])
    assert account(0.5, 1.0).changes.tolist() == [100.0]


def held(price_last: float, symbol: str = "BTCUSDT", *, sizing: str | None = "careful") -> StreamRun:
    """A stream without a trade, bought and held from 100 on."""
    used = candle_use(price_first=100.0, price_last=price_last, daily_prices=(100.0,) * 7)
    return stream(symbol=symbol, candles=used, sizing=sizing)


def test_buy_and_hold_of_money_stakes_the_whole_balance_in_equal_shares() -> None:
    first, second, beside = held(110.0), held(95.0, "ETHUSDT"), held(500.0, "XRPUSDT", sizing=None)
    whole = run(first, second, beside, balance=BALANCE)
    assert run_hold(whole).values[[0, 1, -1]].tolist() == pytest.approx([1000, 1000, 1000 + 500 * 0.10 - 500 * 0.05])
    assert run_hold(whole).is_money
    assert stream_hold(first, whole).values[-1] == pytest.approx(1100.0)
    assert stream_hold(beside, whole).values[-1] == pytest.approx(500.0)
    assert not stream_hold(beside, whole).is_money
    assert stream_equity(beside, WEEK, BALANCE).values[-1] == 100.0
