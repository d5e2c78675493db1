"""Listeners: order, once, filters, modes, and what becomes of those that raise."""

import builtins
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest

from backtestkit_cli.errors import UsageError
from backtestkit_cli.model.event import Event, Idle, ListenerFailed, Notice, Progress, RunDone, SignalEvent
from backtestkit_cli.run.callbacks import HOOKS, owner_of
from backtestkit_cli.run.context import CURRENT
from backtestkit_cli.run.listen import Audience, Listeners, Subscription

HERE = Path(__file__)
DONE = RunDone(time_ms=7, run_id="a", exchange="sample", frame="day", streams=1, trades=2)


def idle(time_ms: int = 0) -> Idle:
    return Idle(time_ms=time_ms, strategy="s", symbol="X", price=1.0)


def audience(*listeners: Listeners) -> Audience:
    return Audience("backtest", *listeners, exchange="sample", frame="day")


def failing(error: BaseException) -> Any:
    def fail(_event: object) -> None:
        raise error

    return fail


def test_listeners_are_called_in_order_of_subscription_whatever_class_they_asked_for() -> None:
    listeners, heard = Listeners(), list[str]()
    listeners.on(SignalEvent, lambda _: heard.append("union"))
    listeners.on(Idle, lambda _: heard.append("class"))
    listeners.on(RunDone, lambda _: heard.append("another"))
    listeners.on(Event | Notice, lambda _: heard.append("everything"))
    audience(listeners).tell(idle())
    assert heard == ["union", "class", "everything"]


def test_callbacks_of_a_run_are_called_before_the_listeners_of_the_kit() -> None:
    first, second, heard = Listeners(), Listeners(), list[str]()
    second.on(Idle, lambda _: heard.append("kit"))
    first.on(Idle, lambda _: heard.append("callback"))
    audience(first, second).tell(idle())
    assert heard == ["callback", "kit"]


def test_a_once_listener_is_over_before_its_call() -> None:
    listeners, times = Listeners(), list[int]()
    told = audience(listeners)

    def again(event: Idle) -> None:
        times.append(event.time_ms)
        told.tell(idle(event.time_ms + 1))
        raise ValueError("once, and wrong")

    listeners.on(Idle, again, where=lambda event: event.time_ms >= 3, once=True)
    for time_ms in range(10):
        told.tell(idle(time_ms))
    assert times == [3]
    assert len(listeners) == 0


def test_a_cancelled_listener_hears_nothing_more_not_even_the_event_that_is_being_told() -> None:
    listeners, heard = Listeners(), list[int]()
    listeners.on(Idle, lambda _: later.cancel())
    later: Subscription = listeners.on(Idle, lambda event: heard.append(event.time_ms))
    audience(listeners).tell(idle())
    later.cancel()
    assert heard == []
    assert len(listeners) == 1


def test_a_listener_added_while_an_event_is_told_hears_the_next_one() -> None:
    listeners, heard = Listeners(), list[int]()
    listeners.on(Idle, lambda _: listeners.on(Idle, lambda event: heard.append(event.time_ms)), once=True)
    told = audience(listeners)
    told.tell(idle(1))
    told.tell(idle(2))
    assert heard == [2]


def test_a_listener_for_another_mode_hears_nothing_and_counts_for_nothing() -> None:
    listeners, heard = Listeners(), list[int]()
    listeners.on(Idle, lambda event: heard.append(event.time_ms), mode="live")
    told = audience(listeners)
    told.tell(idle())
    assert heard == []
    assert told.is_empty
    assert not told.wants(Idle)


def test_wants_follows_what_is_subscribed() -> None:
    listeners = Listeners()
    told = audience(listeners)
    assert told.is_empty
    subscription = listeners.on(Idle, print)
    assert told.wants(RunDone, Idle)
    assert not told.wants(RunDone)
    subscription.cancel()
    assert told.is_empty


def test_a_thousand_listeners_that_raise_lose_no_event_and_stop_nobody() -> None:
    listeners, heard, failed = Listeners(), list[int](), list[ListenerFailed]()
    kinds = {
        error
        for error in vars(builtins).values()
        if isinstance(error, type) and issubclass(error, BaseException) and not issubclass(error, KeyboardInterrupt)
    }
    made = [kind.__new__(kind) for kind in kinds if not issubclass(kind, BaseExceptionGroup)]
    for number in range(1000):
        listeners.on(Idle, failing(made[number % len(made)]))
        listeners.on(Idle, lambda event: heard.append(event.time_ms))
    listeners.on(ListenerFailed, failed.append)
    told = audience(listeners)
    for time_ms in range(3):
        told.tell(idle(time_ms))
    assert heard == [time_ms for time_ms in range(3) for _ in range(1000)]
    assert len(failed) == 3000
    assert len(told.warnings) == len(made)
    assert {one.event for one in failed} == {"idle"}
    assert any("SystemExit" in text for text in told.warnings)


def test_a_warning_names_the_line_that_raised_and_how_often() -> None:
    listeners = Listeners()
    listeners.on(Idle, failing(ValueError("no such thing")))
    told = audience(listeners)
    told.tell(idle())
    told.tell(idle())
    line = failing.__code__.co_firstlineno + 2
    assert told.warnings == (
        f"{HERE}:{line} raised ValueError: no such thing when it was told of an event idle (2 times)",
    )


def test_a_filter_that_raises_is_reported_and_its_listener_is_not_called() -> None:
    listeners, heard = Listeners(), list[Idle]()
    listeners.on(Idle, heard.append, where=lambda event: event.time_ms / 0 > 1)
    told = audience(listeners)
    told.tell(idle())
    assert heard == []
    assert "ZeroDivisionError" in told.warnings[0]


def test_a_listener_for_failures_that_raises_is_reported_once_and_not_told_of_itself() -> None:
    listeners = Listeners()
    listeners.on(Idle, failing(ValueError("first")))
    listeners.on(ListenerFailed, failing(TypeError("second")))
    told = audience(listeners)
    told.tell(idle())
    assert [text.partition(" raised ")[2].partition(":")[0] for text in told.warnings] == ["ValueError", "TypeError"]
    assert not any("times" in text for text in told.warnings)


def test_ctrl_c_inside_a_listener_is_no_failure_of_it() -> None:
    listeners = Listeners()
    listeners.on(Idle, failing(KeyboardInterrupt()))
    told = audience(listeners)
    with pytest.raises(KeyboardInterrupt):
        told.tell(idle())
    assert told.warnings == ()
    assert CURRENT.get() is None


def test_a_listener_knows_where_in_the_run_it_is() -> None:
    listeners, places = Listeners(), list[tuple[object, ...]]()

    def look(_event: object) -> None:
        context = CURRENT.get()
        assert context is not None
        places.append((context.strategy, context.symbol, context.exchange, context.frame, context.time_ms))

    listeners.on(Idle | RunDone, look)
    told = audience(listeners)
    told.tell(idle(5))
    told.tell(DONE)
    assert places == [("s", "X", "sample", "day", 5), ("", "", "sample", "day", 7)]
    assert told.warnings == ()


@pytest.mark.parametrize("wrong", [int, Idle | int, "closed", None, object])
def test_a_class_that_is_no_event_is_refused(wrong: Any) -> None:
    with pytest.raises(UsageError) as caught:
        Listeners().on(wrong, print)
    assert caught.value.code == "unknown-event"
    assert "Closed" in (caught.value.problems[0].expected or "")


def test_an_unknown_mode_and_a_listener_that_cannot_be_called_are_refused() -> None:
    for keywords, code in (({"mode": "backtests"}, "unknown-mode"), ({"where": 3}, "not-callable")):
        with pytest.raises(UsageError) as caught:
            Listeners().on(Idle, print, **keywords)
        assert caught.value.code == code
    with pytest.raises(UsageError):
        Listeners().on(Idle, "print")  # type: ignore[call-overload]  # wrong on purpose


def test_every_event_has_a_time_and_a_kind_of_its_own() -> None:
    topics = get_args(Event) + get_args(Notice)
    defaults = [{one.name: one.default for one in fields(topic)} for topic in topics]
    assert all("time_ms" in one for one in defaults)
    assert len({one["kind"] for one in defaults}) == len(topics)


def test_progress_tells_its_share() -> None:
    told = Progress(time_ms=0, exchange="e", strategy="s", symbol="X", done_minutes=30, total_minutes=120)
    assert told.percent == 25.0


def test_an_event_belongs_to_the_entry_that_its_callback_is_written_at() -> None:
    assert owner_of(idle(), "strategies") == "s"
    assert (owner_of(DONE, "exchanges"), owner_of(DONE, "frames")) == ("sample", "day")
    assert set(HOOKS) == {"strategies", "exchanges", "frames", "sizings", "risks", "walkers", "optimizers"}


def test_every_event_and_callback_is_explained() -> None:
    page = (HERE.parents[3] / "docs" / "how-to.md").read_text(encoding="utf-8")
    names = {topic.__name__ for topic in get_args(Event) + get_args(Notice)} | {
        name for one in HOOKS.values() for name in one
    }
    assert {name for name in names if f"`{name}`" not in page} == set()


MILLION = """
import resource
from backtestkit_cli.model.event import Active, Idle
from backtestkit_cli.model.signal import Position, Signal
from backtestkit_cli.run.listen import Audience, Listeners

signal = Signal(
    id="a", strategy="s", symbol="X", position=Position.LONG, price_open=1.0, price_take_profit=2.0,
    price_stop_loss=0.5, lifetime_minutes=10, decided_at=0, note="",
)
heard = 0


def count(event):
    global heard
    heard += 1


listeners = Listeners()
listeners.on(Active, count)
listeners.on(Idle, lambda event: 1 / 0)
audience = Audience("backtest", listeners, exchange="e", frame="f")


def tell(times):
    for time_ms in times:
        audience.tell(
            Active(time_ms=time_ms, signal=signal, price=1.0, take_profit_percent=0.0, stop_loss_percent=0.0)
        )
        if time_ms % 1000 == 0:
            audience.tell(Idle(time_ms=time_ms, strategy="s", symbol="X", price=None))


tell(range(20_000))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
tell(range(20_000, 1_000_000))
print(heard, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_million_events_take_no_more_memory_than_a_few() -> None:
    done = subprocess.run([sys.executable, "-c", MILLION], capture_output=True, text=True, check=True)
    heard, grown_kilobytes = map(int, done.stdout.split())
    assert heard == 1_000_000
    assert grown_kilobytes < 4096
