"""The report of a walker as its readers see it, with hostile texts, and as it is kept."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from make import candle_use, deals, run, stream

from backtestkit_cli.errors import DataError, UsageError
from backtestkit_cli.measure.contest import Contest, Contestant, Failed, Outcome, outcome_of
from backtestkit_cli.measure.trust import Finding
from backtestkit_cli.model.time import DAY_MS, TimeRange
from backtestkit_cli.report.as_csv import csv_texts
from backtestkit_cli.report.as_json import document, json_text
from backtestkit_cli.report.contest_json import contest_from, contest_json
from backtestkit_cli.report.html import page
from backtestkit_cli.report.markdown import markdown
from backtestkit_cli.report.report import Report, Table
from backtestkit_cli.report.text import clean
from backtestkit_cli.report.walker import walker_report
from backtestkit_cli.report.walker_files import contest_folder, dump_contest, find_contest, read_contest

from .cases import HOSTILE
from .test_golden import FOLDER, on_terminal
from .test_hostile_texts import READER, cells, shape

MONTH = TimeRange(run().range.start_ms, run().range.start_ms + 30 * DAY_MS)


def contestant(fast: Any, slow: Any) -> Contestant:
    return Contestant(
        name=f"ema-cross(fast={fast}, slow={slow})", strategy="ema-cross", params=(("fast", fast), ("slow", slow))
    )


def outcome(one: Contestant, seed: int) -> Outcome:
    """What a contestant made in a month of random days."""
    return replace(random_outcome(seed), contestant=one)


@cache
def random_outcome(seed: int) -> Outcome:
    one = Contestant(name="ema-cross", strategy="ema-cross")
    random = np.random.default_rng(seed)
    pnl = random.normal(0.1, 1, 12).round(2).tolist()
    used = candle_use(daily_prices=(100.0,) * 30)
    made = run(
        stream(*deals(*pnl, every_hours=48.0), strategy=one.strategy, candles=used), range=MONTH, run_id=f"{seed:012x}"
    )
    days = random.normal(0.1, 1, 30).round(3)
    warning = (Finding("warning", "small-sample", "a sample of 12 trades proves little"),)
    measured = outcome_of(one, made, "sharpe_ratio", 3.0, warning)
    equity = tuple((100 + np.append(0.0, np.cumsum(days))).tolist())
    figures = {**measured.figures, "sharpe_ratio": round(float(days.mean() / days.std(ddof=1) * 365**0.5), 6)}
    reasons = {key: text for key, text in measured.reasons.items() if key != "sharpe_ratio"}
    return replace(measured, equity=equity, figures=figures, reasons=reasons)


def contest(*more: Outcome, params: tuple[Any, ...] = (8, 12), **changed: Any) -> Contest:
    variants = [contestant(fast, slow) for fast in params for slow in (21, 34)]
    others = [Contestant(name="momentum", strategy="momentum"), Contestant(name="broken", strategy="broken")]
    outcomes = [outcome(one, seed) for seed, one in enumerate([*variants, others[0]])]
    nothing = {**outcomes[-1].figures, "sharpe_ratio": None}
    outcomes[-1] = replace(
        outcomes[-1],
        figures=nothing,
        reasons={**outcomes[-1].reasons, "sharpe_ratio": "no two days differ"},
        failures=3,
    )
    values: dict[str, Any] = {
        "walker": "which-ema",
        "metric": "sharpe_ratio",
        "symbols": ("BTCUSDT",),
        "contestants": (*variants, *others),
        "outcomes": (*outcomes, *more),
        "failed": (Failed(contestant=others[1], code="strategy-raised", what="strategy broken raised ValueError"),),
        "run": run(range=MONTH, run_id="0123456789ab", is_made_up=True),
        "fingerprint": 64 * "7",
    }
    return Contest(**values | changed)


def block(report: Report, key: str) -> Any:
    return next(section.block for chapter in report.chapters for section in chapter.sections if section.key == key)


def table(report: Report, key: str) -> dict[str, list[Any]]:
    found = block(report, key)
    assert isinstance(found, Table)
    return {column.key: list(column.values) for column in found.columns}


def codes(report: Report) -> list[str]:
    return [finding.code for finding in block(report, "warnings").findings]


WRITERS: dict[str, Callable[[Contest], str]] = {
    "md": lambda one: markdown(walker_report(one)),
    "json": lambda one: json_text(walker_report(one)),
    "txt": lambda one: on_terminal(walker_report(one, top=3)),
    "csv": lambda one: "\n".join(f"{key}.csv\n{text}" for key, text in csv_texts(walker_report(one)).items()),
}


@pytest.mark.parametrize("ending", WRITERS)
def test_the_report_reads_as_agreed(ending: str) -> None:
    path = FOLDER / f"walker.{ending}"
    written = WRITERS[ending](contest())
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_text(written, encoding="utf-8", newline="\n")
    assert written == path.read_text(encoding="utf-8")


def test_what_is_kept_becomes_an_equal_comparison_and_the_same_report() -> None:
    one = contest(note="why not")
    again = contest_from(contest_json(one))
    assert again == replace(one, run=again.run)
    assert json_text(walker_report(again)) == json_text(walker_report(one))
    infinite = replace(one.outcomes[0], figures={**one.outcomes[0].figures, "max_exposure_percent": float("inf")})
    assert contest_from(contest_json(replace(one, outcomes=(infinite,)))).outcomes == (infinite,)


def test_the_newest_comparison_is_found_by_name_or_as_last(tmp_path: Any) -> None:
    with pytest.raises(UsageError, match="no comparison is stored yet"):
        find_contest(tmp_path, "last")
    dump_contest(contest(), tmp_path)
    dump_contest(contest(walker="other"), tmp_path)
    os.utime(contest_folder(tmp_path, "other") / "contest.json", (1, 1))
    assert find_contest(tmp_path, "last") == find_contest(tmp_path, "which-ema")
    assert read_contest(find_contest(tmp_path, "other")).walker == "other"
    with pytest.raises(UsageError, match="no comparison is stored of 'which'"):
        find_contest(tmp_path, "which")
    find_contest(tmp_path, "other").write_text("{}")
    with pytest.raises(DataError):
        read_contest(find_contest(tmp_path, "other"))


def test_nobody_is_the_best_where_nobody_has_the_figure() -> None:
    short = replace(contest().run, range=TimeRange(MONTH.start_ms, MONTH.start_ms + 30 * DAY_MS))
    one = contest(metric="pnl_quote", run=short)
    report = walker_report(one)
    assert report.headline == "none of 5 contestants has a figure to rank by: PnL, quote currency"
    assert "no result to choose" in markdown(report)
    assert [chapter.name for chapter in report.chapters] == ["comparison"]
    assert set(table(report, "missing")["reason"]) == {"nothing is sized"}
    assert table(report, "ranking")["strategy"] == [one.contestant.name for one in contest().outcomes]
    document(report)


def test_an_interruption_before_the_first_result_is_told() -> None:
    one = contest(outcomes=(), failed=(), run=replace(contest().run, status="interrupted"))
    report = walker_report(one)
    assert "not-tested" in codes(report)
    assert document(report)["comparison"]["ranking"] == []
    assert "interrupted" in on_terminal(report)
    assert page(report)


def test_few_days_are_said_to_prove_nothing_and_the_limit_of_ranks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    few = TimeRange(MONTH.start_ms, MONTH.start_ms + 5 * DAY_MS)
    one = contest(run=replace(contest().run, range=few))
    one = replace(one, outcomes=tuple(replace(each, equity=each.equity[:6]) for each in one.outcomes))
    report = walker_report(one)
    assert "short-comparison" in codes(report)
    assert set(table(report, "ranking")["rank"]) == {1}
    assert "rank-limit" not in codes(report)
    for place in ("measure.contest", "report.walker"):
        monkeypatch.setattr(f"backtestkit_cli.{place}.MOST_RANKED", 2)
    assert "rank-limit" in codes(walker_report(contest()))


def test_a_map_is_drawn_of_exactly_two_params_that_vary() -> None:
    heat = table(walker_report(contest()), "heat_ema-cross")
    values = {each.contestant.name: each.figures["sharpe_ratio"] for each in contest().outcomes}
    assert heat["fast"] == ["8", "12"]
    assert heat["slow=21"] == [values["ema-cross(fast=8, slow=21)"], values["ema-cross(fast=12, slow=21)"]]
    only = contest(params=(8,))
    assert not [key for key in document(walker_report(only))["comparison"] if key.startswith("heat")]
    missing = replace(contest(), outcomes=contest().outcomes[1:])
    assert table(walker_report(missing), "heat_ema-cross")["slow=21"][0] is None


def test_the_best_of_a_map_is_deepest_whatever_direction_is_good() -> None:
    for metric in ("sharpe_ratio", "max_drawdown_percent"):
        one = contest(metric=metric)
        text = page(walker_report(one))
        heat = text[text.index('<table class="heat">') :]
        heat = heat[: heat.index("</table>")]
        values = [float(each.figures[metric] or 0) for each in one.outcomes[:4]]
        best = max(values) if metric == "sharpe_ratio" else min(values)
        cell = heat[heat.index("heat-5") :]
        assert f"{best:.2f}" in cell[: cell.index("</td>")]


@cache
def plain_shape() -> list[Any]:
    return shape(READER.parse(markdown(walker_report(hostile("plain")))))


def hostile(text: str) -> Contest:
    one = contest(params=(text or "empty", 12), note=f"x{text}", symbols=(text, "B"))
    failed = replace(one.failed[0], what=f"x{text}")
    shared = replace(one.run, exchange=text, frame=text, warnings=(text,))
    return replace(one, failed=(failed,), run=shared)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_becomes_markup(text: str) -> None:
    report = walker_report(hostile(text))
    tokens = READER.parse(markdown(report))
    assert shape(tokens) == plain_shape()
    assert clean(contestant(text or "empty", 21).name) in cells(tokens)
    html = page(report)
    assert "<script>alert" not in html
    assert "\x1b" not in on_terminal(report)
    json_text(report).encode("utf-8")
    for one in csv_texts(report).values():
        assert not any(line.startswith(("=", "+", "@")) for line in one.splitlines())
    again = contest_from(contest_json(hostile(text)))
    assert len(again.outcomes) == 5
