"""`--compare-fills` through the real command and through the library."""

from pathlib import Path
from typing import Any

import pytest
from e2e.project import Project, make_project

from backtestkit_cli import Kit, Opened

POLICIES = ["honest", "touch", "vwap", "reference"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def compared(project: Project, *arguments: str) -> dict[str, Any]:
    done = project.inside("backtest", *arguments, "--compare-fills", "--json")
    assert done.code == 0
    found: dict[str, Any] = done.document
    return found


def test_each_policy_shows_what_a_run_under_it_shows(project: Project) -> None:
    found = compared(project, "cross", "asked")["compare_fills"]
    assert (found["configured"], found["left_out"]) == ("honest", [])
    for place, stream in enumerate(found["streams"]):
        assert [one["policy"] for one in stream["policies"]] == POLICIES
        for one in stream["policies"]:
            alone = project.inside("backtest", "cross", "asked", "--set", f"settings.fill={one['policy']}", "--json")
            metrics = alone.document["streams"][place]["metrics"]
            for key in ("trades", "pnl_percent", "win_rate_percent", "max_drawdown_percent"):
                assert one[key] == metrics[key]
            causes = one["causes"]
            parts = sum(causes[key] for key in ("entry_price", "exit_price", "exit_reason", "own", "others"))
            assert parts == pytest.approx(one["difference_points"], abs=1e-9)
    whole = {one["policy"]: one["pnl_percent"] for one in found["total"]["policies"]}
    assert found["owed"]["honest_percent"] == whole["honest"]
    assert found["owed"]["pnl_percent"] == whole[found["owed"]["policy"]]


def test_the_configured_policy_comes_first_and_alone_is_kept(project: Project) -> None:
    told = compared(project, "cross", "--set", "settings.fill={base: touch, stop_at: level}")
    names = [one["policy"] for one in told["compare_fills"]["total"]["policies"]]
    assert names == ["touch, stop_at: level", *POLICIES]
    assert list(project.bundles) == [told["run"]["run_id"]]
    alone = project.inside("backtest", "cross", "--set", "settings.fill={base: touch, stop_at: level}", "--json")
    assert alone.document == {key: part for key, part in told.items() if key != "compare_fills"}


def test_the_text_ends_with_the_conclusion(project: Project) -> None:
    done = project.inside("backtest", "cross", "--compare-fills")
    assert done.code == 0
    conclusion = compared(project, "cross")["compare_fills"]["conclusion"]
    assert " ".join(done.stdout.split()).endswith(conclusion)
    assert "Fill policies: cross on BTCUSDT" in done.stdout


def test_a_requirement_is_judged_on_the_configured_policy(project: Project) -> None:
    done = project.inside("backtest", "cross", "--compare-fills", "--require", "trades>1000", "--json")
    assert done.code == 5
    assert done.document["require"]["is_met"] is False
    assert len(done.document["compare_fills"]["streams"][0]["policies"]) == 4


def test_what_cannot_run_under_a_policy_is_left_out_with_the_reason(project: Project) -> None:
    found = compared(project, "cross", "--set", "settings.balance=1000")["compare_fills"]
    assert found["left_out"] == [{"policy": "reference", "reason": "fill: reference knows no sizes"}]
    assert [one["policy"] for one in found["total"]["policies"]] == POLICIES[:3]


def test_only_the_configured_run_is_heard(project: Project) -> None:
    project.write("strategies/hooks.py", "OPENED = []\n\n\ndef told(event):\n    print('TOLD', event.kind)\n")
    project.plugin("hooked", "return None", ', callbacks: {on_idle: "strategies/hooks.py:told"}')
    kit = Kit.load(project.folder / "configs")
    heard: list[Opened] = []
    kit.on(Opened, heard.append)
    found = kit.backtest("cross").compare_fills()
    assert len(heard) == found.total.fills[0].trades > 0
    alone, beside = (project.inside("backtest", "hooked", *more) for more in ((), ("--compare-fills",)))
    assert alone.stderr.count("TOLD idle") == beside.stderr.count("TOLD idle") > 0


def test_a_run_finds_nothing_that_another_one_remembered(project: Project) -> None:
    body = "SEEN.append(market.now); return None if len(SEEN) != 2 else dict(position='long', price_take_profit="
    body += "market.price * 1.01, price_stop_loss=market.price * 0.99, lifetime_minutes=60)"
    project.plugin("mindful", body)
    path = project.folder / "strategies" / "mindful.py"
    path.write_text(path.read_text("utf-8").replace("\n\n\ndef", "\n\nSEEN = []\n\n\ndef"), encoding="utf-8")
    found = compared(project, "mindful")["compare_fills"]["total"]["policies"]
    assert [one["trades"] for one in found] == [1, 1, 1, 1]


def test_ctrl_c_while_fills_are_compared_leaves_the_run_complete(project: Project) -> None:
    body = "path = __file__ + '.asked'; text = open(path).read() if os.path.exists(path) else ''; "
    body += "open(path, 'w').write(text + '.'); os.kill(os.getpid(), 2) if len(text) == 9 else None; return None"
    project.plugin("killed", body)
    done = project.outside("backtest", "killed", "--compare-fills")
    assert done.code == 130
    assert done.stdout == ""
    assert "interrupted while fills were compared; the run itself is complete; kept in logs" in done.stderr
    assert [manifest["status"] for manifest in project.bundles.values()] == ["complete"]
