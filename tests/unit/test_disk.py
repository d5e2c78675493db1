"""File names are one-to-one and safe; a write is whole or absent at every step; a folder has one holder."""

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backtestkit_cli.disk import Disk, Holder, file_name, folder_lock, holder_of, remove_leftovers, write_atomic
from backtestkit_cli.errors import StateError, UsageError

STEPS = ("create", "write", "sync", "close", "remove", "link", "replace", "sync_folder")


class Killed(BaseException):
    """The program is gone: nothing after it runs."""


class FailingDisk(Disk):
    """A disk that fails at its step number `at`; killed, it does nothing any more afterwards."""

    def __init__(self, at: int, failure: BaseException) -> None:
        self.at = at
        self.failure = failure
        self.steps: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        step = super().__getattribute__(name)
        if name not in STEPS:
            return step

        def counted(*arguments: Any) -> Any:
            self.steps.append(name)
            if len(self.steps) == self.at or (len(self.steps) > self.at and isinstance(self.failure, Killed)):
                raise self.failure
            return step(*arguments)

        return counted


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("BTCUSDT", "BTCUSDT"),
        ("BTC/USDT", "BTC%2FUSDT"),
        ("BTC/USDT:USDT", "BTC%2FUSDT%3AUSDT"),
        ("btc_usdt-1.5", "btc_usdt-1.5"),
        ("", "%"),
        (".", "%2E"),
        ("..", "%2E%2E"),
        (".hidden", "%2Ehidden"),
        ("end.", "end%2E"),
        ("100%", "100%25"),
        ("con", "%63on"),
        ("Aux.txt", "%41ux.txt"),
        ("COM1", "%43OM1"),
        ("COM10", "COM10"),
        ("é", "%C3%A9"),
        ("a b", "a%20b"),
    ],
)
def test_text_becomes_a_safe_file_name(text: str, name: str) -> None:
    assert file_name(text) == name


def test_long_text_keeps_its_beginning_and_differs_by_its_end() -> None:
    names = {file_name("x" * 300 + end) for end in "ab"}
    assert len(names) == 2
    assert all(len(name) == 100 and name.startswith("x" * 60) for name in names)


@given(st.lists(st.text(st.characters()), min_size=2, max_size=2, unique=True))
@example(["a/b", "a%2Fb"])
@example(["", "%"])
@example(["..", "%2E%2E"])
@example(["con", "%63on"])
def test_different_texts_never_meet_in_one_name(texts: list[str]) -> None:
    first, second = (file_name(text) for text in texts)
    assert first != second
    for name in (first, second):
        assert 0 < len(name) <= 100
        assert not set(name) & set('/\\:*?"<>| \0')


def test_written_file_is_private_unless_told_otherwise(tmp_path: Path) -> None:
    write_atomic(tmp_path / "key", b"secret")
    write_atomic(tmp_path / "candles", b"open", mode=0o644)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("key", "candles")]
    assert modes == [0o600, 0o644 & ~_umask()]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_write_syncs_the_file_before_the_rename_and_the_folder_after_it(tmp_path: Path) -> None:
    disk = FailingDisk(0, Killed())
    disk.at = 10**6
    write_atomic(tmp_path / "state", b"new", disk=disk)
    assert disk.steps == ["create", "write", "sync", "close", "replace", "sync_folder"]


def test_previous_content_stays_under_its_own_name(tmp_path: Path) -> None:
    for content in (b"one", b"two", b"three"):
        write_atomic(tmp_path / "state", content, previous=tmp_path / "state.prev")
    assert (tmp_path / "state").read_bytes() == b"three"
    assert (tmp_path / "state.prev").read_bytes() == b"two"


class DrippingDisk(Disk):
    """A disk that takes two bytes at a time."""

    def write(self, descriptor: int, payload: memoryview) -> int:
        return os.write(descriptor, payload[:2])


def test_short_writes_go_on_until_all_is_written(tmp_path: Path) -> None:
    write_atomic(tmp_path / "state", b"seven b", disk=DrippingDisk())
    assert (tmp_path / "state").read_bytes() == b"seven b"


@pytest.mark.parametrize("step", range(1, 9))
@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), Killed()], ids=["disk-full", "killed"])
def test_failure_at_any_step_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, step: int, failure: BaseException
) -> None:
    path = tmp_path / "state"
    write_atomic(path, b"older", previous=tmp_path / "state.prev")
    write_atomic(path, b"old", previous=tmp_path / "state.prev")
    disk = FailingDisk(step, failure)
    with pytest.raises(type(failure)):
        write_atomic(path, b"new", previous=tmp_path / "state.prev", disk=disk)
    assert path.read_bytes() == (b"new" if step == 8 else b"old")
    left = list(tmp_path.glob(".*.tmp"))
    assert len(left) <= (1 if isinstance(failure, Killed) else 0)
    remove_leftovers(tmp_path)
    assert not list(tmp_path.glob(".*.tmp"))


def test_failing_disk_reaches_every_step(tmp_path: Path) -> None:
    disk = FailingDisk(10**6, Killed())
    write_atomic(tmp_path / "state", b"old")
    write_atomic(tmp_path / "state", b"new", previous=tmp_path / "state.prev", disk=disk)
    assert len(disk.steps) == 8
    assert set(disk.steps) == set(STEPS)


def test_folder_has_one_holder_who_is_named(tmp_path: Path) -> None:
    with folder_lock(tmp_path / "new"):
        with pytest.raises(UsageError) as caught, folder_lock(tmp_path / "new"):
            pass
        assert caught.value.problems[0].code == "folder-in-use"
        assert caught.value.problems[0].found == f"process {os.getpid()}"
        with pytest.raises(StateError), folder_lock(tmp_path / "new", refusal=StateError):
            pass
    with folder_lock(tmp_path / "new"):
        pass


def test_folder_is_free_again_after_its_holder_was_killed(tmp_path: Path) -> None:
    holder = (
        "import os, sys; from pathlib import Path; from backtestkit_cli.disk import folder_lock\n"
        "with folder_lock(Path(sys.argv[1])): os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", holder, str(tmp_path)], check=False).returncode == 9
    assert (tmp_path / ".lock").exists()
    with folder_lock(tmp_path) as here:
        assert here.process == os.getpid()
        assert (tmp_path / ".lock-holder").read_text() == f"{os.getpid()} {here.word}\n"


def test_who_looks_for_a_holder_makes_nothing_and_keeps_nobody_out(tmp_path: Path) -> None:
    assert holder_of(tmp_path / "none") is None
    assert not (tmp_path / "none").exists()
    with folder_lock(tmp_path) as holder:
        assert holder_of(tmp_path) == holder
        (tmp_path / ".lock-holder").unlink()
        assert holder_of(tmp_path) == Holder(0, "")
    assert holder_of(tmp_path) is None
    with folder_lock(tmp_path) as second:
        assert second.word != holder.word
