"""The risk report: which signals risk profiles refused, and why.

A refusal at the decision ends the draft; one at the activation cancels the waiting entry.
"""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from backtestkit_cli.measure.metrics import metric
from backtestkit_cli.report.report import Column, Form, Measures, Section, Table, table_section
from backtestkit_cli.report.stored import Record

if TYPE_CHECKING:
    import polars as pl

LAST_REFUSALS = 10
COUNTED = (
    ("symbol", "by_symbol", "Symbol"),
    ("strategy", "by_strategy", "Strategy"),
    ("profile", "by_profile", "Profile"),
    ("rules", "by_rule", "Rule"),
)


def risk_sections(record: Record) -> Iterator[Section]:
    """Tell the refusals of some streams."""
    refused = record.told("risk_refused")
    at_decision = int((refused["stage"] == "decision").sum())
    figures = (
        metric("refusals", "Refusals", len(refused), "refusals"),
        metric("refusals_at_decision", "At the decision", at_decision, "refusals"),
        metric("refusals_at_activation", "At the activation", len(refused) - at_decision, "refusals"),
    )
    yield Section(key="risk", title="Refusals by risk profiles", block=Measures(figures))
    for column, key, label in COUNTED:
        yield table_section(key, f"By {label.lower()}", _counts(refused[column], key.removeprefix("by_"), label))
    yield table_section("refusals", "Each refusal", _table(refused))


def _counts(names: "pl.Series", key: str, label: str) -> Table:
    """The most frequent first, names in order among equals."""
    counted = sorted(Counter(names.to_list()).items(), key=lambda item: (-item[1], item[0]))
    return Table(
        (
            Column(key=key, label=label, values=[name for name, _ in counted]),
            Column(key="refusals", label="Refusals", values=[count for _, count in counted], form="count"),
        )
    )


def _table(refused: "pl.DataFrame") -> Table:
    def given(key: str, label: str, form: Form = "text", unit: str = "", source: str = "") -> Column:
        return Column(key=key, label=label, values=refused[source or key].to_list(), form=form, unit=unit)

    return Table(
        (
            given("time", "Refused", "time", "UTC"),
            given("stage", "At the"),
            given("profile", "Profile"),
            given("rule", "Rule", source="rules"),
            given("reason", "Reason", source="what"),
            given("open_positions", "Open then", "count"),
            given("position", "Side"),
            given("price", "Price", "price"),
            given("price_open", "Entry", "price"),
            given("price_take_profit", "Take profit", "price"),
            given("price_stop_loss", "Stop loss", "price"),
            given("id", "Signal"),
        ),
        row="refusal",
        last=LAST_REFUSALS,
    )
