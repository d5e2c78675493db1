"""Every store of live state keeps the promises of its port, and every table those of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from data.stores.own import OwnStore

from backtestkit_cli.errors import Source, StateError, UsageError
from backtestkit_cli.state import lease
from backtestkit_cli.state.conformance import check_table
from backtestkit_cli.state.database import DatabaseStore
from backtestkit_cli.state.mongo_table import COLLECTION, HOLDER, UNTRIED
from backtestkit_cli.state.own_table import OwnTable
from backtestkit_cli.state.postgres_table import PostgresTable
from backtestkit_cli.state.redis_table import RedisTable
from backtestkit_cli.state.sqlite import FILE, SqliteTable
from backtestkit_cli.state.store import FileStore
from backtestkit_cli.state.table import Generations, Table

Store: TypeAlias = FileStore | DatabaseStore
NOW_MS = 1_677_628_800_000
TESTS = Path(__file__).parents[1]


def mongo(place: str) -> Table:
    from mongo_stand_in import MongoOnStandIn

    return MongoOnStandIn(Path(place))


TABLES: dict[str, Callable[[str], Table]] = {
    "sqlite": lambda place: SqliteTable(Path(place)),
    "redis": lambda url: RedisTable(url, "redis://here", NOW_MS),
    "postgres": lambda url: PostgresTable(url, "postgresql://here", NOW_MS),
    "mongo": mongo,
    "own": lambda place: OwnTable(OwnStore(place), "own.py:OwnStore"),
}
HOLD = """
import sys; sys.path.insert(0, sys.argv[1])
from conformance.test_state_stores import Made, short_leases
short_leases()
with Made(*sys.argv[2:]).store().held():
    print("held", flush=True); sys.stdin.read()
"""


class Made:
    """A store of some kind at a place, made anew each time, as another program would."""

    def __init__(self, kind: str, place: str) -> None:
        self.kind, self.place = kind, place

    def __call__(self) -> Store:
        return self.store()

    def store(self) -> Store:
        if self.kind == "files":
            return FileStore(Path(self.place), lambda: NOW_MS)
        return DatabaseStore(self.table(), lambda: NOW_MS)

    def table(self) -> Table:
        return TABLES[self.kind](self.place)

    @contextmanager
    def held_elsewhere(self) -> Iterator[None]:
        """Another process holds it, and is killed in the end."""
        command = [sys.executable, "-c", HOLD, str(TESTS), self.kind, self.place]
        child = subprocess.Popen(command, stdin=-1, stdout=-1, text=True)
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        try:
            yield
        finally:
            child.kill()
            child.communicate()


def short_leases() -> None:
    """Leases that lapse in a second, so that tests of killed programs are quick."""
    lease.LAPSE_MS, lease.RENEW_SECONDS, lease.LOOK_SECONDS = 1000, 0.1, 0.02


@pytest.fixture(params=["files", *TABLES])
def make(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    kind: str = request.param
    if kind == "mongo":
        pytest.importorskip("pymongo", reason="the extra `mongo` is not installed")
    for name in ("LAPSE_MS", "RENEW_SECONDS", "LOOK_SECONDS"):
        monkeypatch.setattr(lease, name, getattr(lease, name))
    short_leases()
    if kind not in ("redis", "postgres"):
        return Made(kind, str(tmp_path))
    server = request.getfixturevalue(f"{kind}_server")
    server.empty()
    return Made(kind, server.url)


@pytest.mark.parametrize("make", TABLES, indirect=True)
def test_a_table_keeps_the_promises_of_its_port(make: Made) -> None:
    assert check_table(make.table, make.held_elsewhere, Source()) == []


def test_what_was_saved_is_loaded_by_another_program(make: Made) -> None:
    body: dict[str, Any] = {"price": 0.1 + 0.2, "deep": {"list": [1, None, True, "ü \x00 | `"]}}
    make().save("stream", "a/b c", body)
    assert make().load("stream", "a/b c") == body
    assert make().load("stream", "A/b c") is None
    assert make().load("money", "a/b c") is None


def test_the_newest_counts_and_keys_are_in_order(make: Made) -> None:
    store = make()
    for number in range(3):
        for key in ("b", "a"):
            store.save("stream", key, {"number": number})
    assert store.load("stream", "a") == {"number": 2}
    assert store.keys("stream") == ("a", "b")
    assert store.keys("nothing") == ()


def test_what_is_no_json_is_refused_and_changes_nothing(make: Made) -> None:
    store = make()
    store.save("stream", "a", {"number": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        store.save("stream", "a", {"number": float("nan")})
    assert store.load("stream", "a") == {"number": 1}


def test_one_program_holds_it_until_it_ends(make: Made) -> None:
    with make.held_elsewhere(), pytest.raises(UsageError, match="another program"), make().held():
        pass
    with make().held():
        pass


def damage(make: Made, *, both: bool) -> None:
    if make.kind == "files":
        for path in (Path(make.place) / "stream").glob("a.json*"):
            if both or not path.name.endswith(".prev"):
                path.write_bytes(path.read_bytes()[:-20])
        return
    current, previous = make.table().read("stream", "a")
    assert current is not None
    assert previous is not None
    make.table().write("stream", "a", Generations(current[:-20], previous[:-20] if both else previous))


def test_a_damaged_record_gives_way_to_the_one_before_and_is_kept(make: Made) -> None:
    for number in (1, 2):
        make().save("stream", "a", {"number": number})
    damage(make, both=False)
    store = make()
    assert store.load("stream", "a") == {"number": 1}
    (warning,) = store.warnings
    assert "previous generation counts" in warning
    store.save("stream", "a", {"number": 3})
    assert make().load("stream", "a") == {"number": 3}


def test_without_a_good_generation_nothing_is_guessed_or_deleted(make: Made) -> None:
    for number in (1, 2):
        make().save("stream", "a", {"number": number})
    damage(make, both=True)
    for _ in range(2):
        with pytest.raises(StateError, match="damaged, and so is its previous"):
            make().load("stream", "a")
        with pytest.raises(StateError, match="damaged"):
            make().save("stream", "a", {"number": 3})


def test_who_looks_from_outside_changes_nothing(make: Made) -> None:
    for number in (1, 2):
        make().save("stream", "a", {"number": number})
    damage(make, both=False)
    for _ in range(2):
        store = make()
        store._is_outside = True
        assert store.load("stream", "a") == {"number": 1}
        (warning,) = store.warnings
        assert "previous generation counts" in warning
        assert [one.record is None for one in store.generations("stream", "a")] == [True, False]
    with make().held():
        holder = make().holder()
        assert holder is not None
        assert holder.process == os.getpid()
    assert make().holder() is None


def test_a_generation_that_is_not_true_is_set_aside(make: Made) -> None:
    store = make()
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
    assert make().load("stream", "a/b c") == {"number": 4}


def test_a_holder_on_mongo_whose_lease_lapsed_writes_nothing_once_another_has_taken_the_state(tmp_path: Path) -> None:
    pytest.importorskip("pymongo", reason="the extra `mongo` is not installed")
    from mongo_stand_in import StandIn

    first, second = (Made("mongo", str(tmp_path)).store() for _ in range(2))
    with first.held():
        first.save("stream", "a", {"number": 1})
        StandIn(tmp_path, COLLECTION).update_one(HOLDER, {"$set": {"lapses_ms": 0}})
        first.save("stream", "a", {"number": 2})
        with second.held():
            with pytest.raises(StateError, match="taken the state over"):
                first.save("stream", "a", {"number": 3})
            second.save("stream", "a", {"number": 4})
        with pytest.raises(StateError, match="taken the state over"):
            first.save("stream", "a", {"number": 5})
    assert second.load("stream", "a") == {"number": 4}
    assert second.warnings == [UNTRIED]


def test_a_file_that_is_no_database_is_told_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"something else " * 100)
    with pytest.raises(StateError, match="could not be reached: file is not a database"):
        Made("sqlite", str(tmp_path)).store().load("stream", "a")
    assert (tmp_path / FILE).read_bytes() == b"something else " * 100


def test_who_only_looks_makes_no_file(tmp_path: Path) -> None:
    store = Made("sqlite", str(tmp_path / "state")).store()
    assert (store.keys("stream"), store.load("stream", "a"), store.holder()) == ((), None, None)
    assert not (tmp_path / "state").exists()
