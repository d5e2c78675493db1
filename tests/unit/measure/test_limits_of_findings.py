"""Exactly where a finding begins, and how it counts."""

from typing import Any

import pytest
from make import HOUR_MS, START_MS, WEEK, Deal, candle_use, deals, run, stream

from backtestkit_cli.engine.result import StreamRun
from backtestkit_cli.measure.no_trade import explain_no_trade
from backtestkit_cli.measure.trust import Finding, trust
from backtestkit_cli.model.event import CancelReason
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.policy import Costs
from backtestkit_cli.model.time import MINUTE_MS


def found(one: StreamRun) -> dict[str, Finding]:
    return {finding.code: finding for finding in trust(one, run(one))}


def test_the_stake_is_lost_above_one_hundred_percent() -> None:
    assert "more-than-the-stake" not in found(stream(-60.0, -40.0))
    assert "more-than-the-stake" in found(stream(-60.0, -40.5))


def test_a_position_of_all_the_equity_needs_no_borrowed_money() -> None:
    def told(quantity: float) -> bool:
        one = stream(Deal(pnl=0.0, quantity=quantity), sizing="careful")
        return "borrowed-money" in {finding.code for finding in trust(one, run(one, balance=1000.0))}

    assert [told(quantity) for quantity in (9.95, 10.0, 10.05)] == [False, False, True]


def test_costs_of_exactly_half_the_gross_profit_are_no_warning() -> None:
    costs = Costs(fee_percent=0.25, slippage_percent=0.0)
    half = stream(Deal(pnl=0.5, price_close=101.0), costs=costs)
    assert found(half)["costs"].level == "info"
    more = stream(Deal(pnl=0.49, price_close=101.0), costs=costs)
    assert found(more)["costs"].level == "warning"


def test_no_gross_profit_is_a_loss_without_costs() -> None:
    even = stream(Deal(pnl=-0.5, price_close=100.0), costs=Costs(fee_percent=0.25, slippage_percent=0.0))
    assert found(even)["costs"].text == "before costs +0.00 %, after costs -0.50 %; it loses without costs too"


def test_lag_without_a_net_profit_has_no_share_of_it() -> None:
    even = stream(Deal(pnl=1.0, lag=0.5), Deal(pnl=-1.0, lag=0.5, opened_hours=3))
    told = found(even)["vwap-lag"]
    assert (told.level, told.text) == (
        "info",
        "with market fills at the VWAP the result would look 1.00 points better; these fills leave that out",
    )
    none = found(stream(Deal(pnl=1.0, lag=0.0)))["vwap-lag"].text
    assert none == "with market fills at the VWAP the result would look 0.00 points better; these fills leave that out"
    gain = found(stream(Deal(pnl=1.0, lag=0.5)))["vwap-lag"].text
    assert gain.startswith(
        "with market fills at the VWAP the result would look 0.50 points better (50 % of the net profit)"
    )


@pytest.mark.parametrize(("decisions", "bridged", "level"), [(3, 0, "info"), (0, 1, "warning"), (2, 1, "warning")])
def test_filled_in_minutes_are_told_of_decisions_and_of_trades(decisions: int, bridged: int, level: str) -> None:
    made = [*deals(1.0), *[Deal(opened_hours=9, is_bridged=True)] * bridged]
    told = found(stream(*made, bridged_decisions=decisions))["bridged"]
    share = f" of {len(made)}" if bridged else ""
    nouns = "decision" if decisions == 1 else "decisions"
    assert told.level == level
    assert told.text.startswith(
        f"{decisions} {nouns} and {bridged} {'trade' if bridged == 1 else 'trades'}{share} rest"
    )


def test_candles_that_are_not_there_at_all_have_no_share_of_missing_ones() -> None:
    nothing = candle_use(missing_minutes=5, history_start_ms=START_MS, data_end_ms=START_MS)
    assert "missing-minutes" not in found(stream(1.0, candles=nothing))
    minute = candle_use(missing_minutes=1, history_start_ms=START_MS, data_end_ms=START_MS + MINUTE_MS)
    assert found(stream(1.0, candles=minute))["missing-minutes"].text == "no candle for 1 minute of 1 (1e+02 %)"


def test_missing_minutes_are_counted_up_to_the_end_of_the_range() -> None:
    use = candle_use(missing_minutes=7, history_start_ms=START_MS, data_end_ms=WEEK.end_ms + HOUR_MS)
    assert "of 10080 (" in found(stream(1.0, candles=use))["missing-minutes"].text


@pytest.mark.parametrize("code", ["rows-off-grid", "invalid-drafts", "errors"])
def test_what_did_not_count_is_no_finding_of_a_stream_that_opened_nothing(code: str) -> None:
    funnel = Funnel(ticks=9, no_draft=5, drafts=2, invalid=2, errors=2, off_grid=3)
    funnel.invalid_by_rule["long_tp_too_close"] = 2
    codes = found(stream(funnel=funnel))
    assert (code in codes) is (code == "errors")


def test_failed_decisions_of_a_stream_without_a_draft_are_explained_elsewhere() -> None:
    assert "errors" not in found(stream(funnel=Funnel(ticks=2, errors=2)))


def explained(form: str = "rules", missing: int = 0, **counts: Any) -> tuple[str, ...]:
    funnel = Funnel(**counts)
    one = stream(funnel=funnel, form=form, candles=candle_use(missing_minutes=missing))
    assert funnel.broken_sums() == []
    return explain_no_trade(funnel, one)


def test_a_gate_is_told_from_a_tenth_of_the_decisions_on() -> None:
    both = "of 20 decisions had long and short true at once, which is no draft: make the two exclude each other"
    warm = "of 20 decisions fell into the warm-up: use candles from earlier on without holes, or shorter windows"
    assert explained(ticks=20, ambiguous=2, no_draft=18)[1:] == (f"2 {both}",)
    assert len(explained(ticks=20, ambiguous=1, no_draft=19)) == 1
    assert explained(ticks=20, warm_up=2, no_draft=18)[1:] == (f"2 {warm}",)
    assert len(explained(ticks=20, warm_up=1, no_draft=19)) == 1


def test_each_gate_alone_is_the_whole_explanation() -> None:
    assert explained(ticks=3, errors=3) == (
        "all 3 decisions failed: the strategy raised, or answered something that is no draft",
    )
    assert explained(ticks=3, warm_up=3, missing=4) == (
        (
            "all 3 decisions fell into the warm-up: holes start it again: use candles from earlier on without holes, "
            "or shorter windows"
        ),
    )
    assert explained() == ("the range holds no decision time: choose a longer one",)
    assert explained(ticks=3, stopped=3) == ("the run was stopped before the first decision time",)
    assert explained(ticks=3, stopped=1, no_price=2) == (
        "2 of 3 decision times had no fresh price: candles are missing there; audit them, or choose another range",
    )


def test_decisions_that_were_missed_are_counted_of_all() -> None:
    late = "were learnt of too late: look whether the exchange and the clock are on time"
    assert explained(ticks=5, missed=3, no_price=2) == (f"3 of 5 decision times {late}",)


def test_a_single_row_off_the_grid_is_one() -> None:
    told = explained(ticks=9, no_draft=9, off_grid=1, form="signals")
    assert told[-1] == "1 row of the strategy met no decision time: see its interval and the range"


def test_waits_given_up_do_not_hide_what_else_was_refused() -> None:
    funnel = Funnel(ticks=4, drafts=4, scheduled=1, invalid=1, risk=1)
    funnel.cancelled[CancelReason.WAIT_OVER] = 1
    funnel.invalid_by_rule["long_sl_too_far"] = 1
    funnel.risk_by_profile["calm"] = 1
    funnel.no_quantity_by_rule["atr_unknown"] = 1
    told = explain_no_trade(funnel, stream(funnel=funnel))
    assert [one.partition(":")[0] for one in told] == [
        "the only limit entry was given up (wait_over)",
        "1 of 4 drafts got no quantity",
        "1 of 4 drafts was refused by the risk profile calm",
        "1 of 4 drafts was invalid; 1× long_sl_too_far",
    ]
