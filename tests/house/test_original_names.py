"""The table of the original's public names is complete, and ours in it are really there."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from shared import SHARED, needs_shared

import backtestkit_cli
from backtestkit_cli.config.settings import Settings
from backtestkit_cli.plugins.ports import Market
from backtestkit_cli.run.backtest import Backtest
from backtestkit_cli.run.drafting.optimizer import Optimizer
from backtestkit_cli.run.finished import FinishedRun
from backtestkit_cli.run.finished_contest import FinishedContest
from backtestkit_cli.run.jobs import Job
from backtestkit_cli.run.live.session import Live
from backtestkit_cli.run.memo import Memo
from backtestkit_cli.run.outside import OutsideExchange
from backtestkit_cli.run.session import Sessions
from backtestkit_cli.run.walker import Walker

ROOT = Path(__file__).parents[2]
NAMES = (ROOT / "tests" / "data" / "original-names.txt").read_text(encoding="utf-8").split()
GROUPS: dict[str, dict[str, Any]] = yaml.safe_load(
    (ROOT / "docs" / "generate" / "original.yaml").read_text(encoding="utf-8")
)
TABLE = {name: told for group in GROUPS.values() for name, told in group.items()}
CLASSES = {
    one.__name__: one
    for one in (
        Backtest,
        FinishedContest,
        FinishedRun,
        Job,
        Live,
        Market,
        Memo,
        Optimizer,
        OutsideExchange,
        Sessions,
        Settings,
        Walker,
    )
}
OURS = sorted({path for told in TABLE.values() for path in told.get("ours", ())})
LATER = {"optimizers", "language models"}


def test_every_name_has_its_row_and_every_row_a_name() -> None:
    assert sorted(NAMES) == sorted(TABLE)
    assert len(NAMES) == len(set(NAMES)) > 100


@pytest.mark.parametrize("name", NAMES)
def test_a_row_says_what_is_ours_or_why_there_is_nothing(name: str) -> None:
    told = TABLE[name]
    assert len(told.keys() & {"ours", "later", "none"}) == 1
    assert told.keys() <= {"ours", "later", "none", "how"}
    assert all(told.values())
    assert told.get("later", "optimizers") in LATER


@pytest.mark.parametrize("path", OURS)
def test_what_is_said_to_be_ours_is_there(path: str) -> None:
    first, *rest = path.split(".")
    found = CLASSES.get(first) or getattr(backtestkit_cli, first)
    for name in rest:
        fields = {**getattr(found, "model_fields", {}), **getattr(found, "__dataclass_fields__", {})}
        found = fields.get(name) or getattr(found, name)
    assert found is not None


@needs_shared
def test_the_list_has_every_name_of_the_description() -> None:
    text = (SHARED / "spec" / "semantics.md").read_text(encoding="utf-8")
    public = text.partition("# 23. Public API list")[2]
    known = {part for name in NAMES for part in name.split(".")}
    functions = set(re.findall(r"\b(?:add|list|get|set|dump|use)[A-Z]\w+", public))
    facades = set(
        re.findall(r"^\* (\w+): run|\b(PersistBase|\w+Service|emitters|lib|validate)\b", public, re.MULTILINE)
    )
    assert functions | {one for pair in facades for one in pair if one} <= known
    heads = re.findall(r"^\| (listen[^|]+)\|", text, re.MULTILINE)
    listeners = {name for head in heads for name in re.findall(r"listen[A-Z]\w+", head)}
    assert listeners <= known
    assert len(listeners) == 15
