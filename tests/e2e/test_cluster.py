"""`--cluster` of walkers and searches on a Dask cluster of this computer."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.project import Project, make_project

from backtestkit_cli import Kit
from backtestkit_cli.errors import DataError
from backtestkit_cli.run import contestant
from backtestkit_cli.run.cluster import answer_there, code_here
from backtestkit_cli.run.contestants import plan_walker
from backtestkit_cli.run.loaded import load_for_all
from backtestkit_cli.run.workforce import Setting, Stage

distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")

WALKER = """\
walkers:
  - {name: all, exchange: sample, frame: day, metric: pnl_percent, strategies: [deadly, cross, param],
     vary: {param: {percent: {from: 1, to: 9, step: 1}}}}
strategies:
  - name: param
    interval: 15m
    params: {percent: 1}
    rules: {long: "close > open", take_profit: "percent * 0.01 * close", stop_loss: "1%", lifetime: 6h}
"""
KILLER = """\
import os, signal
from pathlib import Path

DONE = Path(__file__).with_suffix(".done")


def call(market, *, hours: int = 1):
    if not DONE.exists():
        DONE.touch()
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A walker whose first contestant kills the process that tests it first."""
    made = make_project(tmp_path)
    made.write("configs/walker.yaml", WALKER)
    made.write("strategies/deadly.py", KILLER)
    made.write("configs/deadly.yaml", 'strategies: [{name: deadly, interval: 6h, use: "strategies/deadly.py:call"}]\n')
    return made


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two processes."""
    with distributed.LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as started:
        yield started


def test_a_worker_that_is_killed_changes_nothing(project: Project, cluster: Any) -> None:
    done = project.write("strategies/deadly.done", "")
    alone = project.inside("walker", "all", "--json")
    assert alone.code == 0, alone.stderr
    done.unlink()
    there = project.inside("walker", "all", "--json", "--cluster", cluster.scheduler_address)
    assert (there.code, there.stdout) == (0, alone.stdout), there.stderr
    assert done.exists()  # it was killed, and this process is not the one


def test_a_search_survives_the_same(project: Project, cluster: Any) -> None:
    given = ("optimizer", "search", "--range", "2023-03-01..2023-03-21", "--folds", "1", "--sampler", "grid", "--json")
    values = ("param", "--vary", "percent=1..5:1")
    alone = project.inside(*given, *values)
    assert alone.code == 0, alone.stderr
    there = project.inside(*given, *values, "--cluster", cluster.scheduler_address)
    assert (there.code, there.stdout) == (0, alone.stdout), there.stderr
    killed = project.inside(*given, "deadly", "--vary", "hours=1,2,3", "--cluster", cluster.scheduler_address)
    assert killed.code == 0, killed.stderr
    assert (project.folder / "strategies" / "deadly.done").exists()


@pytest.mark.parametrize(("place", "what"), [(1, "the candles"), (2, "the program")])
def test_a_worker_with_another_program_or_other_candles_is_refused(project: Project, place: int, what: str) -> None:
    kit = Kit.load(project.folder / "configs")
    plan = plan_walker(kit.config, "all")
    loaded = load_for_all(kit.config, plan.shared, kit.registry, 0)
    tester = contestant.Tester(config=kit.config, plan=plan, registry=kit.registry, logs=kit.logs, loaded=loaded)
    setting = Setting.of(tester, [Stage(plan)], plan.shared, 0)
    given = [setting, loaded.fingerprint(plan.shared.symbols), code_here(setting)]
    assert answer_there(pickle.dumps(given), []) == []
    given[place] = "another"
    with pytest.raises(DataError, match=what):
        answer_there(pickle.dumps(given), [])


def test_where_nobody_answers_it_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backtestkit_cli.run.cluster.ANSWER_SECONDS", 0.2)
    done = project.inside("walker", "all", "--cluster", "tcp://127.0.0.1:1", "--json")
    assert (done.code, done.document["error"]["code"]) == (2, "no-cluster")
