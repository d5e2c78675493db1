"""What names, times, intervals and references may look like."""

from typing import Any

import pytest
from pydantic import ValidationError

from backtestkit_cli.config.contest_schema import WalkerSchema
from backtestkit_cli.config.market_schema import (
    CcxtExchange,
    ExchangeSchema,
    FilesExchange,
    FrameSchema,
    PluginExchange,
    SampleExchange,
)
from backtestkit_cli.config.problems import problems_of
from backtestkit_cli.config.schema import model_of
from backtestkit_cli.config.stake_schema import FixedPercentageSizing, KellySizing, PluginSizing
from backtestkit_cli.config.strategy_schema import LimitEntrySchema, RulesSchema, SidesSchema, StrategySchema
from backtestkit_cli.errors import Source
from backtestkit_cli.model.time import Interval, parse_time

RULES = {"long": "close > open", "take_profit": "2%", "stop_loss": 1.5, "lifetime": "24h"}


def codes_of(model: Any, values: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(values)
    return [problem.code for problem in problems_of(caught.value, lambda keys, at: Source(key=str(keys)))]


def frame(**keys: Any) -> dict[str, Any]:
    return {"name": "march", "start": "2023-03-01", "end": "2023-03-02"} | keys


def strategy(**keys: Any) -> dict[str, Any]:
    return {"name": "a", "interval": "1h"} | keys


@pytest.mark.parametrize("name", ["a", "7", "EMA.cross_2-x", "a" * 64, "CON", "a..b"])
def test_a_name_of_letters_digits_dots_dashes_and_underscores_is_taken(name: str) -> None:
    assert FrameSchema.model_validate(frame(name=name)).name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../a",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "a:b",
        "a b",
        "a\n",
        "a\0",
        "-a",
        "_a",
        "a" * 65,
        "é",
        "🚀",
        "٣",
    ],
    ids=ascii,
)
def test_a_name_that_could_leave_its_folder_or_confuse_is_refused(name: str) -> None:
    assert codes_of(FrameSchema, frame(name=name)) == ["bad-name"]


MARCH_1 = 1_677_628_800_000


@pytest.mark.parametrize(
    ("written", "time_ms"),
    [
        ("2023-03-01", MARCH_1),
        ("2023-03-01T00:00", MARCH_1),
        ("2023-03-01 00:00", MARCH_1),
        ("2023-03-01T00:00:00", MARCH_1),
        ("2023-03-01T00:00:00.000Z", MARCH_1),
        ("2023-03-01T00:00Z", MARCH_1),
        ("2023-03-01T02:00+02:00", MARCH_1),
        ("2023-02-28T19:00-05:00", MARCH_1),
        (MARCH_1, MARCH_1),
        (str(MARCH_1), MARCH_1),
    ],
)
def test_a_time_means_utc_unless_it_says_otherwise(written: str | int, time_ms: int) -> None:
    assert FrameSchema.model_validate(frame(start=written)).start == time_ms


@pytest.mark.parametrize(
    "written",
    [
        "01/03/2023",
        "03-01-2023",
        "2023-3-1",
        "20230301",
        20230301,
        1_677_628_800,
        1_677_628_800.0,
        "1677628800",
        "2023-03",
        "2023",
        "2023-02-30",
        "2023-03-01T24:30",
        "2023-03-01T10:00 CET",
        "1 March 2023",
        "yesterday",
        "",
        True,
        None,
        "2023-03-01T00:00:01Z",
        "1969-12-31",
        "2200-01-01",
        "9999-12-31",
    ],
)
def test_a_time_that_is_ambiguous_or_no_whole_minute_is_refused(written: Any) -> None:
    assert codes_of(FrameSchema, frame(start=written, end="2199-01-01")) == ["bad-time"]


def test_a_frame_ends_after_its_start() -> None:
    assert codes_of(FrameSchema, frame(end="2023-03-01")) == ["conflict"]
    assert FrameSchema.model_validate(frame(end="2023-03-01T00:00:00.001Z")).end == parse_time("2023-03-01") + 1


def test_a_frame_takes_every_interval_and_a_strategy_every_one_but_three_days() -> None:
    for interval in Interval:
        assert FrameSchema.model_validate(frame(interval=interval.value)).interval is interval
        values = strategy(signals="a.csv", interval=interval.value)
        if interval is Interval.D3:
            assert codes_of(StrategySchema, values) == ["bad-interval"]
        else:
            assert StrategySchema.model_validate(values).interval is interval


@pytest.mark.parametrize(
    ("given", "model"),
    [
        ({"use": "sample"}, SampleExchange),
        ({"use": "files"}, FilesExchange),
        ({"use": "ccxt"}, CcxtExchange),
        ({"use": "own.py:market"}, PluginExchange),
        ({"use": "registered"}, PluginExchange),
    ],
)
def test_the_model_of_an_exchange_is_chosen_by_its_use(given: dict[str, Any], model: type[ExchangeSchema]) -> None:
    assert model_of("exchanges", given) is model


def test_the_model_of_a_sizing_is_chosen_by_its_method() -> None:
    assert model_of("sizings", {"method": "fixed-percentage"}) is FixedPercentageSizing
    assert model_of("sizings", {"method": "kelly-criterion"}) is KellySizing
    assert model_of("sizings", {"method": "own.py:size"}) is PluginSizing


def test_a_missing_use_is_the_only_problem_of_an_exchange() -> None:
    values = {"name": "a", "path": "x", "seed": 1}
    assert codes_of(model_of("exchanges", values), values) == ["missing-key"]


def test_numbers_of_rules_become_expressions() -> None:
    rules = RulesSchema.model_validate(RULES | {"let": {"level": 3}, "entry": {"limit": 0.5, "wait": "2h"}})
    assert rules.stop_loss == "1.5"
    assert rules.let == {"level": "3"}
    assert rules.entry == LimitEntrySchema(limit="0.5", wait="2h")
    assert rules.lifetime_minutes == 1440
    assert isinstance(rules.entry, LimitEntrySchema)
    assert rules.entry.wait_minutes == 120


def test_levels_may_be_prices_for_each_side_that_opens() -> None:
    sides = {"long": "close * 1.1", "short": "close * 0.9"}
    assert RulesSchema.model_validate(RULES | {"take_profit": sides}).take_profit == SidesSchema(**sides)
    assert codes_of(RulesSchema, RULES | {"short": "close < open", "take_profit": {"long": "close"}}) == ["missing-key"]
    entry = {"limit": {"short": "high"}}
    assert codes_of(RulesSchema, RULES | {"entry": entry}) == ["missing-key"]


@pytest.mark.parametrize(
    "forms",
    [{}, {"rules": RULES, "use": "a.py:b"}, {"use": "a.py:b", "signals": "a.csv"}, {"rules": None}],
    ids=["none", "rules and use", "use and signals", "null"],
)
def test_a_strategy_has_exactly_one_form(forms: dict[str, Any]) -> None:
    assert codes_of(StrategySchema, strategy(**forms)) == ["conflict"]


@pytest.mark.parametrize(
    ("form", "key"),
    [
        ({"rules": RULES}, {"warm_up": "2h"}),
        ({"rules": RULES}, {"text": "buy"}),
        ({"use": "a.py:b"}, {"model": "m"}),
        ({"signals": "a.csv"}, {"params": {"a": 1}}),
        ({"signals": "a.csv"}, {"candles": "1h"}),
    ],
    ids=str,
)
def test_a_key_without_effect_is_refused(form: dict[str, Any], key: dict[str, Any]) -> None:
    assert codes_of(StrategySchema, strategy(**form, **key)) == ["unused-key"]


def test_rows_have_the_interval_of_rules_then_of_the_strategy_then_of_the_decisions() -> None:
    def candles(**keys: Any) -> str:
        return StrategySchema.model_validate(strategy(**keys)).candles_interval

    assert candles(rules=RULES) == "1h"
    assert candles(rules=RULES, candles="4h") == "4h"
    assert candles(rules=RULES | {"candles": "15m"}) == "15m"


def test_a_risk_is_a_name_or_a_list_of_names() -> None:
    assert StrategySchema.model_validate(strategy(signals="a.csv", risk="calm")).risk_names == ("calm",)
    assert StrategySchema.model_validate(strategy(signals="a.csv", risk=["b", "a"])).risk_names == ("b", "a")
    assert StrategySchema.model_validate(strategy(signals="a.csv")).risk_names == ()
    assert codes_of(StrategySchema, strategy(signals="a.csv", risk=["a", "a"])) == ["listed-twice"]


def test_params_keep_their_types() -> None:
    params = {"a": 1, "b": 1.5, "c": "no", "d": True}
    found = StrategySchema.model_validate(strategy(use="a.py:b", params=params)).params
    assert [(value, type(value)) for value in found.values()] == [(1, int), (1.5, float), ("no", str), (True, bool)]


@pytest.mark.parametrize("value", [None, [1], {"a": 1}, float("nan")], ids=str)
def test_a_param_that_is_no_plain_value_is_refused(value: Any) -> None:
    assert codes_of(StrategySchema, strategy(use="a.py:b", params={"a": value}))


def test_a_walker_compares_each_strategy_once() -> None:
    values = {"name": "w", "exchange": "e", "frame": "f", "strategies": ["a", "a"]}
    assert codes_of(WalkerSchema, values) == ["listed-twice"]


def test_every_wrong_key_and_broken_rule_of_a_section_is_reported_together() -> None:
    values = frame(end="2023-02-01", interval="7m", nte="x", name="a b")
    assert sorted(codes_of(FrameSchema, values)) == ["bad-interval", "bad-name", "conflict", "unknown-key"]
