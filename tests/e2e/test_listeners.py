"""Listeners and callbacks of real runs: what they are told, in which order, and that they change nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import pytest
from e2e.project import START_MS, Done, Project, make_project
from hypothesis import given, settings
from hypothesis import strategies as st

from backtestkit_cli import (
    Active,
    Cancelled,
    CandlesLoaded,
    Closed,
    DecisionFailed,
    DraftRefused,
    FrameStarted,
    Idle,
    Kit,
    LevelReached,
    ListenerFailed,
    Opened,
    Progress,
    QuantityCalculated,
    QuantityRefused,
    RiskAllowed,
    RiskCheckFailed,
    RiskRefused,
    RunDone,
    RunFailed,
    Scheduled,
    SignalEvent,
    StreamDone,
)
from backtestkit_cli.config import schema
from backtestkit_cli.engine.result import RunResult, StreamRun
from backtestkit_cli.errors import ConfigError, StrategyError
from backtestkit_cli.model.event import Event, Notice, OptimizerEvent, SearchEvent, WalkerEvent
from backtestkit_cli.model.signal import Signal
from backtestkit_cli.model.time import Interval
from backtestkit_cli.run.callbacks import HOOKS as TOLD_OF

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
END_MS, NOON_MS = START_MS + DAY_MS, START_MS + DAY_MS // 2
BUSY = {"strategy": "busy", "symbol": "BTCUSDT"}
RUN = {"exchange": "sample", "frame": "day"}
OF_BUSY: dict[str, Any] = {"signal": BUSY}

HOOKS = '''
from backtestkit_cli import SignalDraft, log, memo

HEARD = {}
ASKED = []


def busy(market):
    """Does something else every hour of a day."""
    hour, price = market.now // 3_600_000 % 12, market.price
    log.info("hour %d", hour)
    slow(market)
    if hour == 0:
        raise ValueError("on purpose")
    if hour == 3:
        return None
    wait = {"price_open": price * 0.97, "wait_minutes": 10} if hour == 2 else {}
    profit = 0.9 if hour == 1 else 1.01
    stop = 0.96 if hour == 2 else 0.99
    return SignalDraft(
        position="long", price_take_profit=price * profit, price_stop_loss=price * stop, lifetime_minutes=50,
        note={4: "refuse", 5: "raise", 6: "nothing"}.get(hour, ""), **wait,
    )


@memo("4h")
def slow(market):
    ASKED.append(market.now)
    return len(ASKED)


def check(question):
    log.info("checked")
    if question.signal.note == "raise":
        raise RuntimeError("no answer")
    return "not today" if question.signal.note == "refuse" else None


def size(question):
    return None if question.signal.note == "nothing" else 0.01


def fails(event):
    raise KeyError(event.kind)


def two(event, more):
    pass
'''
STRATEGY_CALLBACKS: dict[str, Callable[[Any], bool]] = {
    "on_tick": lambda event: isinstance(event, SignalEvent),
    "on_open": lambda event: isinstance(event, Opened),
    "on_active": lambda event: isinstance(event, Active),
    "on_idle": lambda event: isinstance(event, Idle),
    "on_close": lambda event: isinstance(event, Closed),
    "on_schedule": lambda event: isinstance(event, Scheduled),
    "on_cancel": lambda event: isinstance(event, Cancelled),
    "on_write": lambda event: isinstance(event, Opened | Closed),
    "on_partial_profit": lambda event: isinstance(event, LevelReached) and event.side == "profit",
    "on_partial_loss": lambda event: isinstance(event, LevelReached) and event.side == "loss",
}
OTHER_CALLBACKS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "on_candle_data": ("exchanges", lambda event: isinstance(event, CandlesLoaded)),
    "on_timeframe": ("frames", lambda event: isinstance(event, FrameStarted)),
    "on_calculate": ("sizings", lambda event: isinstance(event, QuantityCalculated)),
    "on_rejected": ("risks", lambda event: isinstance(event, RiskRefused)),
    "on_allowed": ("risks", lambda event: isinstance(event, RiskAllowed)),
}

TOPICS: dict[type, dict[str, Any]] = {
    FrameStarted: {
        "time_ms": START_MS,
        "frame": "day",
        "start_ms": START_MS,
        "end_ms": END_MS,
        "interval": Interval.M1,
        "ticks": range(START_MS, END_MS, 60_000),
    },
    CandlesLoaded: {"exchange": "sample", "symbol": "BTCUSDT", "interval": Interval.M1},
    Idle: BUSY,
    Scheduled: OF_BUSY,
    Opened: OF_BUSY,
    Active: OF_BUSY,
    LevelReached: OF_BUSY,
    Closed: OF_BUSY,
    Cancelled: OF_BUSY,
    DraftRefused: BUSY,
    QuantityCalculated: {**OF_BUSY, "sizing": "even", "equity": 10_000, "quantity": 0.01},
    QuantityRefused: {**OF_BUSY, "stage": "decision", "rule": "advised_against"},
    RiskRefused: {**OF_BUSY, "profile": "calm", "stage": "decision"},
    RiskAllowed: {**OF_BUSY, "profile": "calm"},
    RiskCheckFailed: {**OF_BUSY, "profile": "calm", "check": "strategies/hooks.py:check"},
    DecisionFailed: BUSY,
    Progress: {**BUSY, "exchange": "sample", "total_minutes": 1440},
    StreamDone: {**BUSY, **RUN},
    RunDone: {**RUN, "streams": 1},
    RunFailed: {**RUN, "code": "strategy-raised"},
    ListenerFailed: {"event": "opened"},
}
"""Every class of events, with what the first one of a run of `busy` must tell."""


def callbacks(names: Any) -> str:
    inside = ", ".join(f'{name}: "strategies/hooks.py:{name}"' for name in names)
    return f"callbacks: {{{inside}}}"


def make(folder: Path, *, with_callbacks: bool = False) -> Project:
    """A project with `busy` in it; with functions for every callback if that is wanted."""
    project = make_project(folder)
    code, calls = HOOKS, dict.fromkeys(("strategies", "exchanges", "frames", "sizings", "risks"), "")
    if with_callbacks:
        calls["strategies"] = ", " + callbacks(STRATEGY_CALLBACKS)
        for kind in ("exchanges", "frames", "sizings", "risks"):
            calls[kind] = ", " + callbacks(name for name, (of_kind, _) in OTHER_CALLBACKS.items() if of_kind == kind)
        for name in (*STRATEGY_CALLBACKS, *OTHER_CALLBACKS):
            code += f"\n\ndef {name}(event):\n    HEARD.setdefault({name!r}, []).append(event)\n"
    project.write("strategies/hooks.py", code)
    project.write(
        "configs/busy.yaml",
        f"""\
settings: {{balance: 10000}}
exchanges:
  - {{name: told, use: sample, seed: 7{calls["exchanges"]}}}
frames:
  - {{name: told-day, start: 2023-03-01, end: 2023-03-02{calls["frames"]}}}
sizings:
  - {{name: even, method: "strategies/hooks.py:size"{calls["sizings"]}}}
risks:
  - {{name: calm, checks: ["strategies/hooks.py:check"]{calls["risks"]}}}
strategies:
  - {{name: busy, interval: 1h, use: "strategies/hooks.py:busy", risk: calm, sizing: even{calls["strategies"]}}}
""",
    )
    return project


def fail(_event: object) -> None:
    raise LookupError("on purpose")


LISTENERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "listenSignal": (SignalEvent, {}),
    "listenSignalBacktest": (SignalEvent, {"mode": "backtest"}),
    "listenError": (DecisionFailed, {}),
    "listenExit": (RunFailed, {}),
    "listenDoneBacktest": (StreamDone, {}),
    "listenBacktestProgress": (Progress, {}),
    "listenValidation": (RiskCheckFailed, {}),
    "listenPartialProfit": (LevelReached, {"where": lambda event: event.side == "profit"}),
    "listenPartialLoss": (LevelReached, {"where": lambda event: event.side == "loss"}),
    "listenRisk": (RiskRefused, {}),
}
"""Each listener of the original that a backtest can fire: the class to listen to, and how."""
LATER = {
    "live trading": ("listenSignalLive", "listenDoneLive"),
    "a walker, in its own tests": (
        "listenDoneWalker",
        "listenWalkerProgress",
        "listenWalker",
        "listenWalkerComplete",
    ),
    "an optimizer, in its own tests": ("listenOptimizerProgress",),
    "nothing, its figures are of the wall clock": ("listenPerformance",),
}
"""The other ones, with what brings them."""


@dataclass
class Heard:
    """What the listeners of one run were told, by topic."""

    run: RunResult
    quiet: RunResult
    order: list[Any]
    every: dict[type, list[Any]] = field(default_factory=dict)
    once: dict[type, list[Any]] = field(default_factory=dict)
    late: dict[type, list[Any]] = field(default_factory=dict)
    cancelled: dict[type, list[Any]] = field(default_factory=dict)
    live: dict[type, list[Any]] = field(default_factory=dict)
    failed: list[Any] = field(default_factory=list)
    named: dict[str, list[Any]] = field(default_factory=dict)


def until_cancelled(kit: Kit, topic: type, heard: list[Any]) -> None:
    """Listen, and end the subscription from inside its second call."""

    def hear(event: object) -> None:
        heard.append(event)
        if len(heard) == 2:
            subscription.cancel()

    subscription = kit.on(topic, hear)


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Heard:
    folder = make(tmp_path_factory.mktemp("heard")).folder / "configs"
    quiet = Kit.load(folder).backtest("busy").run()
    kit, order = Kit.load(folder), list[Any]()
    told: dict[str, dict[type, list[Any]]] = {
        name: {topic: [] for topic in TOPICS} for name in ("every", "once", "late", "cancelled", "live")
    }
    kit.on(Event | Notice, order.append)
    for topic in TOPICS:
        subscribe(kit, topic, told)
    named = {f"{name}{ending}": list[Any]() for name in LISTENERS for ending in ("", "Once")}
    for name in LISTENERS:
        listen(kit, name, named)
    kit.on(Opened, fail)
    run, failing, failed = kit.backtest("busy").run(), Kit.load(folder), list[Any]()
    failing.add_strategy(name="broken", interval="1h", use=broken)
    failing.on(RunFailed, failed.append)
    subscribe(failing, RunFailed, told)
    listen(failing, "listenExit", named)
    for _ in range(3):
        with pytest.raises(StrategyError):
            failing.backtest("broken").run()
    return Heard(run, quiet, order, failed=failed, named=named, **told)


def listen(kit: Kit, name: str, named: dict[str, list[Any]]) -> None:
    """Listen to what a listener of the original was told, always and once."""
    topic, how = LISTENERS[name]
    kit.on(topic, named[name].append, **how)
    kit.on(topic, named[f"{name}Once"].append, once=True, **how)


def subscribe(kit: Kit, topic: type, told: dict[str, dict[type, list[Any]]]) -> None:
    """Listen to a topic in every way there is."""
    kit.on(topic, told["every"][topic].append)
    kit.on(topic, told["once"][topic].append, once=True, mode="backtest")
    kit.on(topic, told["late"][topic].append, where=lambda event: event.time_ms > NOON_MS)
    kit.on(topic, told["live"][topic].append, mode="live")
    until_cancelled(kit, topic, told["cancelled"][topic])


def broken(candles: Any) -> Any:
    raise ValueError("on purpose")


def test_the_table_has_a_row_for_every_event() -> None:
    # what a walker, a search and an optimizer tell has tests of its own
    apart = (*get_args(WalkerEvent), *get_args(SearchEvent), *get_args(OptimizerEvent))
    assert {*TOPICS, *apart} == {*get_args(Event), *get_args(Notice)}


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.__name__)
def test_a_listener_is_told_of_its_class_with_all_fields_in_order(topic: type, heard: Heard) -> None:
    events = heard.every[topic]
    assert events
    assert {type(event) for event in events} == {topic}
    assert events == [event for event in (*heard.order, *heard.failed) if type(event) is topic]
    times = [event.time_ms for event in events]
    assert times == sorted(times)
    assert min(times) >= START_MS
    for name, value in TOPICS[topic].items():
        told = getattr(events[0], name)
        if isinstance(told, Signal):
            told = {"strategy": told.strategy, "symbol": told.symbol}
        assert told == value, name
    # the policy's price beside the true one is told of real orders alone
    names = [one.name for one in fields(topic) if one.name != "policy_price"]
    assert None not in [getattr(events[0], name) for name in names]


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.__name__)
def test_once_filter_unsubscribing_and_mode_of_each_listener(topic: type, heard: Heard) -> None:
    events = heard.every[topic]
    assert heard.once[topic] == events[:1]
    assert heard.late[topic] == [event for event in events if event.time_ms > NOON_MS]
    assert heard.cancelled[topic] == events[:2]
    assert heard.live[topic] == []


@pytest.mark.parametrize("name", LISTENERS)
def test_a_listener_of_the_original_has_its_like(name: str, heard: Heard) -> None:
    topic, how = LISTENERS[name]
    where = how.get("where", lambda _: True)
    expected = [event for event in (*heard.order, *heard.failed) if isinstance(event, topic) and where(event)]
    assert expected
    assert heard.named[name] == expected
    assert heard.named[f"{name}Once"] == expected[:1]


def test_every_listener_of_the_original_is_here_or_has_its_reason() -> None:
    names = (Path(__file__).parents[1] / "data" / "original-names.txt").read_text(encoding="utf-8").split()
    listed = {*LISTENERS, *(name for some in LATER.values() for name in some)}
    assert {name.removesuffix("Once") for name in names if name.startswith("listen")} == listed


def test_every_callback_of_every_kind_is_here_or_has_its_reason() -> None:
    for kind, model in schema.KINDS.items():
        fields_of = model.model_fields["callbacks"].annotation
        assert fields_of is not None
        told = set(TOLD_OF[kind])
        assert set(fields_of.model_fields) == told, kind
    # those of a walker and an optimizer have tests of their own
    here = {name for kind, hooks in TOLD_OF.items() if kind not in ("walkers", "optimizers") for name in hooks}
    assert here == {*STRATEGY_CALLBACKS, *OTHER_CALLBACKS}


def test_the_frame_comes_first_and_the_end_of_the_run_last(heard: Heard) -> None:
    kinds = [event.kind for event in heard.order]
    assert kinds[:3] == ["frame_started", "candles_loaded", "progress"]
    assert kinds[-3:] == ["progress", "stream_done", "run_done"]
    assert (heard.order[-1].run_id, heard.order[-1].trades) == (heard.run.run_id, len(trades(heard.run)))
    assert heard.order[-3].percent == 100.0


def test_a_signal_that_is_allowed_is_told_before_it_is_opened(heard: Heard) -> None:
    allowed = heard.order.index(heard.every[RiskAllowed][0])
    assert [event.kind for event in heard.order[allowed : allowed + 2]] == ["risk_allowed", "scheduled"]
    failed = heard.order.index(heard.every[RiskCheckFailed][0])
    assert [event.kind for event in heard.order[failed : failed + 2]] == ["risk_check_failed", "risk_refused"]


def test_what_raises_is_reported_with_its_place_and_stops_nothing(heard: Heard) -> None:
    count = len(heard.every[Opened])
    place = f"{__file__}:{fail.__code__.co_firstlineno + 1}"
    assert heard.run.warnings == (
        f"{place} raised LookupError: on purpose when it was told of an event opened ({count} times)",
    )
    assert len(heard.every[ListenerFailed]) == count > 1
    assert "hooks.py:35 raised RuntimeError: no answer" in heard.every[RiskCheckFailed][0].what


def test_listening_changes_no_result(heard: Heard) -> None:
    assert told_by(heard.run) == told_by(heard.quiet)
    assert heard.run.run_id == heard.quiet.run_id


def trades(run: RunResult) -> Any:
    return run.streams[0].result.trades


def told_by(run: RunResult) -> list[tuple[Any, ...]]:
    """Everything a run found out but its warnings."""
    return [
        (stream.strategy, stream.symbol, list(stream.result.events()), stream.result.funnel, columns_of(stream))
        for stream in run.streams
    ]


def columns_of(stream: StreamRun) -> tuple[Any, ...]:
    closed = stream.result.trades
    return (closed.closed_ms.tolist(), closed.pnl_percent.tolist(), closed.reason.tolist(), stream.candles)


@cache
def shared_folder() -> TemporaryDirectory[str]:
    folder = TemporaryDirectory()
    make(Path(folder.name))
    return folder


@given(
    seed=st.integers(1, 9),
    names=st.sets(st.sampled_from(["busy", "asked", "cross", "rows", "listed"]), min_size=1),
    is_shared=st.booleans(),
    wants_minutes=st.booleans(),
)
@settings(max_examples=12, deadline=None)
def test_listeners_hear_the_events_of_the_result_in_its_order(
    seed: int, names: set[str], is_shared: bool, wants_minutes: bool
) -> None:
    overrides = [f"exchanges.sample.seed={seed}"]
    overrides += [f"strategies.{name}.risk=calm" for name in names if is_shared]
    configs = Path(shared_folder().name) / "configs"
    kit, events = Kit.load(configs, overrides=overrides), list[Any]()
    kit.on(Event, events.append) if wants_minutes else kit.on(
        Opened
        | Closed
        | Cancelled
        | Scheduled
        | LevelReached
        | DraftRefused
        | QuantityRefused
        | RiskRefused
        | DecisionFailed,
        events.append,
    )
    frame = "hourly-from-half-past" if names == {"cross"} else "day"
    arguments = {"symbols": ["A", "B"], "frame": frame}
    run = kit.backtest(*names, **arguments).run()  # type: ignore[arg-type]  # two options of their own types
    stored = [event for event in events if not isinstance(event, Idle | Active)]
    for stream in run.streams:
        own = [event for event in stored if whose(event) == (stream.strategy, stream.symbol)]
        assert own == list(stream.result.events())
    assert len(stored) == sum(len(list(stream.result.events())) for stream in run.streams)
    assert any(isinstance(event, Idle | Active) for event in events) == wants_minutes
    quiet = Kit.load(configs, overrides=overrides).backtest(*names, **arguments).run()  # type: ignore[arg-type]
    assert told_by(run) == told_by(quiet)


def whose(event: Any) -> tuple[str, str]:
    named = getattr(event, "signal", event)
    return named.strategy, named.symbol


@pytest.fixture(scope="module")
def called(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[Any]], list[Any]]:
    """What the callbacks of the config were told, and what a listener was."""
    project = make(tmp_path_factory.mktemp("called"), with_callbacks=True)
    kit, events = Kit.load(project.folder / "configs"), list[Any]()
    kit.on(Event | Notice, events.append)
    kit.backtest("busy", "asked", exchange="told", frame="told-day", jobs=2).run()
    return module_of(kit, project).HEARD, events


def module_of(kit: Kit, project: Project) -> Any:
    return kit.registry.files[(project.folder / "strategies" / "hooks.py").resolve()]


@pytest.mark.parametrize("name", STRATEGY_CALLBACKS)
def test_a_callback_of_a_strategy_hears_what_becomes_of_its_own_signals(name: str, called: Any) -> None:
    told, events = called
    expected = [event for event in events if STRATEGY_CALLBACKS[name](event) and whose(event)[0] == "busy"]
    assert expected
    assert told[name] == expected


@pytest.mark.parametrize("name", OTHER_CALLBACKS)
def test_a_callback_of_another_kind_hears_what_happens_there(name: str, called: Any) -> None:
    told, events = called
    assert told[name]
    assert told[name] == [event for event in events if OTHER_CALLBACKS[name][1](event)]


def test_candles_are_told_once_for_each_symbol_and_group(called: Any) -> None:
    (first, second) = called[0]["on_candle_data"]
    assert (first.exchange, first.symbol, first.interval) == ("told", "BTCUSDT", Interval.M1)
    assert first.count == (first.end_ms - first.start_ms) // 60_000
    assert first.symbol == second.symbol


def test_a_callback_that_raises_is_a_warning_in_the_report_and_no_failure(tmp_path: Path) -> None:
    project = make(tmp_path)
    project.write("configs/strategies.yaml", with_callback(project, "on_close", "strategies/hooks.py:fails"))
    done = project.inside("backtest", "cross")
    assert done.code == 0
    told = " ".join(done.stdout.split())
    assert "raised KeyError: 'closed' when it was told of an event closed" in told


def with_callback(project: Project, key: str, reference: str) -> str:
    text = (project.folder / "configs" / "strategies.yaml").read_text()
    head = "  - name: cross\n"
    return text.replace(head, f'{head}    callbacks: {{{key}: "{reference}"}}\n')


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("strategies/hooks.py:nobody", "plugin-not-found"),
        ("strategies/nowhere.py:told", "plugin-not-found"),
        ("strategies/hooks.py:HEARD", "not-callable"),
        ("strategies/hooks.py:two", "missing-key"),
    ],
)
def test_a_callback_that_cannot_be_called_ends_the_run_before_it_begins(
    reference: str, code: str, tmp_path: Path
) -> None:
    project = make(tmp_path)
    project.write("configs/strategies.yaml", with_callback(project, "on_close", reference))
    kit, begun = Kit.load(project.folder / "configs"), list[Any]()
    kit.on(FrameStarted, begun.append)
    with pytest.raises(ConfigError) as caught:
        kit.backtest("cross").run()
    problem = caught.value.problems[0]
    assert problem.where is not None
    assert (problem.where.file or "").endswith("strategies.yaml")
    assert "on_close" in (problem.where.key or "")
    assert problem.code == code
    assert begun == []
    kit.backtest("asked").run()
    assert len(begun) == 1


def test_a_subscription_serves_every_run_of_its_kit_and_no_other(tmp_path: Path) -> None:
    folder = make(tmp_path).folder / "configs"
    kit, other, done = Kit.load(folder), Kit.load(folder), list[Any]()
    kit.on(RunDone, done.append)
    kit.on(RunDone, done.append, once=True)
    for one in (kit, other, kit):
        one.backtest("asked").run()
    assert len(done) == 3


def test_a_listener_may_start_a_run_of_its_own(tmp_path: Path) -> None:
    kit, done = Kit.load(make(tmp_path).folder / "configs"), list[Any]()
    kit.on(StreamDone, lambda _: done.append(kit.backtest("asked", symbols=["B"]).run().run_id), once=True)
    run = kit.backtest("busy").run()
    assert len(done) == 1
    assert run.warnings == ()
    assert told_by(run)[0][1] == "BTCUSDT"


def test_what_strategies_and_checks_log_is_shown_with_v_only(tmp_path: Path) -> None:
    project = make(tmp_path)
    quiet, spoken = project.inside("backtest", "busy"), project.inside("backtest", "busy", "-v")
    assert "hour 3" not in quiet.stderr
    lines = log_lines(spoken)
    assert lines[0] == "2023-03-01T00:00Z busy BTCUSDT info: hour 0"
    assert "2023-03-01T02:00Z busy BTCUSDT info: checked" in lines
    assert spoken.stdout == quiet.stdout


def test_a_check_logs_for_the_stream_that_asks(tmp_path: Path) -> None:
    lines = log_lines(make(tmp_path).inside("backtest", "cross", "--set", "strategies.cross.risk=calm", "-v"))
    assert lines
    assert {tuple(line.split()[1:]) for line in lines} == {("cross", "BTCUSDT", "info:", "checked")}


@pytest.mark.parametrize("overrides", [[], ["strategies.asked.risk=calm"]], ids=["alone", "shared"])
def test_every_minute_that_leaves_a_position_open_is_told(overrides: list[str], tmp_path: Path) -> None:
    kit, active = Kit.load(make(tmp_path).folder / "configs", overrides=overrides), list[Active]()
    kit.on(Active, active.append)
    closed = kit.backtest("asked").run().streams[0].result.trades
    minutes = [
        time_ms
        for opened_ms, closed_ms in zip(closed.opened_ms.tolist(), closed.closed_ms.tolist(), strict=True)
        for time_ms in range(opened_ms + 60_000, closed_ms, 60_000)
    ]
    assert [event.time_ms for event in active] == minutes
    assert len(minutes) > 100


@pytest.mark.parametrize("overrides", [[], ["strategies.listed.risk=calm"]], ids=["alone", "shared"])
@pytest.mark.parametrize("topic", [Idle, Closed])
def test_rows_off_the_grid_are_counted_however_a_stream_is_run(
    topic: type, overrides: list[str], tmp_path: Path
) -> None:
    kit = Kit.load(make(tmp_path).folder / "configs", overrides=overrides)
    kit.on(topic, lambda _: None)
    run = kit.backtest("listed", range="2023-03-01T03:00..2023-03-01T09:00").run()
    assert run.streams[0].result.funnel.off_grid == 1


def test_workers_show_what_is_logged_too(tmp_path: Path) -> None:
    project = make(tmp_path)
    project.write("strategies/own.py", LOGGING)
    done = project.outside("backtest", "asked", "--symbol", "A", "--symbol", "B", "--jobs", "2", "-v")
    assert {line.split()[2] for line in log_lines(done)} == {"A", "B"}


LOGGING = """
from backtestkit_cli import log


def asked(market):
    log.info("asked")
"""


def log_lines(done: Done) -> list[str]:
    return [line for line in done.stderr.splitlines() if " info: " in line]


def test_a_memo_inside_a_run_is_asked_once_for_each_bucket_and_stream(tmp_path: Path) -> None:
    project = make(tmp_path)
    kit = Kit.load(project.folder / "configs")
    kit.backtest("busy", symbols=["A", "B"]).run()
    asked = module_of(kit, project).ASKED
    assert sorted(set(asked)) == [START_MS + hours * HOUR_MS for hours in (0, 4, 8, 12, 16, 20)]
    assert len(asked) == 12
    kit.backtest("busy", symbols=["A"]).run()
    assert len(asked) == 18
