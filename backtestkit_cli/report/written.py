"""A report in the formats it can be had in: which there are, and the files it becomes.

A report of one format is one file, but for CSV: that is one file for each table.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from backtestkit_cli.disk import DISK, file_name, write_atomic
from backtestkit_cli.errors import Problem, UsageError
from backtestkit_cli.report.as_csv import csv_table, csv_texts
from backtestkit_cli.report.as_json import json_text
from backtestkit_cli.report.dump import read_report
from backtestkit_cli.report.html import page, stored_page
from backtestkit_cli.report.kinds import KINDS, MAIN_TABLES, Kind, report_of
from backtestkit_cli.report.markdown import markdown
from backtestkit_cli.report.report import Report
from backtestkit_cli.report.stored import read_record

Format = Literal["md", "json", "csv", "html"]
FORMATS: tuple[Format, ...] = get_args(Format)
DEFAULT_FORMATS = "md,json,csv"
LIVE = "live"
"""The kind of report that sessions have, and runs have not."""
WALKER = "walker"
"""The kind of report that comparisons have."""
OPTIMIZER = "optimizer"
"""The kind of report that searches have."""
TEXTS: dict[Format, Callable[[Report], str]] = {"md": markdown, "json": json_text, "html": page}
MODE = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written: the record, and the reports made of it."""

    record: Path
    reports: tuple[Path, ...]


def write_with_reports(record: Path, content: bytes | Iterable[bytes], report: Report, main: str) -> Written:
    """Write a record, and beside its folder the newest report made of it; of the tables of CSV the one of `main`.

    Raises:
        OSError: the disk refused; each file is the old one or the new one.
    """
    folder = record.parent
    DISK.make_folder(folder)
    write_atomic(record, content, mode=MODE)
    paths = tuple(folder.with_name(f"{folder.name}.{one}") for one in FORMATS)
    for path, one in zip(paths, FORMATS, strict=True):
        write_atomic(path, text_of(report, main, one).encode("utf-8"), mode=MODE)
    return Written(record=record, reports=paths)


def kind_named(text: str) -> Kind:
    """Give the kind of report of that name.

    Raises:
        UsageError: there is none.
    """
    for kind in KINDS:
        if kind == text:
            return kind
    raise UsageError(
        Problem(
            "unknown-report-kind",
            f"there is no report of the kind {text!r}",
            expected=", ".join(KINDS),
            hint=f"sessions have the kind {LIVE}, comparisons {WALKER}, searches {OPTIMIZER}",
        )
    )


def formats_named(text: str) -> list[Format]:
    """Give the formats named in a text, separated by commas.

    Raises:
        UsageError: one is unknown.
    """
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        raise UsageError(Problem("unknown-format", f"there is no format {unknown[0]!r}", expected=", ".join(FORMATS)))
    return [one for one in FORMATS if one in names]


def report_text(bundle: Path, kind: Kind, format: Format) -> str:  # noqa: A002  # the option's word
    """Write the report of a stored run as one text; of the tables of CSV the one the kind is about.

    Raises:
        UsageError, DataError: the bundle keeps too little, or is damaged.
    """
    if kind == "backtest" and format != "csv":
        return stored_page(bundle) if format == "html" else read_report(bundle, format)
    return text_of(stored_report(bundle, kind), MAIN_TABLES[kind], format)


def report_files(bundle: Path, kind: Kind, formats: list[Format]) -> dict[str, str]:
    """Write the report of a stored run in some formats: texts by file name.

    Raises:
        UsageError, DataError: the bundle keeps too little, or is damaged.
    """
    files: dict[str, str] = {}
    for one in formats:
        if one == "csv":
            files |= files_of(stored_report(bundle, kind), bundle.name, [one])
        else:
            files[f"{bundle.name}.{one}"] = report_text(bundle, kind, one)
    return files


def text_of(report: Report, main: str, format: Format) -> str:  # noqa: A002  # the option's word
    """Write a report as one text; of the tables of CSV the one of the section `main`."""
    return csv_table(report, main) if format == "csv" else TEXTS[format](report)


def files_of(report: Report, name: str, formats: list[Format]) -> dict[str, str]:
    """Write a report in some formats: texts by file name."""
    files: dict[str, str] = {}
    for one in formats:
        if one == "csv":
            files |= {f"{name}__{file_name(key)}.csv": text for key, text in csv_texts(report).items()}
        else:
            files[f"{name}.{one}"] = TEXTS[one](report)
    return files


def stored_report(bundle: Path, kind: Kind) -> Report:
    """Make the report of a stored run again.

    Raises:
        UsageError, DataError: the bundle keeps too little, or is damaged.
    """
    return report_of(kind, read_record(bundle))
