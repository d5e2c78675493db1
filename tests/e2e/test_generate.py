"""Drafts of a language model, from the command to the comparison: offline with the example, and with a server."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from e2e.project import Project, make_project
from model_servers import HOSTILE_SERVERS, serving
from unit.run.test_drafts import changed

from backtestkit_cli.plugins.drafted.trust import HEADER

needs_client = pytest.mark.skipif(find_spec("ollama") is None, reason="the extra `llm` is not installed")
SECRET = "canary-77c1d0"
HOOKS = """\
heard = []


def told(event):
    heard.append(event.kind)
    with open("heard.txt", "a") as file:
        file.write(event.kind + "\\n")
"""
ASKED = """\
optimizers:
  - name: ideas
    use: {use}
    model: small
    base_url: "{address}"
    api_key: "${{MODEL_KEY}}"
    exchange: sample
    symbol: BTCUSDT
    train: [{{start: 2023-03-01, end: 2023-03-02}}]
    test: {{start: 2023-03-02, end: 2023-03-04}}
    sources: [{{candles: 4h}}]
    callbacks:
      {{on_source_data: "hooks.py:told", on_data: "hooks.py:told", on_code: "hooks.py:told", on_dump: "hooks.py:told"}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("MODEL_KEY", SECRET)
    made = make_project(tmp_path)
    made.write("hooks.py", HOOKS)
    return made


def asked(project: Project, use: str, address: str) -> None:
    project.write("configs/asked.yaml", ASKED.format(use=use, address=address))


def written(project: Project) -> Iterator[str]:
    for path in project.folder.rglob("*"):
        if path.is_file() and path.name != "asked.yaml":
            yield path.read_text(errors="replace")


def test_the_example_goes_from_a_transcript_to_a_comparison_without_a_model(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.inside("init", ".").code == 0
    made = project.inside("optimizer", "generate", "drafts", "--json")
    assert made.code == 0
    fates = [(one["name"], one["outcome"], one["tries"], one["twin"]) for one in made.document["drafts"]]
    assert fates == [
        ("draft-1", "taken", 1, None),
        ("draft-2", "taken", 2, None),
        ("draft-3", "left_out", 1, "draft-1"),
    ]
    assert made.document["is_blind"]
    compared = project.inside("walker", "drafts", "--config", "drafts/drafts/configs", "--json")
    assert compared.code == 0
    assert "draft-2" in compared.stdout
    shown = project.inside("optimizer", "show", "drafts/draft-2", "--json")
    assert shown.document["strategy"] == made.document["drafts"][1]["strategy"]
    applied = project.inside("optimizer", "apply", "drafts/draft-2", "--json")
    assert applied.document["strategy"] == "drafts-draft-2"
    (command,) = applied.document["commands"]
    assert project.inside(*command.split()[1:]).code == 0
    for wrong in (("drafts/draft-2",), ("drafts/draft-3",), ("ideas/draft-1",), ("drafts/draft-1", "--as", "momentum")):
        assert project.inside("optimizer", "apply", *wrong).code == 2
    again = project.inside("optimizer", "generate", "drafts")
    assert again.code == 2
    assert "something at this place" in again.stderr
    other = project.inside("optimizer", "generate", "drafts", "--out", "other")
    assert other.code == 0
    assert (tmp_path / "other/configs/drafts.yaml").read_bytes() == (
        tmp_path / "drafts/drafts/configs/drafts.yaml"
    ).read_bytes()


def test_the_example_of_a_model_that_decides_runs_from_its_records_alone(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.inside("init", ".").code == 0
    done = project.inside("backtest", "asked-model", "--frame", "week", "--json")
    assert done.code == 0
    assert done.document["run"]["status"] == "complete"
    assert "model" not in project.inside("backtest", "--frame", "week").stdout.replace("market", "")
    missing = project.inside("backtest", "asked-model", "--range", "2023-04-01..2023-04-03", "--json")
    assert missing.code == 4
    assert missing.document["error"]["code"] == "answer-missing"


@needs_client
@pytest.mark.parametrize(("use", "route"), [("ollama", ""), ("openai", "/v1")])
def test_a_model_behind_a_server_drafts_and_its_key_is_written_nowhere(project: Project, use: str, route: str) -> None:
    with serving(changed()) as server:
        asked(project, use, server.address + route)
        done = project.inside("optimizer", "generate", "ideas")
    assert done.code == 0
    assert "draft-1  taken" in done.stdout
    assert server.keys == [f"Bearer {SECRET}"]
    assert SECRET not in done.stdout + done.stderr + "".join(written(project))
    heard = (project.folder / "heard.txt").read_text().split()
    assert heard == ["source_read", "drafts_made", "project_made", "project_written"]
    assert project.inside("walker", "ideas", "--config", "drafts/ideas/configs").code == 0


@needs_client
@pytest.mark.parametrize("name", ["500", "429", "404", "HTML", "nothing at all", "cut body", "hung up"])
def test_a_server_that_fails_ends_in_a_message_and_leaves_no_project(project: Project, name: str) -> None:
    with serving(HOSTILE_SERVERS[name]) as server:
        asked(project, "ollama", server.address)
        done = project.inside("optimizer", "generate", "ideas", "--json")
    assert done.code == 6
    error: dict[str, Any] = done.document["error"]
    assert error["code"].startswith("model-")
    assert 1 <= len(server.asked) <= 3
    assert not (project.folder / "drafts").exists()


def test_a_provider_without_its_library_says_how_to_get_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    asked(project, "ollama", "http://127.0.0.1:9")
    done = project.inside("optimizer", "generate", "ideas")
    assert done.code == 2
    assert "pip install 'backtestkit-cli[llm]'" in done.stderr


SOURCE = """import polars as pl

STAKE = 1 {sign} {number}


def draft(candles: pl.LazyFrame, *, times: float = 1.5) -> pl.LazyFrame:
    is_spike = pl.col("volume") > times * pl.col("volume").rolling_mean(20)
    return candles.filter(is_spike & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=pl.col("price") * 1.012,
        price_stop_loss=pl.col("price") * 0.99,
        lifetime_minutes=pl.lit(360),
    )
"""


def python_answer(source: str) -> str:
    return json.dumps({"candles": "15m", "warm_up": "1d", "source": source, "note": "Loud hours go on."})


def test_python_drafts_are_checked_shown_and_written_but_never_run_by_their_command(project: Project) -> None:
    good, raising = SOURCE.format(sign="+", number=1), SOURCE.format(sign="//", number=0)
    hostile = f"open({str(project.folder / 'marker')!r}, 'w')\n{good}"
    answers = [python_answer(source) for source in (hostile, good, raising, good.replace("+ 1", "+  1"))]
    project.write("answers.jsonl", "".join(json.dumps({"answer": answer}) + "\n" for answer in answers))
    asked(project, "replay", "")
    text = (
        (project.folder / "configs/asked.yaml")
        .read_text()
        .replace('base_url: ""', "transcript: answers.jsonl\n    drafts: 3")
    )
    project.write("configs/asked.yaml", "\n".join(line for line in text.splitlines() if "api_key" not in line) + "\n")
    made = project.inside("optimizer", "generate", "ideas", "--python", "--json")
    assert made.code == 0, made.stderr
    fates = [(one["outcome"], one["tries"]) for one in made.document["drafts"]]
    assert fates == [("taken", 2), ("taken", 1), ("left_out", 1)]
    assert "STAKE = 1 // 0" in made.stderr
    said = "".join(path.read_text() for path in (project.folder / "logs").rglob("*.md"))
    assert "line 1: this may not stand in Python of a language model" in said
    written = project.folder / "drafts" / "ideas" / "strategies" / "draft-1.py"
    assert written.read_text().partition("\n") == (HEADER, "\n", good)
    configs = ("--config", "drafts/ideas/configs")
    assert project.inside("backtest", "draft-1", *configs).code == 4
    assert project.inside("trust", "drafts/ideas/strategies/draft-1.py", "--yes", *configs).code == 0
    assert project.inside("backtest", "draft-1", *configs).code == 0
    assert not (project.folder / "marker").exists()
