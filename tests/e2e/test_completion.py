"""Shell completion offers the names of the project, and is silent where there is none."""

from pathlib import Path

import pytest
from e2e.project import Done, Project, make_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = make_project(tmp_path)
    project.write("logs/runs/0123456789ab/manifest.json", "{}")
    return project


def completed(project: Project, *words: str) -> list[str]:
    """What bash is offered for the last of these words."""
    line = " ".join(("backtestkit", *words))
    done: Done = project.outside(
        environ={"_BACKTESTKIT_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
    )
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stdout
    return done.stdout.split()


def offered(project: Project, *words: str) -> list[str]:
    """The same, inside this process: what the parser would tell the shell."""
    from typer.main import get_command

    from backtestkit_cli.cli.app import app

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.folder)
        return [item.value for item in complete(get_command(app), list(words[:-1]), words[-1])]
