"""The store of live state: old or new whatever fails, damage is seen and kept, one holder, power cuts lose nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from backtestkit_cli.disk import Disk
from backtestkit_cli.errors import StateError, UsageError
from backtestkit_cli.state.store import FileStore

KEY = "ema-cross BTC/USDT"
STEPS = ("make_folder", "create", "write", "sync", "close", "remove", "link", "replace", "sync_folder")
FAULTS = {
    "full": OSError(28, "No space left on device"),
    "broken": OSError(5, "Input/output error"),
    "forbidden": OSError(13, "Permission denied"),
    "read-only": OSError(30, "Read-only file system"),
}


def store(folder: Path, disk: Disk | None = None) -> FileStore:
    return FileStore(folder, lambda: 1_677_628_800_000, disk or Disk())


def body(number: int) -> dict[str, Any]:
    return {"number": number, "text": "x" * 50}


def saved(folder: Path, *numbers: int, key: str = KEY) -> Path:
    """The file of a record that was saved with these numbers in turn."""
    one = store(folder)
    for number in numbers:
        one.save("signal", key, body(number))
    return one._path("signal", key)


def loaded(folder: Path) -> Any:
    found = store(folder).load("signal", KEY)
    return None if found is None else found["number"]


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    assert loaded(tmp_path) is None
    saved(tmp_path, 1, 2)
    saved(tmp_path, 9, key="other")
    assert loaded(tmp_path) == 2
    assert store(tmp_path).keys("signal") == (KEY, "other")
    assert store(tmp_path).keys("nothing") == ()
    path = saved(tmp_path, 3)
    assert path.stat().st_mode & 0o077 == 0, "nobody else reads it"
    assert b'"generation":3' in path.read_bytes(), "another program goes on counting"


class Gone(BaseException):
    """The program was killed."""


class FailingDisk(Disk):
    """Fails at step number `at`; killed, it does nothing any more."""

    def __init__(self, at: int, failure: BaseException) -> None:
        self.at, self.failure, self.count = at, failure, 0

    def __getattribute__(self, name: str) -> Any:
        step = super().__getattribute__(name)
        if name not in STEPS:
            return step

        def counted(*arguments: Any) -> Any:
            self.count += 1
            if self.count == self.at or (self.count > self.at and isinstance(self.failure, Gone)):
                raise self.failure
            return step(*arguments)

        return counted


@pytest.mark.parametrize("fault", [*FAULTS, "killed"])
def test_a_fault_at_any_step_leaves_the_old_record_or_the_new_one(tmp_path: Path, fault: str) -> None:
    failure = FAULTS.get(fault, Gone())
    for at in range(1, 30):
        folder = tmp_path / str(at)
        saved(folder, 1, 2)
        disk = FailingDisk(at, failure)
        try:
            store(folder, disk).save("signal", KEY, body(3))
        except (StateError, Gone):
            assert loaded(folder) in (2, 3)
            with store(folder).held() as after:
                after.save("signal", KEY, body(4))
            assert loaded(folder) == 4
            assert not list(folder.rglob("*.tmp")), "the next start sweeps"
            continue
        assert loaded(folder) == 3
        assert at > 8, "every step was tried"
        return
    pytest.fail("it never ran through")


def test_what_cannot_be_written_is_told_with_its_place(tmp_path: Path) -> None:
    saved(tmp_path, 1)
    with pytest.raises(StateError) as caught:
        store(tmp_path, FailingDisk(3, FAULTS["full"])).save("signal", KEY, body(2))
    (problem,) = caught.value.problems
    assert problem.code == "state-not-saved"
    assert "No space left" in problem.what
    assert KEY in problem.what


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut": lambda raw: raw[:-20],
    "flipped": lambda raw: raw.replace(b"2", b"3", 1),
    "zeros": lambda raw: bytes(len(raw)),
    "another": lambda raw: raw.replace(b"ema-cross", b"ema-crosz"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_gives_way_to_the_generation_before_and_is_kept(tmp_path: Path, damage: str) -> None:
    path = saved(tmp_path, 1, 2)
    bad = DAMAGES[damage](path.read_bytes())
    path.write_bytes(bad)
    found = store(tmp_path)
    assert found.load("signal", KEY) == body(1)
    (warning,) = found.warnings
    assert path.name in warning
    (kept,) = tmp_path.rglob("*.corrupt-*")
    assert kept.read_bytes() == bad
    assert loaded(tmp_path) == 1
    saved(tmp_path, 5)
    assert loaded(tmp_path) == 5
    assert kept.exists()


def test_without_a_good_generation_nothing_begins_and_nothing_is_touched(tmp_path: Path) -> None:
    path = saved(tmp_path, 1, 2)
    for place in tmp_path.rglob("*.json*"):
        place.write_bytes(b"?")
    before = {place: place.read_bytes() for place in tmp_path.rglob("*") if place.is_file()}
    for _ in range(2):
        for ask in (
            lambda: store(tmp_path).load("signal", KEY),
            lambda: store(tmp_path).keys("signal"),
            lambda: store(tmp_path).save("signal", KEY, body(3)),
        ):
            with pytest.raises(StateError) as caught:
                ask()
            assert caught.value.exit_code == 7
            assert "session reconcile" in (caught.value.problems[0].hint or "")
    assert {place: place.read_bytes() for place in tmp_path.rglob("*") if place.is_file()} == before
    path.unlink()
    with pytest.raises(StateError):
        store(tmp_path).load("signal", KEY)


UNREADABLE = {"descriptors": 24, "broken": 5, "no folder": 20, "forbidden": 13}


@pytest.mark.parametrize("fault", UNREADABLE)
@pytest.mark.parametrize("step", ["read_bytes", "iterdir"])
def test_what_cannot_be_read_is_told_as_ours_and_no_other_generation_counts(
    tmp_path: Path, fault: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path, 1, 2)
    one, number = store(tmp_path), UNREADABLE[fault]
    listing: list[Callable[[], object]] = [lambda: one.keys("signal")]
    reading = [
        lambda: one.load("signal", KEY),
        lambda: one.generations("signal", KEY),
        lambda: one.save("signal", KEY, {}),
    ]
    for ask in listing + (reading if step == "read_bytes" else [lambda: one.stored_keys("signal")]):
        with monkeypatch.context() as patch:
            patch.setattr(Path, step, failing(number))
            with pytest.raises(StateError, match="could not be read") as caught:
                ask()
        assert caught.value.code == "state-unreadable"
        assert os.strerror(number) in str(caught.value)
    assert one.load("signal", KEY) == body(2), "it is read again"
    assert not one.warnings
    assert not list(tmp_path.rglob("*.corrupt-*"))


def failing(number: int) -> Callable[[Path], Any]:
    """What a step of the file system does when it fails."""

    def fail(_: Path) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


def test_a_file_in_the_place_of_the_folder_is_not_an_empty_state(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.write_text("x")
    for ask in (lambda: store(folder).load("signal", KEY), lambda: store(folder).keys("signal")):
        with pytest.raises(StateError, match="Not a directory"):
            ask()


def test_a_damaged_record_that_cannot_be_put_aside_is_told_as_ours(tmp_path: Path) -> None:
    path = saved(tmp_path, 1, 2)
    path.write_bytes(b"?")
    with pytest.raises(StateError, match="could not be written"):
        store(tmp_path, FailingDisk(1, FAULTS["read-only"])).load("signal", KEY)
    assert path.read_bytes() == b"?"


def test_a_record_of_another_key_does_not_count(tmp_path: Path) -> None:
    path, other = saved(tmp_path, 1), saved(tmp_path, 7, key="other")
    path.write_bytes(other.read_bytes())
    with pytest.raises(StateError, match="record of other"):
        store(tmp_path).load("signal", KEY)


def test_hostile_keys_stay_inside_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    keys = ("../../etc/passwd", "/abs", "a/b", "", ".", "con", "é" * 200, "x\0y", "a.json", "a.json.prev")
    for place, key in enumerate(keys):
        saved(folder, place, key=key)
    assert store(folder).keys("signal") == tuple(sorted(keys))
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


# One holder

HOLD = (
    "import sys, time\nfrom pathlib import Path\nfrom backtestkit_cli.state.store import FileStore\n"
    "with FileStore(Path(sys.argv[1]), lambda: 0).held():\n    print('held', flush=True)\n    time.sleep(60)\n"
)


def test_one_program_holds_the_folder_and_a_killed_one_no_more(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(UsageError) as caught, store(tmp_path).held():
        pass
    assert caught.value.problems[0].found == f"process {holder.pid}"
    assert loaded(tmp_path) is None, "reading needs no hold"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    with store(tmp_path).held():
        pass


def test_of_many_starts_exactly_one_runs(tmp_path: Path) -> None:
    starts = [
        subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(8)
    ]
    try:
        deadline = time.monotonic() + 60
        while sum(one.poll() is None for one in starts) > 1 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert sum(one.poll() is None for one in starts) == 1
    finally:
        for one in starts:
            one.kill()
            one.communicate()


WRITER = (
    "import sys\nfrom pathlib import Path\nfrom backtestkit_cli.state.store import FileStore\n"
    "with FileStore(Path(sys.argv[1]), lambda: 0).held() as store:\n"
    "    number = (store.load('signal', 'k') or {'number': 0})['number']\n"
    "    print(number, flush=True)\n"
    "    while True:\n"
    "        number += 1\n        store.save('signal', 'k', {'number': number})\n        print(number, flush=True)\n"
)


def test_killed_at_any_moment_no_acknowledged_record_is_lost(tmp_path: Path) -> None:
    acknowledged = 0
    for round_ in range(12):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        first = int(writer.stdout.readline())
        assert acknowledged <= first <= acknowledged + 1, "what was said to be saved is there"
        time.sleep(0.003 + 0.007 * round_)
        writer.kill()
        told = [int(line) for line in writer.stdout.read().split("\n")[:-1] if line]
        writer.wait()
        writer.stdout.close()
        acknowledged = max([first, *told])
    assert acknowledged > 20
    assert len(list(tmp_path.rglob("*.tmp"))) <= 1


# A power cut: what was not forced to the medium may be lost, in any combination


class RecordingDisk(Disk):
    """Carries steps out and keeps what they did; without `forces` it leaves those calls out."""

    def __init__(self, forces: tuple[str, ...] = ("sync", "sync_folder")) -> None:
        self.forces, self.steps, self.names = forces, list[tuple[Any, ...]](), dict[int, Path]()

    def create(self, path: Path, mode: int) -> int:
        descriptor = super().create(path, mode)
        self.names[descriptor] = path
        self.steps.append(("create", path))
        return descriptor

    def write(self, descriptor: int, payload: memoryview) -> int:
        self.steps.append(("write", self.names[descriptor], bytes(payload)))
        return super().write(descriptor, payload)

    def sync(self, descriptor: int) -> None:
        if "sync" in self.forces:
            self.steps.append(("sync", self.names[descriptor]))

    def remove(self, path: Path) -> None:
        self.steps.append(("remove", path))
        super().remove(path)

    def link(self, path: Path, second: Path) -> None:
        self.steps.append(("link", path, second))
        super().link(path, second)

    def replace(self, path: Path, target: Path) -> None:
        self.steps.append(("replace", path, target))
        super().replace(path, target)

    def sync_folder(self, folder: Path) -> None:
        if "sync_folder" in self.forces:
            self.steps.append(("sync_folder",))


Medium = dict[Path, bytes]


def after_a_cut(before: Medium, steps: list[tuple[Any, ...]]) -> Iterator[Medium]:
    """Every state that the medium may be in when the power fails after these steps.

    Changes of names since the last forced folder are there or not, each for itself; what was written to a file and not
    forced is there whole, in half or not at all.
    """
    forced = max((place for place, step in enumerate(steps) if step[0] == "sync_folder"), default=-1)
    synced = {step[1] for step in steps if step[0] == "sync"}
    content = {step[1]: step[2] for step in steps if step[0] == "write"}
    changes = [(place, step) for place, step in enumerate(steps) if step[0] in ("create", "remove", "link", "replace")]
    sure, open_ = [c for c in changes if c[0] <= forced], [c for c in changes if c[0] > forced]
    for count in range(len(open_) + 1):
        for kept in combinations(open_, count):
            for share in (1.0, 0.5, 0.0):
                names: dict[Path, Any] = {path: ("old", path) for path in before}
                inodes: dict[Any, bytes] = {("old", path): raw for path, raw in before.items()}
                for path, raw in content.items():
                    inodes["new", path] = raw if path in synced else raw[: int(len(raw) * share)]
                for _, step in sorted([*sure, *kept]):
                    match step:
                        case ("create", path):
                            names[path] = ("new", path)
                        case ("remove", path):
                            names.pop(path, None)
                        case ("link", path, second) if path in names:
                            names[second] = names[path]
                        case ("replace", path, target):
                            names[target] = ("new", path)
                            names.pop(path, None)
                        case _:
                            pass
                yield {path: inodes.get(inode, b"") for path, inode in names.items()}


def losses(folder: Path, forces: tuple[str, ...]) -> tuple[int, int]:
    """How many states of the medium were looked at during one save, and how many of them were wrong."""
    saved(folder / "real", 1, 2)
    before = {path: path.read_bytes() for path in (folder / "real").rglob("*") if path.is_file()}
    disk = RecordingDisk(forces)
    store(folder / "real", disk).save("signal", KEY, body(3))
    seen = wrong = 0
    for cut in range(len(disk.steps) + 1):
        allowed = (3,) if cut == len(disk.steps) else (2, 3)
        for number, medium in enumerate(after_a_cut(before, disk.steps[:cut])):
            copy = folder / f"{cut}-{number}"
            for path, raw in medium.items():
                place = copy / path.relative_to(folder / "real")
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(raw)
            seen += 1
            try:
                wrong += loaded(copy) not in allowed
            except StateError:
                wrong += 1
    return seen, wrong


def test_no_power_cut_loses_or_tears_a_record(tmp_path: Path) -> None:
    seen, wrong = losses(tmp_path, ("sync", "sync_folder"))
    assert seen > 60
    assert wrong == 0


@pytest.mark.parametrize("forces", [("sync",), ("sync_folder",), ()], ids=["no folder", "no file", "nothing"])
def test_the_power_cut_test_sees_every_force_that_is_left_out(tmp_path: Path, forces: tuple[str, ...]) -> None:
    assert losses(tmp_path, forces)[1] > 0


def test_a_full_file_system_leaves_the_old_record(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys\nfrom pathlib import Path\nfrom backtestkit_cli.errors import StateError\n"
        "from backtestkit_cli.state.store import FileStore\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "store = FileStore(Path(sys.argv[1]), lambda: 0)\nstore.save('signal', 'k', {'number': 1})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n    store.save('signal', 'k', {'number': 2, 'text': 'x' * 9000})\n"
        "except StateError as error:\n    print(error.code)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))\n"
        "store.save('signal', 'k', {'number': 3})\nprint(store.load('signal', 'k'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stdout.split("\n")[:2] == ["state-not-saved", "{'number': 3}"]
