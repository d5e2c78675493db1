"""Chosen columns change what readers see of a main table, and nothing of the record."""

import io
from dataclasses import replace

import pytest
from make import deals, run, stream
from rich.console import Console

from backtestkit_cli.engine.result import ColumnChoice, RunResult
from backtestkit_cli.report.as_csv import csv_texts
from backtestkit_cli.report.as_json import document
from backtestkit_cli.report.build import build
from backtestkit_cli.report.columns import wrong_format, wrong_unit
from backtestkit_cli.report.empty import known_columns
from backtestkit_cli.report.kinds import KINDS, MAIN_TABLES, Kind, report_of
from backtestkit_cli.report.markdown import markdown
from backtestkit_cli.report.report import Column, Form, Report, Table
from backtestkit_cli.report.stored import record_of
from backtestkit_cli.report.terminal import terminal
from backtestkit_cli.report.text import cell_text

from .cases import GOLDEN, HOSTILE, lived, sized


def choosing(made: RunResult, kind: Kind, *choices: ColumnChoice) -> RunResult:
    return replace(made, columns={kind: choices})


def table_of(report: Report, key: str) -> list[str]:
    """The lines of the first table of a report under the head of a main table."""
    titles = [one.title for chapter in report.chapters for one in chapter.sections if one.key == key]
    part = markdown(report).split(f"# {titles[0]}\n\n")[1]
    return part.split("\n\n")[0].splitlines()


TRADES = (ColumnChoice(key="pnl_percent", label="Net", format="+.1f"), ColumnChoice(key="closed"))


def test_a_choice_sets_order_label_format_and_what_is_left_out() -> None:
    lines = table_of(build(choosing(run(stream(*deals(1.04, -0.26))), "backtest", *TRADES)), "trades")
    assert lines == [
        "| Net % | Closed UTC       |",
        "| ----: | ---------------- |",
        "|  +1.0 | 2023-03-01 01:00 |",
        "|  -0.3 | 2023-03-01 03:00 |",
    ]


def test_the_terminal_shows_the_same_columns() -> None:
    report = build(choosing(run(stream(*deals(1.04))), "backtest", *TRADES))
    written = terminal(report, Console(file=io.StringIO(), width=80))
    assert "\n  Net %  Closed UTC\n   +1.0  2023-03-01 01:00\n" in written


@pytest.mark.parametrize("kind", KINDS)
def test_no_choice_changes_the_record(kind: Kind) -> None:
    plain = lived()
    column = known_columns(kind)[-1]
    chosen = replace(plain, run=choosing(plain.run, kind, ColumnChoice(key=column.key, label="Other")))
    before, after = report_of(kind, plain), report_of(kind, chosen)
    assert table_of(after, MAIN_TABLES[kind])[0] in ("| Other |", "| Other ms |", "| Strategy | Other |")
    assert {key: sorted(text.splitlines()[0].split(",")) for key, text in csv_texts(before).items()} == {
        key: sorted(text.splitlines()[0].split(",")) for key, text in csv_texts(after).items()
    }
    assert document(before) == document(after)


def test_strategies_keep_their_names_in_a_heat_map_of_several() -> None:
    made = choosing(GOLDEN["portfolio"](), "heat", ColumnChoice(key="symbol"), ColumnChoice(key="trades"))
    report = report_of("heat", record_of(made))
    assert table_of(report, "heat")[0] == "| Strategy  | Trades |"
    assert "| Symbol   | Trades |" in markdown(report)


def test_a_column_that_only_sized_trades_have_is_left_out_of_others() -> None:
    made = choosing(sized(), "backtest", ColumnChoice(key="pnl_quote"), ColumnChoice(key="closed"))
    text = markdown(build(made))
    assert "| PnL, quote | Closed UTC       |" in text
    assert "\n| Closed UTC       |\n" in text


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_knows_its_columns_before_there_is_a_run(kind: Kind) -> None:
    for chapter in report_of(kind, lived()).chapters:
        for section in chapter.sections:
            if section.key == MAIN_TABLES[kind] and isinstance(section.block, Table):
                keys = {column.key for column in section.block.columns}
                assert keys <= {column.key for column in known_columns(kind)}


def column(form: Form, unit: str = "", format: str = "") -> Column:  # noqa: A002  # the key's word
    return Column(key="any", label="Any", values=(), form=form, unit=unit, format=format)


@pytest.mark.parametrize(
    ("form", "format_", "is_wrong"),
    [
        ("signed", "+.2f", False),
        ("price", ",.0f", False),
        ("number", ".3g", False),
        ("number", "e", False),
        ("count", ",d", False),
        ("count", ".1f", False),
        ("number", "d", True),
        ("count", ".2d", True),
        ("text", ".2f", True),
        ("time", ".2f", True),
        ("truth", "d", True),
    ],
)
def test_a_format_must_write_the_values_as_they_are(form: Form, format_: str, is_wrong: bool) -> None:
    assert (wrong_format(column(form), format_) is not None) is is_wrong


@pytest.mark.parametrize(
    ("own", "unit", "is_wrong"),
    [
        ("%", "%", False),
        ("%", "", False),
        ("%", "h", True),
        ("h", "%", True),
        ("", "USDT", False),
        ("", "", False),
        ("", "far too long for a head", True),
        ("", "a\nb", True),
        ("", "\x1b[31m", True),
    ],
)
def test_a_unit_must_be_the_one_of_the_values(own: str, unit: str, is_wrong: bool) -> None:
    assert (wrong_unit(column("number", own), unit) is not None) is is_wrong


@pytest.mark.parametrize(
    ("value", "format_", "text"),
    [
        (1234.5, ",.1f", "1,234.5"),
        (0.04, "+.1f", "0.0"),
        (-0.04, ".1f", "0.0"),
        (-0.06, ".1f", "-0.1"),
        (None, ".1f", "N/A"),
        (float("nan"), ".1f", "N/A"),
        (1e300, ".2g", "1e+300"),
    ],
)
def test_a_value_that_rounds_to_zero_has_no_sign_in_any_format(value: float | None, format_: str, text: str) -> None:
    assert cell_text(column("number", format=format_), value) == text


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_label_breaks_no_table(text: str) -> None:
    report = build(choosing(run(stream(*deals(1.0))), "backtest", ColumnChoice(key="closed", label=text)))
    head, rule, row = table_of(report, "trades")
    assert head.replace("\\|", "").count("|") == rule.count("|") == row.count("|") == 2
    assert all(char.isprintable() or char == "\n" for char in terminal(report, Console(file=io.StringIO(), width=80)))
