"""Removing runs and reports: those that are meant, and no others."""

from pathlib import Path

import pytest
from e2e.project import Project, make_project

from backtestkit_cli import Kit
from backtestkit_cli.errors import UsageError


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def filled(project: Project) -> Kit:
    kit = Kit.load(project.folder / "configs")
    kit.backtest("cross", symbols=["A"]).run().dump()
    kit.backtest("cross", symbols=["B"]).run().dump()
    kit.backtest("asked", "cross", symbols=["A"]).run().dump()
    project.write("logs/backtest/notes.txt", "mine")
    project.write("logs/own/cross__A.md", "mine")
    return kit


def kept(project: Project) -> set[tuple[str, ...]]:
    """The strategies and symbols of the stored runs."""
    return {(*one["strategies"], *one["symbols"]) for one in project.bundles.values()}


def reports(project: Project, kind: str = "backtest") -> set[str]:
    return {path.name for path in (project.folder / "logs" / kind).glob("*.md")}


def test_a_stream_takes_its_reports_and_the_runs_of_it_alone(project: Project) -> None:
    kit = filled(project)
    removed = kit.clear("cross", "A")
    assert kept(project) == {("cross", "B"), ("asked", "cross", "A")}
    assert reports(project) == {"asked__A.md", "cross__B.md"}
    assert "cross.md" in reports(project, "heat")
    assert all(not path.exists() for path in removed)
    assert len(removed) > 1


def test_a_strategy_and_a_symbol_take_all_that_is_theirs_alone(project: Project) -> None:
    kit = filled(project)
    kit.clear(strategy="cross")
    assert kept(project) == {("asked", "cross", "A")}
    assert reports(project) == {"asked__A.md"}
    assert reports(project, "heat") == {"asked.md"}
    kit.clear(symbol="A")
    assert (kept(project), reports(project)) == (set(), set())


def test_everything_goes_but_what_no_run_wrote(project: Project) -> None:
    kit = filled(project)
    kit.clear(mode="live")
    assert len(kept(project)) == 3
    project.write("logs/runs/damaged/manifest.json", "{")
    kit.clear()
    logs = project.folder / "logs"
    left = {str(path.relative_to(logs)) for path in logs.rglob("*") if path.is_file()}
    assert left == {"backtest/notes.txt", "own/cross__A.md"}
    assert list((logs / "runs").iterdir()) == []
    assert kit.clear() == ()


def test_a_mode_that_is_none_is_refused(project: Project) -> None:
    with pytest.raises(UsageError):
        Kit.load(project.folder / "configs").clear(mode="dead")  # type: ignore[arg-type]  # wrong on purpose
