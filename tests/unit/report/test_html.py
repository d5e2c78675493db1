"""The HTML page: complete, self-contained, and deaf to what foreign texts want to be."""

import base64
import hashlib
import json
import re
import sys
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from make import Deal, run
from make import stream as made_stream

from backtestkit_cli.engine.note import plain_text
from backtestkit_cli.engine.result import ColumnChoice, RunResult
from backtestkit_cli.errors import UsageError
from backtestkit_cli.report.as_json import document
from backtestkit_cli.report.build import build
from backtestkit_cli.report.dump import dump
from backtestkit_cli.report.html import NOT_STORED, Charts, page, plotly_script, stored_page
from backtestkit_cli.report.kinds import KINDS, Kind, report_of
from backtestkit_cli.report.pictures import CANDLES, EQUITY, pictures_of
from backtestkit_cli.report.report import Facts, Measures, Report, Table
from backtestkit_cli.report.stored import read_record, record_of
from backtestkit_cli.report.text import cell_text, clean, fact_text, head_text, metric_text, text_of

from .cases import GOLDEN, HOSTILE, lifecycle, winning
from .test_hostile_texts import holding

VOID = {"meta", "path", "polyline"}
SCRIPT = 'const drawing = "script";'


class Page(HTMLParser):
    """The elements of a page in their order, its tables, and the texts of some elements."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self.tables: list[list[list[str]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)
        self.texts.setdefault(tag, []).append("")
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in {*self.open}:
            self.texts[tag][-1] += data
        if self.open and ({"td", "th"} & {*self.open}):
            self.tables[-1][-1][-1] += data

    @property
    def shape(self) -> list[tuple[str, tuple[str, ...], str]]:
        """Each element with the names of its attributes and its class."""
        return [(tag, tuple(found), found.get("class", "")) for tag, found in self.elements]

    @property
    def drawn(self) -> Any:
        """What the charts are drawn from."""
        return json.loads(self.texts["script"][0])


def written(made: RunResult) -> str:
    return page(build(made), Charts(pictures=pictures_of(made), script=SCRIPT))


@cache
def golden(name: str) -> Page:
    return Page(written(GOLDEN[name]()))


@pytest.mark.parametrize("name", GOLDEN)
def test_a_page_asks_nobody_for_anything(name: str) -> None:
    found = golden(name)
    assert not {"link", "img", "iframe", "object", "embed", "base", "form", "source"} & {
        tag for tag, _ in found.elements
    }
    addresses = [
        value
        for _, attributes in found.elements
        for key, value in attributes.items()
        if key in ("src", "srcset", "href", "xlink:href", "action", "data", "style", "background")
    ]
    assert all(re.fullmatch(r"#stream-\d+", address) for address in addresses)
    style = found.texts["style"][0]
    assert "url(" not in style
    assert "@import" not in style


@pytest.mark.parametrize("name", GOLDEN)
def test_only_the_scripts_of_the_page_may_run(name: str) -> None:
    found = golden(name)
    policy = next(one["content"] for _, one in found.elements if one.get("http-equiv") == "Content-Security-Policy")
    rules = {words[0]: words[1:] for words in (rule.split() for rule in policy.split("; "))}
    scripts = [attributes for tag, attributes in found.elements if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "pictures"}, {}, {}]
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in found.texts["script"][1:]
    ]
    assert rules["script-src"] == hashes
    assert rules["default-src"] == ["'none'"]
    assert rules["img-src"] == ["data:", "blob:"]
    assert not any(key.startswith("on") for _, attributes in found.elements for key in attributes)


@cache
def plain_shape() -> list[tuple[str, tuple[str, ...], str]]:
    return Page(written(holding("plain"))).shape


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_foreign_text_is_only_text(text: str) -> None:
    whole = written(holding(text, note=f"note {text}"))
    found = Page(whole)
    assert found.shape == plain_shape()
    cells = [cell for table in found.tables for row in table for cell in row]
    assert cells[cells.index("Exchange") + 1] == clean(text)
    note = clean(plain_text(f"note {text}"))
    assert note in cells
    assert f"{clean(text)} on {clean(text)}" in found.texts["summary"][0]
    assert note in found.drawn["chapters"][1]["trades"]["note"]
    data = whole.split('id="pictures">')[1].split("</script>")[0]
    assert not set("<>&\u2028\u2029") & set(data)
    assert data.isascii()
    whole.encode("utf-8")


@pytest.mark.parametrize("name", GOLDEN)
def test_charts_are_drawn_from_the_numbers_of_the_json_report(name: str) -> None:
    report = build(GOLDEN[name]())
    told, drawn = document(report), golden(name).drawn
    chapters = {(one.strategy, one.symbol): at for one, at in zip(report.chapters, drawn["chapters"], strict=True)}
    for stream in told["streams"]:
        chapter = chapters[stream["strategy"], stream["symbol"]]
        trades, metrics = chapter["trades"], stream["metrics"]
        for key in ("price_open", "price_close", "pnl_percent", "price_take_profit", "price_stop_loss", "reason"):
            assert trades[key] == [trade[key] for trade in stream["trades"]]
        assert_curves(chapter, metrics, stream["months"], stream["candles"]["buy_and_hold_percent"])
    if "portfolio" in told:
        whole = told["portfolio"]
        held = told["summary"]["buy_and_hold_percent"]
        assert_curves(chapters[None, None], whole["metrics"], whole["months"], held)
    assert all(one["time"] for one in drawn["candles"])


def assert_curves(
    chapter: dict[str, Any], metrics: dict[str, Any], months: list[dict[str, Any]], held: float | None
) -> None:
    closed, daily = chapter["closed"], chapter["daily"]
    stake = closed["value"][0]
    assert chapter["is_money"] == ("pnl_quote" in metrics)
    if chapter["is_money"]:
        assert stake == 10_000
        assert closed["value"][-1] == pytest.approx(stake + metrics["pnl_quote"], abs=1e-9)
    else:
        assert stake == 100
        assert closed["value"][-1] == pytest.approx(stake + metrics["pnl_percent"], abs=1e-9)
        assert -min(closed["drawdown"]) == pytest.approx(metrics["max_drawdown_percent"], abs=1e-9)
        assert len(closed["value"]) == metrics["trades"] + 1
    assert len(closed["time"]) == len(closed["value"])
    assert daily["value"][-1] == months[-1]["equity"]
    assert daily["hold"][-1] == (None if held is None else pytest.approx(stake * (1 + held / 100)))
    if metrics["daily_drawdown_percent"] is not None:
        assert -min(daily["drawdown"]) == metrics["daily_drawdown_percent"]


def shown(report: Report) -> list[list[list[str]]]:
    """The tables of a report as a page must have them, but for the months, which are a map."""
    tables: list[list[list[str]]] = []
    blocks = [section for chapter in report.chapters for section in chapter.sections if section.depth != "record"]
    overview = [] if report.overview is None else [report.overview]
    for block in [*overview, *(one.block for one in blocks if one.key != "months"), report.head]:
        if isinstance(block, Facts):
            told = [fact for fact in block.facts if fact.depth != "record"]
            tables.append([[clean(fact.label), fact_text(fact)] for fact in told])
        elif isinstance(block, Table):
            columns = [column for column in block.columns if column.depth != "record"]
            heads = [head_text(column) for column in columns]
            cells = [[cell_text(column, value) for value in column.values] for column in columns]
            tables.append([heads, *map(list, zip(*cells, strict=True))])
    return tables


@pytest.mark.parametrize("name", GOLDEN)
def test_a_page_has_every_table_of_the_report_and_nothing_else(name: str) -> None:
    found = [table for table in golden(name).tables if table[0][1:2] != ["Jan"]]
    assert found == shown(build(GOLDEN[name]()))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "backtest"])
def test_a_report_of_another_kind_is_its_tables_without_charts(kind: Kind) -> None:
    report = report_of(kind, record_of(lifecycle()))
    found = Page(page(report))
    assert found.tables == shown(report)
    assert len(found.texts["script"]) == 1
    assert "figure" not in found.texts
    assert NOT_STORED not in found.texts["p"]


@pytest.mark.parametrize("name", GOLDEN)
def test_a_page_has_every_figure_and_finding(name: str) -> None:
    texts = golden(name).texts
    for chapter in build(GOLDEN[name]()).chapters:
        for section in chapter.sections:
            if isinstance(section.block, Measures) and section.depth != "record":
                known = [one for one in section.block.metrics if one.value is not None]
                assert {one.label for one in known} <= {*texts["dt"]}
                assert {metric_text(one) for one in known} <= {*texts["dd"]}
                reasons = {one.reason for one in section.block.metrics if one.reason}
                assert all(any(reason in text for text in texts["p"]) for reason in reasons)
            if section.key == "warnings":
                assert {clean(one.text) for one in section.block.findings} <= {*texts["li"]}  # type: ignore[union-attr]


def test_months_are_a_map_of_years_and_months() -> None:
    heat = next(table for table in golden("quarter").tables if table[0][1:2] == ["Jan"])
    told = document(build(GOLDEN["quarter"]()))["portfolio"]["months"]
    assert heat[0][1:] == ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    expected = [text_of(one["pnl_percent"], "signed") + text_of(one["equity"], "number") for one in told]
    assert [month["month"] for month in told] == ["2023-03", "2023-04", "2023-05"]
    assert heat[1] == ["2023", "", "", *expected, *[""] * 7]


def test_the_result_comes_first_and_warnings_with_it() -> None:
    text = written(GOLDEN["winning"]())
    places = [text.index(part) for part in ("+2.30 % net in 14 trades", "behind buy and hold", "proves little", "<dl")]
    assert places == sorted(places)


def test_streams_are_chapters_to_open_and_the_overview_leads_to_them() -> None:
    elements = golden("portfolio").elements
    chapters = [attributes["id"] for tag, attributes in elements if tag == "details"]
    links = [attributes["href"] for tag, attributes in elements if tag == "a"]
    assert chapters == ["stream-1", "stream-2", "stream-3"]
    assert links == [f"#{chapter}" for chapter in chapters]
    assert not any("open" in attributes for tag, attributes in elements if tag == "details")


def test_a_run_that_was_stopped_before_its_first_result_has_a_page() -> None:
    found = Page(written(run(status="interrupted")))
    assert "interrupted" in found.texts["h1"][0]
    assert NOT_STORED not in found.texts["p"]


def test_the_same_run_gives_the_same_page_stored_or_not(tmp_path: Path) -> None:
    for name, make_run in GOLDEN.items():
        bundle = dump(make_run(), tmp_path / name, manifest={}).bundle
        charts = Charts(pictures=pictures_of(make_run()), script=plotly_script())
        assert stored_page(bundle) == page(build(make_run()), charts)
        assert stored_page(bundle) == page(report_of("backtest", read_record(bundle)), charts)


def test_chosen_columns_are_those_of_the_page(tmp_path: Path) -> None:
    choices = (ColumnChoice(key="pnl_percent", label="<b>Gain", format="+.1f"), ColumnChoice(key="closed"))
    bundle = dump(replace(winning(), columns={"backtest": choices}), tmp_path, manifest={}).bundle
    found = Page(stored_page(bundle))
    trades = next(table for table in found.tables if "<b>Gain %" in table[0])
    assert trades[:2] == [["<b>Gain %", "Closed UTC"], ["+1.9", "2023-03-01 01:45"]]
    assert len(found.drawn["chapters"][0]["trades"]["price_open"]) == 14


def test_a_run_without_its_candles_says_so(tmp_path: Path) -> None:
    bundle = dump(GOLDEN["winning"](), tmp_path, manifest={}).bundle
    for name in (CANDLES, EQUITY):
        (bundle / name).unlink()
    found = Page(stored_page(bundle))
    assert NOT_STORED in found.texts["p"]
    assert found.drawn["candles"] == []
    assert found.drawn["chapters"][0]["daily"] is None
    assert len(found.drawn["chapters"][0]["closed"]["value"]) == 15
    assert NOT_STORED not in golden("winning").texts["p"]


def test_the_script_that_draws_cannot_end_its_element() -> None:
    assert "</script" not in plotly_script().lower()


def test_without_plotly_one_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(UsageError) as caught:
        stored_page(tmp_path)
    assert caught.value.code == "plotly-missing"
    assert "backtestkit-cli[charts]" in str(caught.value.problems[0].hint)


def test_of_money_the_large_figures_and_their_colour_are_those_of_the_balance() -> None:
    gains_at_equal_stakes = (Deal(pnl=5.0, quantity=0.1), Deal(pnl=-2.0, quantity=10.0, opened_hours=3))
    streams = [made_stream(*gains_at_equal_stakes, symbol=symbol, sizing="careful") for symbol in "AB"]
    told = page(build(run(*streams, balance=1000.0)))
    assert '<p class="made loss">-39.00 net on a balance' in told
    assert '<dt>Return on the balance</dt><dd class="loss">-3.90 %</dd>' in told
    assert "<dt>Max drawdown of the balance</dt>" in told.partition('<dl class="tiles">')[2].partition("</dl>")[0]
    assert "equal stakes" not in told.partition('<dl class="tiles">')[2].partition("</dl>")[0]
    assert re.findall(r'<span class="pnl (\w+)">([^<]*)</span>', told) == [("loss", "-1.95 %"), ("loss", "-1.95 %")]
