"""The limits accept and refuse what the original accepts and refuses, rule by rule."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from backtestkit_cli.config.problems import problems_of
from backtestkit_cli.config.settings import FillSchema, LimitsSchema, Settings
from backtestkit_cli.errors import Source
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import PRESETS, Costs, FillPolicy, ReferencePolicy, policy_keys

TABLE = json.loads(
    (Path(__file__).parents[2] / "golden" / "original" / "tables" / "config_validation.json").read_text(
        encoding="utf-8"
    )
)
OURS = {
    "CC_SCHEDULE_AWAIT_MINUTES": ("limits", "schedule_await_minutes"),
    "CC_AVG_PRICE_CANDLES_COUNT": ("limits", "average_price_candles"),
    "CC_PERCENT_SLIPPAGE": ("costs", "slippage_percent"),
    "CC_PERCENT_FEE": ("costs", "fee_percent"),
    "CC_MIN_TAKEPROFIT_DISTANCE_PERCENT": ("limits", "min_take_profit_percent"),
    "CC_MIN_STOPLOSS_DISTANCE_PERCENT": ("limits", "min_stop_loss_percent"),
    "CC_MAX_STOPLOSS_DISTANCE_PERCENT": ("limits", "max_stop_loss_percent"),
    "CC_MAX_SIGNAL_LIFETIME_MINUTES": ("limits", "max_lifetime_minutes"),
    "CC_MAX_SIGNAL_GENERATION_SECONDS": ("limits", "signal_seconds"),
    "CC_GET_CANDLES_RETRY_COUNT": ("limits", "candle_retries"),
    "CC_GET_CANDLES_RETRY_DELAY_MS": ("limits", "candle_retry_delay_ms"),
    "CC_GET_CANDLES_PRICE_ANOMALY_THRESHOLD_FACTOR": ("limits", "anomaly_factor"),
    "CC_GET_CANDLES_MIN_CANDLES_FOR_MEDIAN": ("limits", "anomaly_median_candles"),
    "CC_REPORT_SHOW_SIGNAL_NOTE": ("report_show_note",),
}
RULES = {"conflict": "not_below_max", "below-costs": "below_costs"}
STRICTER = {"UNKNOWN_KEY", "CC_REPORT_SHOW_SIGNAL_NOTE"}  # accepted by the original whatever they hold


def ours(override: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in override.items():
        path = OURS.get(name, (name,))
        into = values if len(path) == 1 else values.setdefault(path[0], {})
        into[path[-1]] = float("nan") if value == "NaN" else value
    return values


def broken(override: dict[str, Any]) -> set[str]:
    try:
        Settings.model_validate(ours(override))
    except ValidationError as error:
        original = {path[-1]: name for name, path in OURS.items()}
        found = problems_of(error, lambda keys, _: Source(key=str(keys[-1])))
        return {f"{original.get(str(one.where and one.where.key))}:{RULES.get(one.code, 'invalid')}" for one in found}
    return set()


@pytest.mark.parametrize("row", TABLE["rows"], ids=lambda row: json.dumps(row["override"]))
def test_settings_break_the_rules_of_the_original_one_by_one(row: dict[str, Any]) -> None:
    if STRICTER & set(row["override"]):
        assert row["valid"]
        assert broken(row["override"])
    else:
        assert broken(row["override"]) == set(row["errors"])


def test_the_defaults_are_those_of_the_original() -> None:
    settings = Settings().model_dump()
    for name, value in TABLE["defaults"].items():
        found: Any = settings
        for key in OURS[name]:
            found = found[key]
        assert found == value


def test_the_engine_gets_the_limits_and_costs_of_the_settings() -> None:
    assert Settings().limits_model() == Limits()
    assert Settings().costs_model() == Costs()
    given = Settings.model_validate(
        {
            "costs": {"fee_percent": 0, "slippage_percent": 0.01},
            "limits": {
                "average_price_candles": 1,
                "schedule_await_minutes": 2,
                "max_wait_minutes": 3,
                "min_take_profit_percent": 4,
                "min_stop_loss_percent": 5,
                "max_stop_loss_percent": 6,
                "max_lifetime_minutes": 7,
                "signal_seconds": 8,
            },
        }
    )
    assert given.costs_model() == Costs(fee_percent=0.0, slippage_percent=0.01)
    assert given.limits_model() == Limits(
        average_price_candles=1,
        schedule_await_minutes=2,
        max_wait_minutes=3,
        min_take_profit_percent=4.0,
        min_stop_loss_percent=5.0,
        max_stop_loss_percent=6.0,
        max_lifetime_minutes=7,
        signal_seconds=8,
    )


def test_a_default_wait_longer_than_the_longest_is_refused() -> None:
    assert LimitsSchema.model_validate({"schedule_await_minutes": 1440}).schedule_await_minutes == 1440
    assert broken({"CC_SCHEDULE_AWAIT_MINUTES": 1441}) == {"CC_SCHEDULE_AWAIT_MINUTES:not_below_max"}


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_fill_policy_by_name_is_its_preset(name: str) -> None:
    assert Settings.model_validate({"fill": name}).policy() == PRESETS[name]


def test_a_fill_policy_by_keys_changes_its_base() -> None:
    assert Settings.model_validate({"fill": {}}).policy() == FillPolicy()
    given = {"base": "touch", "stop_at": "level", "better_entry": "given"}
    expected = FillPolicy(exit="touch", entry="touch", stop_at="level", better_entry="given")
    assert Settings.model_validate({"fill": given}).policy() == expected


def test_the_keys_of_a_fill_mapping_are_those_of_the_policy() -> None:
    assert set(FillSchema.model_fields) == {"base", *policy_keys()}
    for key, values in policy_keys().items():
        for value in values:
            assert getattr(Settings.model_validate({"fill": {key: value}}).policy(), key) == value


def test_reference_is_a_policy_without_keys() -> None:
    policy = Settings.model_validate({"fill": "reference"}).policy()
    assert policy == ReferencePolicy()
    assert (policy.name, policy.is_optimistic) == ("reference", True)
    assert policy.nearest.order == "profit_first"
