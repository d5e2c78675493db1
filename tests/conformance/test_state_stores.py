"""Every store of live state keeps the promises of its port."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from backtestkit_cli.errors import StateError, UsageError
from backtestkit_cli.state.database import DatabaseStore
from backtestkit_cli.state.sqlite import FILE, SqliteTable
from backtestkit_cli.state.store import FileStore

Store: TypeAlias = FileStore | DatabaseStore
NOW_MS = 1_677_628_800_000


def files(folder: Path) -> Store:
    return FileStore(folder, lambda: NOW_MS)


def sqlite(folder: Path) -> Store:
    return DatabaseStore(SqliteTable(folder), lambda: NOW_MS)


MAKERS = (files, sqlite)
Make: TypeAlias = Callable[[Path], Store]


@pytest.fixture(params=MAKERS, ids=lambda make: make.__name__)
def make(request: pytest.FixtureRequest) -> Make:
    found: Make = request.param
    return found


def test_what_was_saved_is_loaded_by_another_program(make: Make, tmp_path: Path) -> None:
    body: dict[str, Any] = {"price": 0.1 + 0.2, "deep": {"list": [1, None, True, "ü \x00 | `"]}}
    make(tmp_path).save("stream", "a/b c", body)
    assert make(tmp_path).load("stream", "a/b c") == body
    assert make(tmp_path).load("stream", "A/b c") is None
    assert make(tmp_path).load("money", "a/b c") is None


def test_the_newest_counts_and_keys_are_in_order(make: Make, tmp_path: Path) -> None:
    store = make(tmp_path)
    for number in range(3):
        for key in ("b", "a"):
            store.save("stream", key, {"number": number})
    assert store.load("stream", "a") == {"number": 2}
    assert store.keys("stream") == ("a", "b")
    assert store.keys("nothing") == ()


def test_what_is_no_json_is_refused_and_changes_nothing(make: Make, tmp_path: Path) -> None:
    store = make(tmp_path)
    store.save("stream", "a", {"number": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        store.save("stream", "a", {"number": float("nan")})
    assert store.load("stream", "a") == {"number": 1}


def test_one_program_holds_it_until_it_ends(make: Make, tmp_path: Path) -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from pathlib import Path\nfrom conformance.test_state_stores import files, sqlite\n"
        f"with {make.__name__}(Path(sys.argv[1])).held():\n    print('held', flush=True); sys.stdin.read()"
    )
    places = [str(Path(__file__).parents[1])]
    child = subprocess.Popen([sys.executable, "-c", program, str(tmp_path), *places], stdin=-1, stdout=-1, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    with pytest.raises(UsageError, match="another program"), make(tmp_path).held():
        pass
    child.kill()
    child.communicate()
    with make(tmp_path).held():
        pass


def damage_file(folder: Path, both: bool) -> None:
    for path in (folder / "stream").glob("a.json*"):
        if both or not path.name.endswith(".prev"):
            path.write_bytes(path.read_bytes()[:-20])


def damage_sqlite(folder: Path, both: bool) -> None:
    with closing(sqlite3.connect(folder / FILE)) as open_, open_:
        open_.execute("UPDATE records SET current = substr(current, 1, 80)")
        if both:
            open_.execute("UPDATE records SET previous = substr(previous, 1, 80)")


DAMAGES: dict[Make, Callable[[Path, bool], None]] = {files: damage_file, sqlite: damage_sqlite}


def test_a_damaged_record_gives_way_to_the_one_before_and_is_kept(make: Make, tmp_path: Path) -> None:
    for number in (1, 2):
        make(tmp_path).save("stream", "a", {"number": number})
    DAMAGES[make](tmp_path, False)
    store = make(tmp_path)
    assert store.load("stream", "a") == {"number": 1}
    (warning,) = store.warnings
    assert "previous generation counts" in warning
    store.save("stream", "a", {"number": 3})
    assert make(tmp_path).load("stream", "a") == {"number": 3}


def test_without_a_good_generation_nothing_is_guessed_or_deleted(make: Make, tmp_path: Path) -> None:
    for number in (1, 2):
        make(tmp_path).save("stream", "a", {"number": number})
    DAMAGES[make](tmp_path, True)
    for _ in range(2):
        with pytest.raises(StateError, match="damaged, and so is its previous"):
            make(tmp_path).load("stream", "a")
        with pytest.raises(StateError, match="damaged"):
            make(tmp_path).save("stream", "a", {"number": 3})


def test_who_looks_from_outside_changes_nothing(make: Make, tmp_path: Path) -> None:
    for number in (1, 2):
        make(tmp_path).save("stream", "a", {"number": number})
    DAMAGES[make](tmp_path, False)
    for _ in range(2):
        store = make(tmp_path)
        store._is_outside = True
        assert store.load("stream", "a") == {"number": 1}
        (warning,) = store.warnings
        assert "previous generation counts" in warning
        assert [one.record is None for one in store.generations("stream", "a")] == [True, False]
    with make(tmp_path).held():
        holder = make(tmp_path).holder()
        assert holder is not None
        assert holder.process == os.getpid()
    assert make(tmp_path).holder() is None


def test_a_generation_that_is_not_true_is_set_aside(make: Make, tmp_path: Path) -> None:
    store = make(tmp_path)
    for number in (1, 2, 3):
        store.save("stream", "a/b c", {"number": number})
    assert store.stored_keys("stream") == ("a/b c",)
    told = [(one.which, one.record.body) for one in store.generations("stream", "a/b c") if one.record]
    assert told == [("current", {"number": 3}), ("previous", {"number": 2})]
    store.set_aside("stream", "a/b c", "current")
    assert store.load("stream", "a/b c") == {"number": 2}
    store.set_aside("stream", "a/b c", "previous")
    assert store.load("stream", "a/b c") is None
    store.save("stream", "a/b c", {"number": 4})
    assert make(tmp_path).load("stream", "a/b c") == {"number": 4}


def test_a_file_that_is_no_database_is_told_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"something else " * 100)
    with pytest.raises(StateError, match="could not be reached: file is not a database"):
        sqlite(tmp_path).load("stream", "a")
    assert (tmp_path / FILE).read_bytes() == b"something else " * 100
