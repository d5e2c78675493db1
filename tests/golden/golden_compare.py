"""One case compared in all its parts; each part counts what is equal and names what differs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from golden.golden_cases import Case, Outcome, run_case
from golden.golden_records import (
    Ids,
    asked_as_recorded,
    by_stream,
    calls_as_recorded,
    counts_as_recorded,
    differences,
    events_as_recorded,
    writes_as_recorded,
)
from golden.golden_reports import Writer, report_differences, report_names
from golden.golden_statistics import heat_as_recorded, statistics_as_recorded, walkers_as_recorded
from golden.golden_tables import TABLES, rows_of

PARTS = ("events", "callbacks", "writes", "get_signal calls", "counts", "statistics", "report figures", "tables")
CLOSE = 1e-12


@dataclass(slots=True)
class Tally:
    """How much of a part was compared, and what differs."""

    total: int = 0
    wrong: int = 0
    found: list[str] = field(default_factory=list)

    def add(self, place: str, total: int, found: Iterable[str], wrong: int | None = None) -> None:
        """Count compared items; `wrong` of them differ (each finding one, where not given)."""
        findings = [f"{place}: {text}" for text in found]
        self.total += total
        self.wrong += len(findings) if wrong is None else wrong
        self.found += findings


def new_tallies() -> dict[str, Tally]:
    return {part: Tally() for part in PARTS}


def compare_case(folder: Path, tallies: Mapping[str, Tally]) -> None:
    """Run a case and count it."""
    case = Case(folder)
    outcome, expected, name = run_case(case), case.expected, folder.name
    is_shared = case.mode in ("interleaved", "live_ticks")
    _add_records(tallies["events"], name, expected["events"], events_as_recorded(outcome), is_shared=is_shared)
    if "callbacks" in expected:
        _add_records(tallies["callbacks"], name, expected["callbacks"], calls_as_recorded(outcome), is_shared=is_shared)
    if "persist_writes" in expected:
        _add_records(tallies["writes"], name, expected["persist_writes"], writes_as_recorded(outcome), is_shared=False)
    for part, key, found in (
        ("get_signal calls", "get_signal_calls", asked_as_recorded(outcome)),
        ("counts", "counts", counts_as_recorded(outcome)),
    ):
        tallies[part].add(name, _leaves(expected[key]), differences(expected[key], found, key))
    _add_statistics(tallies["statistics"], name, expected, outcome)
    writer = Writer(outcome, Ids(outcome))
    for path in report_names(folder):
        total, wrong = report_differences(path, writer)
        tallies["report figures"].add(f"{name}, {path.name}", total, wrong)


def compare_table(folder: Path, table: str, tally: Tally) -> None:
    """Compare the rows of a table."""
    rows = rows_of(folder, table)
    for place, row in enumerate(rows):
        found = list(TABLES[table](row))
        tally.add(f"{table}, row {place}", 1, found, wrong=bool(found))


def _add_records(
    tally: Tally,
    name: str,
    expected: Sequence[Mapping[str, Any]],
    found: Sequence[Mapping[str, Any]],
    *,
    is_shared: bool,
) -> None:
    """Count records one by one, in order; per stream where they share the order, which is nobody's."""
    wanted, ours = (by_stream(expected), by_stream(found)) if is_shared else ({"": expected}, {"": found})
    for key in dict.fromkeys((*wanted, *ours)):
        one, other = wanted.get(key, []), ours.get(key, [])
        count = max(len(one), len(other))
        for place in range(count):
            wanted_here, found_here = (records[place] if place < len(records) else None for records in (one, other))
            texts = list(differences(wanted_here, found_here, f"{key}[{place}]"))
            tally.add(name, 1, texts, wrong=bool(texts))


def _add_statistics(tally: Tally, name: str, expected: Mapping[str, Any], outcome: Outcome) -> None:
    ours = {"stats": statistics_as_recorded, "heatmap": heat_as_recorded, "walkers": walkers_as_recorded}
    for key, figures in ours.items():
        if key in expected:
            tally.add(name, _leaves(expected[key]), differences(expected[key], figures(outcome), key, CLOSE))


def _leaves(value: Any) -> int:
    """How many single values a record holds."""
    if isinstance(value, Mapping):
        return sum(map(_leaves, value.values()))
    return sum(map(_leaves, value)) if isinstance(value, list) else 1
