"""What the writers promise beyond their golden texts: numbers, widths, colours, cut tables, missing values."""

import io
import json
import math
import re
from typing import Any

import pytest
from make import Deal, deals, run, stream
from rich.cells import cell_len
from rich.console import Console

from backtestkit_cli.report.as_json import document, json_text
from backtestkit_cli.report.build import build
from backtestkit_cli.report.column_text import texts_of
from backtestkit_cli.report.markdown import markdown
from backtestkit_cli.report.report import Column, Form, Lead, Section, Table, Value
from backtestkit_cli.report.terminal import sections_text, terminal, whole_terminal
from backtestkit_cli.report.text import held_text, made_text, price_text, sparkline, text_of

from .cases import GOLDEN, mixed

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def plain(width: int = 80) -> Console:
    return Console(file=io.StringIO(), width=width)


def no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


@pytest.mark.parametrize("width", [60, 76, 80, 120, 200])
@pytest.mark.parametrize("name", GOLDEN)
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    written = terminal(build(GOLDEN[name]()), plain(width))
    assert max(cell_len(line) for line in written.splitlines()) <= width


def test_colours_are_for_terminals_only_and_change_no_word() -> None:
    report = build(GOLDEN["winning"]())
    coloured = terminal(
        report, Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard", no_color=False)
    )
    assert COLOUR.search(coloured)
    stripped = [COLOUR.sub("", line).rstrip() for line in coloured.splitlines()]
    assert stripped == terminal(report, plain()).splitlines()


def test_terminal_shows_the_newest_trades_and_where_the_others_are() -> None:
    written = terminal(build(run(stream(*mixed(25)))), plain(), place="there/report.md")
    table = written[written.index("\nTrades\n") :].splitlines()
    assert table[2].strip() == "15 earlier trades in there/report.md"
    assert sum("2023-03-" in line for line in table) == 10
    assert markdown(build(run(stream(*mixed(25))))).count("\n| 2023-03-") == 25


@pytest.mark.parametrize(("count", "line"), [(10, None), (11, "1 earlier trade in x"), (12, "2 earlier trades in x")])
def test_ten_trades_are_not_cut(count: int, line: str | None) -> None:
    written = terminal(build(run(stream(*mixed(count)))), plain(), place="x")
    assert (line in written) if line else ("earlier" not in written)


def test_json_is_one_document_of_numbers() -> None:
    told = json.loads(json_text(build(GOLDEN["winning"]())), parse_constant=no_constant)
    trade = told["streams"][0]["trades"][0]
    assert told["streams"][0]["metrics"]["trades"] == 14
    assert trade["closed"] == "2023-03-01T01:45Z"
    assert (trade["position"], trade["reason"], trade["is_bridged"]) == ("long", "take_profit", False)
    assert trade["price_open"] == 23145.678
    assert told["streams"][0]["funnel"]["invalid"] == {"total": 2, "long_tp_too_close": 2, "long_sl_too_far": 1}


@pytest.mark.parametrize("name", GOLDEN)
def test_json_text_is_the_document(name: str) -> None:
    report = build(GOLDEN[name]())
    assert json.loads(json_text(report)) == document(report)


@pytest.mark.parametrize("name", GOLDEN)
def test_every_missing_metric_has_its_reason_in_json(name: str) -> None:
    told = document(build(GOLDEN[name]()))
    for part in [*told["streams"], *([told["portfolio"]] if "portfolio" in told else [])]:
        missing = {key for key, value in part["metrics"].items() if value is None}
        assert missing == set(part["reasons"])


@pytest.mark.parametrize("name", GOLDEN)
def test_every_key_is_snake_case(name: str) -> None:
    def keys(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value) | {key for part in value.values() for key in keys(part)}
        return {key for part in value for key in keys(part)} if isinstance(value, list) else set()

    wrong = {key for key in keys(document(build(GOLDEN[name]()))) if not re.fullmatch(r"[a-z]+(_[a-z]+)*", key)}
    assert wrong == set()


def test_risk_profiles_are_counted_by_name_whatever_it_is() -> None:
    one = stream(1.0)
    one.result.funnel.risk = 3
    one.result.funnel.risk_by_profile.update({"calm.v2": 2, "total": 1})
    report = build(run(one))
    told = document(report)["streams"][0]["funnel"]
    assert (told["risk"], told["risk_by_profile"]) == (3, {"calm.v2": 2, "total": 1})
    assert "calm.v2" in markdown(report)


def test_what_is_no_number_becomes_null_and_not_nan() -> None:
    whole = run(stream(Deal(pnl=math.nan), Deal(pnl=math.inf, opened_hours=5)))
    told = json.loads(json_text(build(whole)), parse_constant=no_constant)
    assert [trade["pnl_percent"] for trade in told["streams"][0]["trades"]] == [None, None]


def test_several_streams_have_a_row_each_and_one_for_all() -> None:
    written = markdown(build(GOLDEN["portfolio"]()))
    table = written[written.index("## Side by side") :].split("\n\n")[1].splitlines()
    assert [row.split("|")[1].strip() for row in table] == [
        "Strategy",
        "---------",
        "breakout",
        "ema-cross",
        "ema-cross",
        "all",
    ]


def test_the_portfolio_adds_up_what_its_streams_made() -> None:
    told = document(build(GOLDEN["portfolio"]()))
    parts = [one["metrics"]["pnl_percent"] for one in told["streams"]]
    assert told["portfolio"]["metrics"]["pnl_percent"] == pytest.approx(sum(parts), rel=1e-12)
    held = [one["candles"]["buy_and_hold_percent"] for one in told["streams"]]
    assert told["summary"]["buy_and_hold_percent"] == pytest.approx(sum(held), rel=1e-12)
    ticks = [one["funnel"]["ticks"] for one in told["streams"]]
    assert told["portfolio"]["funnel"]["ticks"] == sum(ticks)


def test_an_interrupted_run_without_a_stream_is_still_a_report() -> None:
    report = build(run(status="interrupted"))
    assert "interrupted" in terminal(report, plain())
    assert document(report)["streams"] == []
    assert "no trade" in markdown(report)


def test_the_same_warning_of_every_stream_is_told_once() -> None:
    written = terminal(build(GOLDEN["portfolio"]()), plain())
    assert written.count("is optimistic") == 1


def test_a_curve_ends_at_the_sum_of_all_trades() -> None:
    late = [*deals(1.0, 2.0), Deal(pnl=4.0, opened_hours=200, hours=5)]
    curve = document(build(run(stream(*late))))["streams"][0]["pnl_curve_percent"]
    assert (curve[0], curve[-1], len(curve)) == (0.0, 7.0, 60)


@pytest.mark.parametrize(
    ("value", "form", "unit", "text"),
    [
        pytest.param(1.005, "signed", "%", "+1.00 %", id="signed"),
        pytest.param(-0.004, "signed", "%", "0.00 %", id="no negative zero"),
        pytest.param(0.004, "signed", "", "0.00", id="no positive zero"),
        pytest.param(-0.0, "number", "", "0.00", id="zero"),
        pytest.param(None, "number", "%", "N/A", id="missing"),
        pytest.param(math.nan, "number", "%", "N/A", id="nan"),
        pytest.param(-1e300, "signed", "%", "-1e+300 %", id="huge"),
        pytest.param(1_677_628_800_000, "time", "UTC", "2023-03-01 00:00 UTC", id="time"),
        pytest.param(True, "truth", "", "yes", id="truth"),
        pytest.param(False, "truth", "", "", id="untruth"),
        pytest.param(("a", "b\n"), "text", "", "a, b", id="names"),
    ],
)
def test_values_read_the_same_everywhere(value: Value, form: Form, unit: str, text: str) -> None:
    assert text_of(value, form, unit) == text


@pytest.mark.parametrize(
    ("price", "text"),
    [
        (23145.678912, "23145.679"),
        (1.23456789, "1.2345679"),
        (0.000012345678912, "0.000012345679"),
        (123456789.123, "123456789.12"),
        (0.0, "0"),
        (-5.25, "-5.2500000"),
        (1e300, "1e+300"),
    ],
)
def test_prices_have_eight_significant_digits(price: float, text: str) -> None:
    assert price_text(price) == text


def test_a_sparkline_reaches_from_the_lowest_to_the_highest_block() -> None:
    assert sparkline((0.0, 7.0, 3.0, -1.0, 0.0)) == "▂█▅▁▂"
    assert sparkline((2.0, 2.0)) == "▁▁"


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        pytest.param({}, "2.00 points ahead of buy and hold (+1.00 %)", id="ahead"),
        pytest.param({"hold_percent": 5.0}, "2.00 points behind buy and hold (+5.00 %)", id="behind"),
        pytest.param({"hold_percent": 3.001}, "level with buy and hold (+3.00 %)", id="level"),
        pytest.param({"hold_percent": None}, "buy and hold unknown: no price in the range", id="unknown"),
        pytest.param({"trades": 0}, "buy and hold +1.00 %", id="no trade"),
    ],
)
def test_the_lead_says_against_what(changed: dict[str, Any], text: str) -> None:
    values: dict[str, Any] = {
        "pnl_percent": 3.0,
        "hold_percent": 1.0,
        "trades": 4,
        "streams": 1,
        "warnings": 0,
        "is_interrupted": False,
        "is_optimistic": False,
    }
    lead = Lead(**values | changed)
    assert held_text(lead) == text
    assert made_text(lead) == ("+3.00 % net in 4 trades" if lead.trades else "no trade")


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("name", GOLDEN)
def test_the_whole_report_has_every_trade_and_every_chapter(name: str, width: int) -> None:
    report = build(GOLDEN[name]())
    written = whole_terminal(report, plain(width))
    assert max(cell_len(line) for line in written.splitlines()) <= width
    assert "earlier trade" not in written
    assert "Each stream by itself" not in written
    for chapter in report.chapters:
        for section in chapter.sections:
            if section.key == "trades" and isinstance(section.block, Table):
                (closed,) = (one for one in section.block.columns if one.key == "closed")
                assert [time for time in texts_of(closed.values, "time") if time not in written] == []
    for chapter in report.chapters:
        if len(report.chapters) > 1 and chapter.strategy is not None:
            assert f"\n{chapter.strategy} on {chapter.symbol}\n" in written


def test_a_table_too_wide_for_a_terminal_is_told_in_parts_with_the_names_of_its_rows() -> None:
    names = Column(key="name", label="Name", values=("first-of-all", "other"))
    figures = [Column(key=f"k{n}", label=f"Figure {n}", values=(n + 0.5, -n), form="number") for n in range(1, 9)]
    table = Table((names, *figures))
    section = Section(key="wide", title="Wide", block=table)
    written = sections_text([section], plain(60))
    assert max(map(len, written.splitlines())) <= 60
    assert written.count("first-") == written.count("Name") == 2
    assert re.findall(r"Figure \d", written) == [f"Figure {n}" for n in range(1, 9)]
    assert all(f"{n}.50" in written for n in range(1, 9))
    assert sections_text([section], plain(120)).count("Name") == 1


def test_a_long_name_folds_at_its_marks_and_takes_no_room_from_figures() -> None:
    long = "buy-the-dip-with-a-very-long-name-v2.1"
    written = terminal(build(run(stream(1.0, strategy=long), stream(2.0))), plain(80))
    side = written.partition("Side by side")[2].partition("Result")[0]
    assert "\n  buy-the-" in side
    assert "N/A" in side
    assert side.count("Strategy") == 1


def test_a_loss_of_money_is_no_gain_because_of_equal_stakes() -> None:
    one = stream(Deal(pnl=5.0, quantity=0.1), Deal(pnl=-2.0, quantity=10.0, opened_hours=3), sizing="careful")
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard", no_color=False)
    lead = terminal(build(run(one, balance=1000.0)), console).splitlines()[1]
    assert "-19.50 net" in lead
    assert "31m" in lead
