"""Ctrl-C, SIGTERM, and strategies that never come back: a clean end at any moment, and a bundle that says so."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from random import Random, SystemRandom

import pytest
from e2e.project import Done, Project, finished, make_project

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the moment is read from /proc")

MOMENTS = 12
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
BOTH = pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
MADE_UP = "and sample makes candles up for any name"
TWO_SYMBOLS = ("--symbol", "A", "--symbol", "B")
SLEEPS_ON_B = "open('reached', 'w').close() if market.symbol == 'B' else None; time.sleep(20 * (market.symbol == 'B'))"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def wait_until_it_listens(process: "subprocess.Popen[str]") -> None:
    """Wait until the program has taken the signals over; before that, Python itself is starting."""
    while process.poll() is None and not listens(process.pid):
        time.sleep(0.001)


def listens(process_id: int) -> bool:
    """Whether a program has taken the signals over."""
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    caught = next((line.split()[1] for line in lines if line.startswith("SigCgt")), "0")
    return bool(int(caught, 16) & 1 << (signal.SIGTERM - 1))


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    """Wait until the program has made a file."""
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


def still_alive(group: int) -> list[str]:
    """The processes of a group that have not ended within five seconds."""
    found: list[str] = []
    for _ in range(100):
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                name, _, rest = path.read_text().rpartition(")")
                state, _, its_group = rest.split()[:3]
                if int(its_group) == group and state not in "ZX":
                    found.append(name)
        if not found:
            return []
        time.sleep(0.05)
    return found


def assert_clean(done: Done, project: Project) -> None:
    """No traceback, and each bundle is whole or absent."""
    for word in ("Traceback", "Exception ignored", "KeyboardInterrupt", "internal"):
        assert word not in done.stderr, done.stderr
    runs = project.folder / "logs" / "runs"
    for path in runs.iterdir() if runs.exists() else ():
        manifest = project.bundles[path.name]
        assert manifest["status"] in ("interrupted", "complete")
        for name, digest in manifest["files"].items():
            assert hashlib.sha256((path / name).read_bytes()).hexdigest() == digest
    assert not list((project.folder / "logs").rglob(".*.tmp"))


def test_at_any_moment_the_end_is_clean(project: Project) -> None:
    seed = SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    random, codes = Random(seed), set()
    project.plugin("busy", "sum(range(20_000)); return None")
    for number in random.choices(list(CODES), k=MOMENTS):
        process = project.start("backtest", "busy", "cross", "--range", "2023-03-01..2024-03-01")
        wait_until_it_listens(process)
        time.sleep(random.uniform(0, 0.9))
        process.send_signal(number)
        done = finished(process)
        assert done.code in (0, CODES[number]), (seed, done)
        assert_clean(done, project)
        codes.add(done.code)
    assert codes & set(CODES.values())
    assert project.inside("backtest", "cross").code == 0


DEAFENING = """
import os, signal
from backtestkit_cli.__main__ import STOP, main

def late(number=iter([signal.SIGINT]), deafen=STOP.deafen):
    for one in number:
        os.kill(os.getpid(), one)
    deafen()

STOP.deafen = late
main()
"""


def test_a_signal_in_the_moment_of_becoming_deaf_leaves_no_traceback(project: Project) -> None:
    command = [sys.executable, "-c", DEAFENING, "--version"]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 130
    assert done.stderr == ""


@BOTH
def test_an_interrupted_backtest_keeps_the_streams_that_were_finished(number: signal.Signals, project: Project) -> None:
    project.plugin("sleeper", SLEEPS_ON_B)
    process = project.start("backtest", "sleeper", *TWO_SYMBOLS)
    wait_for(project.folder / "reached", process)
    process.send_signal(number)
    done = finished(process)
    assert done.code == CODES[number]
    assert done.stdout == ""
    ((run_id, manifest),) = project.bundles.items()
    assert manifest["status"] == "interrupted"
    assert done.stderr.splitlines() == [
        *(f"note: {symbol} is not among settings.defaults.symbols (BTCUSDT), {MADE_UP}" for symbol in "AB"),
        f"interrupted: 1 of 2 streams were finished; kept in logs/runs/{run_id}",
        f"stopped by {'Ctrl-C' if number == signal.SIGINT else 'SIGTERM'}",
    ]
    assert "interrupted" in project.inside("run", "list").stdout
    assert "interrupted" in project.inside("report", "show").stdout


def test_with_json_an_interruption_is_one_document(project: Project) -> None:
    project.plugin("sleeper", SLEEPS_ON_B)
    process = project.start("backtest", "sleeper", "--symbol", "B", "--json")
    wait_for(project.folder / "reached", process)
    process.send_signal(signal.SIGTERM)
    done = finished(process)
    assert done.code == 143
    assert done.document["error"]["code"] == "interrupted"
    assert done.document["error"]["exit_code"] == 143


def test_a_strategy_cannot_swallow_ctrl_c(project: Project) -> None:
    body = "open('reached', 'w').close()\n    try:\n        time.sleep(0.3)\n    except BaseException:\n        pass"
    project.plugin("greedy", body)
    process = project.start("backtest", "greedy", "--frame", "week")
    wait_for(project.folder / "reached", process)
    process.send_signal(signal.SIGINT)
    done = finished(process)
    assert done.code == 130
    assert_clean(done, project)
    assert next(iter(project.bundles.values()))["status"] == "interrupted"


@BOTH
def test_workers_end_with_the_program_that_started_them(number: signal.Signals, project: Project) -> None:
    project.plugin("sleeper", SLEEPS_ON_B)
    process = project.start("backtest", "sleeper", *TWO_SYMBOLS, "--jobs", "2", start_new_session=True)
    wait_for(project.folder / "reached", process)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    done = finished(process)
    assert done.code == CODES[number]
    assert_clean(done, project)
    assert f"stopped by {'Ctrl-C' if number == signal.SIGINT else 'SIGTERM'}" in done.stderr
    assert not still_alive(process.pid)


def test_a_program_started_to_ignore_ctrl_c_ignores_it(project: Project) -> None:
    project.plugin("slow", "open('reached', 'w').close(); time.sleep(0.1)")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = project.start("backtest", "slow")
    finally:
        signal.signal(signal.SIGINT, before)
    wait_for(project.folder / "reached", process)
    process.send_signal(signal.SIGINT)
    assert finished(process).code == 0


# Calls that never come back

ONE_SECOND = ("--set", "settings.limits.signal_seconds=1", "--range", "2023-03-01T00:00..2023-03-01T01:00")
NEVER_ENDS = "\n    ".join(
    ("while True:", "    try:", "        time.sleep(30)", "    except BaseException:", "        pass")
)


def test_a_call_that_hangs_is_ended_and_counted(project: Project) -> None:
    project.plugin("hanging", "time.sleep(30)")
    done = project.outside("backtest", "hanging", *ONE_SECOND)
    assert done.code == 4
    assert "hanging has not answered within 1 s" in " ".join(done.stdout.split())
    assert next(iter(project.bundles.values()))["status"] == "complete"


def test_a_call_that_cannot_be_ended_ends_the_program_and_marks_the_bundle(project: Project) -> None:
    project.plugin("stubborn", NEVER_ENDS)
    done = project.outside("backtest", "stubborn", *ONE_SECOND, "--json")
    assert done.code == 4
    assert done.document["error"]["code"] == "call-timed-out"
    assert "strategies/stubborn.py, line" in done.document["error"]["what"]
    assert "Traceback" not in done.stderr
    assert next(iter(project.bundles.values()))["status"] == "interrupted"


def test_a_call_that_cannot_be_ended_in_a_worker_ends_the_program_too(project: Project) -> None:
    project.plugin("stubborn", NEVER_ENDS)
    done = project.outside("backtest", "stubborn", *ONE_SECOND, *TWO_SYMBOLS, "--jobs", "2")
    assert done.code == 4
    assert done.stdout == ""
    assert "stubborn has not answered within 1 s" in done.stderr
    assert "error: worker-ended" in done.stderr
    assert "Traceback" not in done.stderr
    assert next(iter(project.bundles.values()))["status"] == "interrupted"
