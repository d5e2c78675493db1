"""Live sessions and time: clocks that are set or sleep, and the zone of the computer, lose and double nothing."""

import json
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import ccxt
import pytest
from accelerated import JumpingClock, Session, run_live
from e2e.project import START_MS, make_project
from e2e.test_live_faults import BTC, END_MS, minute, project, running, without_faults
from loopback import FakeClock, LoopbackExchange

from backtestkit_cli import Closed, Idle, Kit, Opened
from backtestkit_cli.errors import BacktestkitError
from backtestkit_cli.model.event import Active, Event
from backtestkit_cli.model.time import DAY_MS, parse_time
from backtestkit_cli.run.clock import Clock
from backtestkit_cli.run.live.session import Live

HOUR_MS = 3_600_000
SET_AT_MS = START_MS + 3 * HOUR_MS + 20 * 60_000
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia")
SUMMER_BEGINS = "2023-03-26"
"""In Berlin the clock goes from 02:00 to 03:00; in New York it did two weeks before."""


@dataclass(slots=True)
class SetClock(JumpingClock):
    """A clock that somebody sets; its monotonic time does not see it."""

    set_by_ms: int = 0

    def monotonic(self) -> float:
        return (self.time_ms - self.set_by_ms) / 1000

    def set_by(self, change_ms: int) -> None:
        self.time_ms += change_ms
        self.set_by_ms += change_ms


def lived_with(folder: Path, change_ms: int) -> Session:
    """A session whose clock is set in the middle of a position."""
    live = Kit.load(folder / "configs").live("asked", symbols=["BTCUSDT"])
    clock = SetClock(START_MS - 20_000)
    clock.at = {
        SET_AT_MS: lambda: clock.set_by(change_ms),
        end_of(change_ms): live.leave,
    }
    live.clock = clock
    troubles: list[BacktestkitError] = []
    live.on_trouble = troubles.append
    events = tuple(event for event in live if not isinstance(event, Idle | Active))
    return Session(live, events, tuple(troubles))


def end_of(change_ms: int) -> int:
    return SET_AT_MS + max(0, change_ms) + 3 * HOUR_MS


def of_backtest(folder: Path, end_ms: int) -> list[Event]:
    job = Kit.load(folder / "configs").backtest("asked", symbols=["BTCUSDT"], range="2023-03-01..2023-03-03")
    return [event for event in job if not isinstance(event, Idle | Active) and event.time_ms <= end_ms]


@pytest.mark.parametrize("change_ms", [HOUR_MS, 8 * HOUR_MS, 24 * HOUR_MS], ids=["an hour", "a night", "a day"])
def test_after_a_jump_forward_positions_have_closed_where_they_closed_and_none_was_opened_meanwhile(
    tmp_path: Path, change_ms: int
) -> None:
    make_project(tmp_path)
    session, whole = lived_with(tmp_path, change_ms), of_backtest(tmp_path, end_of(change_ms))
    before = [event for event in whole if event.time_ms <= SET_AT_MS]
    assert list(session.events[: len(before)]) == before
    opened = [event for event in session.events if isinstance(event, Opened)]
    closed = {event.signal.id: event for event in session.events if isinstance(event, Closed)}
    assert not [event for event in opened if SET_AT_MS < event.time_ms < SET_AT_MS + change_ms]
    assert len({event.signal.id for event in opened}) == len(opened)
    held = next(event.signal.id for event in reversed(before) if isinstance(event, Opened))
    assert closed[held] == next(event for event in whole if isinstance(event, Closed) and event.signal.id == held)
    assert all(event.time_ms > event.opened_at for event in closed.values())
    (trouble,) = session.troubles
    assert f"forward by {change_ms // 60_000:,} min" in str(trouble)


def test_a_clock_that_is_set_back_changes_nothing(tmp_path: Path) -> None:
    make_project(tmp_path)
    session = lived_with(tmp_path, -HOUR_MS)
    assert list(session.events) == of_backtest(tmp_path, end_of(-HOUR_MS) - 1)  # left before that minute
    (trouble,) = session.troubles
    assert "set back by 60 min" in str(trouble)


def test_a_clock_that_is_set_back_holds_up_no_look_at_the_market(tmp_path: Path) -> None:
    make_project(tmp_path)
    live = Kit.load(tmp_path / "configs").live("asked", symbols=["BTCUSDT"])
    clock = SetClock(START_MS - 20_000)
    clock.at = {SET_AT_MS: lambda: clock.set_by(-HOUR_MS), SET_AT_MS + HOUR_MS: live.leave}
    live.clock, looks = clock, [clock.monotonic()]
    live.on_minute = lambda: looks.append(clock.monotonic())
    live.run()
    assert max(later - earlier for earlier, later in pairwise(looks)) < 125


def id_of(event: Event) -> str | None:
    signal = getattr(event, "signal", None)
    return None if signal is None else signal.id


@dataclass(slots=True)
class TrueTime:
    """The time as it is for others while a clock is set."""

    clock: SetClock

    def now_ms(self) -> int:
        return self.clock.time_ms - self.clock.set_by_ms


@pytest.mark.parametrize("change_ms", [365 * DAY_MS, -DAY_MS], ids=["a year ahead", "a day behind"])
def test_a_clock_that_is_wrong_from_now_on_closes_what_is_open_and_opens_nothing_twice(
    tmp_path: Path, change_ms: int
) -> None:
    clock = SetClock(minute(0) - 20_000)
    with running("none") as exchange:

        def prepared(live: Live) -> None:
            def set_clock() -> None:
                clock.set_by(change_ms)
                clock.at[END_MS + change_ms] = live.leave

            clock.at = {minute(6.5): set_clock}
            live.clock, exchange.clock = clock, TrueTime(clock)

        session = run_live(
            project(tmp_path, exchange.url), start=0, end=1, symbols=[BTC], exchange="loop", prepared=prepared
        )
    whole = [event for events in without_faults(frozenset()).values() for event in events]
    if change_ms > 0:  # every minute seems to be over
        held = {id_of(event) for event in whole if isinstance(event, Opened) and event.time_ms <= minute(6)}
        whole = [event for event in whole if id_of(event) in held]
    assert sorted(map(str, session.events)) == sorted(map(str, whole))
    assert [error.code for error in session.troubles] == ["clock-jumped"]


def test_the_zone_of_the_computer_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {}
    for zone in ZONES:
        folder = tmp_path / zone.replace("/", "-")
        make_project(folder)
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        start_ms = parse_time(SUMMER_BEGINS)
        session = run_live(
            Kit.load(folder / "configs"), "asked", "cross", start=start_ms - 20_000, end=start_ms + 3 * HOUR_MS
        )
        first, *rest = session.live.journal_path.read_text("utf-8").splitlines()
        begin = {key: value for key, value in json.loads(first).items() if key != "run"}  # no two runs have the same
        told[zone] = session.events, begin, rest
    monkeypatch.delenv("TZ")
    time.tzset()
    assert all(one == told["UTC"] for one in told.values())
    assert len(told["UTC"][0]) > 4


@dataclass(frozen=True, slots=True)
class OtherClock:
    """The clock of an exchange, which differs from the one of the computer."""

    clock: Clock
    later_ms: int

    def now_ms(self) -> int:
        return self.clock.now_ms() + self.later_ms


@pytest.mark.parametrize(
    ("later_ms", "code", "told"),
    [(-300_000, "clock-ahead", "5 min ahead"), (20_000, "clock-behind", "19 s behind"), (0, None, "")],
)
def test_a_clock_that_is_wrong_from_the_start_is_told_of(
    later_ms: int, code: str | None, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ccxt.Exchange, "throttle", lambda *_: None)  # it would wait in real time
    kit = Kit.empty(tmp_path)
    kit.add_strategy(name="still", interval="1m", use=lambda market: None)
    with LoopbackExchange(clock=FakeClock(START_MS)) as exchange:
        kit.add_exchange(name="loop", use="ccxt", id="binance", base_url=exchange.url)

        def prepared(live: Live) -> None:
            exchange.clock = OtherClock(live.clock, later_ms)

        session = run_live(
            kit,
            start=START_MS - 20_000,
            end=START_MS + 8 * 60_000,
            symbols=["BTC/USDT"],
            exchange="loop",
            prepared=prepared,
        )
    assert [error.code for error in session.troubles] == ([] if code is None else [code])
    assert all(told in str(error) and error.problems[0].hint for error in session.troubles)
    (stream,) = session.live.streams.values()
    assert (stream.walk.funnel.missed > 0) == (code == "clock-ahead")
