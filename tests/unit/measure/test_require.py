"""`--require`: what it accepts, what it says when a stream fails it, and how the command ends."""

from pathlib import Path

import pytest
from e2e.project import Project, make_project
from make import run, stream

from backtestkit_cli.errors import UsageError
from backtestkit_cli.measure.require import parse_requirement, unmet

COMMAND = ("backtest", "cross", "--frame", "day")


def missed(text: str) -> dict[str, str | None]:
    """The streams of a run that miss a requirement, with the figures that are told."""
    two = run(stream(2.0, -1.0, 3.0), stream(-1.0, symbol="ETHUSDT"))
    return {problem.what.split(" does")[0]: problem.found for problem in unmet(parse_requirement(text), two)}


@pytest.mark.parametrize(
    "text", ["trades >= 1", "trades>=1 and max_drawdown_percent<20", "pnl_percent > 3 or trades == 1", "not trades > 3"]
)
def test_a_requirement_that_every_stream_meets_names_none(text: str) -> None:
    assert missed(text) == {}


def test_each_stream_that_fails_is_told_with_its_figures() -> None:
    text = "trades >= 2 and max_drawdown_percent < 0.5 * trades"
    assert missed(text) == {"ema-cross on ETHUSDT": "trades 1, max_drawdown_percent 1"}
    assert missed("pnl_percent > 4.5") == {
        "ema-cross on BTCUSDT": "pnl_percent 4",
        "ema-cross on ETHUSDT": "pnl_percent -1",
    }


def test_a_figure_that_is_not_there_does_not_pass_either_way() -> None:
    told = {"ema-cross on ETHUSDT": "average_win_percent N/A (no winning trade)"}
    assert missed("average_win_percent > 0") == told
    assert missed("not average_win_percent < 0") == told
    assert missed("average_win_percent > 0 or trades == 1") == {}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "the rule is empty"),
        ("sharp_ratio > 1", "nothing has the name 'sharp_ratio'"),
        ("trades", "the rule is a number, not a condition"),
        ("trades > 'a'", "the text 'a' cannot stand here"),
        ("max(trades, wins) > 1", "only operators can be used here, no functions"),
        ("1 < trades < 3", "comparisons cannot be chained"),
        ("close > 1", "nothing has the name 'close'"),
        ("trades >", "the rule cannot be read: invalid syntax"),
    ],
)
def test_what_is_no_condition_over_metrics_is_refused(text: str, what: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_requirement(text)
    problem = refused.value.problems[0]
    assert (problem.code, problem.what, problem.found) == ("bad-requirement", what, text)


@pytest.mark.parametrize(
    ("name", "meant"), [("max_drawdown", "max_drawdown_percent"), ("win_rate", "win_rate_percent")]
)
def test_a_key_without_its_unit_is_told_with_percent(name: str, meant: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_requirement(f"{name} < 20")
    assert refused.value.problems[0].hint == f"did you mean {meant!r}?"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project")


def test_a_run_that_meets_it_ends_with_0(project: Project) -> None:
    done = project.inside(*COMMAND, "--require", "trades >= 1 and pnl_percent > -100")
    assert (done.code, "error" in done.stderr) == (0, False)


def test_a_run_that_fails_it_is_reported_and_ends_with_5(project: Project) -> None:
    done = project.inside(*COMMAND, "--symbol", "BTCUSDT", "--symbol", "ETHUSDT", "--require", "trades>=1000")
    assert done.code == 5
    assert "net in" in done.stdout
    assert "error: requirement-not-met\n  --require\n  cross on BTCUSDT does not meet 'trades>=1000'" in done.stderr
    assert "another range" not in done.stderr
    assert "cross on ETHUSDT does not meet 'trades>=1000'\n  found: trades " in done.stderr
    assert [manifest["symbols"] for manifest in project.bundles.values()] == [["BTCUSDT", "ETHUSDT"]]


@pytest.mark.parametrize(("text", "code"), [("trades >= 1", 0), ("trades < 1", 5)])
def test_with_json_the_answer_stands_in_the_one_document(text: str, code: int, project: Project) -> None:
    done = project.inside(*COMMAND, "--json", "--require", text)
    told = done.document["require"]
    assert (done.code, done.stderr) == (code, "")
    assert (told["condition"], told["is_met"]) == (text, code == 0)
    assert [problem["code"] for problem in told["problems"]] == ["requirement-not-met"] * bool(code)
    assert done.document["summary"]["trades"] > 0


def test_without_it_the_document_does_not_speak_of_it(project: Project) -> None:
    assert "require" not in project.inside(*COMMAND, "--json").document


def test_a_wrong_condition_is_refused_before_anything_runs(project: Project) -> None:
    done = project.inside(*COMMAND, "--require", "tradez > 3")
    assert done.code == 2
    assert done.stdout == ""
    assert "\n  --require column 1\n" in done.stderr
    assert "nothing has the name 'tradez'" in done.stderr
    assert "found: tradez > 3" in done.stderr
    assert not (project.folder / "logs").exists()


def test_a_strategy_that_failed_counts_more_than_a_requirement(project: Project) -> None:
    project.plugin("broken", "raise ValueError('no')")
    done = project.inside("backtest", "broken", "--frame", "day", "--require", "trades > 0")
    assert done.code == 4
    assert "requirement-not-met" in done.stderr
