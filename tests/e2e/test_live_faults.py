"""A live session meets every fault of an exchange, with real ccxt code: positions close where they would have closed,
nothing is entered in a minute that is over, and the reaction is the documented one.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ccxt
import polars as pl
import pytest
from accelerated import JumpingClock, Session, run_live, unsynced
from live_faults import FAULTS, HEAD, table
from live_worlds import by_stream
from loopback import FAULT_KINDS, FakeClock, Fault, LoopbackExchange

from backtestkit_cli import Kit, Opened, SignalDraft
from backtestkit_cli.data.exchange import CcxtExchange
from backtestkit_cli.errors import BacktestkitError
from backtestkit_cli.model.event import Event
from backtestkit_cli.model.time import MINUTE_MS, parse_time
from backtestkit_cli.run.live.session import Live
from backtestkit_cli.state.journal import read_journal

START_MS = parse_time("2023-03-01")
END_MS = START_MS + 20 * MINUTE_MS
WANTED = {"holder": {2: 9, 16: 3}, "eager": {5: 3, 10: 3, 15: 3}}
"""When each strategy wants to enter, and for how many minutes."""
ONCE, BEGINS, ENDS = 5, 10, 13
"""The minute that is struck once, and those from which and until which all requests are struck; both are entries of
one strategy, and the position of the other ends between the latter."""
TIMEOUT_MS = {"no_reply": 300, "slow_drip": 300}
BTC, ETH = "BTC/USDT", "ETH/USDT"
Missed = frozenset[tuple[str, int]]
REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"


def project(folder: Path, url: str, missed: Missed = frozenset()) -> Kit:
    """Both strategies; no entry is wanted at what was missed."""
    kit = Kit.empty(folder)
    kit.add_exchange(name="loop", use="ccxt", id="binance", base_url=url)
    for name, wanted in WANTED.items():
        kit.add_strategy(name=name, interval="1m", warm_up="2m", use=_asked(wanted, missed if name == "eager" else ()))
    return kit


def _asked(wanted: dict[int, int], missed: Iterable[tuple[str, int]]) -> Callable[[Any], SignalDraft | None]:
    skipped = set(missed)

    def asked(market: Any) -> SignalDraft | None:
        minute = (market.now - START_MS) // MINUTE_MS
        if minute not in wanted or (market.symbol, minute) in skipped:
            return None
        levels = {"price_take_profit": market.price * 1.05, "price_stop_loss": market.price * 0.95}
        return SignalDraft(position="long", lifetime_minutes=wanted[minute], **levels)

    return asked


def minute(number: float) -> int:
    return START_MS + round(number * MINUTE_MS)


@contextmanager
def running(kind: str) -> Iterator[LoopbackExchange]:
    """The exchange, and an adapter that waits as long as a fault of this kind allows."""
    with LoopbackExchange(clock=FakeClock(START_MS)) as exchange, pytest.MonkeyPatch.context() as patch, unsynced():
        patch.setattr(ccxt.Exchange, "throttle", lambda *_: None)  # it would wait in real time
        defaults = CcxtExchange.__init__.__kwdefaults__
        assert defaults is not None
        patch.setitem(defaults, "timeout_ms", TIMEOUT_MS.get(kind, 5000))
        yield exchange
    assert exchange.errors == []


def lived(kit: Kit, symbols: Sequence[str], prepared: Callable[[Live], object]) -> Session:
    return run_live(kit, start=START_MS - 20_000, end=END_MS, symbols=symbols, exchange="loop", prepared=prepared)


@cache
def without_faults(missed: Missed, symbols: tuple[str, ...] = (BTC,)) -> dict[tuple[str, str], list[Event]]:
    """What a session tells that meets no fault and does not want to enter at what was missed."""
    with running("none") as exchange, TemporaryDirectory() as folder:
        kit = project(Path(folder), exchange.url, missed)
        session = lived(kit, symbols, lambda live: setattr(exchange, "clock", live.clock))
    assert session.troubles == ()
    assert sum(isinstance(event, Opened) for event in session.events) == 5 * len(symbols) - len(missed)
    return by_stream(session.events)


def clock_of(live: Live) -> JumpingClock:
    assert isinstance(live.clock, JumpingClock)
    return live.clock


def fault_of(name: str, **when: Any) -> Fault:
    kind, _, retry_after = name.partition(" ")
    return Fault([kind], retry_after=retry_after or None, **when)


def struck(exchange: LoopbackExchange, name: str) -> Callable[[Live], None]:
    """Let a fault strike a session once, and later for some minutes."""

    def prepared(live: Live) -> None:
        exchange.clock = live.clock
        clock_of(live).at |= {
            minute(ONCE - 0.5): lambda: exchange.faults.append(fault_of(name, count=1)),
            minute(BEGINS - 0.5): lambda: exchange.faults.append(fault_of(name)),
            minute(ENDS - 0.5): exchange.faults.clear,
        }

    return prepared


def test_every_fault_is_in_the_table() -> None:
    assert {name.partition(" ")[0] for name in FAULTS} == {*FAULT_KINDS, "down"}


def test_the_documents_show_the_table() -> None:
    text = REFERENCE.read_text("utf-8").splitlines()
    first = text.index("| " + " | ".join(HEAD) + " |")
    assert text[first : text.index("", first)] == table()


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in ("gap", "down")])
def test_a_session_that_meets_a_fault_loses_entries_of_missed_minutes_only(name: str, tmp_path: Path) -> None:
    row = FAULTS[name]
    with running(name) as exchange:
        session = lived(project(tmp_path, exchange.url), [BTC], struck(exchange, name))
    missed = {(BTC, BEGINS)} if row.told else set()
    missed |= set() if row.is_survived_once else {(BTC, ONCE)}
    assert by_stream(session.events) == without_faults(frozenset(missed))
    assert {error.code for error in session.troubles} == ({row.told} if row.told else set())
    assert all(error.problems[0].hint for error in session.troubles)
    if row.told and row.reaction != "keeps silent":
        assert len(session.troubles) == ENDS - BEGINS + (not row.is_survived_once)  # once a minute


@pytest.mark.parametrize("name", [name for name, row in FAULTS.items() if row.reaction == "keeps silent"])
def test_nothing_is_sent_in_a_silence(name: str, tmp_path: Path) -> None:
    with running(name) as exchange:
        lived(project(tmp_path, exchange.url), [BTC], struck(exchange, name))
    silence_ms = int(name.partition(" ")[2] or 120) * 1000
    asked = exchange.requests()
    for one, following in pairwise(asked):
        assert one.fault is None or following.time_ms >= one.time_ms + silence_ms


def test_an_exchange_that_is_gone_for_a_while_is_caught_up(tmp_path: Path) -> None:
    with running("down") as exchange, ExitStack() as stack:
        port = int(exchange.url.rpartition(":")[2])

        def prepared(live: Live) -> None:
            exchange.clock = live.clock
            clock_of(live).at |= {
                minute(BEGINS - 0.5): exchange.stop,
                minute(ENDS - 0.5): lambda: stack.enter_context(LoopbackExchange(port=port, clock=exchange.clock)),
            }

        session = lived(project(tmp_path, exchange.url), [BTC], prepared)
    assert by_stream(session.events) == without_faults(frozenset({(BTC, BEGINS)}))
    assert [error.code for error in session.troubles] == ["exchange-unreachable"] * (ENDS - BEGINS)


def test_a_candle_that_one_answer_leaves_out_is_asked_for_again(tmp_path: Path) -> None:
    with running("gap") as exchange:

        def prepared(live: Live) -> None:
            exchange.clock = live.clock
            clock_of(live).at |= {
                minute(BEGINS - 0.5): lambda: exchange.faults.append(Fault(["http_500"])),
                minute(BEGINS + 1.5): lambda: exchange.faults.__setitem__(slice(None), [Fault(["gap"], count=1)]),
            }

        session = lived(project(tmp_path, exchange.url), [BTC], prepared)
        struck = [one.fault for one in exchange.requests() if one.fault]
    assert struck[-1] == "gap"
    assert by_stream(session.events) == without_faults(frozenset({(BTC, BEGINS)}))
    assert {error.code for error in session.troubles} == {"exchange-unavailable"}


@pytest.mark.parametrize(
    "name", {row.told: name for name, row in FAULTS.items() if row.told and name != "slow_drip"}.values()
)
def test_a_session_that_begins_in_a_fault_says_what_to_do(name: str, tmp_path: Path) -> None:
    with running(name) as exchange:
        exchange.faults = [fault_of(name)]
        with pytest.raises(BacktestkitError) as caught:
            lived(project(tmp_path, exchange.url), [BTC], lambda live: setattr(exchange, "clock", live.clock))
    assert caught.value.code == FAULTS[name].told
    assert caught.value.problems[0].hint


@dataclass(slots=True)
class PatientClock(JumpingClock):
    """At one minute it lets a held answer go, and really waits until it is woken."""

    held: threading.Event = field(default_factory=threading.Event)

    async def wait_until(self, time_ms: int, woken: asyncio.Event) -> None:
        if time_ms >= minute(ENDS) and not self.held.is_set():
            self.held.set()
            await woken.wait()
        await JumpingClock.wait_until(self, time_ms, woken)


def test_a_symbol_that_is_not_answered_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, asked = PatientClock(START_MS - 20_000), CcxtExchange.candles

    def candles(self: CcxtExchange, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        if symbol == BTC and start_ms == minute(BEGINS - 1):
            clock.held.wait(30)
        return asked(self, symbol, start_ms, end_ms)

    def prepared(live: Live) -> None:
        clock.at = clock_of(live).at
        live.clock = exchange.clock = clock
        live.answer_seconds = 1.0

    monkeypatch.setattr(CcxtExchange, "candles", candles)
    with running("none") as exchange:
        session = lived(project(tmp_path, exchange.url), [BTC, ETH], prepared)
    assert [error.code for error in session.troubles] == ["exchange-slow"]
    assert by_stream(session.events) == without_faults(frozenset({(BTC, BEGINS)}), (BTC, ETH))
    lines = read_journal(session.live.journal_path.parent)
    candles_told = [(line["symbol"], line["time_ms"]) for line in lines if line["what"] == "candle"]
    assert candles_told.index((ETH, minute(ENDS - 2))) < candles_told.index((BTC, minute(BEGINS - 1)))
