"""Each finding by the one thing that calls it forth, and the explanation of runs without a trade."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from make import HOUR_MS, NO_COSTS, START_MS, WEEK, Deal, candle_use, deals, run, stream

from backtestkit_cli.engine.doubt import Doubt
from backtestkit_cli.engine.draft import broken_rules
from backtestkit_cli.engine.drafts import DISTANCE_RULES
from backtestkit_cli.engine.result import RunResult, StreamRun
from backtestkit_cli.measure.no_trade import explain_no_trade, remedy
from backtestkit_cli.measure.trust import Finding, gross_pnl_percent, trust
from backtestkit_cli.model.event import CancelReason, CloseReason
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import PRESETS, Costs, FillPolicy, ReferencePolicy
from backtestkit_cli.model.time import Interval

MANY = deals(*([1.0, -0.5] * 20))
AHEAD = Doubt(
    code="looks-ahead", column="position", time_ms=START_MS, known="long", again=None, again_when="when it is cut"
)


def found(one: StreamRun, whole: RunResult | None = None) -> dict[str, Finding]:
    return {finding.code: finding for finding in trust(one, whole or run(one))}


def level_and_text(one: StreamRun, code: str) -> tuple[str, str]:
    finding = found(one)[code]
    return finding.level, finding.text


def test_a_long_clean_run_has_no_warning() -> None:
    findings = trust(stream(*MANY), run(stream(*MANY)))
    assert [(finding.level, finding.code) for finding in findings] == [("info", "vwap-lag")]


@pytest.mark.parametrize(
    ("policy", "is_warned"),
    [
        pytest.param(PRESETS["honest"], False, id="honest"),
        pytest.param(PRESETS["touch"], False, id="touch"),
        pytest.param(PRESETS["vwap"], True, id="vwap"),
        pytest.param(FillPolicy(stop_at="level"), True, id="stop at its level"),
    ],
)
def test_only_an_optimistic_policy_is_warned_of(policy: FillPolicy, is_warned: bool) -> None:
    assert ("optimistic-fills" in found(stream(*MANY, policy=policy))) is is_warned


@pytest.mark.parametrize(
    ("lag", "level"), [pytest.param(0.02, "info", id="a tenth"), pytest.param(0.0201, "warning", id="more")]
)
def test_vwap_lag_is_warned_of_above_a_tenth_of_the_net_profit(lag: float, level: str) -> None:
    made = [Deal(pnl=0.2, opened_hours=2 * place, lag=lag) for place in range(40)]
    assert found(stream(*made))["vwap-lag"].level == level


def test_vwap_lag_of_a_losing_run_is_only_stated() -> None:
    one = stream(*[Deal(pnl=-0.2, opened_hours=2 * place, lag=0.5) for place in range(40)])
    text = "with market fills at the VWAP the result would look 20.00 points better; these fills leave that out"
    assert level_and_text(one, "vwap-lag") == ("info", text)


def test_vwap_lag_that_was_booked_says_what_it_brought() -> None:
    one = stream(*[Deal(pnl=1.0, opened_hours=2 * place, lag=0.5) for place in range(40)], policy=PRESETS["vwap"])
    text = "booking market fills at the VWAP, which lags behind the price, brought +20.00 % (50 % of the net profit)"
    assert level_and_text(one, "vwap-lag") == ("warning", text)


def test_ambiguous_minutes_name_the_profit_at_stake() -> None:
    one = stream(
        *MANY,
        Deal(pnl=-1.0, opened_hours=100, ambiguous_minutes=1, at_stake=3.0),
        Deal(pnl=-1.0, opened_hours=102, ambiguous_minutes=2, at_stake=2.0),
        policy=PRESETS["touch"],
    )
    text = (
        "what came first is unknown for 3 minutes in 2 trades; it was read as the stop, and the take profit would "
        "have brought +5.00 %"
    )
    assert level_and_text(one, "ambiguous-minutes") == ("info", text)


def test_ambiguous_minutes_read_as_profit_are_a_warning() -> None:
    policy = replace(PRESETS["touch"], order="profit_first")
    one = stream(*MANY, Deal(pnl=1.0, opened_hours=100, ambiguous_minutes=1), policy=policy)
    assert found(one)["ambiguous-minutes"].level == "warning"


def test_trades_on_filled_in_minutes_are_a_warning() -> None:
    one = stream(
        *MANY,
        Deal(pnl=1.0, opened_hours=100, is_bridged=True),
        bridged_decisions=3,
        candles=candle_use(bridged_minutes=12),
    )
    text = "3 decisions and 1 trade of 41 rest on filled-in minutes (12 minutes were filled in)"
    assert level_and_text(one, "bridged") == ("warning", text)


@pytest.mark.parametrize(
    ("missing", "level", "share"), [(102, "info", "1 %"), (103, "warning", "1 %"), (1020, "warning", "10 %")]
)
def test_missing_minutes_are_warned_of_above_one_percent(missing: int, level: str, share: str) -> None:
    one = stream(*MANY, candles=candle_use(missing_minutes=missing, history_start_ms=WEEK.start_ms - 2 * HOUR_MS))
    text = f"no candle for {missing} minutes of 10200 ({share})"
    assert level_and_text(one, "missing-minutes") == (level, text)


def test_candles_that_do_not_cover_the_range_are_a_warning() -> None:
    one = stream(*MANY, candles=candle_use(history_start_ms=START_MS + HOUR_MS, data_end_ms=WEEK.end_ms - HOUR_MS))
    assert level_and_text(one, "candles-begin-late")[1] == "the candles begin only at 2023-03-01T01:00Z"
    assert level_and_text(one, "candles-end-early")[1] == "the candles end already at 2023-03-07T23:00Z"


@pytest.mark.parametrize(("count", "is_warned"), [(1, True), (29, True), (30, False)])
def test_fewer_than_thirty_trades_are_a_small_sample(count: int, is_warned: bool) -> None:
    assert ("small-sample" in found(stream(*deals(*[1.0] * count)))) is is_warned


@pytest.mark.parametrize(
    ("counts", "code", "level"),
    [
        pytest.param({"short_history": 7}, "short-history", "info", id="short history"),
        pytest.param({"errors": 2}, "errors", "warning", id="failed decisions"),
        pytest.param({"off_grid": 1}, "rows-off-grid", "warning", id="rows that met no decision time"),
        pytest.param({"late": 1}, "rows-late", "info", id="rows while busy"),
    ],
)
def test_what_the_funnel_counts_is_told(counts: dict[str, int], code: str, level: str) -> None:
    one = stream(*MANY, form="signals")
    for name, count in counts.items():
        setattr(one.result.funnel, name, count)
    one.result.funnel.ticks += counts.get("errors", 0)
    assert found(one)[code].level == level


def test_rows_outside_of_the_range_are_no_warning() -> None:
    def rows(off_grid: int, outside: int) -> StreamRun:
        one = stream(*MANY, form="signals", rows_outside=outside)
        one.result.funnel.off_grid = off_grid
        return one

    assert "rows-off-grid" not in found(rows(5, 5))
    assert found(rows(5, 4))["rows-off-grid"].text.startswith("1 row of the strategy met no decision time")


def test_rules_that_fire_while_a_position_is_there_are_no_finding() -> None:
    one = stream(*MANY)
    one.result.funnel.late = 5
    assert "rows-late" not in found(one)


def test_positions_closed_by_the_end_of_data_are_a_warning() -> None:
    one = stream(*MANY, Deal(pnl=1.0, opened_hours=100, reason=CloseReason.END_OF_DATA))
    assert level_and_text(one, "end-of-data") == ("warning", "1 position closed only because the candles ended")


COSTS = Costs(fee_percent=0.1, slippage_percent=0.0)


@pytest.mark.parametrize(
    ("gross", "level", "ending"),
    [
        pytest.param(0.4, "info", "costs take 50 % of the gross profit", id="half"),
        pytest.param(0.3, "warning", "costs take 67 % of the gross profit", id="more than half"),
        pytest.param(0.1, "warning", "costs take 200 % of the gross profit", id="more than all"),
        pytest.param(-0.1, "info", "it loses without costs too", id="a loss anyway"),
    ],
)
def test_costs_are_told_as_a_share_of_the_gross_profit(gross: float, level: str, ending: str) -> None:
    net = gross - 0.2 + (1e-9 if gross == 0.4 else 0.0)
    made = [Deal(pnl=net, opened_hours=2 * place, price_close=100 + gross) for place in range(40)]
    finding = found(stream(*made, costs=COSTS))["costs"]
    assert finding.level == level
    assert finding.text.endswith(ending)


def test_gross_pnl_of_a_short_gains_when_the_price_falls() -> None:
    one = stream(Deal(pnl=1.5, is_long=False, price_open=100.0, price_close=98.0))
    assert gross_pnl_percent(one.result.trades) == pytest.approx(2.0, rel=1e-12)


def test_warnings_of_the_stream_are_findings_and_warnings_come_first() -> None:
    findings = trust(stream(*MANY, warnings=("half of the grid",)), run(stream(*MANY)))
    assert findings[0] == Finding("warning", "from-the-run", "half of the grid")
    levels = [finding.level for finding in findings]
    assert levels == sorted(levels, key=lambda level: level != "warning")


def empty(form: str = "rules", **counts: Any) -> tuple[str, ...]:
    funnel = Funnel()
    for name, count in counts.items():
        setattr(funnel, name, count)
    one = stream(funnel=funnel, form=form)
    assert not one.result.funnel.broken_sums(), "the case is no whole funnel"
    return explain_no_trade(funnel, one)


def test_decisions_without_a_draft_are_blamed_on_the_conditions() -> None:
    assert empty(ticks=1984, no_draft=1984) == (
        (
            "all 1984 decisions had no draft: the conditions were never true at the same time; loosen one of them, or "
            "look at a longer range"
        ),
    )


def test_invalid_drafts_are_blamed_on_each_rule_they_broke() -> None:
    funnel = Funnel(ticks=20, no_draft=8, drafts=12, invalid=12)
    funnel.invalid_by_rule.update({"short_sl_too_far": 2, "long_tp_too_close": 12})
    first, second = explain_no_trade(funnel, stream(funnel=funnel))
    assert first.startswith("all 12 drafts were invalid; 12× long_tp_too_close: the take profit is nearer")
    assert "limits.min_take_profit_percent" in first
    assert second.startswith("all 12 drafts were invalid; 2× short_sl_too_far: the stop loss is farther")


def test_waiting_entries_are_blamed_on_what_ended_them() -> None:
    funnel = Funnel(ticks=5, busy=2, drafts=3, scheduled=3)
    funnel.cancelled.update({CancelReason.WAIT_OVER: 2, CancelReason.STOP_LEVEL: 1})
    assert explain_no_trade(funnel, stream(funnel=funnel)) == (
        (
            "2 of 3 limit entries were given up (wait_over): the price never came to the limit: place it nearer, or "
            "wait longer"
        ),
        (
            "1 of 3 limit entries was given up (stop_level): the price ran through to the stop loss first: place the "
            "stop loss farther away"
        ),
    )


def test_drafts_refused_by_risk_name_the_profile() -> None:
    funnel = Funnel(ticks=5, drafts=5, risk=4, invalid=1)
    funnel.risk_by_profile["calm"] = 4
    funnel.invalid_by_rule["long_tp_too_close"] = 1
    first, second = explain_no_trade(funnel, stream(funnel=funnel))
    assert first == "4 of 5 drafts were refused by the risk profile calm: see its limits"
    assert second.startswith("1 of 5 drafts was invalid; 1× long_tp_too_close")


@pytest.mark.parametrize("reason", CancelReason)
def test_every_reason_to_give_up_an_entry_has_its_remedy(reason: CancelReason) -> None:
    funnel = Funnel(ticks=1, drafts=1, scheduled=1)
    funnel.cancelled[reason] = 1
    (told,) = explain_no_trade(funnel, stream(funnel=funnel))
    assert told.startswith(f"the only limit entry was given up ({reason.value}): ")


@pytest.mark.parametrize(
    ("counts", "part"),
    [
        pytest.param({"ticks": 9, "no_price": 9}, "all 9 decision times had no fresh price", id="no price"),
        pytest.param({"ticks": 9, "stopped": 9}, "stopped before", id="stopped"),
        pytest.param({}, "holds no decision time", id="no tick"),
        pytest.param({"ticks": 9, "warm_up": 9}, "all 9 decisions fell into the warm-up", id="warm-up"),
        pytest.param({"ticks": 9, "ambiguous": 9}, "long and short true at once", id="both sides"),
        pytest.param({"ticks": 1, "errors": 1}, "the only decision failed", id="failed"),
        pytest.param({"ticks": 9, "no_draft": 9, "form": "signals"}, "row of the signals", id="signals"),
        pytest.param({"ticks": 9, "no_draft": 9, "form": "decision"}, "answered None", id="function"),
    ],
)
def test_the_gate_that_took_the_decisions_is_named(counts: dict[str, Any], part: str) -> None:
    assert part in empty(**counts)[0]


def test_a_stream_without_a_trade_is_warned_of_and_one_with_a_trade_needs_no_explanation() -> None:
    assert level_and_text(stream(funnel=Funnel()), "no-trade")[0] == "warning"
    one = stream(1.0)
    assert explain_no_trade(one.result.funnel, one) == ()


def test_rows_off_the_grid_are_named_when_nothing_else_came() -> None:
    told = empty(ticks=9, no_draft=9, off_grid=4, form="signals")
    assert told[-1] == "4 rows of the strategy met no decision time: see its interval and the range"


def test_every_validation_rule_has_its_remedy() -> None:
    one = np.array([1.0])
    rules = broken_rules(
        is_long=np.array([True]),
        is_scheduled=np.array([True]),
        price=one,
        price_open=one,
        take_profit=one,
        stop_loss=one,
        lifetime=one,
        wait=one,
        limits=Limits(long_only=True),
    )
    names = [name for name, _ in rules] + [name for _, name in DISTANCE_RULES]
    assert len(names) > 30
    assert [name for name in names if remedy(name) == remedy("something else")] == []


def test_no_costs_need_no_word() -> None:
    assert "costs" not in found(stream(*MANY, costs=NO_COSTS))


def test_a_made_up_market_is_called_so() -> None:
    told = run(stream(1.0), is_made_up=True)
    assert ("info", "made-up-market") in [(one.level, one.code) for one in trust(told.streams[0], told)]
    assert "made-up-market" not in [one.code for one in trust(told.streams[0], run(stream(1.0)))]


def test_losses_beyond_the_stake_are_a_warning() -> None:
    ruined, poor = run(stream(-60.0, -41.0)), run(stream(-60.0, -39.0))
    assert "more-than-the-stake" in [one.code for one in trust(ruined.streams[0], ruined) if one.level == "warning"]
    assert "more-than-the-stake" not in [one.code for one in trust(poor.streams[0], poor)]


def test_some_invalid_drafts_are_a_warning_with_their_rules() -> None:
    funnel = stream(1.0).result.funnel
    funnel.drafts += 1
    funnel.ticks += 1
    funnel.refuse(("long_tp_too_close",))
    told = run(stream(1.0, funnel=funnel))
    (found,) = [one for one in trust(told.streams[0], told) if one.code == "invalid-drafts"]
    assert found.text == "1 of 2 drafts broke the limits and did not count (1 × long_tp_too_close)"


ROWS = "3 rows of the strategy met no decision time of the range and did not count"
DRIFT = ": the original asks so long after its last call, and after a trade that drifts off the rows"


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        pytest.param({}, ROWS, id="ours"),
        pytest.param({"policy": ReferencePolicy()}, f"{ROWS}{DRIFT}; with ticks of 15m it does not", id="the original"),
        pytest.param({"policy": ReferencePolicy(), "tick": Interval.M15}, ROWS + DRIFT, id="on the strategy's grid"),
        pytest.param({"policy": ReferencePolicy(), "tick": Interval.H1}, ROWS + DRIFT, id="on a coarser grid"),
    ],
)
def test_rows_off_the_grid_tell_how_the_original_drifts(changed: dict[str, Any], text: str) -> None:
    one = stream(*MANY)
    one.result.funnel.off_grid = 3
    finding = found(one, run(one, **changed))["rows-off-grid"]
    assert (finding.level, finding.text) == ("warning", text)


def test_of_many_broken_rules_the_three_that_broke_most_are_named() -> None:
    one = stream(*MANY)
    funnel = one.result.funnel
    funnel.ticks, funnel.drafts, funnel.invalid = funnel.ticks + 9, funnel.drafts + 9, 9
    funnel.invalid_by_rule.update(
        {"long_sl_too_far": 1, "long_tp_too_close": 4, "wait_too_long": 2, "short_sl_too_far": 3}
    )
    assert found(one)["invalid-drafts"].text == (
        "9 of 49 drafts broke the limits and did not count (4 × long_tp_too_close, 3 × short_sl_too_far, "
        "2 × wait_too_long)"
    )


def test_the_original_is_warned_of_as_optimistic() -> None:
    finding = found(stream(*MANY), run(stream(*MANY), policy=ReferencePolicy()))["optimistic-fills"]
    assert finding.level == "warning"
    assert finding.text.startswith("fill policy reference repeats the original and is optimistic")
    own = found(stream(*MANY, policy=PRESETS["vwap"]))["optimistic-fills"]
    assert (own.level, own.text[:25]) == ("warning", "fill policy vwap is optim")


def test_candles_that_begin_and_end_with_the_range_are_no_finding() -> None:
    codes = found(stream(*MANY, candles=candle_use(history_start_ms=WEEK.start_ms, data_end_ms=WEEK.end_ms)))
    assert not {"candles-begin-late", "candles-end-early"} & set(codes)


def test_a_doubt_is_a_warning_that_names_the_command_to_ask() -> None:
    finding = found(stream(*MANY, doubts=(AHEAD,)))["looks-ahead"]
    assert finding.level == "warning"
    assert finding.text.startswith("looks ahead, so its result cannot be had in trading")
    assert finding.text.endswith("; `backtestkit check ema-cross` tells more")
