"""Live sessions whose state lies on a server: killed and begun again, and taken over by another."""

from pathlib import Path
from random import Random

import pytest
from accelerated import run_live
from e2e.project import make_project
from servers import PostgresServer, RedisServer

from backtestkit_cli import Kit
from backtestkit_cli.errors import StateError
from backtestkit_cli.model.time import MINUTE_MS, parse_time
from backtestkit_cli.run.live.session import Live
from backtestkit_cli.state.redis_table import LOCK, RedisTable
from crash.lives import Lives, Nursery
from crash.test_kills import SEED, assert_as_if_nothing_had_happened

KILLS = 3
START_MS = parse_time("2023-03-01")


@pytest.fixture(params=["redis", "postgres"])
def state(request: pytest.FixtureRequest) -> str:
    server: RedisServer | PostgresServer = request.getfixturevalue(f"{request.param}_server")
    server.empty()
    return f'{{use: {request.param}, url: "{server.url}"}}'


def test_a_session_on_a_server_killed_at_random_moments_loses_and_doubles_nothing(
    state: str, nursery: Nursery, tmp_path: Path
) -> None:
    print(f"seed {SEED}")
    random, lives = Random(SEED), Lives(make_project(tmp_path), nursery, SEED, state=state)
    for _ in range(KILLS):
        lives.killed_at_random(random, share_at_start=0)
    lives.live_on(minutes=3)
    assert_as_if_nothing_had_happened(lives)
    assert lives.told
    assert not (lives.project.folder / "state").exists()


def test_a_session_ends_when_another_has_taken_its_state(redis_server: RedisServer, tmp_path: Path) -> None:
    redis_server.empty()
    project = make_project(tmp_path)
    project.write("configs/state.yaml", f'settings: {{state: {{use: redis, url: "{redis_server.url}"}}}}\n')

    def take() -> None:
        with redis_server.connect() as client:
            client.delete(LOCK)
        with RedisTable(redis_server.url, "", START_MS).held():
            pass

    def prepared(live: Live) -> None:
        clock = live.clock
        clock.at[START_MS + 30 * MINUTE_MS] = take  # type: ignore[attr-defined]

    kit = Kit.load(project.folder / "configs")
    with pytest.raises(StateError) as refused:
        run_live(kit, "asked", start=START_MS - 20_000, end=START_MS + 600 * MINUTE_MS, prepared=prepared)
    assert refused.value.code == "state-taken-over"
