"""What servers of live state do when they are killed, cut off, badly set up or do not let us in."""

import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import pytest
from conformance.test_state_stores import NOW_MS, TABLES, short_leases
from e2e.project import Project, make_project
from servers import PASSWORD, QUOTED, PostgresServer, RedisServer

from backtestkit_cli import Kit
from backtestkit_cli.errors import ConfigError, Source, StateError, UsageError
from backtestkit_cli.state import lease
from backtestkit_cli.state.conformance import check_table
from backtestkit_cli.state.database import DatabaseStore
from backtestkit_cli.state.own_table import OwnTable
from backtestkit_cli.state.redis_table import LOCK

Server: TypeAlias = RedisServer | PostgresServer
KILLS = 2
OWN = Path(__file__).parents[1] / "data" / "stores" / "own.py"
UNIQUE = "records (kind, key, current, previous, UNIQUE (kind, key))"


@pytest.fixture(autouse=True)
def quick_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LAPSE_MS", "RENEW_SECONDS", "LOOK_SECONDS"):
        monkeypatch.setattr(lease, name, getattr(lease, name))
    short_leases()


@pytest.fixture(params=["redis", "postgres"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(f"{request.param}_server")
    found.empty()
    return found


def kind_of(server: Server) -> str:
    return "redis" if isinstance(server, RedisServer) else "postgres"


def store_on(server: Server) -> DatabaseStore:
    return DatabaseStore(TABLES[kind_of(server)](server.url), lambda: NOW_MS)


def cut_off(server: Server) -> None:
    """Let a lease lapse, or a connection be lost."""
    with server.connect() as open_:
        if isinstance(server, RedisServer):
            open_.delete(LOCK)
        else:
            open_.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # sockets of the server that died
def test_a_server_killed_in_the_middle_of_writes_keeps_all_it_answered_for(server: Server) -> None:
    random, number = Random(1), 0

    def write() -> None:
        nonlocal number
        store = store_on(server)
        with suppress(StateError), store.held():
            while True:
                for key in ("a", "b"):
                    store.save("stream", key, {"number": number + 1})
                number += 1

    for _ in range(KILLS):
        before = number
        writing = threading.Thread(target=write)
        writing.start()
        while number < before + 3:
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.03))
        server.kill()
        writing.join()
        server.start()
        cut_off(server)
        store = store_on(server)
        for key in ("a", "b"):
            assert store.load("stream", key) in ({"number": number}, {"number": number + 1})
            assert [one.fault for one in store.generations("stream", key)] == ["", ""]
        assert store.warnings == []


def test_a_holder_goes_on_after_a_restart_of_its_server(server: Server) -> None:
    store = store_on(server)
    with store.held():
        store.save("stream", "a", {"number": 1})
        server.kill()
        with pytest.raises(StateError) as refused:
            store.save("stream", "a", {"number": 2})
        assert refused.value.code == "state-not-saved"
        server.start()
        store.save("stream", "a", {"number": 3})
        assert store.load("stream", "a") == {"number": 3}
        with pytest.raises(UsageError), store_on(server).held():
            pass


def test_a_holder_that_was_cut_off_writes_nothing_once_another_has_taken_the_state(server: Server) -> None:
    first, second = store_on(server), store_on(server)
    with first.held():
        first.save("stream", "a", {"number": 1})
        cut_off(server)
        with second.held():
            with pytest.raises(StateError):
                first.save("stream", "a", {"number": 2})
            with pytest.raises(StateError, match="taken the state over"):
                first.save("stream", "a", {"number": 2})
            second.save("stream", "a", {"number": 3})
        with pytest.raises(StateError, match="taken the state over"):
            first.save("stream", "a", {"number": 4})
    assert store_on(server).load("stream", "a") == {"number": 3}


def test_a_lease_is_renewed_before_it_lapses(redis_server: RedisServer) -> None:
    redis_server.empty()
    with store_on(redis_server).held():
        time.sleep(1.3 * lease.LAPSE_MS / 1000)
        assert store_on(redis_server).holder() is not None
        with pytest.raises(UsageError) as refused, store_on(redis_server).held():
            pass
        assert "process" in (refused.value.problems[0].found or "")


def test_a_redis_that_may_forget_is_warned_of(redis_server: RedisServer) -> None:
    redis_server.empty()
    with redis_server.connect() as client:
        for name, value in (("appendfsync", "everysec"), ("maxmemory", "1gb"), ("maxmemory-policy", "allkeys-lru")):
            client.config_set(name, value)
        store = store_on(redis_server)
        with store.held():
            assert [text.partition(",")[0] for text in store.warnings] == [
                "Redis has appendfsync everysec",
                "Redis has maxmemory-policy allkeys-lru",
            ]
            assert "CONFIG SET appendfsync always" in store.warnings[0]
        client.config_set("maxmemory", "0")
        client.acl_setuser("mute", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-config"])
        mute = TABLES["redis"](redis_server.url.replace(f":{QUOTED}", "mute:any"))
        with mute.held() as warnings:
            assert warnings is not None
            assert "does not tell its settings" in warnings[0]
        client.acl_deluser("mute")


def test_a_postgres_that_may_forget_is_warned_of_and_every_commit_is_waited_for(
    postgres_server: PostgresServer,
) -> None:
    postgres_server.empty()
    with postgres_server.connect() as open_:
        open_.execute("ALTER ROLE tester SET synchronous_commit = off")
        open_.execute("ALTER SYSTEM SET full_page_writes = off")
        open_.execute("SELECT pg_reload_conf()")
        while open_.execute("SHOW full_page_writes").fetchone() != ("off",):
            time.sleep(0.01)
        table: Any = TABLES["postgres"](postgres_server.url)
        with table.held() as warnings:
            assert [text.partition(",")[0] for text in warnings] == ["PostgreSQL has full_page_writes off"]
            assert table._held.execute("SHOW synchronous_commit").fetchone() == ("on",)
        open_.execute("ALTER ROLE tester RESET synchronous_commit")
        open_.execute("ALTER SYSTEM RESET full_page_writes")
        open_.execute("SELECT pg_reload_conf()")


def project_on(folder: Path, use: str, url: str) -> Project:
    project = make_project(folder)
    project.write("configs/state.yaml", f'settings: {{state: {{use: {use}, url: "{url}"}}}}\n')
    return project


def test_a_password_is_never_shown(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spellings = (PASSWORD, QUOTED, "canary", "wrong-word")
    monkeypatch.setenv("STATE_URL", server.url.replace(QUOTED, f"{QUOTED}wrong-word"))
    project = project_on(tmp_path, kind_of(server), "${STATE_URL}")
    for command in (["session", "status", "-vv"], ["live", "asked", "--symbol", "BTCUSDT"], ["config", "show"]):
        done = project.inside(*command)
        assert done.code == {"session": 7, "live": 7, "config": 0}[command[0]]
        assert not [word for word in spellings if word in done.stdout + done.stderr]
        assert done.code == 0 or "state-not-saved" in done.stderr
        assert done.code == 0 or "127.0.0.1" in done.stderr
    with pytest.raises(StateError) as refused:
        Kit.load(project.folder / "configs").sessions.list()
    assert not [word for word in spellings if word in repr(refused.value)]


@pytest.mark.parametrize(("use", "library"), [("redis", "redis"), ("postgres", "psycopg"), ("mongo", "pymongo")])
def test_a_missing_library_is_said_with_the_command_that_installs_it(
    use: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    scheme = {"redis": "redis", "postgres": "postgresql", "mongo": "mongodb"}[use]
    done = project_on(tmp_path, use, f"{scheme}://localhost/1").inside("session", "list")
    assert done.code == 2
    assert "store-not-installed" in done.stderr
    assert f"pip install 'backtestkit-cli[{use}]'" in done.stderr


@pytest.mark.parametrize(
    ("use", "url"),
    [
        ("redis", "postgresql://:canary-word@h/1"),
        ("redis", "redis://:canary-word@h:port/1"),
        ("postgres", "redis://u:canary-word@h/1"),
        ("postgres", "postgresql://u:canary-word@h/d?no_such=option"),
        ("postgres", "canary-word"),
        ("mongo", "mongodb://u:canary-word@h"),
        ("mongo", "mongodb://u:canary-word@h:port/d"),
        ("postgres", "postgresql://[canary-word/d"),
    ],
)
def test_an_address_that_is_none_is_refused_and_not_shown(use: str, url: str, tmp_path: Path) -> None:
    pytest.importorskip({"redis": "redis", "postgres": "psycopg", "mongo": "pymongo"}[use])
    with pytest.raises(ConfigError) as refused:
        Kit.load(project_on(tmp_path, use, url).folder / "configs").sessions.list()
    assert refused.value.code == "bad-state-address"
    assert "canary" not in repr(refused.value)


def test_the_suite_runs_on_the_server_that_the_config_names(server: Server, tmp_path: Path) -> None:
    kit = Kit.load(project_on(tmp_path, kind_of(server), server.url).folder / "configs")
    with store_on(server).held(), pytest.raises(UsageError, match="is held by process"):
        kit.check_plugin(kind_of(server))


def test_one_command_holds_a_store_of_ones_own_to_the_promises_of_its_port(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    project.write("stores/own.py", OWN.read_text(encoding="utf-8").replace("secrets.token_hex(8)", "'same'"))
    done = project.inside("check", "--plugin", "stores/own.py:OwnStore", "--json")
    assert [one["code"] for one in done.document["findings"]] == ["port-holder"]
    assert done.code == 4


@pytest.mark.parametrize(
    ("found", "right", "wrong"),
    [
        ("port-lock", "LOCK_EX", "LOCK_SH"),
        ("port-holder", "secrets.token_hex(8)", "'same'"),
        ("port-read", "(kind, key, *generations)", "(kind, key, generations[0], None)"),
        ("port-keys", "if generations != (None, None):", "if True:"),
        ("port-kind", "key FROM records WHERE kind = ?", "key FROM records WHERE kind = ? OR true"),
        ("port-key", "AND key = ?\"\n            return", "AND key LIKE ?\"\n            return"),
        ("port-aside", "INSERT INTO aside VALUES (?, ?, ?)", "REPLACE INTO records VALUES (?, ?, ?, NULL)"),
        ("port-raised", "db.execute(asked", "db.query(asked"),
    ],
)  # fmt: skip
def test_each_broken_promise_of_a_store_is_found(found: str, right: str, wrong: str, tmp_path: Path) -> None:
    text = OWN.read_text(encoding="utf-8").replace("records (kind, key, current, previous)", UNIQUE)
    assert right in text
    scope: dict[str, Any] = {}
    exec(compile(text.replace(right, wrong), "own.py", "exec"), scope)  # a module of its own

    def make() -> OwnTable:
        return OwnTable(scope["OwnStore"](str(tmp_path)), "own.py:OwnStore")

    assert found in {problem.code for problem in check_table(make, make().held, Source(file="own.py"))}


def test_the_store_of_ones_own_in_the_docs_is_the_one_that_is_tested() -> None:
    assert OWN.read_text(encoding="utf-8") in (OWN.parents[3] / "docs" / "how-to.md").read_text(encoding="utf-8")


def test_what_a_store_of_ones_own_raises_is_told_as_trouble_of_state(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    raising = OWN.read_text(encoding="utf-8").replace("with self._open() as db:", "with self._open(1 / 0) as db:")
    project.write("stores/own.py", raising)
    project.write("configs/state.yaml", "settings: {state: {use: 'stores/own.py:OwnStore'}}\n")
    done = project.inside("live", "asked", "--symbol", "BTCUSDT", "--exchange", "sample")
    assert done.code == 7
    assert "could not be reached: division by zero" in " ".join(done.stderr.split())
    project.write("stores/own.py", "class OwnStore:\n    def held(self):\n        pass\n")
    done = project.inside("session", "list")
    assert done.code == 2
    assert "it has no holder" in " ".join(done.stderr.split())


def test_an_address_that_an_error_quotes_is_masked(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    body = "    def __init__(self, url: str) -> None:\n        self.url = url\n\n"
    body += "    def read(self, *_: object) -> None:\n        raise OSError(f'cannot reach {self.url}')\n\n"
    body += "    held = holder = keys = write = set_aside = read\n"
    project.write("stores/own.py", f"class OwnStore:\n{body}")
    state = "{use: 'stores/own.py:OwnStore', url: 'x://who:canary-word@host/place'}"
    project.write("configs/state.yaml", f"settings: {{state: {state}}}\n")
    done = project.inside("session", "list")
    assert "cannot reach" in done.stderr
    assert "canary-word" not in done.stderr
    with pytest.raises(StateError, match="cannot reach") as refused:
        Kit.load(project.folder / "configs").sessions.list()
    assert "canary-word" not in repr(refused.value)
