"""Live sessions that are killed: whatever the moment, no position is lost, doubled or unreadable.

`BACKTESTKIT_KILLS` and `BACKTESTKIT_SEED` choose how many kills, and which; each fifty are a session of their own.
"""

import os
from itertools import groupby, zip_longest
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import pytest
from e2e.project import make_project
from loopback import FakeClock, LoopbackExchange

from backtestkit_cli.model.time import DAY_MS
from crash.failpoints import POINTS
from crash.lives import SECRETS, START_MS, Lives, Nursery

KILLS = int(os.environ.get("BACKTESTKIT_KILLS", "50"))
ON_AN_EXCHANGE = -(-KILLS // 10)
AT_EACH_POINT = int(os.environ.get("BACKTESTKIT_KILLS_AT_POINT", "4"))
SEED = int(os.environ.get("BACKTESTKIT_SEED") or SystemRandom().randrange(10**6))
KILLS_OF_A_SESSION = 50


def by_stream(events: list[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    def stream(event: dict[str, Any]) -> tuple[str, str]:
        named = event.get("signal", event)
        return named["strategy"], named["symbol"]

    return {key: list(some) for key, some in groupby(sorted(events, key=stream), key=stream)}


def assert_as_if_nothing_had_happened(lives: Lives) -> None:
    """Each stream told what the backtest tells, each event once after repetitions, in its order."""
    told, backtested = by_stream(lives.told), by_stream(lives.backtested())
    assert told.keys() == backtested.keys()
    for key, expected in backtested.items():
        for place, pair in enumerate(zip_longest(told[key], expected)):
            assert pair[0] == pair[1], (key, place, told[key][max(0, place - 2) : place])
    assert not list(lives.project.folder.rglob("*.tmp")), "the last start swept"


@pytest.mark.parametrize("session", range(-(-KILLS // KILLS_OF_A_SESSION)))
def test_a_session_killed_at_random_moments_loses_and_doubles_nothing(
    session: int, nursery: Nursery, tmp_path: Path
) -> None:
    seed = SEED + session
    print(f"seed {seed}")
    random, lives = Random(seed), Lives(make_project(tmp_path), nursery, seed)
    kills = min(KILLS_OF_A_SESSION, KILLS - session * KILLS_OF_A_SESSION)
    for _ in range(kills):
        lives.killed_at_random(random)
    lives.live_on(minutes=10)
    assert_as_if_nothing_had_happened(lives)
    assert lives.deaths["while busy"] >= 0.6 * kills
    assert lives.most_leftovers <= 1
    print(f"{kills} kills, {dict(lives.deaths)}, {len(lives.told)} events, {lives.repeated} told again, "
          f"at most {lives.most_leftovers} leftovers, slowest start {lives.slowest_seconds:.1f} s")  # fmt: skip


def test_a_session_on_an_exchange_killed_at_random_moments_loses_and_doubles_nothing(
    nursery: Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    print(f"seed {SEED}")
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    with LoopbackExchange(clock=FakeClock(START_MS), seed=SEED) as exchange:
        random, lives = Random(SEED), Lives(make_project(tmp_path), nursery, SEED, exchange_url=exchange.url)
        for _ in range(ON_AN_EXCHANGE):
            lives.killed_at_random(random)
        lives.live_on(minutes=10)
        exchange.clock = FakeClock(lives.now_ms + DAY_MS)
        assert_as_if_nothing_had_happened(lives)
    print(f"{ON_AN_EXCHANGE} kills, {dict(lives.deaths)}, {len(lives.told)} events, {lives.repeated} told again")


def test_a_session_killed_at_each_step_of_an_event_loses_and_doubles_nothing(nursery: Nursery, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    random, lives = Random(SEED), Lives(make_project(tmp_path), nursery, SEED)
    points = [point for point in POINTS for _ in range(AT_EACH_POINT)]
    random.shuffle(points)
    for point in points:
        lives.killed_at(f"{point}:{random.randint(1, 6)}")
    lives.live_on(minutes=10)
    assert_as_if_nothing_had_happened(lives)
    assert lives.repeated >= AT_EACH_POINT, "what was told, and not known to be told, is told again"
    print(f"{len(points)} kills, {dict(lives.deaths)}, {len(lives.told)} events, {lives.repeated} told again")
