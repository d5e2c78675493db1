"""The table of a live session fits the terminal, and never at the cost of a name."""

import os
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backtestkit_cli.cli.live import duration_ms
from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.screen import COLUMNS, JsonLines, Redrawn
from backtestkit_cli.model.event import DecisionFailed
from backtestkit_cli.run.live.view import StreamView

FLAT = StreamView(strategy="ema-cross", symbol="ETHUSDT", price=2739.85, trades=0, next_decision_ms=2 * 3_600_000)
HELD = StreamView(
    strategy="momentum",
    symbol="BTCUSDT",
    price=46_747.75,
    trades=3,
    state="short",
    entry=46_736.86,
    to_take_profit_percent=1.2,
    to_stop_loss_percent=0.8,
    pnl_percent=-0.42,
    until_ms=8 * 3_600_000,
)


def drawn(width: int, monkeypatch: pytest.MonkeyPatch, *views: StreamView) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    clock, plan = SimpleNamespace(now_ms=lambda: 0), SimpleNamespace(exchange="sample")
    session = SimpleNamespace(clock=clock, plan=plan, streams={}, views=lambda: views)
    screen = Redrawn(cast("Any", session), Output())
    console = screen._console
    console.width = width
    with console.capture() as capture:
        console.print(screen._table())
    return [line.rstrip() for line in capture.get().splitlines() if line.strip()]


@pytest.mark.parametrize(
    ("broker", "is_killed", "word"),
    [
        ("paper", False, "paper"),
        ("ccxt", False, "REAL ORDERS"),
        ("paper", True, "paper · KILL SWITCH ON"),
    ],
)
def test_the_head_says_whether_orders_are_real_and_whether_nothing_is_opened(
    broker: str, is_killed: bool, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    clock, plan = SimpleNamespace(now_ms=lambda: 0), SimpleNamespace(exchange="sample", is_real=broker == "ccxt")
    record = SimpleNamespace(session="one")
    session = SimpleNamespace(clock=clock, plan=plan, record=record, streams={1: 2}, views=tuple, asked_to_stop=False)
    session.is_killed = is_killed
    screen = Redrawn(cast("Any", session), Output())
    with screen._console.capture() as capture:
        screen._console.print(screen.draw())
    assert capture.get().splitlines()[0] == f"session one · {word} · sample · 00:00:00 UTC · Ctrl-C stops"


@pytest.mark.parametrize("width", [60, 72, 80, 90, 100, 140])
def test_every_line_fits_and_every_stream_has_its_name(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = drawn(width, monkeypatch, FLAT, HELD)
    assert max(map(len, lines)) <= width
    assert len(lines) == 4  # a head, a rule, and one line for each
    for line, view in zip(lines[2:], (FLAT, HELD), strict=True):
        assert line.split()[:2] == [view.strategy, view.symbol]
    assert "-0.42 %" in lines[3]


def test_a_wide_terminal_has_all_columns_and_a_narrow_one_those_that_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(name in drawn(120, monkeypatch, HELD)[0] for name in COLUMNS)
    narrow = drawn(60, monkeypatch, HELD)[0]
    assert "Entry" not in narrow
    assert all(name in narrow for name in ("Strategy", "Symbol", "State", "PnL"))


def test_who_reads_no_more_is_told_once_that_the_session_goes_on() -> None:
    read, written = os.pipe()
    output, told = Output(), list[str]()
    output.tell = told.append  # type: ignore[method-assign, assignment]
    with os.fdopen(written, "w") as output._stdout:
        lines = JsonLines(cast("Any", None), output)
        os.close(read)
        for _ in range(3):
            lines.event(DecisionFailed(time_ms=0, strategy="one", symbol="BTCUSDT", what="no idea"))
    assert told == ["nobody reads the events any more; the session goes on"]


@pytest.mark.parametrize(("text", "milliseconds"), [("30s", 30_000), ("90s", 90_000), ("10m", 600_000)])
def test_a_session_can_stop_after_seconds(text: str, milliseconds: int) -> None:
    assert duration_ms(text) == milliseconds
