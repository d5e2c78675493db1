"""The risk report: which signals risk profiles refused, and why.

A refusal at the decision ends the draft; one at the activation cancels the waiting entry.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from backtestkit_cli.measure.metrics import metric
from backtestkit_cli.report.report import Column, Form, Measures, Section, Table, table_section
from backtestkit_cli.report.stored import Record

LAST_REFUSALS = 10
COUNTED = (
    ("symbol", "by_symbol", "Symbol"),
    ("strategy", "by_strategy", "Strategy"),
    ("profile", "by_profile", "Profile"),
    ("rules", "by_rule", "Rule"),
)

Rows = Sequence[Mapping[str, Any]]


def risk_sections(record: Record) -> Iterator[Section]:
    """Tell the refusals of some streams."""
    rows = record.rows("risk_refused")
    at_decision = sum(row["stage"] == "decision" for row in rows)
    figures = (
        metric("refusals", "Refusals", len(rows), "refusals"),
        metric("refusals_at_decision", "At the decision", at_decision, "refusals"),
        metric("refusals_at_activation", "At the activation", len(rows) - at_decision, "refusals"),
    )
    yield Section(key="risk", title="Refusals by risk profiles", block=Measures(figures))
    for column, key, label in COUNTED:
        yield table_section(key, f"By {label.lower()}", _counts(rows, column, key.removeprefix("by_"), label))
    yield table_section("refusals", "Each refusal", _table(rows))


def _counts(rows: Rows, column: str, key: str, label: str) -> Table:
    """The most frequent first, names in order among equals."""
    counted = sorted(Counter(row[column] for row in rows).items(), key=lambda item: (-item[1], item[0]))
    return Table(
        (
            Column(key=key, label=label, values=[name for name, _ in counted]),
            Column(key="refusals", label="Refusals", values=[count for _, count in counted], form="count"),
        )
    )


def _table(rows: Rows) -> Table:
    def given(key: str, label: str, form: Form = "text", unit: str = "", source: str = "") -> Column:
        return Column(key=key, label=label, values=[row[source or key] for row in rows], form=form, unit=unit)

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
