"""Shell completion offers the names of the project, and is silent where there is none."""

from pathlib import Path

import pytest
from e2e.project import Project, make_project
from typer._completion_classes import BashComplete
from typer.main import get_command

from backtestkit_cli.cli.app import app


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = make_project(tmp_path)
    project.write("logs/runs/0123456789ab/manifest.json", "{}")
    return project


def offered(project: Project, *words: str) -> list[str]:
    """What the shell is offered for the last of these words."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.folder)
        found = get_command(app)
        patch.setenv("COMP_WORDS", " ".join(("backtestkit", *words)))
        patch.setenv("COMP_CWORD", str(len(words)))
        return BashComplete(found, {}, "backtestkit", "_BACKTESTKIT_COMPLETE").complete().split("\n")


OFFERS: dict[tuple[str, ...], list[str]] = {
    ("backtest", "c"): ["cross"],
    ("backtest", "cross", "r"): ["rows"],
    ("backtest", "--symbol", "B"): ["BTCUSDT"],
    ("backtest", "--exchange", "f"): ["files"],
    ("backtest", "--frame", "w"): ["week"],
    ("run", "show", "01"): ["0123456789ab"],
    ("report", "show", "l"): ["last"],
    ("report", "dump", "0"): ["0123456789ab"],
    ("list", "s"): ["strategies", "sizings"],
    ("data", "fetch", "--exchange", "b"): ["binance"],
    ("data", "fetch", "--symbol", "B"): ["BTCUSDT"],
    ("data", "import", "x.csv", "--exchange", "s"): ["sample"],
}


@pytest.mark.parametrize("words", OFFERS, ids=" ".join)
def test_names_of_the_project_are_offered(words: tuple[str, ...], project: Project) -> None:
    assert offered(project, *words) == OFFERS[words]


@pytest.mark.parametrize("content", ["strategies: [", "", "\x00"])
def test_a_broken_config_offers_nothing_and_fails_not(content: str, project: Project) -> None:
    project.write("configs/strategies.yaml", content)
    project.write("configs/market.yaml", content)
    assert offered(project, "backtest", "c") == [""]


def test_another_config_offers_its_own_names(project: Project) -> None:
    project.write("other/own.yaml", "strategies:\n  - {name: cradle, interval: 1h, signals: a.csv}\n")
    assert offered(project, "backtest", "--config", "other", "c") == ["cradle"]


def test_the_real_command_answers_the_shell(project: Project) -> None:
    environ = {"_BACKTESTKIT_COMPLETE": "complete_bash", "COMP_WORDS": "backtestkit backtest c", "COMP_CWORD": "2"}
    done = project.outside(environ=environ)
    assert (done.code, done.stdout, done.stderr) == (0, "cross\n", "")


def test_the_real_command_is_silent_where_there_is_no_project(tmp_path: Path) -> None:
    environ = {"_BACKTESTKIT_COMPLETE": "complete_bash", "COMP_WORDS": "backtestkit backtest c", "COMP_CWORD": "2"}
    done = Project(tmp_path).outside(environ=environ)
    assert (done.code, done.stdout.strip(), done.stderr) == (0, "", "")
