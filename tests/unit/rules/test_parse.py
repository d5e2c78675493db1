"""Which texts are rules, what they mean, and how a wrong one is explained."""

import pytest

from backtestkit_cli.engine.rules.expression import (
    Arithmetic,
    Call,
    Column,
    Comparison,
    Earlier,
    Flag,
    Logic,
    Name,
    Negative,
    Not,
    Number,
    On,
    kind_of,
)
from backtestkit_cli.engine.rules.functions import FUNCTIONS, LENGTHS
from backtestkit_cli.engine.rules.parse import COLUMNS, RuleProblem, Scope, parse

SCOPE = Scope(
    params={"fast": 12, "share": 0.5, "whole": 14.0, "use_trend": True, "word": "x", "zero": 0, "high": 3},
    lets={"line": "number", "signal": "truth"},
)


def _problem(text: str, scope: Scope = SCOPE) -> RuleProblem:
    with pytest.raises(RuleProblem) as caught:
        parse(text, scope)
    return caught.value


def test_precedence_is_that_of_python() -> None:
    assert parse("close + 2 * open > 1 or not close < 2 and close == 3") == Logic(
        "or",
        (
            Comparison(">", Arithmetic("+", Column("close"), Arithmetic("*", Number(2), Column("open"))), Number(1)),
            Logic(
                "and",
                (Not(Comparison("<", Column("close"), Number(2))), Comparison("==", Column("close"), Number(3))),
            ),
        ),
    )


def test_calls_shifts_and_other_intervals_are_read() -> None:
    assert parse("on('1h', ema(close, fast))[2] - -line", SCOPE) == Arithmetic(
        "-", Earlier(On(60, Call("ema", (Column("close"), 12))), 2), Negative(Name("line", "number"))
    )


def test_params_are_replaced_by_their_values() -> None:
    assert parse("share", SCOPE) == Number(0.5)
    assert parse("use_trend", SCOPE) == Flag(True)
    assert parse("sma(close, whole)", SCOPE) == Call("sma", (Column("close"), 14))
    assert parse("close[zero]", SCOPE) == Earlier(Column("close"), 0)


def test_a_rule_may_be_written_over_several_lines() -> None:
    assert parse("  close >\n  open\n") == parse("close > open")


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_every_column_is_a_number(name: str) -> None:
    assert kind_of(parse(name)) == "number"


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_can_be_called_as_its_usage_says(name: str) -> None:
    function = FUNCTIONS[name]
    arguments = ["2" if taken in LENGTHS else "close" for taken in function.takes if taken != "..."]
    assert kind_of(parse(f"{name}({', '.join(arguments)})")) == function.answers
    assert name in _problem(f"{name}()").what
    assert function.usage in (_problem(f"{name}()").hint or "")


def test_a_shifted_condition_stays_a_condition() -> None:
    assert kind_of(parse("(close > open)[1] and signal[3]", SCOPE)) == "truth"


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 1, "empty"),
        ("   ", 1, "empty"),
        ("close >", 7, "cannot be read"),
        ("  close >", 9, "cannot be read"),
        ("close > > open", 9, "cannot be read"),
        ("  close > > open", 11, "cannot be read"),
        ("close is 1", 1, "comparison"),
        ("1 < close < 2", 1, "chained"),
        ("close > 'a'", 9, "text"),
        ("True and close > 1", 1, "True"),
        ("1j + close", 1, "1j"),
        ("1e999 + close", 1, "finite"),
        ("close ** 2", 1, "operator"),
        ("close % 2", 1, "operator"),
        ("+close", 1, "operator"),
        ("~close", 1, "operator"),
        ("close is open", 1, "comparison"),
        ("close in open", 1, "comparison"),
        ("close if close else open", 1, "if … else"),
        ("lambda: close", 1, "lambda"),
        ("close.real", 1, "a dot"),
        ("[close]", 1, "list"),
        ("(close, open)", 1, "tuple"),
        ("(x := close)", 2, "assignment"),
        ("f'{close}'", 1, "not part"),
        ("close # note", 7, "'#'"),
        ("close \\\n + 1", 7, "meaning"),
        ("close > ｏpen", 9, "meaning"),
        ("closes > 1", 1, "closes"),
        ("  closes > 1", 3, "closes"),
        ("ema > 1", 1, "is a function"),
        ("eма(close)", 2, "meaning"),
        ("emma(close, 3)", 1, "emma"),
        ("close(3)", 1, "no function"),
        ("close.mean(3)", 1, "only functions"),
        ("ema(close, n=3)", 1, "by place"),
        ("ema(*close)", 1, "by place"),
        ("min(close)", 1, "2 arguments"),
        ("ema(close)", 1, "2 arguments"),
        ("atr(close, 3)", 1, "1 argument"),
        ("ema(close > 1, 3)", 5, "a number is needed"),
        ("(close > 1) + 2", 2, "a number is needed"),
        ("(close > 1) == (open > 1)", 2, "a number is needed"),
        ("-(close > 1)", 3, "a number is needed"),
        ("close and open > 1", 1, "a condition is needed"),
        ("not close", 5, "a condition is needed"),
        ("line or signal", 1, "a condition is needed"),
        ("ema(close, 0)", 12, "from 1"),
        ("ema(close, zero)", 12, "from 1"),
        ("ema(close, 100001)", 12, "to 100000"),
        ("ema(close, 2.5)", 12, "whole number"),
        ("ema(close, share)", 12, "whole number"),
        ("ema(close, use_trend)", 12, "whole number"),
        ("ema(close, 2 + 3)", 12, "whole number"),
        ("ema(close, '3')", 12, "whole number"),
        ("ema(close, close)", 12, "no param"),
        ("ema(close, 1e999)", 12, "whole number"),
        ("close[-1]", 7, "at least 0"),
        ("close[1:2]", 7, "whole number"),
        ("close[line]", 7, "no param"),
        ("word > 1", 1, "is a text"),
        ("high > 1", 1, "a param and a word"),
        ("on('7m', close)", 4, "no interval"),
        ("on('3d', close)", 4, "no interval"),
        ("on(60, close)", 1, "takes an interval"),
        ("on('1h')", 1, "takes an interval"),
        ("on('1h', close, 2)", 1, "takes an interval"),
        ("on('1h', on('4h', close))", 10, "another `on`"),
        ("on('1h', line)", 10, "inside `on`"),
        ("on > 1", 1, "nothing has the name"),
    ],
)
def test_a_wrong_rule_says_what_and_where(text: str, column: int, words: str) -> None:
    problem = _problem(text)
    assert words in problem.what
    assert problem.column == column


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("closes > 1", "'close'"),
        ("emma(close, 3)", "'ema'"),
        ("ema(close, fest)", "'fast'"),
        ("linne > 1", "'line'"),
        ("close > 1 && open > 1", "'and'"),
        ("close > 1 || open > 1", "'or'"),
        ("1 < close < 2", "a < b and b < c"),
        ("on('7m', close)", "12h, 1d"),
        ("ema > 1", "ema(x, n)"),
        ("on('1h', line)", "expression"),
    ],
)
def test_a_wrong_rule_says_what_to_do(text: str, hint: str) -> None:
    assert hint in (_problem(text).hint or "")


def test_a_number_where_a_condition_belongs_is_refused() -> None:
    with pytest.raises(RuleProblem, match="a number, not a condition"):
        parse("close + 1", kind="truth")
    with pytest.raises(RuleProblem, match="a condition, not a number"):
        parse("close > 1", kind="number")


def test_a_wrong_kind_is_told_where_the_rule_begins_and_what_to_do() -> None:
    for text, kind, hint in (
        ("  close + 1", "truth", "compare it with something"),
        ("  close > 1", "number", "a condition has no amount"),
    ):
        with pytest.raises(RuleProblem) as caught:
            parse(text, kind="truth" if kind == "truth" else "number")
        assert (caught.value.column, caught.value.hint) == (3, hint)


@pytest.mark.parametrize("name", ["ema", "on", "close"])
def test_a_param_with_a_name_of_the_language_is_refused_where_it_is_used(name: str) -> None:
    problem = _problem(f"{name} > 1", Scope(params={name: 3}))
    assert (problem.what, problem.hint) == (f"{name!r} is a param and a word of the language", "rename the param")


def test_a_rule_has_at_most_500_characters_and_100_levels() -> None:
    assert parse("1" + " " * 499) == Number(1)
    assert "501 characters, more than 500" in _problem("1" + " " * 500).what
    assert kind_of(parse("-" * 99 + "1")) == "number"
    assert "more than 100 levels deep" in _problem("-" * 100 + "1").what
    assert kind_of(parse("close" + "[1]" * 99)) == "number"
    assert "more than 100 levels deep" in _problem("close" + "[1]" * 100).what
    assert kind_of(parse(f"on('1h', {'-' * 98}1)")) == "number"
    assert "more than 100 levels deep" in _problem(f"on('1h', {'-' * 99}1)").what


def test_a_length_may_be_as_long_as_the_longest() -> None:
    assert parse("sma(close, 100000)") == Call("sma", (Column("close"), 100_000))


def test_a_column_in_two_parts_is_read_where_there_are_such_columns() -> None:
    scope = Scope(columns=frozenset({"position.size", "price"}))
    assert parse("position.size > price", scope) == Comparison(">", Column("position.size"), Column("price"))
    assert "nothing has the name 'position.age'" in _problem("position.age > 1", scope).what


def test_length_and_depth_are_limited() -> None:
    assert kind_of(parse("1" + "+1" * 90)) == "number"
    assert "levels deep" in _problem("1" + "+1" * 120).what
    assert "levels deep" in _problem("-" * 300 + "1").what
    assert "characters" in _problem("1" + " " * 500).what
    assert "cannot be read" in _problem("(" * 240 + "1" + ")" * 240).what


def test_risk_checks_can_bring_their_own_columns() -> None:
    scope = Scope(columns=frozenset({"reward_risk"}))
    assert parse("reward_risk >= 1.5", scope) == Comparison(">=", Column("reward_risk"), Number(1.5))
    assert "nothing has the name 'close'" in _problem("close > 1", scope).what
