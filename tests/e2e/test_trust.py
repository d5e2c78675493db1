"""A Python draft of a language model, from refusal over consent to a run: nothing of it runs before."""

from pathlib import Path

import pytest
from e2e.project import Project, make_project

from backtestkit_cli.plugins.drafted.trust import HEADER

DRAFT = f"""{HEADER}
import polars as pl


def spike(candles: pl.LazyFrame, *, times: float = 1.5) -> pl.LazyFrame:
    is_spike = pl.col("volume") > times * pl.col("volume").rolling_mean(20)
    return candles.filter(is_spike & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=pl.col("price") * 1.012,
        price_stop_loss=pl.col("price") * 0.99,
        lifetime_minutes=pl.lit(360),
    )
"""
CONFIG = """\
strategies:
  - {name: drafted, interval: 15m, use: "strategies/draft.py:spike"}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path)
    made.write("configs/drafted.yaml", CONFIG)
    made.write("strategies/draft.py", DRAFT)
    return made


def test_a_draft_runs_after_consent_as_the_same_code_of_the_user_does(project: Project) -> None:
    untrusted = project.inside("backtest", "drafted", "--json")
    assert (untrusted.code, untrusted.document["error"]["code"]) == (4, "not-trusted")
    assert "backtestkit trust" in untrusted.document["error"]["hint"]
    asked = project.inside("trust", "strategies/draft.py")
    assert (asked.code, "nobody has agreed" in asked.stderr) == (2, True)
    agreed = project.inside("trust", "strategies/draft.py", "--yes", "--json")
    assert agreed.code == 0
    assert ".rolling_mean" in agreed.document["uses"]
    ran = project.inside("backtest", "drafted")
    assert ran.code == 0
    project.write("strategies/draft.py", DRAFT.partition("\n")[2])
    own = project.inside("backtest", "drafted")
    assert _figures(own.stdout) == _figures(ran.stdout)
    assert "trades" in ran.stdout.casefold()


def test_nothing_of_a_file_runs_before_or_while_it_is_trusted(project: Project) -> None:
    marked = f"{HEADER}\nopen({str(project.folder / 'marker')!r}, 'w')\n\n{DRAFT.partition(chr(10))[2]}"
    project.write("strategies/draft.py", marked)
    assert project.inside("backtest", "drafted").code == 4
    refused = project.inside("trust", "strategies/draft.py", "--yes")
    assert refused.code == 2
    assert "this may not stand in Python of a language model" in refused.stderr
    assert project.inside("check", "drafted").code != 0
    assert not (project.folder / "marker").exists()
    assert not (project.folder / "state" / "trusted.json").exists()


def test_a_file_of_the_user_needs_no_consent(project: Project) -> None:
    project.write("strategies/own.py", DRAFT.partition("\n")[2])
    done = project.inside("trust", "strategies/own.py", "--yes")
    assert done.code == 2
    assert "runs without consent" in done.stderr


def _figures(text: str) -> list[str]:
    """Everything of a report but the line with the id of the run, which tells files apart."""
    return [line for line in text.splitlines() if "run" not in line.casefold()]
