"""`session` from another terminal, while a real session runs in a process of its own, and while none does."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from subprocess import Popen
from threading import Thread
from typing import Any

import pytest
from accelerated import run_live
from e2e.project import Done, Project, finished, make_project

from backtestkit_cli import Kit
from backtestkit_cli.cli.output import Output
from backtestkit_cli.disk import folder_lock
from backtestkit_cli.model.event import Cancelled, RiskRefused
from backtestkit_cli.model.signal import OpenPosition, WaitingEntry
from backtestkit_cli.model.time import MINUTE_MS, parse_time
from backtestkit_cli.run.clock import WallClock
from backtestkit_cli.run.session import Sessions
from backtestkit_cli.state.record import decode, encode
from backtestkit_cli.state.session import SessionState
from backtestkit_cli.state.store import FileStore

START_MS = parse_time("2023-03-01")
PARKED = """
strategies:
  - {name: parked, interval: 1m, use: "strategies/parked.py:parked"}
  - {name: long, interval: 1m, use: "strategies/parked.py:long"}
"""
CODE = '''
from backtestkit_cli import Market, SignalDraft


def parked(market: Market) -> SignalDraft:
    """A limit entry far below the market."""
    low = market.price * 0.9
    return SignalDraft(
        position="long", price_open=low, price_take_profit=low * 1.05, price_stop_loss=low * 0.95,
        lifetime_minutes=600, wait_minutes=600,
    )


def long(market: Market) -> SignalDraft:
    """A long with levels far away."""
    price = market.price
    return SignalDraft(
        position="long", price_take_profit=price * 1.5, price_stop_loss=price * 0.85, lifetime_minutes=600
    )
'''


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path)
    made.write("configs/parked.yaml", PARKED)
    made.write("strategies/parked.py", CODE)
    return made


def kit_of(project: Project) -> Kit:
    return Kit.load(project.folder / "configs")


def left(project: Project, *names: str, now_ms: int = START_MS) -> str:
    """Leave a session that ran for three minutes; its id."""
    now_ms -= now_ms % MINUTE_MS
    return run_live(kit_of(project), *names, start=now_ms - 3 * MINUTE_MS, end=now_ms).live.record.session


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 40
    while not what():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.1)


@contextmanager
def running(project: Project, *names: str) -> "Iterator[Popen[str]]":
    """A real session that goes on with what was left a moment ago."""
    left(project, *names, now_ms=WallClock().now_ms())
    process = project.start("live", *names, "--symbol", "BTCUSDT", "--json")
    try:
        until(lambda: status(project)["standing"] == "running" or process.poll() is not None)
        yield process
    finally:
        process.kill()
        process.communicate()


def status(project: Project) -> Any:
    return project.inside("session", "status", "--json").document


def states(project: Project) -> dict[str, str]:
    return {stream["strategy"]: stream["state"] for stream in status(project)["streams"]}


def corrupt(project: Project, kind: str, *, previous: bool = True) -> dict[Path, bytes]:
    """Damage the records of a kind; what the files held."""
    paths = [
        path
        for path in (project.folder / "state" / kind).iterdir()
        if path.name.endswith(".json") or (previous and path.name.endswith(".prev"))
    ]
    held = {path: path.read_bytes() for path in paths}
    for path in paths:
        path.write_bytes(b"?")
    return held


# Looking


def test_where_none_has_run_there_is_nothing_to_see_and_nothing_is_made(project: Project) -> None:
    assert project.inside("session", "list", "--json") == Done(0, "[]\n", "")
    assert "no session has run here" in project.inside("session", "status").stderr
    stopped = project.inside("session", "stop")
    assert (stopped.code, "no session runs here" in stopped.stderr) == (2, True)
    assert project.inside("session", "reconcile").code == 0
    assert not (project.folder / "state").exists()


def test_a_session_that_was_left_is_listed_with_what_it_holds(project: Project) -> None:
    name = left(project, "long", "parked")
    (row,) = project.inside("session", "list", "--json").document
    assert row["session"] == name
    assert (row["standing"], row["process"], row["streams"], row["open_positions"]) == ("left", None, 2, 1)
    found = status(project)
    assert found["kill_switch"] is False
    long, parked = found["streams"]
    assert (long["state"], parked["state"]) == ("long", "waits long")
    state = SessionState(FileStore(project.folder / "state", lambda: 0)).stream("long", "BTCUSDT").state
    assert isinstance(state, OpenPosition)
    assert long["entry"] == state.signal.price_open
    assert long["take_profit"] == state.signal.price_take_profit
    assert long["stop_loss"] == state.signal.price_stop_loss
    assert parse_time(long["since"]) == state.opened_at
    assert parse_time(long["until"]) == state.expires_at
    assert name in project.inside("session", "status", name[:9]).stdout
    assert project.inside("session", "stop", name).code == 2


def test_the_list_says_that_the_kill_switch_is_on(project: Project) -> None:
    left(project, "long")
    assert "KILL SWITCH" not in project.inside("session", "list").stdout
    project.inside("session", "kill")
    assert "KILL SWITCH ON: nothing is opened" in project.inside("session", "list").stdout
    assert [row["kill_switch"] for row in project.inside("session", "list", "--json").document] == [True]


@pytest.mark.parametrize("command", ["list", "status"])
def test_what_is_seen_of_a_session_fits_a_terminal_with_whole_ids(
    command: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = left(project, "long", "parked")
    monkeypatch.setattr(Output, "width", 80)
    shown = project.inside("session", command).stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert name in shown
    if command == "status":
        assert all(word in shown for word in ("parked", "BTCUSDT", "waits long", "03-01 09:57"))
        assert "settled" not in shown


def test_a_session_that_has_ended_keeps_its_place_in_the_list(project: Project) -> None:
    start_ms = START_MS
    first = run_live(kit_of(project), "asked", start=start_ms - 20_000, end=start_ms + 150 * MINUTE_MS, leaves=False)
    closed = sum(event.kind == "closed" for event in first.events)
    second = left(project, "parked", now_ms=start_ms + 1000 * MINUTE_MS)
    rows = project.inside("session", "list", "--json").document
    assert [row["session"] for row in rows] == [first.live.record.session, second]
    assert (rows[0]["standing"], rows[0]["trades"], rows[0]["streams"]) == ("ended", closed, 1)
    assert closed > 0
    old = project.inside("session", "status", first.live.record.session, "--json").document
    assert old["streams"] == []
    unknown = project.inside("session", "status", "1999")
    assert (unknown.code, first.live.record.session in unknown.stderr) == (2, True)


def test_looking_at_a_damaged_state_changes_nothing(project: Project) -> None:
    left(project, "long")
    left(project, "long", now_ms=START_MS + 2 * MINUTE_MS)
    corrupt(project, "stream", previous=False)
    before = {path: path.read_bytes() for path in (project.folder / "state").rglob("*") if path.is_file()}
    found = project.inside("session", "status")
    assert "previous generation counts" in found.stderr
    assert " long " in found.stdout
    corrupt(project, "stream")
    assert project.inside("session", "status").code == 7
    project.inside("session", "list")
    assert {path for path in (project.folder / "state").rglob("*") if path.is_file()} == set(before)


# Steering


def test_a_running_session_is_seen_killed_released_and_stopped(project: Project) -> None:
    with running(project, "parked") as process:
        assert f" {process.pid} " in project.inside("session", "list").stdout
        found = status(project)
        assert (found["standing"], found["process"]) == ("running", process.pid)
        assert states(project) == {"parked": "waits long"}
        busy = project.inside("session", "reconcile", "--flat", "parked", "BTCUSDT")
        assert (busy.code, f"process {process.pid}" in busy.stderr) == (2, True)
        assert project.inside("session", "kill").code == 0
        until(lambda: states(project) == {"parked": "flat"})
        assert status(project)["kill_switch"] is True
        assert f"process {process.pid}" in project.inside("session", "kill", "--release").stdout
        assert status(project)["kill_switch"] is False
        assert project.inside("session", "stop", found["session"]).code == 0
        done = finished(process)
    assert done.code == 0
    assert "asked from another terminal" in done.stderr
    assert "ended with nothing open" in done.stderr
    kinds = [json.loads(line)["kind"] for line in done.stdout.splitlines()]
    assert "cancelled" in kinds
    assert project.inside("session", "list", "--json").document[0]["standing"] == "ended"


def test_a_gentle_stop_waits_for_positions_and_one_in_a_hurry_leaves_them(project: Project) -> None:
    with running(project, "long") as process:
        assert project.inside("session", "stop", "--stop-after", "1h").code == 0
        until(lambda: status(project)["stops"] is not None)
        listed = project.inside("session", "list").stdout
        assert project.inside("session", "stop").code == 0
        time.sleep(3)
        stopping = project.inside("session", "list").stdout
        assert process.poll() is None, "it waits for the position"
        assert states(project) == {"long": "long"}
        assert project.inside("session", "stop", "--stop-now", "--json").document["process"] == process.pid
        done = finished(process)
    assert done.code == 0
    assert f"goes on with session {status(project)['session']}" not in done.stderr  # events are JSON
    first = json.loads(done.stdout.splitlines()[0])
    assert (first["kind"], first["session"]) == ("session", status(project)["session"])
    assert (first["is_resumed"], first["open"]) == (True, [["long", "BTCUSDT"]])
    assert "the market of sample is made up" in done.stderr
    assert "stops in 60 min" in done.stderr
    assert "stops at" in listed
    assert "stopping (until" in stopping
    assert "waiting for\n  long long on BTCUSDT until" in done.stderr
    assert "the next start goes on" in done.stderr
    assert (status(project)["standing"], states(project)) == ("left", {"long": "long"})


def test_a_request_is_for_the_run_that_was_asked_and_no_later_one(project: Project) -> None:
    with folder_lock(project.folder / "state") as holder:
        assert kit_of(project).sessions.stop(manner="now").word == holder.word
    with running(project, "long") as process:
        time.sleep(3)
        assert process.poll() is None


def test_the_kill_switch_cancels_what_waits_and_lets_nothing_in(project: Project) -> None:
    left(project, "parked")
    assert project.inside("session", "kill", "--json").document == {"is_killed": True, "process": None}
    session = run_live(kit_of(project), "parked", start=START_MS + 10_000, end=START_MS + 5 * MINUTE_MS)
    assert [type(event) for event in session.events][:2] == [Cancelled, RiskRefused]
    assert not any(isinstance(one.walk.state, WaitingEntry) for one in session.live.streams.values())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("configs/strategies.yaml", "strategies: [ {name: cut"),
        ("configs/more.yaml", "strategies:\n  - {name: no, interval: 7m}\n"),
        ("configs/more.yaml", "setings: {balance: 1}\n"),
    ],
    ids=["a file that is cut off", "a strategy that is wrong", "a section that is misspelt"],
)
def test_the_kill_switch_works_while_the_config_is_wrong(name: str, text: str, project: Project) -> None:
    project.write(name, text)
    assert project.inside("session", "status").code == 2
    done = project.inside("session", "kill")
    assert done.code == 0, done.stderr
    assert "the config cannot be loaded" in done.stderr
    assert "the kill switch is on" in done.stdout
    assert SessionState(FileStore(project.folder / "state", lambda: 0)).is_killed()
    assert project.inside("session", "kill", "--release").code == 0
    assert not SessionState(FileStore(project.folder / "state", lambda: 0)).is_killed()


def test_the_kill_switch_is_thrown_where_a_wrong_config_says_that_the_state_is(project: Project) -> None:
    project.write("configs/state.yaml", "settings: {state: {path: elsewhere}, gap: nonsense}\n")
    assert project.inside("session", "kill").code == 0
    assert SessionState(FileStore(project.folder / "elsewhere", lambda: 0)).is_killed()
    assert not (project.folder / "state").exists()


def test_the_kill_switch_is_not_thrown_where_nobody_knows_that_the_state_is(project: Project) -> None:
    project.write("configs/state.yaml", "settings: {state: {path: elsewhere}, gap: [\n")
    done = project.inside("session", "kill")
    assert (done.code, "where the state is cannot be known" in done.stderr) == (2, True)
    assert "configs/state.yaml" in done.stderr
    assert not (project.folder / "state").exists()
    assert project.inside("session", "kill", "--set", "settings.state.path=elsewhere").code == 0
    assert SessionState(FileStore(project.folder / "elsewhere", lambda: 0)).is_killed()
    project.write("configs/state.yaml", "settings: {state: {pathh: elsewhere}}\n")
    assert project.inside("session", "kill").code == 2


def test_many_terminals_at_once_leave_whole_records(project: Project) -> None:
    folder = project.folder / "state"
    sessions = Sessions(config=kit_of(project).config, folder=folder, logs=project.folder / "logs")
    failures: list[BaseException] = []

    def again_and_again(do: Callable[[], object]) -> None:
        try:
            for _ in range(25):
                do()
        except BaseException as error:  # noqa: BLE001  # told below
            failures.append(error)

    def start() -> None:
        with FileStore(folder, lambda: 0).held():
            pass

    work = [sessions.kill, lambda: sessions.kill(is_killed=False), sessions.list, start]
    threads = [Thread(target=again_and_again, args=(do,)) for do in [*work, *work[:3]]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    sessions.kill()
    assert SessionState(FileStore(folder, lambda: 0)).is_killed()


# Saying what is true


def test_a_damaged_stream_is_settled_by_saying_that_it_is_flat(project: Project) -> None:
    name = left(project, "long")
    held = corrupt(project, "stream")
    shown = project.inside("session", "reconcile")
    assert shown.code == 7
    assert "--flat long BTCUSDT" in shown.stdout
    assert "--previous" not in shown.stdout
    refused = project.inside("session", "reconcile", "--previous", "long", "BTCUSDT")
    assert (refused.code, "no good generation" in refused.stderr) == (2, True)
    said = project.inside("session", "reconcile", "--flat", "long", "BTCUSDT")
    assert said.code == 0
    assert said.stdout.splitlines() == [
        f"long BTCUSDT is flat now; {len(held)} old records kept in state",
        "Nothing needs a word: a session can begin.",
    ]
    assert len(list((project.folder / "state").rglob("*.set-aside-*"))) == len(held)
    assert states(project) == {"long": "flat"}
    assert '"what": "reconciled"' in (project.folder / "logs" / "live" / name / "journal.jsonl").read_text()
    assert left(project, "long", now_ms=START_MS + 10 * MINUTE_MS) == name


def test_the_generation_before_can_be_the_true_one(project: Project) -> None:
    left(project, "long")
    folder = project.folder / "state" / "stream"
    (current,) = (path for path in folder.iterdir() if path.name.endswith(".json"))
    record = decode(current.read_bytes())
    current.write_bytes(encode(replace(record, body={**record.body, "state": {"kind": "of another version"}})))
    shown = project.inside("session", "reconcile", "--json")
    (unsettled,) = shown.document["unsettled"]
    assert "--previous long BTCUSDT" in unsettled["ways"]
    assert [said["stream"] is None for said in unsettled["said"]] == [True, False]
    assert project.inside("session", "reconcile", "--previous", "long", "BTCUSDT").code == 0
    assert states(project) == {"long": "long"}
    assert current.with_name(current.name + ".prev").exists()


def test_what_other_settings_hold_is_named(project: Project) -> None:
    left(project, "long")
    assert project.inside("session", "reconcile").code == 0
    shown = project.inside("session", "reconcile", "--set", "settings.costs.fee_percent=0.05")
    assert shown.code == 7
    assert "other settings" in shown.stdout
    assert "long at" in shown.stdout
    project.inside("session", "reconcile", "--flat", "long", "BTCUSDT")
    assert project.inside("session", "reconcile", "--set", "settings.costs.fee_percent=0.05").code == 0


@pytest.mark.parametrize("kind", ["session", "switch"])
def test_a_damaged_record_of_all_streams_is_set_aside(kind: str, project: Project) -> None:
    left(project, "long")
    project.inside("session", "kill", "--release")
    corrupt(project, kind)
    shown = project.inside("session", "reconcile")
    assert shown.code == 7
    assert f"--set-aside {kind}" in shown.stdout
    if kind == "session":
        assert "still needed" in project.inside("session", "reconcile", "--set-aside", kind).stderr
        project.inside("session", "reconcile", "--flat", "long", "BTCUSDT")
    assert project.inside("session", "reconcile", "--set-aside", kind).code == 0
    assert left(project, "long", now_ms=START_MS + 10 * MINUTE_MS)


def test_without_its_session_a_position_is_never_forgotten(project: Project) -> None:
    left(project, "long")
    for path in (project.folder / "state" / "session").iterdir():
        path.unlink()
    assert project.inside("session", "reconcile").code == 7
    started = project.inside("live", "long", "--symbol", "BTCUSDT")
    assert started.code == 7
    assert "long on BTCUSDT was left open" in started.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("stop", "--stop-now", "--stop-after", "1h"),
        ("stop", "--stop-after", "soon"),
        ("stop", "--stop-after", "0m"),
        ("reconcile", "--flat", "nobody", "BTCUSDT"),
        ("reconcile", "--set-aside", "everything"),
        ("reconcile", "--flat", "a", "b", "--previous", "a", "b"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(arguments: tuple[str, ...], project: Project) -> None:
    done = project.inside("session", *arguments)
    assert done.code == 2
    assert done.stderr.startswith("error: ")
