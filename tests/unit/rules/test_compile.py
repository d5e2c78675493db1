"""From the texts of a strategy to its drafts: problems, history, sides, levels."""

from dataclasses import replace

import numpy as np
import pytest
from oracles.asking import START_MS, ask, candles_of, price_of, random_candles

from backtestkit_cli.engine.candles import Candles, Floats, Ints
from backtestkit_cli.engine.drafts import LIMIT_DISTANCE, STOP_LOSS_DISTANCE, TAKE_PROFIT_DISTANCE, DraftColumns
from backtestkit_cli.engine.rules.compile import RuleProblems, RuleSpec, compile_rules
from backtestkit_cli.engine.rules.parse import ParamValue
from backtestkit_cli.model.time import MINUTE_MS

SPEC = RuleSpec(candles_minutes=1, long="close > open", take_profit="1%", stop_loss="2%", lifetime_minutes=60)


def _problems(spec: RuleSpec, params: dict[str, ParamValue] | None = None) -> list[tuple[str, str]]:
    with pytest.raises(RuleProblems) as caught:
        compile_rules(spec, params or {})
    return [(key, problem.what) for key, problem in caught.value.problems]


def _decide(spec: RuleSpec, candles: Candles, params: dict[str, ParamValue] | None = None) -> DraftColumns:
    return compile_rules(spec, params or {}).decide(candles, candles.start_ms, candles.end_ms, price_of(candles))


def _fired(drafts: DraftColumns) -> Ints:
    return np.flatnonzero(drafts.side)


def test_all_problems_are_told_with_their_keys() -> None:
    spec = RuleSpec(
        candles_minutes=7,
        let={"a": "close +", "b": "a + 1", "fast": "close", "close": "open", "ema": "1", "on": "2", "1x": "3"},
        long="closes > 1",
        short="b > 1",
        entry_limit="close > 1",
        take_profit={"long": "close +", "up": "1"},
        stop_loss="-1%",
        lifetime_minutes=60,
    )
    assert [key for key, _ in _problems(spec, {"fast": 3})] == [
        "candles",
        "let.a",
        "let.fast",
        "let.close",
        "let.ema",
        "let.on",
        "let.1x",
        "long",
        "entry.limit",
        "take_profit",
        "take_profit.up",
        "take_profit.long",
        "stop_loss",
    ]


def test_a_side_is_required() -> None:
    assert _problems(replace(SPEC, long=None)) == [("long", "neither `long` nor `short` is given")]


def test_a_name_can_only_use_earlier_ones() -> None:
    spec = replace(SPEC, let={"first": "second + 1", "second": "close"})
    assert _problems(spec) == [("let.first", "nothing has the name 'second'")]


def test_only_true_conditions_fire_and_both_at_once_are_ambiguous() -> None:
    candles = candles_of(
        (START_MS + row * MINUTE_MS, 10.0, 12.0, 9.0, close, 1.0) for row, close in enumerate([11.0, 9.0, 10.0, 11.5])
    )
    drafts = _decide(replace(SPEC, short="close < open or close > 11"), candles)
    assert drafts.time_ms.tolist() == [START_MS + minute * MINUTE_MS for minute in (1, 2, 4)]
    assert drafts.side.tolist() == [1, -1, 0]
    assert drafts.ambiguous.tolist() == [False, False, True]


def test_percent_levels_count_from_the_price_and_mirror_for_shorts() -> None:
    candles = random_candles(1, 200)
    drafts = _decide(replace(SPEC, short="close < open"), candles)
    price = price_of(candles)(drafts.time_ms)
    side = drafts.side.astype(float)
    assert set(drafts.side.tolist()) == {1, -1}
    assert drafts.price is not None
    np.testing.assert_array_equal(drafts.price, price)
    np.testing.assert_array_equal(drafts.price_take_profit, price + side * (price * (1.0 / 100)))
    np.testing.assert_array_equal(drafts.price_stop_loss, price - side * (price * (2.0 / 100)))
    assert not drafts.has_price_open.any()
    assert np.isnan(drafts.price_open).all()
    assert (drafts.lifetime_minutes == 60).all()
    assert np.isnan(drafts.wait_minutes).all()


def test_a_limit_lies_on_the_better_side_and_levels_count_from_it() -> None:
    candles = random_candles(2, 200)
    spec = replace(SPEC, short="close < open", entry_limit="0.1 * close", wait_minutes=30, take_profit="3", note="n")
    drafts = _decide(spec, candles)
    price, side = price_of(candles)(drafts.time_ms), drafts.side.astype(float)
    close = candles.close[(drafts.time_ms - START_MS) // MINUTE_MS - 1]
    np.testing.assert_array_equal(drafts.price_open, price - side * (0.1 * close))
    np.testing.assert_array_equal(drafts.price_take_profit, drafts.price_open + side * 3)
    np.testing.assert_array_equal(drafts.price_stop_loss, drafts.price_open - side * (drafts.price_open * 0.02))
    assert drafts.has_price_open.all()
    assert (drafts.wait_minutes == 30).all()
    assert drafts.note(0) == "n"


def test_prices_per_side_are_taken_as_they_are() -> None:
    candles = random_candles(3, 200)
    spec = replace(
        SPEC,
        short="close < open",
        take_profit={"long": "high + 1", "short": "low - 1"},
        stop_loss={"long": "low - close[1]", "short": "high"},
        entry_limit={"long": "low", "short": "price"},
    )
    drafts = _decide(spec, candles)
    fired = _fired(drafts)
    row = ((drafts.time_ms - START_MS) // MINUTE_MS - 1)[fired]
    is_long = drafts.side[fired] == 1
    levels = np.where(is_long, candles.high[row] + 1, candles.low[row] - 1)
    np.testing.assert_array_equal(drafts.price_take_profit[fired], levels)
    stops = np.where(is_long, candles.low[row] - candles.close[row - 1], candles.high[row])
    np.testing.assert_array_equal(drafts.price_stop_loss[fired], stops)
    limits = np.where(is_long, candles.low[row], price_of(candles)(drafts.time_ms[fired]))
    np.testing.assert_array_equal(drafts.price_open[fired], limits)
    assert (drafts.distance_problem == 0).all()


def test_a_distance_that_is_null_or_not_above_zero_is_named() -> None:
    candles = random_candles(4, 100)
    null, negative = "1 / (close - close)", "0 - close"
    spec = replace(SPEC, take_profit=null, stop_loss=negative)
    assert set(_decide(spec, candles).distance_problem.tolist()) == {TAKE_PROFIT_DISTANCE | STOP_LOSS_DISTANCE}
    limited = _decide(replace(SPEC, entry_limit="close - close", take_profit="1", stop_loss="1"), candles)
    assert set(limited.distance_problem.tolist()) == {LIMIT_DISTANCE}
    assert np.isnan(limited.price_open).all()
    assert limited.has_price_open.all()
    some = _decide(replace(SPEC, take_profit="close - open - 0.1"), candles)
    assert 0 < np.count_nonzero(some.distance_problem) < len(some)
    assert (np.isnan(some.price_take_profit) == (some.distance_problem > 0)).all()


def test_levels_are_the_same_for_some_rows_as_for_all() -> None:
    candles = random_candles(5, 300)
    text = "max(2 * atr(3), 0.008 * price, abs(change(price, 2))) / clip(volume, 1, 3)"
    drafts = _decide(replace(SPEC, take_profit=text), candles)
    fired = _fired(drafts)
    row = ((drafts.time_ms - START_MS) // MINUTE_MS - 1)[fired]
    whole: Floats = ask(text, candles)
    assert drafts.price is not None
    np.testing.assert_array_equal(drafts.price_take_profit[fired], drafts.price[fired] + whole[row])


def test_history_is_counted_in_the_minutes_of_its_interval() -> None:
    compiled = compile_rules(
        replace(
            SPEC,
            candles_minutes=15,
            let={"line": "ema(close, 4)", "unused": "sma(close, 900)"},
            long="line > sma(line, 3)[2] and on('1h', rsi(close, 2))[1] > 50",
        ),
        {},
    )
    assert compiled.intervals == {15, 60}
    # line: 12 + 3 + 2 rows of 15; the other interval: 10 candles of 60, one row, and up to 45 minutes since its close.
    assert compiled.needed_minutes == max((12 + 3 + 2) * 15, 10 * 60 + 15 + 45)
    assert compiled.settled_minutes == max((44 + 3 + 2) * 15, 42 * 60 + 15 + 45)
    assert compile_rules(SPEC, {}).needed_minutes == 1


def test_before_the_needed_history_there_is_only_warm_up() -> None:
    candles = random_candles(6, 200)
    drafts = _decide(replace(SPEC, long="ema(close, 3) > 0"), candles)
    assert drafts.warm_up.tolist() == [True] * 8 + [False] * 192
    assert drafts.side.tolist() == [0] * 8 + [1] * 192
    assert drafts.short_history.tolist() == [False] * 8 + [True] * 24 + [False] * 168


def test_rows_without_a_draft_are_kept_while_history_is_short() -> None:
    drafts = _decide(replace(SPEC, long="ema(close, 3) < 0"), random_candles(6, 200))
    assert len(drafts) == 32
    assert drafts.short_history.tolist() == [False] * 8 + [True] * 24


def test_warm_up_starts_again_after_an_absent_candle() -> None:
    whole = random_candles(7, 120)
    rows = [
        (START_MS + row * MINUTE_MS, whole.open[row], whole.high[row], whole.low[row], whole.close[row], 1.0)
        for row in range(120)
        if not 50 <= row < 60
    ]
    drafts = _decide(replace(SPEC, candles_minutes=5, long="sma(close, 3) > 0"), candles_of(rows))
    minutes = ((drafts.time_ms - START_MS) // MINUTE_MS).tolist()
    assert [minute for minute, warm in zip(minutes, drafts.warm_up, strict=True) if warm] == [5, 10, 65, 70]
    assert 55 not in minutes
    assert 60 not in minutes
    assert [minute for minute, side in zip(minutes, drafts.side, strict=True) if side][:9] == [*range(15, 51, 5), 75]


def test_an_absent_candle_of_another_interval_stops_its_rows() -> None:
    whole = random_candles(8, 360)
    rows = [
        (START_MS + row * MINUTE_MS, whole.open[row], whole.high[row], whole.low[row], whole.close[row], 1.0)
        for row in range(360)
        if not 120 <= row < 180
    ]
    spec = replace(SPEC, candles_minutes=15, long="on('1h', sma(close, 2)) > 0")
    drafts = _decide(spec, candles_of(rows))
    fired = ((drafts.time_ms[drafts.side == 1] - START_MS) // MINUTE_MS).tolist()
    assert fired == [120, 300, 315, 330, 345, 360]


def test_another_interval_gives_its_last_closed_value() -> None:
    candles = random_candles(9, 300, start_ms=START_MS + 7 * MINUTE_MS)
    values = ask("on('1h', close)", candles, 15)
    hours = ask("close", candles, 60)
    assert np.isnan(values[:6]).all()
    assert values[6:10].tolist() == [hours[0]] * 4
    assert values[10:14].tolist() == [hours[1]] * 4


def test_on_is_null_where_its_candle_is_absent() -> None:
    whole = random_candles(9, 300)
    rows = [(START_MS + row * MINUTE_MS, *[whole.close[row]] * 4, 1.0) for row in range(300) if not 120 <= row < 180]
    for text in ("on('1h', 5)", "on('1h', close > 0)"):
        values = ask(text, candles_of(rows), 30)
        assert np.isnan(values).tolist() == [True, False, False, False, False, True, True, False, False, False], text


def test_names_may_be_conditions_and_build_on_each_other() -> None:
    candles = random_candles(9, 100)
    spec = replace(SPEC, let={"body": "close - open", "up": "body > 0"}, long="up and not up[1]")
    up = candles.close > candles.open
    wanted = up[1:] & ~up[:-1]
    drafts = _decide(spec, candles)
    assert drafts.time_ms[drafts.side == 1].tolist() == [
        START_MS + (row + 2) * MINUTE_MS for row in np.flatnonzero(wanted).tolist()
    ]


def test_rows_are_those_between_the_two_times() -> None:
    candles = random_candles(10, 100)
    compiled = compile_rules(replace(SPEC, candles_minutes=5, long="close > 0"), {})
    first, last = START_MS + 11 * MINUTE_MS, START_MS + 30 * MINUTE_MS
    drafts = compiled.decide(candles, first, last, price_of(candles))
    assert ((drafts.time_ms - START_MS) // MINUTE_MS).tolist() == [15, 20, 25, 30]


def test_the_price_is_asked_only_where_a_row_fires() -> None:
    candles = random_candles(11, 500)
    asked: list[int] = []

    def price(times_ms: Ints) -> Floats:
        asked.append(len(times_ms))
        return price_of(candles)(times_ms)

    spec = replace(SPEC, long="rising(close, 3)", take_profit="0.02 * price")
    drafts = compile_rules(spec, {}).decide(candles, candles.start_ms, candles.end_ms, price)
    assert set(asked) == {len(_fired(drafts))}
    assert 0 < asked[0] < 200


def test_a_yes_no_param_switches_a_condition() -> None:
    candles = random_candles(12, 50)
    spec = replace(SPEC, long="wanted and close > 0")
    assert len(_decide(spec, candles, {"wanted": False})) == 0
    assert len(_decide(spec, candles, {"wanted": True})) == 50


def test_candles_without_a_whole_row_give_no_rows() -> None:
    candles = random_candles(13, 3)
    spec = replace(SPEC, candles_minutes=5, long="on('1h', close) > ema(close, 2) and on('1h', close > open)")
    assert len(_decide(spec, candles)) == 0
    later = random_candles(14, 30)
    assert _decide(spec, later).warm_up.all()


def test_a_rule_of_one_side_may_have_prices_of_that_side_alone() -> None:
    candles = random_candles(3, 200)
    drafts = _decide(replace(SPEC, take_profit={"long": "high * 1.1"}), candles)
    high = candles.high[(drafts.time_ms - START_MS) // MINUTE_MS - 1]
    np.testing.assert_array_equal(drafts.price_take_profit, high * 1.1)


def test_problems_are_told_in_one_text_too() -> None:
    with pytest.raises(RuleProblems) as caught:
        compile_rules(replace(SPEC, stop_loss="0%", let={"if": "close"}), {})
    assert str(caught.value) == "let.if: 'if' is no name; stop_loss: the distance 0% is not above zero"


def test_one_side_alone_is_enough_whichever_it_is() -> None:
    candles = random_candles(15, 60)
    assert set(_decide(replace(SPEC, long=None, short="close > 0"), candles).side.tolist()) == {-1}
    assert set(_decide(replace(SPEC, long="close > 0"), candles).side.tolist()) == {1}


@pytest.mark.parametrize("text", ["0%", "-0.5%", ".0 %"])
def test_a_percentage_is_above_zero(text: str) -> None:
    ((key, what),) = _problems(replace(SPEC, take_profit=text))
    assert (key, what) == ("take_profit", f"the distance {text} is not above zero")


@pytest.mark.parametrize(
    "changed",
    [
        {"take_profit": "2 * atr(4)"},
        {"stop_loss": "atr(4)"},
        {"entry_limit": "atr(4)"},
        {"take_profit": {"long": "close + atr(4)"}},
    ],
)
def test_a_level_needs_its_history_as_a_condition_does(changed: dict[str, str]) -> None:
    compiled = compile_rules(replace(SPEC, long="close > 0", **changed), {})  # type: ignore[arg-type]  # texts
    assert (compiled.needed_minutes, compiled.settled_minutes) == (5 * 4, 21 * 4)


def test_rows_end_with_the_last_time_to_the_millisecond() -> None:
    candles = random_candles(10, 100)
    compiled = compile_rules(replace(SPEC, candles_minutes=5, long="close > 0"), {})
    ends = [START_MS + 30 * MINUTE_MS + late for late in (-1, 0)]
    found = [compiled.decide(candles, START_MS, end, price_of(candles)).time_ms[-1] for end in ends]
    assert found == [START_MS + 25 * MINUTE_MS, START_MS + 30 * MINUTE_MS]


def test_rows_from_the_middle_of_candles_with_holes_are_those_of_all() -> None:
    candles = random_candles(16, 300, holes=0.3)
    compiled = compile_rules(replace(SPEC, candles_minutes=5), {})
    whole = _decide(replace(SPEC, candles_minutes=5), candles)
    first = START_MS + 100 * MINUTE_MS
    later = compiled.decide(candles, first, candles.end_ms, price_of(candles))
    assert later.time_ms.tolist() == whole.time_ms[whole.time_ms >= first].tolist()
    np.testing.assert_array_equal(later.price_take_profit, whole.price_take_profit[whole.time_ms >= first])
    assert 5 < len(later) < len(whole)
