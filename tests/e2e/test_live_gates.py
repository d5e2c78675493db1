"""Risk checks and sizings of a live session that hang, raise or end the program refuse their entry alone."""

from pathlib import Path
from typing import Any

import pytest
from accelerated import Session, run_live
from e2e.project import START_MS, Project, make_project

from backtestkit_cli import Closed, Idle, Kit, Opened
from backtestkit_cli.model.event import Active, Event, QuantityRefused, RiskRefused
from backtestkit_cli.model.time import MINUTE_MS, iso
from backtestkit_cli.run.live import session
from backtestkit_cli.run.live.calls import GateCalls
from backtestkit_cli.state.journal import read_journal

SECONDS = 0.2
CONFIG = """
settings: {balance: 10000}
risks:
  - {name: check, checks: ["strategies/gates.py:check"]}
sizings:
  - {name: size, method: "strategies/gates.py:size"}
  - {name: plain, method: fixed-percentage, risk_percentage: 1}
strategies:
  - {name: checked, interval: 30m, use: "strategies/own.py:asked", risk: check, sizing: plain}
  - {name: sized, interval: 30m, use: "strategies/own.py:asked", sizing: size}
"""
FINE = {"check": "return None if question.equity else 'no equity'", "size": "return 0.1"}
LOOP = "while True: time.sleep(0.01)"
END_MS = START_MS + 200 * MINUTE_MS


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path)
    made.write("configs/gates.yaml", CONFIG)
    return made


def write(project: Project, **bodies: str) -> None:
    told = {**FINE, **bodies}
    functions = [f"def {name}(question):\n    {body}\n" for name, body in told.items()]
    project.write("strategies/gates.py", "import sys, time\n\n\n" + "\n\n".join(functions))


def lived(project: Project, patch: pytest.MonkeyPatch) -> Session:
    def short(clock: Any, _seconds: float, *rest: Any) -> GateCalls:
        return GateCalls(clock, SECONDS, *rest)

    patch.setattr(session, "GateCalls", short)
    kit = Kit.load(project.folder / "configs")
    return run_live(kit, "asked", "checked", "sized", start=START_MS - 20_000, end=END_MS)


def test_an_invalid_draft_stands_in_the_journal_with_its_figures(project: Project) -> None:
    rules = "def asked(market):\n    return {'position': 'long', 'price_take_profit': 1.0, 'price_stop_loss': 2.0, "
    project.write("strategies/own.py", rules + "'lifetime_minutes': 5, 'note': 'secret'}\n")
    kit = Kit.load(project.folder / "configs")
    live = run_live(kit, "asked", start=START_MS - 20_000, end=START_MS + 60 * MINUTE_MS).live
    ticks = [
        one for one in read_journal(live.journal_path.parent) if one["what"] == "tick" and one["gate"] == "invalid"
    ]
    figures = {"position": "long", "price_take_profit": 1.0, "price_stop_loss": 2.0, "lifetime_minutes": 5}
    assert ticks
    assert all(one["draft"] == figures for one in ticks)


def backtested(project: Project, *names: str) -> list[Event]:
    job = Kit.load(project.folder / "configs").backtest(
        *names, symbols=["BTCUSDT"], range=f"{iso(START_MS)}..{iso(END_MS + 60 * MINUTE_MS)}"
    )
    return [event for event in job if not isinstance(event, Idle | Active) and event.time_ms < END_MS]


def of(events: tuple[Event, ...], name: str) -> list[Event]:
    return [event for event in events if getattr(event, "strategy", None) == name or _signal_of(event) == name]


def _signal_of(event: Event) -> str | None:
    return getattr(getattr(event, "signal", None), "strategy", None)


def test_checks_and_sizings_that_answer_decide_as_in_a_backtest(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, check="return 'even' if len(question.positions) % 2 else None")
    told = lived(project, monkeypatch)
    expected = backtested(project, "checked", "sized")  # they share one account
    assert expected == [event for event in told.events if event in expected]
    assert {*expected} | {*of(told.events, "asked")} == {*told.events}
    assert told.troubles == ()


@pytest.mark.parametrize("body", [LOOP, "time.sleep(30)"], ids=["a loop", "a long wait"])
def test_a_check_that_hangs_refuses_its_entries_alone(
    body: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, check=body)
    told = lived(project, monkeypatch)
    refused = of(told.events, "checked")
    assert refused
    assert all(isinstance(event, RiskRefused) and event.rule == "check_raised" for event in refused)
    first = refused[0]
    assert isinstance(first, RiskRefused)
    assert f"has not answered within {SECONDS:g} s" in first.why
    assert "gates.py, line 5" in first.why
    assert of(told.events, "asked") == backtested(project, "asked")
    assert any(isinstance(event, Closed) for event in told.events)
    assert len(told.troubles) == (0 if body == LOOP else 1)  # one that cannot be ended is told
    later = [event.why for event in refused[1:] if isinstance(event, RiskRefused)]
    assert all(("still busy" in why) == (body != LOOP) for why in later)
    report = (project.folder / "logs" / "live" / "checked__BTCUSDT.md").read_text("utf-8")
    assert "has not answered within" in report


def test_a_sizing_that_hangs_refuses_its_entries_alone(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, size=LOOP)
    told = lived(project, monkeypatch)
    refused = of(told.events, "sized")
    assert refused
    assert all(isinstance(event, QuantityRefused) and event.rule == "sizing_raised" for event in refused)
    assert "has not answered within" in str(refused[0])
    assert of(told.events, "asked") == backtested(project, "asked")
    assert any(isinstance(event, Opened) for event in of(told.events, "checked"))


def test_a_keyboard_interrupt_of_a_check_or_a_sizing_is_its_own_failure(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, check="raise KeyboardInterrupt", size="raise KeyboardInterrupt")
    told = lived(project, monkeypatch)
    for name, line in {"checked": 5, "sized": 9}.items():
        refused = of(told.events, name)
        assert len(refused) > 1, "it is asked again"
        for event in refused:
            assert isinstance(event, RiskRefused | QuantityRefused)
            assert f"gates.py:{line} raised" in event.why
            assert "KeyboardInterrupt" in event.why
    assert of(told.events, "asked") == backtested(project, "asked")


def test_a_check_that_raises_or_ends_the_program_is_told_with_its_line(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, check="sys.exit(3)", size="raise KeyError('no odds')")
    told = lived(project, monkeypatch)
    checked, sized = of(told.events, "checked")[0], of(told.events, "sized")[0]
    assert isinstance(checked, RiskRefused)
    assert isinstance(sized, QuantityRefused)
    assert "gates.py:5 raised SystemExit" in checked.why
    assert "gates.py:9 raised KeyError" in sized.why
    assert of(told.events, "asked") == backtested(project, "asked")
