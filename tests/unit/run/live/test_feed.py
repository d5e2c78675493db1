"""The candles of a live session: symbols are asked for at once, and one that is slow holds up no other."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl
import pytest

from backtestkit_cli.data.border import SCHEMA, USUAL
from backtestkit_cli.errors import BacktestkitError
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.run.live.asking import Asking
from backtestkit_cli.run.live.feed import Feed

NOW_MS = 1_700_000_040_000
KNOWN_MS = NOW_MS - MINUTE_MS
SECONDS = 5


@dataclass(slots=True)
class Source:
    """Answers the asked minutes, once `held` symbols are let go."""

    asked: list[tuple[str, int, int]] = field(default_factory=list)
    held: dict[str, threading.Event] = field(default_factory=dict)
    meet: Callable[[], object] = lambda: None

    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        self.asked.append((symbol, start_ms, end_ms))
        self.meet()
        if symbol in self.held:
            assert self.held[symbol].wait(SECONDS)
        times = range(start_ms, end_ms, MINUTE_MS)
        return pl.DataFrame([(one, 1.0, 1.0, 1.0, 1.0, 1.0) for one in times], schema=SCHEMA, orient="row")

    def steps(self, symbol: str) -> MarketSteps:
        return MarketSteps()


@dataclass(slots=True)
class Fed:
    """A feed and what it told."""

    feed: Feed
    troubles: list[tuple[str, str]] = field(default_factory=list)
    late: asyncio.Event = field(default_factory=asyncio.Event)


def feed_of(source: Source, threads: int = 3, seconds: float = SECONDS) -> Fed:
    fed = Fed(Feed(source, True, USUAL, lambda *_: None, asking=Asking(threads), seconds=seconds))
    fed.feed.on_trouble = lambda symbol, error: fed.troubles.append((symbol, error.code))
    fed.feed.on_late = fed.late.set
    return fed


def test_symbols_are_asked_for_at_once_and_answered_in_their_order() -> None:
    meeting = threading.Barrier(3)

    async def ask() -> list[str]:
        fed = feed_of(Source(meet=lambda: meeting.wait(SECONDS)))
        return list(await fed.feed.newer(dict.fromkeys("CAB", KNOWN_MS), NOW_MS))

    assert asyncio.run(ask()) == ["C", "A", "B"]


def test_a_source_with_one_thread_is_asked_one_after_the_other() -> None:
    inside: list[int] = []
    busy = threading.Lock()

    def meet() -> None:
        inside.append(busy.acquire(blocking=False))
        busy.release()

    async def ask() -> int:
        fed = feed_of(Source(meet=meet), threads=1)
        return len(await fed.feed.newer(dict.fromkeys("ABC", KNOWN_MS), NOW_MS))

    assert asyncio.run(ask()) == 3
    assert inside == [True, True, True]


def test_a_slow_symbol_is_left_out_told_once_and_taken_when_it_comes() -> None:
    source = Source(held={"A": threading.Event()})

    async def ask() -> None:
        fed = feed_of(source, seconds=0.05)
        first = await fed.feed.newer(dict.fromkeys("AB", KNOWN_MS), NOW_MS)
        assert list(first) == ["B"]
        later_ms = NOW_MS + MINUTE_MS
        fed.feed.seconds = SECONDS  # nobody waits for a question of an earlier minute
        assert list(await fed.feed.newer({"A": KNOWN_MS, "B": NOW_MS}, later_ms)) == ["B"]
        assert fed.troubles == [("A", "exchange-slow")]
        assert not fed.late.is_set()
        source.held.pop("A").set()
        await asyncio.wait_for(fed.late.wait(), SECONDS)
        fed.late.clear()
        assert [one.time for one in (await fed.feed.newer({"A": KNOWN_MS, "B": later_ms}, later_ms))["A"]] == [KNOWN_MS]
        assert fed.late.is_set()  # the newest minute of A has not been asked for
        assert [one.time for one in (await fed.feed.newer({"A": NOW_MS, "B": later_ms}, later_ms))["A"]] == [NOW_MS]

    asyncio.run(ask())
    assert [symbol for symbol, *_ in source.asked].count("A") == 2


def test_a_symbol_is_asked_for_once_a_minute() -> None:
    source = Source()

    async def ask() -> None:
        fed = feed_of(source)
        assert list(await fed.feed.newer({"A": KNOWN_MS}, NOW_MS)) == ["A"]
        assert await fed.feed.newer({"A": NOW_MS}, NOW_MS) == {}

    asyncio.run(ask())
    assert source.asked == [("A", KNOWN_MS, NOW_MS)]


def test_who_leaves_waits_for_no_answer() -> None:
    source = Source(held={"A": threading.Event()})

    async def ask() -> None:
        fed = feed_of(source)
        asking = asyncio.create_task(fed.feed.newer({"A": KNOWN_MS}, NOW_MS))
        while not source.asked:  # the list is filled by another thread
            await asyncio.sleep(0.001)
        fed.feed.close()
        assert await asyncio.wait_for(asking, SECONDS) == {}
        assert fed.troubles == []

    asyncio.run(ask())
    source.held["A"].set()


@pytest.mark.parametrize("answer", [ValueError("broken"), "no frame", pl.DataFrame({"time": [NOW_MS]})])
def test_a_plugin_that_raises_or_answers_nonsense_is_told_and_asked_again(answer: object) -> None:
    class Broken(Source):
        def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
            if isinstance(answer, Exception):
                raise answer
            return answer  # type: ignore[return-value]

    async def ask() -> list[tuple[str, str]]:
        fed = feed_of(Broken())
        for minute in range(2):
            assert await fed.feed.newer({"A": KNOWN_MS}, NOW_MS + minute * MINUTE_MS) == {"A": ()}
        with pytest.raises(BacktestkitError):
            await fed.feed.history("A", KNOWN_MS, NOW_MS)
        return fed.troubles

    code = "candle-columns" if isinstance(answer, pl.DataFrame) else "plugin-raised"
    assert asyncio.run(ask()) == [("A", code)] * 2
