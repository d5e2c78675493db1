"""`optimizer search`, `show` and `apply` through the real command and through the library."""

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.project import OWN, Project, candle_csv, candle_rows, make_project

from backtestkit_cli import FoldDone, Kit, SearchDone, TrialDone, TrialFailed
from backtestkit_cli.measure.contest import Outcome
from backtestkit_cli.measure.study import Study
from backtestkit_cli.report.study_json import study_from, study_json
from backtestkit_cli.run.search.search import Search

SEARCHED = """\
frames:
  - {name: weeks, start: 2023-03-01, end: 2023-04-15}
strategies:
  - name: param
    interval: 15m
    params: {length: 4, percent: 1}
    search: {length: [8, 20, 30], percent: {from: 1, to: 2, step: 1}}
    rules:
      long: "crosses_above(close, sma(close, length))"
      take_profit: "percent * 0.01 * close"
      stop_loss: "1%"
      lifetime: 6h
"""
TYPED = """\
from typing import Annotated, Literal

from pydantic import Field

from backtestkit_cli import Market


def call(
    market: Market,
    *,
    side: Literal["long", "short"] = "long",
    bold: bool = False,
    hour: Annotated[int, Field(ge=3, lt=9, multiple_of=2)] = 4,
    gain: Annotated[float, Field(ge=0.1, le=0.3, multiple_of=0.1)] = 0.2,
    free: int = 3,
) -> None:
    return None
"""
KILLED = """\
import os

from backtestkit_cli import Market


def call(market: Market, *, length: int) -> None:
    if "KILL" in os.environ and length == 8 and market.now > 1680000000000:
        os.kill(os.getpid(), 2)
"""
SMALL: dict[str, Any] = {"frame": "weeks", "folds": 2, "embargo": "6h"}
HOUR_MS = 3_600_000
OPTIONS = ("--frame", "weeks", "--folds", "2", "--embargo", "6h")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path)
    made.write("configs/search.yaml", SEARCHED)
    return made


def kit_of(project: Project) -> Kit:
    return Kit.load(project.folder / "configs")


def found(search: Search) -> Study:
    return search.run().study


def kept(search: Search) -> bytes:
    return study_json(found(search))


def interrupted_after(search: Search, count: int) -> None:
    """Search until so many trials are done with, and keep what was found."""
    events = iter(search)
    for event in events:
        if isinstance(event, TrialDone) and event.done_trials == count:
            break
    assert isinstance(events, Iterator)
    events.close()  # type: ignore[attr-defined]  # a generator
    assert search.result("interrupted").status == "interrupted"


@pytest.mark.parametrize(("sampler", "trials"), [("grid", 6), ("random", 4), ("tpe", 14)])
def test_the_same_search_finds_the_same(
    project: Project, monkeypatch: pytest.MonkeyPatch, sampler: str, trials: int
) -> None:
    if sampler == "tpe":
        pytest.importorskip("optuna", reason="the sampler tpe asks optuna")
    small = SMALL | {"sampler": sampler, "trials": trials, "seed": 3}
    whole = kept(kit_of(project).search("param", **small))
    study = study_from(whole)
    assert study_json(study) == whole
    assert (study.contest.run.status, [fold.number for fold in study.folds]) == ("complete", [1, 2])
    shuffled = {"percent": [2, 1], "length": [30, 8, 20]}
    assert kept(kit_of(project).search("param", **small, vary=shuffled)) == whole
    monkeypatch.setattr("backtestkit_cli.run.workforce.WORTH_SECONDS", 0.0)
    assert kept(kit_of(project).search("param", **small, jobs=2)) == whole
    interrupted_after(kit_of(project).search("param", **small), 5)
    resumed = kit_of(project).search("param", **small, resume=True)
    assert kept(resumed) == whole
    assert resumed.taken_over >= 4
    assert not (project.folder / "logs/optimizer/param/results.jsonl").exists()


def test_a_grid_tries_everything_and_a_random_search_nothing_twice(project: Project) -> None:
    grid = found(kit_of(project).search("param", **SMALL, sampler="grid"))
    some = found(kit_of(project).search("param", **SMALL, trials=4))
    names = [one.contestant.name for one in some.contest.outcomes]
    assert len(set(names)) == len(names) == 4
    assert len(grid.contest.outcomes) == 6
    assert {*names} < {one.contestant.name for one in grid.contest.outcomes}
    assert grid.ever == 18
    assert some.ever == 18  # its trials are among those of the grid


def test_the_applied_strategy_makes_the_trades_of_the_study(project: Project) -> None:
    study = found(search := kit_of(project).search("param", **SMALL))
    search.result().dump()
    done = project.inside("optimizer", "apply", study.study_id[:6], "--as", "chosen", "--json")
    assert done.code == 0, done.stderr
    assert study.chosen is not None
    assert study.held is not None
    kit = kit_of(project)
    for word, outcome in (("search", study.chosen), ("hold-out", study.held)):
        run = kit.backtest("chosen", frame=f"chosen-{word}").run()
        assert {key: run.stats[key] for key in outcome.figures if key in run.stats} == {
            key: value for key, value in outcome.figures.items() if key in run.stats
        }
        assert run.stats["trades"]
    again = project.inside("optimizer", "apply", "--as", "chosen")
    assert (again.code, again.stderr.splitlines()[0]) == (2, "error: file-exists")
    taken = project.inside("optimizer", "apply", "--as", "Chosen", "--to", "configs/other.yaml")
    assert (taken.code, taken.stderr.splitlines()[0]) == (2, "error: name-twice")
    assert not (project.folder / "configs/other.yaml").exists()


def test_a_strategy_that_is_applied_beside_the_config_runs_as_it_is_told(project: Project) -> None:
    kit_of(project).search("param", **SMALL).run().dump()
    done = project.inside("optimizer", "apply", "--as", "apart", "--to", "elsewhere/apart.yaml", "--json")
    assert done.code == 0, done.stderr
    for command in done.document["commands"]:
        run = project.inside(*shlex.split(command)[1:])
        assert run.code == 0, run.stderr


def test_a_changed_strategy_is_not_applied(project: Project) -> None:
    kit_of(project).search("param", **SMALL).run().dump()
    changed = SEARCHED.replace('stop_loss: "1%"', 'stop_loss: "2%"')
    project.write("configs/search.yaml", changed)
    done = project.inside("optimizer", "apply")
    assert (done.code, done.stderr.splitlines()[0]) == (2, "error: study-changed")
    assert "configs/search.yaml:4" in done.stderr


def test_no_window_sees_what_comes_after_its_gap(project: Project) -> None:
    """A hole leaves positions open through the gap: they end with it, not by candles after it."""
    options = SMALL | {"exchange": "files"}
    rows = candle_rows(45 * 1440)
    project.write("data/BTCUSDT.csv", candle_csv(rows))
    cut_ms = kit_of(project).search("param", **options).plan.protocol.folds[1].test.start_ms
    rows = [row for row in rows if not cut_ms - 13 * HOUR_MS <= row[0] < cut_ms]
    project.write("data/BTCUSDT.csv", candle_csv(rows))
    whole = found(kit_of(project).search("param", **options))
    changed = [row if row[0] < cut_ms else [row[0], *(price * 1.5 for price in row[1:5]), row[5]] for row in rows]
    project.write("data/BTCUSDT.csv", candle_csv(changed))
    other = found(kit_of(project).search("param", **options))
    assert [figures(fold.chosen) for fold in other.folds] == [figures(fold.chosen) for fold in whole.folds]
    assert figures(other.folds[0].judged) == figures(whole.folds[0].judged)
    assert figures(other.folds[1].judged) != figures(whole.folds[1].judged)
    assert other.contest.outcomes[0].figures != whole.contest.outcomes[0].figures


def figures(outcome: Outcome | None) -> object:
    assert outcome is not None
    return outcome.contestant, outcome.figures, outcome.equity


def test_listeners_are_told_of_trials_folds_and_the_end(project: Project) -> None:
    kit = kit_of(project)
    heard: list[object] = []
    for topic in (TrialDone, TrialFailed, FoldDone, SearchDone):
        kit.on(topic, heard.append)
    search = kit.search("param", **SMALL, vary={"length": [8, 30]})
    events = list(search)
    assert heard == events
    kinds = [event.kind for event in events]
    assert kinds == ["trial_done"] * 2 + ["fold_done"] + ["trial_done"] * 2 + ["fold_done"] + ["trial_done"] * 2 + [
        "search_done"
    ]
    trials = [event for event in events if isinstance(event, TrialDone)]
    assert [event.fold for event in trials] == [1, 1, 2, 2, 0, 0]
    assert [event.done_trials for event in trials] == [1, 2, 3, 4, 5, 6]
    last, result = events[-1], search.result()
    assert isinstance(last, SearchDone)
    assert (last.params, last.verdict) == (result.params, result.verdict)
    job = kit.search("param", **SMALL, vary={"length": [8, 30]}).background()
    assert study_json(job.result().study) == study_json(result.study)


def test_a_stop_ends_it_before_the_next_trial(project: Project) -> None:
    kit = kit_of(project)
    search = kit.search("param", **SMALL)
    kit.on(TrialDone, lambda _event: search.stop(), where=lambda event: event.done_trials == 7)
    study = found(search)
    assert (search.done, len(study.folds), study.contest.run.status) == (7, 1, "stopped")
    assert study.held is None
    search.result().dump()
    done = project.inside("optimizer", "apply")
    assert (done.code, done.stderr.splitlines()[0]) == (2, "error: nothing-chosen")


def test_what_fails_is_told_and_left_out(project: Project) -> None:
    project.write(
        "strategies/bad.py",
        OWN.replace("def rows(candles: pl.LazyFrame)", "def call(candles: pl.LazyFrame, *, length: int = 4)").replace(
            "    return candles", "    assert length != 8, 'on purpose'\n    return candles"
        ),
    )
    project.write("configs/bad.yaml", "strategies:\n  - {name: bad, interval: 6h, use: 'strategies/bad.py:call'}\n")
    done = project.inside("optimizer", "search", "bad", *OPTIONS, "--vary", "length=4,8", "--json")
    assert done.code == 4, done.stderr
    failed = done.document["trials"]["failed_trials"]
    assert [row["strategy"] for row in failed] == ["bad(length=8)"]
    assert "on purpose" in done.stderr


def test_types_of_a_signature_are_a_space(project: Project) -> None:
    project.write("strategies/typed.py", TYPED)
    project.write(
        "configs/typed.yaml", "strategies:\n  - {name: typed, interval: 6h, use: 'strategies/typed.py:call'}\n"
    )
    assert kit_of(project).search("typed", **SMALL).plan.space == (
        ("bold", (False, True)),
        ("gain", (0.1, 0.2, 0.3)),
        ("hour", (4, 6, 8)),
        ("side", ("long", "short")),
    )


def test_what_would_be_searched_makes_no_other_run(project: Project) -> None:
    with_search = kit_of(project).backtest("param", frame="day").run().run_id
    project.write("configs/search.yaml", "".join(one for one in SEARCHED.splitlines(True) if "search:" not in one))
    assert kit_of(project).backtest("param", frame="day").run().run_id == with_search


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("cross",), "no-search-space", "--vary fast=8,12,16"),
        (("param", "--vary", "length"), "bad-vary", "--vary length"),
        (("param", "--vary", "length=8..4"), "bad-vary", "ends before it starts"),
        (("param", "--vary", "lenth=4,8"), "unknown-name", "did you mean length?"),
        (("param", "--vary", "length=8,true"), "bad-rule", "as param(length=true"),
        (("param", "--range", "2023-03-01..2023-03-04"), "range-too-short", "--embargo"),
        (("param", "--metric", "sharp"), "unknown-metric", "--metric"),
        (("param", "--sampler", "best"), "bad-value", "grid, random, tpe"),
        (("param", "--hold-out", "100%"), "bad-value", "--hold-out"),
        (("param", "--set", "settings.fill=reference"), "not-available", "reference"),
    ],
)
def test_what_makes_no_search_is_said(project: Project, arguments: tuple[str, ...], code: str, text: str) -> None:
    frame = () if "--range" in arguments else ("--frame", "weeks")
    done = project.inside("optimizer", "search", *arguments, *frame)
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == f"error: {code}"
    assert text in done.stderr


def test_unknown_params_of_a_search_are_told_with_their_line(project: Project) -> None:
    project.write("configs/search.yaml", SEARCHED.replace("search: {length:", "search: {lenght:"))
    done = project.inside("optimizer", "search", "param", *OPTIONS)
    assert done.code == 2
    assert "configs/search.yaml:7:14" in done.stderr
    assert "did you mean length?" in done.stderr


def test_the_command_keeps_reports_and_the_studies(project: Project) -> None:
    done = project.inside("optimizer", "search", "param", *OPTIONS, "--top", "2", "--json")
    assert done.code == 0, done.stderr
    told = done.document
    assert [Path(one).name for one in told["files"]] == [f"param.{one}" for one in ("md", "json", "csv", "html")]
    assert told["summary"]["headline"].startswith("even the best of 6 trials")
    assert told["run"]["trials_ever"] == 18
    assert [row["fold"] for row in told["search"]["folds"]] == ["fold 1", "fold 2", "hold-out"]
    assert told["summary"]["pnl_percent"] == told["choice"]["hold_out"]["pnl_percent"]
    shown = project.inside("optimizer", "show", "param", "--json").document
    assert shown == {key: value for key, value in told.items() if key != "files"}
    markdown = project.inside("report", "show", "last", "--kind", "optimizer").stdout
    assert markdown == (project.folder / "logs/optimizer/param.md").read_text("utf-8")
    unknown = project.inside("optimizer", "show", "nothing")
    assert unknown.stderr.splitlines()[0] == "error: no-study"
    shutil.rmtree(project.folder / "logs")
    again = project.inside("optimizer", "search", "param", *OPTIONS, "--json").document
    assert again == told  # trials are counted elsewhere, and each once


def test_ctrl_c_reports_the_folds_that_were_finished_and_resume_goes_on(project: Project) -> None:
    project.write("strategies/killed.py", KILLED)
    project.write(
        "configs/killed.yaml", "strategies:\n  - {name: killed, interval: 6h, use: 'strategies/killed.py:call'}\n"
    )
    arguments = ("optimizer", "search", "killed", *OPTIONS, "--vary", "length=4,8", "--sampler", "grid")
    done = project.outside(*arguments, "--json", environ={"KILL": "yes"})
    assert (done.code, done.document["error"]["code"]) == (130, "interrupted")
    assert "interrupted: 5 of at most 6 trials were finished; --resume goes on" in done.stderr
    text = (project.folder / "logs/optimizer/killed.md").read_text("utf-8")
    assert "interrupted: 2 of 2 folds finished" in text
    resumed = project.inside(*arguments, "--resume", "--json")
    assert "took over 7 results" in resumed.stderr
    assert resumed.document == project.inside(*arguments, "--json").document


def test_an_interruption_tells_the_folds_that_were_finished(project: Project) -> None:
    search = kit_of(project).search("param", **SMALL)
    interrupted_after(search, 8)
    result = search.result("interrupted")
    result.dump()
    assert result.verdict == "the search was not finished: nothing is chosen yet"
    assert "interrupted: 1 of 2 folds finished" in result.report()
    assert json.loads(result.report("json"))["run"]["status"] == "interrupted"


FAILING = """\
from backtestkit_cli import SignalDraft


def call(market, *, percent: float = 1.0):
    if percent > 1:
        raise ValueError("no")
    price = market.price
    return SignalDraft(
        position="long", price_take_profit=price * 1.02, price_stop_loss=price * 0.99, lifetime_minutes=60
    )
"""


def test_params_whose_code_fails_are_not_chosen_though_they_lose_nothing(project: Project) -> None:
    project.write("strategies/failing.py", FAILING)
    project.write(
        "configs/failing.yaml", 'strategies: [{name: failing, interval: 6h, use: "strategies/failing.py:call"}]\n'
    )
    options = ("--range", "2023-03-01..2023-03-21", "--folds", "1", "--metric", "pnl_percent", "--json")
    done = project.inside("optimizer", "search", "failing", "--vary", "percent=1,2,3", "--sampler", "grid", *options)
    assert done.code == 4
    assert done.document["run"]["chosen"] == "failing(percent=1)"
