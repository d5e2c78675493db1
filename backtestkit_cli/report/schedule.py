"""The schedule report: what became of limit entries that waited for their price.

A wait runs from the decision to the activation or the cancellation. Rates are shares of all scheduled entries. Under
`fill: reference` an entry may go away without an event: it counts as cancelled, when is not known.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from backtestkit_cli.measure.metrics import Metric, mean_of, metric
from backtestkit_cli.model.event import CancelReason
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.report.frames import storable
from backtestkit_cli.report.report import Column, Form, Measures, Section, Table, table_section
from backtestkit_cli.report.stored import Record

NO_ENTRY = "no limit entry"
LAST_ENTRIES = 10
UNTOLD = "untold"
"""The reason of an entry that went away without an event."""


class Entry(NamedTuple):
    """One limit entry and its end, None where no event told of it; `row` is the event that scheduled it.

    `reason` is that of a cancellation, None of an activation.
    """

    row: dict[str, Any]
    ended_ms: int | None
    reason: str | None

    @property
    def minutes(self) -> float | None:
        """How long it waited."""
        return None if self.ended_ms is None else float((self.ended_ms - self.row["decided"]) / MINUTE_MS)


def schedule_sections(record: Record) -> Iterator[Section]:
    """Tell the limit entries of some streams together."""
    entries = list(_entries(record))
    yield Section(key="schedule", title="Limit entries", block=Measures(_figures(entries)))
    yield table_section("cancellations", "Why entries were given up", _cancellations(entries))
    yield table_section("entries", "Each entry", _table(entries))


def _entries(record: Record) -> Iterator[Entry]:
    """Each scheduled entry; a position of the same decision is what activated it."""
    rows = record.told("scheduled", "cancelled").to_dicts()
    cancelled = {_decision(row): row for row in rows if row["kind"] == "cancelled"}
    opened = {
        (storable(stream.strategy), storable(stream.symbol), decided): opened
        for stream in record.run.streams
        for decided, opened in zip(
            stream.result.trades.decided_ms.tolist(), stream.result.trades.opened_ms.tolist(), strict=True
        )
    }
    for row in rows:
        if row["kind"] == "scheduled":
            end, opened_ms = cancelled.get(_decision(row)), opened.get(_decision(row))
            if end is not None:
                yield Entry(row, end["time"], end["reason"])
            else:
                yield Entry(row, opened_ms, UNTOLD if opened_ms is None else None)


def _decision(row: dict[str, Any]) -> tuple[str, str, int]:
    return row["strategy"], row["symbol"], row["decided"]


def _figures(entries: Sequence[Entry]) -> tuple[Metric, ...]:
    count = len(entries)
    activated = [entry for entry in entries if entry.reason is None]
    cancelled = [entry for entry in entries if entry.reason is not None]

    def share(part: Sequence[Entry]) -> float | None:
        return 100 * len(part) / count if count else None

    no_activation, no_cancellation = (NO_ENTRY, NO_ENTRY) if not count else ("none activated", "none cancelled")
    return (
        metric("scheduled", "Scheduled", count, "entries"),
        metric("activated", "Activated", len(activated), "entries"),
        metric("cancelled", "Cancelled", len(cancelled), "entries"),
        metric("activation_rate_percent", "Activation rate", share(activated), "%", reason=NO_ENTRY),
        metric("cancellation_rate_percent", "Cancellation rate", share(cancelled), "%", reason=NO_ENTRY),
        metric(
            "average_activation_minutes", "Wait until active", mean_of(_waits(activated)), "min", reason=no_activation
        ),
        metric(
            "average_cancellation_minutes", "Wait in vain", mean_of(_waits(cancelled)), "min", reason=no_cancellation
        ),
        metric("longest_wait_minutes", "Longest wait", max(_waits(entries), default=None), "min", reason=NO_ENTRY),
    )


def _waits(entries: Sequence[Entry]) -> list[float]:
    return [entry.minutes for entry in entries if entry.minutes is not None]


def _cancellations(entries: Sequence[Entry]) -> Table:
    given_up = [(reason, [one for one in entries if one.reason == reason]) for reason in (*CancelReason, UNTOLD)]
    found = [(str(reason), len(some), mean_of(_waits(some))) for reason, some in given_up if some]
    reasons, counts, means = zip(*found, strict=True) if found else ((), (), ())
    return Table(
        (
            Column(key="reason", label="Reason", values=reasons),
            Column(key="entries", label="Entries", values=counts, form="count"),
            Column(key="average_wait_minutes", label="Average wait", values=means, form="number", unit="min"),
        )
    )


def _table(entries: Sequence[Entry]) -> Table:
    def given(key: str, label: str, form: Form = "text", unit: str = "") -> Column:
        return Column(key=key, label=label, values=[entry.row[key] for entry in entries], form=form, unit=unit)

    outcomes = ["activated" if entry.reason is None else "cancelled" for entry in entries]
    return Table(
        (
            given("decided", "Decided", "time", "UTC"),
            Column(key="ended", label="Ended", values=[one.ended_ms for one in entries], form="time", unit="UTC"),
            Column(
                key="wait_minutes", label="Waited", values=[one.minutes for one in entries], form="number", unit="min"
            ),
            Column(key="outcome", label="Outcome", values=outcomes),
            Column(key="reason", label="Reason", values=[one.reason or "" for one in entries]),
            given("position", "Side"),
            given("price_open", "Limit", "price"),
            given("price", "Market then", "price"),
            given("price_take_profit", "Take profit", "price"),
            given("price_stop_loss", "Stop loss", "price"),
            given("id", "Signal"),
        ),
        row="entry",
        last=LAST_ENTRIES,
    )
