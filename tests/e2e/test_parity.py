"""`parity`: a live session against the backtest of its window names the one cause of each difference."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from accelerated import run_live, unsynced
from e2e.project import make_project
from live_worlds import SYMBOLS, LiveWorld, Tape, live_world
from worlds import START_MS

from backtestkit_cli import Kit
from backtestkit_cli.data.border import SCHEMA
from backtestkit_cli.errors import DataError, UsageError
from backtestkit_cli.model.time import MINUTE_MS, iso, parse_time
from backtestkit_cli.report.parity import NOT_COMPARED, parity_text
from backtestkit_cli.run.parity import SessionParity

HISTORY, MINUTES = 60, 120
DECISION_MS = START_MS + (HISTORY + 30) * MINUTE_MS


def calm_rows() -> pl.DataFrame:
    """A saw of prices in which every level is known beforehand."""
    rows = []
    for minute in range(HISTORY + MINUTES + 60):
        price = 100.0 + (minute % 4) * 0.25
        rows.append((START_MS + minute * MINUTE_MS, price, price + 0.25, price - 0.25, price, 5.0))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


@pytest.fixture
def world(tmp_path: Path) -> LiveWorld:
    """One strategy that goes long every ten minutes, for eight."""
    tape = Tape({symbol: calm_rows() for symbol in SYMBOLS})
    kit = Kit.empty(tmp_path)
    kit.add_exchange(name="tape", use=lambda: tape)

    def ten(market: Any) -> Any:
        price = market.price
        levels = {"price_take_profit": price * 1.01, "price_stop_loss": price * 0.99}
        return {"position": "long", "lifetime_minutes": 8, **levels} if market.now % (10 * MINUTE_MS) == 0 else None

    kit.add_strategy(name="ten", interval="5m", use=ten)
    start_ms = START_MS + HISTORY * MINUTE_MS
    return LiveWorld(kit, tape, start_ms, start_ms + MINUTES * MINUTE_MS, ())


def lived(world: LiveWorld, *sessions: tuple[int, int]) -> SessionParity:
    with unsynced():
        world.live(sessions or tuple(world.sessions))
    if not (world.kit.config.project / "data").exists():
        world.tape.store(world.kit.config.project)
    return world.kit.parity()


def causes(found: SessionParity) -> list[tuple[str, str, str]]:
    return [(one.symbol, iso(one.decided_ms), one.cause) for one in found.parity.differences]


def test_a_session_is_equal_to_its_backtest(world: LiveWorld) -> None:
    found = lived(world)
    assert found.parity.differences == ()
    assert found.parity.equal == found.parity.signals == 2 * MINUTES // 10
    assert found.exit_code == 0


def test_one_late_candle_is_named(world: LiveWorld) -> None:
    world.tape.delayed_ms[DECISION_MS - MINUTE_MS] = 70_000
    found = lived(world)
    assert causes(found) == [(symbol, iso(DECISION_MS), "late-candle") for symbol in SYMBOLS]
    minute = iso(DECISION_MS - MINUTE_MS)
    assert {one.detail for one in found.parity.differences} == {f"the candle of {minute} came 122 s after its end"}
    assert found.exit_code == 5


def test_one_missed_tick_is_named(world: LiveWorld) -> None:
    away_ms = DECISION_MS - 90_000
    start_ms, end_ms = world.start_ms - 20_000, world.end_ms + 20_000
    found = lived(world, (start_ms, away_ms), (away_ms + 4 * MINUTE_MS, end_ms))
    assert causes(found) == [(symbol, iso(DECISION_MS), "missed-tick") for symbol in SYMBOLS]
    assert "no sign of the session between" in found.parity.differences[0].detail


@pytest.mark.parametrize(("column", "minute"), [("close", -2), ("volume", -2), ("low", 4), ("high", 4)])
def test_one_changed_price_is_named(world: LiveWorld, column: str, minute: int) -> None:
    changed_ms = DECISION_MS + minute * MINUTE_MS
    with unsynced():
        world.live()
    at = pl.col("time") == changed_ms
    whole = world.tape.rows["AAA"]
    changed = {"close": 100.125, "volume": 50.0, "low": 80.0, "high": 130.0}[column]
    world.tape.rows["AAA"] = whole.with_columns(pl.when(at).then(changed).otherwise(pl.col(column)).alias(column))
    world.tape.store(world.kit.config.project)
    found = world.kit.parity()
    assert causes(found) == [("AAA", iso(DECISION_MS), "data-differs")]
    live = whole.filter(at)[column][0]
    assert found.parity.differences[0].detail == f"{iso(changed_ms)} {column}: {live!r} live, {changed!r} backtest"


def test_a_rule_of_the_session_is_named(world: LiveWorld) -> None:
    world.kit.sessions.kill()
    found = lived(world)
    assert {one.cause for one in found.parity.differences} == {"risk"}
    assert found.parity.differences[0].detail == "the session refused it: session, kill_switch"


def test_a_stop_is_done_again(world: LiveWorld) -> None:
    stop_ms = DECISION_MS + 90_000
    with unsynced():
        run_live(
            world.kit,
            start=world.start_ms - 20_000,
            end=stop_ms,
            symbols=SYMBOLS,
            exchange="tape",
            leaves=False,
            prepared=lambda live: setattr(world.tape, "clock", live.clock),
        )
    world.tape.store(world.kit.config.project)
    found = world.kit.parity()
    assert found.parity.differences == ()
    assert found.parity.signals == 8


def test_every_difference_of_random_worlds_with_outages_and_late_candles_has_a_cause(tmp_path: Path) -> None:
    met = set()
    for seed in range(6):
        folder = tmp_path / str(seed)
        folder.mkdir()
        world = live_world(seed, folder)
        world.tape.delayed_ms |= {world.start_ms + minute * MINUTE_MS: 130_000 for minute in (9, 19)}
        sessions = [(start, end - 300_000) for start, end in world.sessions]
        found = lived(world, *(one for one in sessions if one[1] > one[0] + MINUTE_MS))
        met |= {one.cause for one in found.parity.differences}
    assert met == {"late-candle", "missed-tick", "follows"}


def test_candles_that_are_not_stored_are_named_with_the_command_that_brings_them(world: LiveWorld) -> None:
    with unsynced():
        world.live()
    command = "backtestkit data fetch --exchange tape --symbol AAA --range 2024-01-01..2024-01-02"
    with pytest.raises(DataError) as refused:
        world.kit.parity()
    assert refused.value.problems[0].hint == command
    Tape({symbol: rows.head(100) for symbol, rows in world.tape.rows.items()}).store(world.kit.config.project)
    with pytest.raises(DataError) as refused:
        world.kit.parity()
    assert refused.value.problems[0].hint == command


def test_sessions_that_cannot_be_compared_are_refused(world: LiveWorld) -> None:
    with pytest.raises(UsageError, match="no session has run here"):
        world.kit.parity()
    folder = world.kit.logs / "live" / "20240101T000000Z"
    folder.mkdir(parents=True)
    (folder / "journal.jsonl").write_text('{"what": "start", "time_ms": 1}\nhalf a li')
    with pytest.raises(UsageError, match="does not keep what is needed"):
        world.kit.parity("2024")
    with unsynced():
        world.live([(world.start_ms - 20_000, world.start_ms - 10_000)])
    with pytest.raises(UsageError, match="not seen a whole minute"):
        world.kit.parity()


def test_a_strategy_without_a_decision_time_yet_is_left_out(world: LiveWorld) -> None:
    world.kit.add_strategy(
        name="daily",
        interval="1d",
        rules={"long": "close > open", "take_profit": "1%", "stop_loss": "1%", "lifetime": "1h"},
    )
    found = lived(world)
    assert found.left_out == ("daily",)
    assert found.parity.equal == found.parity.signals == 2 * MINUTES // 10
    assert found.document["left_out"] == ["daily"]
    text = parity_text(found.session, found.start_ms, found.end_ms, found.parity, found.left_out)
    assert text.endswith(f"{NOT_COMPARED}\nLeft out, for they had no decision time yet: daily")


def test_a_session_without_any_decision_time_is_refused(world: LiveWorld) -> None:
    with unsynced():
        world.live([(world.start_ms + 40_000, world.start_ms + 3 * MINUTE_MS + 30_000)])
    with pytest.raises(UsageError, match=r"no strategy of session .* had a decision time yet: ten") as refused:
        world.kit.parity()
    assert refused.value.problems[0].code == "session-too-short"


def test_the_command_tells_it_in_eighty_columns_and_as_json(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    start_ms = parse_time("2023-03-01")
    kit = Kit.load(project.folder / "configs")
    with unsynced():
        run_live(kit, "asked", start=start_ms - 20_000, end=start_ms + 300 * MINUTE_MS)
        run_live(kit, "asked", start=start_ms + 420 * MINUTE_MS, end=start_ms + 600 * MINUTE_MS)
    shown = project.inside("parity", "last")
    assert shown.code == 5
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert "missed-tick" in shown.stdout
    assert NOT_COMPARED in shown.stdout
    told = project.inside("parity", "2023", "--json")
    assert told.code == 5
    assert told.document["signals"] == told.document["equal"] + len(told.document["differences"])
    assert project.inside("parity", "1999").code == 2
