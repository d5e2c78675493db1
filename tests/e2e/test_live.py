"""Live sessions on the sample market in no time: what they do is what the backtest does, whatever happens to them."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from accelerated import JumpingClock, run_live
from e2e.project import Project, make_project

from backtestkit_cli import Cancelled, Closed, Idle, Kit, Opened, Scheduled
from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.screen import Log
from backtestkit_cli.disk import Disk
from backtestkit_cli.errors import Source, StateError, UsageError
from backtestkit_cli.model.event import Active, DecisionFailed, Event, RiskRefused
from backtestkit_cli.model.signal import OpenPosition
from backtestkit_cli.model.time import MINUTE_MS, parse_time
from backtestkit_cli.run.live.session import Live
from backtestkit_cli.state.session import SessionState
from backtestkit_cli.state.store import FileStore

RICH = """
settings: {balance: 10000}
sizings: [{name: risk, method: atr-based, risk_percentage: 1, atr: "atr(14)"}]
risks: [{name: calm, max_positions: 2, min_reward_risk: 0.9}]
strategies:
  - name: limits
    interval: 5m
    rules:
      long: "crosses_above(close, sma(close, 5))"
      short: "crosses_below(close, sma(close, 5))"
      entry: {limit: "0.1%", wait: 20m}
      take_profit: "0.7%"
      stop_loss: "0.6%"
      lifetime: 1h
    risk: calm
    sizing: risk
  - name: shared
    interval: 5m
    rules: {long: "close > open", take_profit: "0.6%", stop_loss: "0.6%", lifetime: 40m}
    risk: calm
    sizing: risk
"""
START, END = "2023-03-01", "2023-03-01T10:00"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path)
    made.write("configs/rich.yaml", RICH)
    return made


def kit_of(project: Project) -> Kit:
    return Kit.load(project.folder / "configs")


def backtested(kit: Kit, *names: str, symbols: tuple[str, ...] = ("BTCUSDT",), end: str = END) -> list[Event]:
    job = kit.backtest(*names, symbols=symbols, range=f"{START}..{end}")
    end_ms = parse_time(end)
    told = [event for event in job if not isinstance(event, Idle | Active)]
    return [event for event in told if event.time_ms <= end_ms]


def test_a_session_goes_on_from_a_database(project: Project) -> None:
    kit = Kit.load(project.folder / "configs", overrides=["settings.state.use=sqlite"])
    whole = backtested(kit, "asked")
    opened = next(event for event in whole if isinstance(event, Opened))
    middle = opened.time_ms + 90_000
    first = run_live(kit, "asked", start=parse_time(START) - 20_000, end=middle)
    rest = run_live(kit, "asked", start=middle, end=END)
    assert [*first.events, *rest.events] == whole
    assert [path.name for path in kit.state.iterdir() if not path.name.startswith(".")] == ["state.sqlite"]


@pytest.mark.parametrize("form", ["cross", "asked", "rows", "listed"])
def test_a_session_is_the_backtest_of_the_same_candles(form: str, project: Project) -> None:
    kit = kit_of(project)
    session = run_live(kit, form, start=parse_time(START) - 20_000, end=END)
    assert list(session.events) == backtested(kit, form)
    assert session.events
    assert session.troubles == ()


@pytest.mark.parametrize("policy", ["honest", "touch", "reference"])
@pytest.mark.parametrize("form", ["cross", "rows"])
def test_on_a_spot_market_no_short_is_opened_and_the_funnel_says_why(form: str, policy: str, tmp_path: Path) -> None:
    project = make_project(tmp_path)
    project.write("configs/spot.yaml", "exchanges: [{name: spot, use: sample, market: spot}]")
    kit = Kit.load(project.folder / "configs", overrides=[f"settings.fill={policy}"])
    both, longs = (kit.backtest(form, symbols=["BTCUSDT"], exchange=name, frame="day") for name in ("sample", "spot"))
    (stream,), (free,) = longs.run().streams, both.run().streams
    funnel = stream.result.funnel
    assert not funnel.broken_sums()
    assert {"short_on_spot"} == set(funnel.invalid_by_rule)
    assert funnel.invalid > 0
    assert "short" in {str(event.signal.position) for event in free.result.events() if isinstance(event, Opened)}
    opened = [event.signal.position for event in stream.result.events() if isinstance(event, Opened)]
    assert set(opened) <= {"long"}
    assert (form == "cross") == bool(opened)


def test_on_a_spot_market_no_short_is_opened_live(project: Project) -> None:
    project.write("configs/spot.yaml", "exchanges: [{name: spot, use: sample, market: spot}]")
    kit = kit_of(project)
    session = run_live(kit, "cross", start=parse_time(START) - 20_000, end=END, exchange="spot")
    (stream,) = session.live.streams.values()
    assert stream.walk.funnel.invalid_by_rule["short_on_spot"] > 0
    job = kit.backtest("cross", symbols=["BTCUSDT"], exchange="spot", range=f"{START}..{END}")
    told = [event for event in job if not isinstance(event, Idle | Active) and event.time_ms <= parse_time(END)]
    assert list(session.events) == told


def test_shared_risk_sizes_and_limit_entries_are_those_of_the_backtest(project: Project) -> None:
    kit, symbols = kit_of(project), ("BTCUSDT", "ETHUSDT")
    session = run_live(kit, "limits", "shared", start=parse_time(START) - 20_000, end=END, symbols=symbols)
    assert list(session.events) == backtested(kit, "limits", "shared", symbols=symbols)
    kinds = {type(event) for event in session.events}
    assert {Opened, Closed, Scheduled, Cancelled, RiskRefused} <= kinds


def test_restarts_in_the_middle_of_positions_change_nothing(project: Project) -> None:
    symbols = ("BTCUSDT", "ETHUSDT")
    whole = backtested(kit_of(project), "limits", "shared", symbols=symbols)
    cuts = [parse_time(START) - 20_000, *(parse_time(START) + hours * 3_600_000 + 30_000 for hours in (1, 3, 5, 8))]
    told: list[Event] = []
    for start, end in zip(cuts, [*cuts[1:], parse_time(END)], strict=True):
        session = run_live(kit_of(project), "limits", "shared", start=start, end=end, symbols=symbols)
        told += session.events
        held = [one for one in session.live.streams.values() if isinstance(one.walk.state, OpenPosition)]
        assert held or end == cuts[-1] or end == parse_time(END)
    assert told == whole


def test_minutes_that_were_missed_close_positions_where_they_closed_and_open_none(project: Project) -> None:
    kit, start_ms = kit_of(project), parse_time(START)
    whole = backtested(kit, "asked")
    first = next(event for event in whole if isinstance(event, Opened))
    run_live(kit, "asked", start=start_ms - 20_000, end=first.time_ms + 5 * MINUTE_MS)
    asleep_until_ms = first.time_ms + 245 * MINUTE_MS + 30_000
    after = run_live(kit_of(project), "asked", start=asleep_until_ms, end=asleep_until_ms + 60_000)
    closed = [event for event in after.events if isinstance(event, Closed)]
    assert closed == [next(event for event in whole if isinstance(event, Closed))]
    assert not any(isinstance(event, Opened) for event in after.events)
    (stream,) = after.live.streams.values()
    assert stream.walk.funnel.missed > 0


def test_one_program_holds_the_state(project: Project) -> None:
    kit = kit_of(project)
    other = kit.live("asked", symbols=["BTCUSDT"])
    other.clock = JumpingClock(parse_time(START))
    for _ in other:
        with pytest.raises(UsageError, match="another program"):
            run_live(kit_of(project), "asked", start=START, end=END)
        other.leave()


def test_a_position_is_never_handled_under_other_settings(project: Project) -> None:
    run_live(kit_of(project), "asked", start=START, end=parse_time(START) + 90 * MINUTE_MS)
    changed = Kit.load(project.folder / "configs", overrides=["settings.costs.fee_percent=0.05"])
    with pytest.raises(StateError, match="asked on BTCUSDT open under other settings") as caught:
        run_live(changed, "asked", start=parse_time(START) + 100 * MINUTE_MS, end=END)
    assert "other settings: settings.costs.fee_percent: not set → 0.05" in caught.value.problems[0].what
    assert caught.value.problems[0].where == Source(file=str(project.folder.resolve() / "state"))
    shorter = Kit.load(project.folder / "configs", overrides=["strategies.asked.interval=30m"])
    with pytest.raises(StateError, match=r"strategies\.asked\.interval: 1h → 30m"):
        run_live(shorter, "asked", start=parse_time(START) + 100 * MINUTE_MS, end=END)
    with pytest.raises(StateError, match="not part of this one"):
        run_live(kit_of(project), "cross", start=parse_time(START) + 100 * MINUTE_MS, end=END)
    assert run_live(kit_of(project), "asked", start=parse_time(START) + 100 * MINUTE_MS, end=END).events


def test_a_stop_opens_nothing_more_and_follows_positions_to_their_end(project: Project) -> None:
    kit = kit_of(project)
    whole = backtested(kit, "asked")
    closed = next(event for event in whole if isinstance(event, Closed) and event.time_ms > event.opened_at + 300_000)
    stop_ms = closed.opened_at + 2 * MINUTE_MS + 30_000
    session = run_live(kit, "asked", start=parse_time(START) - 20_000, end=stop_ms, leaves=False)
    assert list(session.events) == [event for event in whole if event.time_ms <= closed.time_ms][: len(session.events)]
    assert session.events[-1] == closed
    record = SessionState(FileStore(project.folder / "state", lambda: 0)).session()
    assert record is not None
    assert record.is_ended


def test_the_next_session_begins_with_the_balance_of_the_config(project: Project) -> None:
    start_ms = parse_time(START)
    first = run_live(kit_of(project), "shared", start=start_ms - 20_000, end=start_ms + 7_200_000, leaves=False)
    assert any(event.pnl_quote for event in first.events if isinstance(event, Closed))
    second = run_live(kit_of(project), "shared", start=start_ms + 18_000_000, end=start_ms + 18_060_000)
    account = second.live._ledger.account
    assert second.live.record.session != first.live.record.session
    assert account is not None
    assert account.equity == 10_000


def test_the_kill_switch_lets_nothing_open(project: Project) -> None:
    kit = kit_of(project)
    kit.sessions.kill()
    session = run_live(kit, "asked", start=parse_time(START) - 20_000, end=parse_time(START) + 200 * MINUTE_MS)
    assert {type(event) for event in session.events} == {RiskRefused}
    assert {event.rule for event in session.events if isinstance(event, RiskRefused)} == {"kill_switch"}


def said_of(live: Live) -> list[str]:
    said: list[str] = []
    live.on_note = said.append
    return said


def journal_of(live: Live, *kinds: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in live.journal_path.read_text("utf-8").splitlines() if line]
    return [line for line in lines if line["what"] in kinds]


def test_the_kill_switch_is_told_and_noted_when_it_is_thrown_and_released(project: Project) -> None:
    kit, start_ms = kit_of(project), parse_time(START)
    live = kit.live("asked", symbols=["BTCUSDT"])
    said, seen = said_of(live), list[bool]()
    live.on_minute = lambda: seen.append(live.is_killed)
    at: dict[int, Callable[[], object]] = {
        start_ms + 5 * MINUTE_MS: kit.sessions.kill,
        start_ms + 10 * MINUTE_MS: lambda: kit.sessions.kill(is_killed=False),
        start_ms + 20 * MINUTE_MS: live.leave,
    }
    live.clock = JumpingClock(start_ms - 20_000, at)
    live.run()
    assert [text.partition(":")[0] for text in said] == ["the kill switch is on", "the kill switch is off"]
    assert [line["is_on"] for line in journal_of(live, "kill_switch")] == [True, False]
    assert (seen[0], any(seen), seen[-1]) == (False, True, False)


def test_a_session_that_begins_under_the_kill_switch_says_so_at_once(project: Project) -> None:
    kit = kit_of(project)
    kit.sessions.kill()
    said: list[str] = []
    run_live(kit, "asked", start=START, end=START, prepared=lambda live: setattr(live, "on_note", said.append))
    assert [text.partition(":")[0] for text in said] == ["the kill switch is on"]


def test_a_session_that_stops_by_itself_says_what_it_waits_for(project: Project) -> None:
    kit, start_ms = kit_of(project), parse_time(START)
    live = kit.live("asked", symbols=["BTCUSDT"])
    live.clock = JumpingClock(start_ms - 20_000)
    live.stop_at_ms = start_ms + 10 * MINUTE_MS
    said, briefs = said_of(live), list[tuple[bool, int | None]]()
    sessions = kit.sessions
    live.on_minute = lambda: briefs.append(((brief := sessions.list()[0]).is_stopping, brief.stops_ms))
    live.run()
    (text,) = said
    first, held, last = text.splitlines()
    assert first == "stopping: no new entries; waiting for"
    assert held == "  asked long on BTCUSDT until 2023-03-01T01:30Z at the latest"
    assert last.startswith("Ctrl-C")
    assert briefs[2] == (False, live.stop_at_ms)
    assert (True, parse_time("2023-03-01T01:30")) in briefs
    (brief,) = sessions.list()
    assert (brief.is_stopping, brief.stops_ms, brief.standing) == (False, None, "ended")


def test_a_session_that_was_left_says_what_it_goes_on_with(project: Project) -> None:
    start_ms = parse_time(START)
    run_live(kit_of(project), "asked", start=start_ms - 20_000, end=start_ms + 6 * MINUTE_MS)
    live = kit_of(project).live("asked", symbols=["BTCUSDT"])
    live.clock = JumpingClock(start_ms + 9 * MINUTE_MS + 30_000)
    output, told = Output(), list[str]()
    output.tell = told.append  # type: ignore[method-assign, assignment]
    log = Log(live, output)

    def minute() -> None:
        log.minute()
        live.leave()

    live.on_begin, live.on_minute = log.begin, minute
    live.run()
    name = live.record.session
    assert told == [
        "the market of sample is made up, whatever the symbol is called",
        f"goes on with session {name} on paper: 2 minutes missed, caught up; open: asked long on BTCUSDT; Ctrl-C stops",
    ]


def test_a_session_was_started_when_it_was_started_to_the_second(project: Project) -> None:
    live = kit_of(project).live("asked", symbols=["BTCUSDT"])
    live.clock = JumpingClock(parse_time(START) + 10_400, {parse_time(START) + 5 * MINUTE_MS: live.stop})
    shown: list[Any] = []
    live.on_minute = lambda: shown.append(project.inside("session", "list", "--json").document[0]["started"])
    live.run()
    shown.append(project.inside("session", "list", "--json").document[0]["started"])
    assert set(shown) == {"2023-03-01T00:00:10Z"}
    assert "started         2023-03-01T00:00:10Z" in project.inside("session", "status").stdout


class FullDisk(Disk):
    """A disk that takes nothing while it is full."""

    is_full = False

    def create(self, path: Path, mode: int) -> int:
        if self.is_full:
            raise OSError(28, "No space left on device")
        return Disk.create(self, path, mode)


SAME_ID = """
from backtestkit_cli import SignalDraft


def call(market):
    price = market.price
    given = {"price_take_profit": price * 1.008, "price_stop_loss": price * 0.992, "lifetime_minutes": 12}
    return SignalDraft(position="long", id="mine", **given)
"""


def test_positions_that_a_strategy_gives_the_same_id_are_booked_each_once(project: Project) -> None:
    project.write("strategies/same.py", SAME_ID)
    sized = '{name: same, interval: 5m, use: "strategies/same.py:call", sizing: risk}'
    project.write("configs/same.yaml", f"strategies:\n  - {sized}\n")
    kit, start_ms = kit_of(project), parse_time(START)
    closed: dict[int, Closed] = {}
    for begin, end in ((-20_000, 100 * MINUTE_MS), (105 * MINUTE_MS, 200 * MINUTE_MS)):
        session = run_live(kit, "same", start=start_ms + begin, end=start_ms + end)
        closed |= {one.time_ms: one for one in session.events if isinstance(one, Closed)}
        money = SessionState(FileStore(kit.state, lambda: 0)).money()
        assert money is not None
        (brief,) = kit.sessions.list()
        assert brief.trades == len(closed) > 5
        assert len(money.closed_percents["same BTCUSDT"]) == len(closed)
        assert money.account["equity"] == pytest.approx(10_000 + sum(one.pnl_quote or 0.0 for one in closed.values()))
        last = closed[max(closed)]
        assert money.booked_decided_ms == {"same BTCUSDT": last.signal.decided_at}
    assert {one.signal.id for one in closed.values()} == {"mine"}


def test_nothing_opens_on_a_full_disk_and_what_is_open_is_managed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk()
    monkeypatch.setattr(FileStore.__init__, "__defaults__", (disk,))
    kit, start_ms = kit_of(project), parse_time(START)
    live = kit.live("asked", symbols=["BTCUSDT"])
    first = next(event for event in backtested(kit, "asked") if isinstance(event, Closed))
    full_ms, space_ms = first.opened_at + 5 * MINUTE_MS, first.time_ms + 150 * MINUTE_MS

    def fill(is_full: bool) -> None:
        disk.is_full = is_full

    live.clock = JumpingClock(
        start_ms - 20_000,
        {full_ms: lambda: fill(True), space_ms: lambda: fill(False), space_ms + 200 * MINUTE_MS: live.leave},
    )
    troubles: list[Any] = []
    live.on_trouble = troubles.append
    events = [event for event in live if not isinstance(event, Idle | Active)]
    assert first in events
    between = [event for event in events if full_ms < event.time_ms < space_ms]
    assert not any(isinstance(event, Opened) for event in between)
    assert any(isinstance(event, Opened) and event.time_ms > space_ms for event in events)
    assert 0 < len(troubles) <= (space_ms - full_ms) // MINUTE_MS + 1  # once a minute
    stored = SessionState(FileStore(kit.state, lambda: 0)).stream("asked", "BTCUSDT")
    assert stored.state == live.streams["asked", "BTCUSDT"].walk.state


@pytest.mark.parametrize("number", [24, 5, 20])
def test_state_that_cannot_be_read_for_an_hour_ends_no_session(
    project: Project, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    kit, start_ms, read = kit_of(project), parse_time(START), Path.read_bytes
    live = kit.live("asked", symbols=["BTCUSDT"])
    first = next(event for event in backtested(kit, "asked") if isinstance(event, Closed))
    from_ms, until_ms = first.opened_at + 5 * MINUTE_MS, first.time_ms + 60 * MINUTE_MS
    live.clock = JumpingClock(start_ms - 20_000, {until_ms + 200 * MINUTE_MS: live.leave})

    def read_bytes(path: Path) -> bytes:
        if kit.state in path.parents and from_ms <= live.clock.now_ms() < until_ms:
            raise OSError(number, "it cannot be read")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    troubles: list[Any] = []
    live.on_trouble = troubles.append
    events = [event for event in live if not isinstance(event, Idle | Active)]
    assert first in events
    opened = [event.time_ms for event in events if isinstance(event, Opened)]
    assert not any(from_ms < time_ms < until_ms for time_ms in opened)
    assert any(time_ms > until_ms for time_ms in opened)
    assert {error.code for error in troubles} == {"state-unreadable"}
    assert len(troubles) <= (until_ms - from_ms) // MINUTE_MS + 1  # once a minute


def test_no_session_begins_on_state_that_cannot_be_read(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    kit, start_ms = kit_of(project), parse_time(START)
    run_live(kit, "asked", start=start_ms - 20_000, end=start_ms + 60_000)

    def read_bytes(path: Path) -> bytes:
        raise OSError(5, f"{path} is broken")

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    with pytest.raises(StateError) as caught:
        run_live(kit, "asked", start=start_ms + 60_000, end=start_ms + 120_000)
    assert caught.value.exit_code == 7


def test_an_entry_that_cannot_be_kept_is_not_made(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = FullDisk()
    monkeypatch.setattr(FileStore.__init__, "__defaults__", (disk,))
    kit, start_ms = kit_of(project), parse_time(START)
    live = kit.live("asked", symbols=["BTCUSDT"])
    live.clock = JumpingClock(
        start_ms - 20_000, {start_ms - 5000: lambda: setattr(disk, "is_full", True), start_ms + 60_000: live.leave}
    )
    events = [event for event in live if not isinstance(event, Idle | Active)]
    assert [type(event) for event in events] == [DecisionFailed]
    assert live.streams["asked", "BTCUSDT"].walk.state.kind == "flat"


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_keyboard_interrupt_of_a_strategy_is_its_own_failure(project: Project) -> None:
    project.write("strategies/bad.py", "def call(market):\n    raise KeyboardInterrupt\n")
    project.write("configs/bad.yaml", 'strategies:\n  - {name: bad, interval: 5m, use: "strategies/bad.py:call"}\n')
    kit, start_ms = kit_of(project), parse_time(START)
    session = run_live(kit, "asked", "bad", start=start_ms - 20_000, end=start_ms + 30 * MINUTE_MS)
    failed = [event for event in session.events if isinstance(event, DecisionFailed)]
    assert len(failed) > 3, "it is asked again"
    assert {event.strategy for event in failed} == {"bad"}
    assert all("KeyboardInterrupt" in event.what and "bad.py, line 2" in event.what for event in failed)
    assert any(isinstance(event, Opened) for event in session.events)


def test_a_strategy_that_hangs_stops_no_other_and_no_position(project: Project) -> None:
    project.plugin("sleepy", "time.sleep(30)")
    kit = Kit.load(project.folder / "configs", overrides=["settings.limits.signal_seconds=1"])
    began = time.monotonic()
    start_ms = parse_time(START)
    session = run_live(kit, "asked", "sleepy", start=start_ms - 20_000, end=start_ms + 30 * MINUTE_MS)
    assert time.monotonic() - began < 25
    assert any(isinstance(event, Opened) for event in session.events)
    failed = [event for event in session.events if isinstance(event, DecisionFailed)]
    assert failed
    assert {event.strategy for event in failed} == {"sleepy"}


@pytest.mark.parametrize("is_joined", [False, True])
def test_nobody_waits_for_a_slow_strategy_but_those_who_share_its_risk(
    is_joined: bool, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backtestkit_cli.run.live.deciding.TOGETHER_SECONDS", 0.05)
    told = project.folder / "told"
    waits = f"while not os.path.exists({str(told)!r}): time.sleep(0.01)"
    project.plugin("a_slow", waits)
    settings = ["settings.limits.signal_seconds=1"]
    if is_joined:
        settings += ["risks.calm.max_positions=9", "strategies.a_slow.risk=calm", "strategies.asked.risk=calm"]
    kit = Kit.load(project.folder / "configs", overrides=settings)
    kit.on(Opened, lambda _event: told.touch())
    start_ms = parse_time(START)
    session = run_live(kit, "asked", "a_slow", start=start_ms - 20_000, end=start_ms + 30_000)
    failed = [event for event in session.events if isinstance(event, DecisionFailed)]
    assert [event.strategy for event in failed] == (["a_slow"] if is_joined else [])
    assert told.exists()


def test_the_journal_tells_every_candle_decision_and_event(project: Project) -> None:
    kit = kit_of(project)
    session = run_live(kit, "asked", start=parse_time(START) - 20_000, end=parse_time(START) + 300 * MINUTE_MS)
    lines = [json.loads(line) for line in session.live.journal_path.read_text("utf-8").splitlines()]
    kinds = [line["what"] for line in lines]
    assert kinds[0] == "start"
    assert kinds[-1] == "end"
    assert kinds.count("event") == len(session.events)
    ticks = [line for line in lines if line["what"] == "tick"]
    assert len(ticks) == session.live.streams["asked", "BTCUSDT"].walk.funnel.ticks
    assert {line["gate"] for line in ticks} == {"opened_at_decision", "busy"}


def test_the_command_runs_until_it_is_stopped(project: Project) -> None:
    process = project.start("live", "asked", "--symbol", "BTCUSDT", "--json")
    assert process.stderr is not None
    deadline = time.monotonic() + 30
    while not list((project.folder / "logs").glob("live/*/journal.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.1)
    second = project.outside("live", "asked", "--symbol", "BTCUSDT")
    assert second.code == 2
    assert f"process {process.pid}" in second.stderr
    process.send_signal(15)
    time.sleep(0.5)
    process.send_signal(15)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 143
    assert "Traceback" not in stderr
    assert all(json.loads(line) for line in stdout.splitlines())
