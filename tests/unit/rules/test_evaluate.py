"""What an evaluation answers to which question, and what it refuses to answer."""

import ast

import numpy as np
import pytest
from oracles.asking import START_MS, ask, candles_of, evaluation_of, random_candles, same_bits

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.rules.evaluate import Evaluation, evaluate
from backtestkit_cli.engine.rules.expression import (
    Call,
    Column,
    Comparison,
    Earlier,
    Expression,
    Flag,
    Logic,
    Name,
    Negative,
    Not,
    Number,
    On,
    kind_of,
    parts_of,
)
from backtestkit_cli.engine.rules.parse import RuleProblem, Scope, parse
from backtestkit_cli.engine.rules.scalar import parse_condition, value_of
from backtestkit_cli.engine.rules.truth import Truth
from backtestkit_cli.model.time import MINUTE_MS

RISING = Comparison(">", Column("close"), Column("open"))


def few() -> Evaluation:
    return evaluation_of(random_candles(1, 40))


def test_a_condition_is_no_number_and_a_number_no_condition() -> None:
    with pytest.raises(TypeError, match="is no number"):
        few().numbers(RISING)
    with pytest.raises(TypeError, match="is no condition"):
        few().truth(Column("close"))
    with pytest.raises(TypeError, match="is no condition"):
        few().truth(Call("sma", (Column("close"), 3)))
    with pytest.raises(TypeError, match="is no plain expression"):
        value_of(On(60, Column("close")), {"close": 1.0})


def test_an_expression_is_evaluated_as_the_kind_it_has() -> None:
    evaluation = few()
    rows = np.array([3, 7])
    truth = evaluate(evaluation, RISING, rows)
    assert isinstance(truth, Truth)
    assert truth.yes.tolist() == evaluation.truth(RISING).yes[rows].tolist()
    assert evaluate(evaluation, Column("close")) is evaluation.numbers(Column("close"))


@pytest.mark.parametrize(
    ("expression", "kind", "parts"),
    [
        (Number(1.0), "number", ()),
        (Flag(True), "truth", ()),
        (Column("close"), "number", ()),
        (Negative(Number(1.0)), "number", (Number(1.0),)),
        (RISING, "truth", (Column("close"), Column("open"))),
        (Not(RISING), "truth", (RISING,)),
        (Logic("and", (RISING, Flag(False))), "truth", (RISING, Flag(False))),
        (Name("n", "truth"), "truth", ()),
        (Name("n", "number"), "number", ()),
        (Earlier(RISING, 2), "truth", (RISING,)),
        (On(60, Column("close")), "number", (Column("close"),)),
        (Call("sma", (Column("close"), 3)), "number", (Column("close"),)),
        (Call("rising", (Column("close"), 3)), "truth", (Column("close"),)),
    ],
)
def test_an_expression_knows_its_kind_and_parts(
    expression: Expression, kind: str, parts: tuple[Expression, ...]
) -> None:
    assert kind_of(expression) == kind
    assert parts_of(expression) == parts


def test_functions_and_other_intervals_are_given_their_rows() -> None:
    candles = random_candles(5, 300, holes=0.1)
    evaluation = evaluation_of(candles, 5)
    rows = np.array([4, 11, 30])
    for text in ("sma(close, 3)", "close[2]", "on('15m', close)", "price", "abs(close - open)", "2", "-vwap"):
        expression = parse(text, Scope(params={}))
        assert same_bits(evaluation.numbers(expression, rows), evaluation.numbers(expression)[rows]), text
    for text in ("rising(close, 2)", "(close > open)[1]", "on('15m', close > open)", "not close > open"):
        condition = parse(text, Scope(params={}))
        part, whole = evaluation.truth(condition, rows), evaluation.truth(condition)
        assert (part.yes.tolist(), part.no.tolist()) == (whole.yes[rows].tolist(), whole.no[rows].tolist()), text


def test_an_interval_without_a_candle_is_unknown() -> None:
    candles = random_candles(1, 20)
    assert np.isnan(ask("on('1h', close)", candles)).all()
    assert np.isnan(ask("on('1h', close > open)", candles)).all()


def test_a_name_with_rows_stands_for_its_expression_there() -> None:
    candles = random_candles(1, 30)
    names: dict[str, Expression] = {"last": Column("close"), "up": RISING}
    evaluation = Evaluation(candles, 1, lambda times_ms: np.full(len(times_ms), 7.0), names)
    rows = np.array([4, 9])
    assert same_bits(evaluation.numbers(Name("last", "number"), rows), candles.close[rows])
    assert evaluation.truth(Name("up", "truth"), rows).yes.tolist() == (candles.close > candles.open)[rows].tolist()


def test_names_stand_for_their_expressions() -> None:
    candles = random_candles(1, 30)
    names: dict[str, Expression] = {"mean": Call("sma", (Column("close"), 3)), "up": RISING}
    evaluation = Evaluation(candles, 1, lambda times_ms: np.full(len(times_ms), 7.0), names)
    plain = evaluation_of(candles)
    assert same_bits(evaluation.numbers(Name("mean", "number")), plain.numbers(names["mean"]))
    assert evaluation.truth(Name("up", "truth")).yes.tolist() == plain.truth(RISING).yes.tolist()
    assert evaluation.numbers(Column("price")).tolist() == [7.0] * 30


def test_flags_are_known_in_every_row() -> None:
    evaluation = few()
    yes, no = evaluation.truth(Flag(True)), evaluation.truth(Flag(False), np.array([1, 2]))
    assert (yes.yes.tolist(), yes.no.tolist()) == ([True] * 40, [False] * 40)
    assert (no.yes.tolist(), no.no.tolist()) == ([False, False], [True, True])


def gap() -> Candles:
    """Minutes 0 to 9 and 15 to 29."""
    minutes = [*range(10), *range(15, 30)]
    return candles_of((START_MS + minute * MINUTE_MS, 5.0, 6.0, 4.0, 5.0, 1.0) for minute in minutes)


def test_a_run_starts_after_the_last_hole() -> None:
    evaluation = evaluation_of(gap())
    times = START_MS + MINUTE_MS * np.array([0, 1, 9, 10, 11, 15, 16, 29])
    found = evaluation.run_start_ms(times)
    starts = [(int(start) - START_MS) // MINUTE_MS for start in np.asarray(found)]
    never = starts[0]
    assert starts == [never, 0, 0, 0, never, never, 15, 15]
    assert never > 10**9


def test_on_larger_candles_a_run_starts_with_one_that_exists() -> None:
    candles = candles_of((START_MS + minute * MINUTE_MS, 5.0, 6.0, 4.0, 5.0, 1.0) for minute in (0, 1, 16, 17, 21, 29))
    evaluation = evaluation_of(candles, 5)
    times = START_MS + MINUTE_MS * np.array([5, 9, 10, 20, 24, 25, 30])
    starts = [(int(start) - START_MS) // MINUTE_MS for start in np.asarray(evaluation.run_start_ms(times))]
    never = starts[2]
    assert starts == [0, 0, never, 15, 15, 15, 15]


def test_a_rule_that_python_cannot_hold_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> ast.Expression:
        raise MemoryError

    monkeypatch.setattr(ast, "parse", full)
    with pytest.raises(RuleProblem, match="the rule cannot be read") as caught:
        parse("close > 20230301.5")  # no other test reads it: what was read once is known
    assert caught.value.hint == "split it with `let`"


def test_a_whole_number_beyond_all_doubles_is_not_finite() -> None:
    with pytest.raises(RuleProblem, match="the number is not finite"):
        parse("close > 1" + "0" * 400)
    with pytest.raises(RuleProblem, match="the number is not finite"):
        parse("close > huge", Scope(params={"huge": 10**400}))


def test_conditions_over_named_values_use_operators_alone() -> None:
    for text in ("abs(a) > 1", "-abs(a) > 1", "a + a[1] > 1", "a > 1 and abs(a) > 1", "not on('1h', a) > 1"):
        with pytest.raises(RuleProblem, match="only operators can be used here"):
            parse_condition(text, frozenset({"a"}), frozenset())
    assert value_of(Logic("or", (Flag(False), Not(Flag(True)))), {}) is False
    condition = parse_condition("-a + 3 > 1 and not done", frozenset({"a"}), frozenset({"done"}))
    assert value_of(condition, {"a": 1.0, "done": False}) is True
    assert value_of(condition, {"a": 2.0, "done": False}) is False
    assert value_of(condition, {"a": 1.0, "done": True}) is False


def test_minus_turns_a_number_around_in_all_rows_and_in_some() -> None:
    candles = random_candles(1, 30)
    evaluation, rows = evaluation_of(candles), np.array([4, 9])
    negative = Negative(Column("close"))
    assert same_bits(evaluation.numbers(negative), -candles.close)
    assert same_bits(evaluation.numbers(negative, rows), -candles.close[rows])


def test_a_condition_on_another_interval_is_true_false_or_unknown_with_its_candle() -> None:
    candles = random_candles(9, 300)
    hours = evaluation_of(candles, 60).truth(RISING)
    found = evaluation_of(candles, 30).truth(On(60, RISING))
    assert set(hours.yes.tolist()) == {True, False}
    seen = [None, *[hour for hour in range(5) for _ in range(2)]][:10]
    assert found.yes.tolist() == [hour is not None and bool(hours.yes[hour]) for hour in seen]
    assert found.no.tolist() == [hour is not None and bool(hours.no[hour]) for hour in seen]


def test_a_single_candle_of_another_interval_is_unknown_however_long_before_its_close() -> None:
    candles = random_candles(9, 120, start_ms=START_MS + 7 * MINUTE_MS)
    values = ask("on('1h', close)", candles, 15)
    assert np.isnan(values).tolist() == [True] * 6 + [False] * (len(values) - 6)


def test_weekdays_are_counted_from_monday_through_every_day() -> None:
    days = ask("weekday", random_candles(4, 9 * 1440), 1440)  # each closes at the midnight that begins the next day
    assert days.tolist() == [4, 5, 6, 7, 1, 2, 3, 4, 5]


def test_the_price_of_an_absent_candle_is_null() -> None:
    candles = gap()
    price = ask("price", candles)
    assert np.isnan(price).tolist() == [10 <= minute < 15 for minute in range(30)]
    assert price[0] == 5.0


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("a > 1", None),
        ("1 < a", None),
        ("a + b > 1", None),
        ("b - a > 1", None),
        ("not a > 1", None),
        ("a > 1 and b > 1", None),
        ("a > 1 and b > 9", False),
        ("a > 1 or b > 1", True),
        ("a > 1 or b > 9", None),
        ("b / (b - 2) > 1", None),
        ("b * 1e307 > 1", True),
        ("b * 1e308 > 1", None),
    ],
)
def test_a_value_that_is_not_known_decides_nothing(text: str, answer: bool | None) -> None:
    condition = parse_condition(text, frozenset({"a", "b"}), frozenset())
    assert value_of(condition, {"a": np.nan, "b": 2.0}) is answer
