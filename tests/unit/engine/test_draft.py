"""Validation against the original's table, and the tolerance that is ours."""

import json
from typing import Any

import numpy as np
import pytest
from shared import ROOT

from backtestkit_cli.engine.draft import TOLERANCE_PERCENT
from backtestkit_cli.engine.step import Entry, broken_rules_of
from backtestkit_cli.engine.validation import figures_of
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.signal import SignalDraft

TABLE = json.loads((ROOT / "tests/golden/original/tables/signal_validation.json").read_text())["rows"]
NUMBERS = ("price_open", "price_take_profit", "price_stop_loss", "minute_estimated_time")


def is_numeric(value: Any) -> bool:
    return isinstance(value, int | float) or value in ("NaN", "Infinity", "-Infinity")


# What is no number at all is refused before validation, when the answer of a strategy is read.
NUMERIC = [
    row for row in TABLE if all(is_numeric(row["signal"][name]) for name in NUMBERS) and row["signal"]["position"]
]


def draft_of(row: dict[str, Any]) -> SignalDraft:
    signal = row["signal"]
    return SignalDraft(
        position=signal["position"],
        price_take_profit=float(signal["price_take_profit"]),
        price_stop_loss=float(signal["price_stop_loss"]),
        lifetime_minutes=float(signal["minute_estimated_time"]),
    )


def rules_of(row: dict[str, Any], limits: Limits | None = None) -> list[str]:
    price, entry = float(row["current_price"]), float(row["signal"]["price_open"])
    return list(broken_rules_of(draft_of(row), price, entry, 10, row["scheduled"], limits or Limits()))


def test_the_table_is_worth_the_test() -> None:
    assert len(NUMERIC) > 120
    assert sum(not row["valid"] for row in NUMERIC) > 60


@pytest.mark.parametrize("row", NUMERIC, ids=[str(number) for number in range(len(NUMERIC))])
def test_the_same_rules_break_as_in_the_original(row: dict[str, Any]) -> None:
    assert rules_of(row) == row["errors"]


def test_every_broken_rule_is_told_with_its_figure() -> None:
    for row in NUMERIC:
        entry = Entry(float(row["signal"]["price_open"]), not row["scheduled"], False, 10)
        figures = figures_of(draft_of(row), float(row["current_price"]), entry, Limits())
        told = [one.rule for one in figures if one.is_broken]
        assert told == [rule for rule in row["errors"] if rule != "position_invalid"], "only a word has no figure"


def draft_row(**changes: Any) -> dict[str, Any]:
    signal = {"position": "long", "price_open": 100.0, "price_take_profit": 102.0, "price_stop_loss": 98.0}
    signal |= {"minute_estimated_time": 60}
    return {"signal": signal | changes, "current_price": changes.get("current_price", 100.0), "scheduled": False}


@pytest.mark.parametrize(
    ("key", "sign", "limit", "rule"),
    [
        ("price_take_profit", 1, 0.5, "long_tp_too_close"),
        ("price_stop_loss", -1, 0.5, "long_sl_too_close"),
    ],
)
def test_a_distance_within_the_tolerance_passes_and_beyond_it_does_not(
    key: str, sign: int, limit: float, rule: str
) -> None:
    inside = 100.0 + sign * (limit - 0.9 * TOLERANCE_PERCENT)
    outside = 100.0 + sign * (limit - 2 * TOLERANCE_PERCENT)
    assert rules_of(draft_row(**{key: inside})) == []
    assert rules_of(draft_row(**{key: outside})) == [rule]


def test_a_stop_just_beyond_its_farthest_distance_passes_within_the_tolerance() -> None:
    assert rules_of(draft_row(price_stop_loss=80.0 - 0.9 * TOLERANCE_PERCENT)) == []
    assert rules_of(draft_row(price_stop_loss=80.0 - 2e-8)) == ["long_sl_too_far"]


@pytest.mark.parametrize(
    "limits",
    [
        Limits(min_take_profit_percent=2 + TOLERANCE_PERCENT),
        Limits(min_stop_loss_percent=2 + TOLERANCE_PERCENT),
        Limits(max_stop_loss_percent=2 - TOLERANCE_PERCENT),
    ],
)
def test_a_distance_on_the_edge_of_the_tolerance_passes(limits: Limits) -> None:
    assert rules_of(draft_row(), limits) == []


def test_a_limit_of_zero_switches_its_rule_off() -> None:
    off = Limits(min_take_profit_percent=0, min_stop_loss_percent=0, max_stop_loss_percent=0, max_lifetime_minutes=0)
    near = draft_row(price_take_profit=100.01, price_stop_loss=99.99, minute_estimated_time=10**6)
    assert rules_of(near, off) == []
    assert rules_of(draft_row(price_stop_loss=1.0), off) == []


def test_a_short_on_a_spot_market_breaks_a_rule_and_a_long_does_not() -> None:
    spot, short = Limits(long_only=True), draft_row(position="short", price_take_profit=98.0, price_stop_loss=102.0)
    assert rules_of(short, spot) == ["short_on_spot"]
    assert rules_of(short) == []
    assert rules_of(draft_row(), spot) == []


@pytest.mark.parametrize(
    ("wait", "broken"), [(1, False), (1440, False), (0, True), (1441, True), (1.5, True), (np.nan, True)]
)
def test_a_wait_is_a_whole_number_from_one_to_its_limit(wait: float, broken: bool) -> None:
    draft = SignalDraft(position="long", price_take_profit=102.0, price_stop_loss=98.0, lifetime_minutes=5)
    assert ("wait_not_allowed" in broken_rules_of(draft, 101.0, 100.0, wait, True, Limits())) is broken
    assert "wait_not_allowed" not in broken_rules_of(draft, 100.0, 100.0, wait, False, Limits())


def test_a_position_that_is_none_is_named_and_its_sides_are_not_judged() -> None:
    draft = SignalDraft(position="sideways", price_take_profit=1.0, price_stop_loss=np.nan, lifetime_minutes=5)
    assert broken_rules_of(draft, 100.0, 100.0, 10, False, Limits()) == (
        "position_invalid",
        "price_stop_loss_not_finite",
    )
