"""Which answers are believed: exchanges that round up to the next candle, that answer in windows, that lie."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from loopback import FakeClock

from backtestkit_cli.data.exchange import CcxtExchange
from backtestkit_cli.data.exchange_client import Answer, ExchangeClient
from backtestkit_cli.errors import DataError, TransientError
from backtestkit_cli.model.candle import CANDLE_COLUMNS, MarketSteps
from backtestkit_cli.model.time import MINUTE_MS

START_MS = 1_700_000_040_000
Rows = list[list[Any]]


@dataclass(slots=True)
class ScriptedClient:
    """An exchange with candles at some minutes after START_MS, answering at most `most` at once.

    `in_windows`: it looks at `most` minutes from the start asked for, empty or not; else at the next `most` candles.
    `cap`: it cuts its answers to fewer candles than it says.
    `bend` changes an answer, given its number.
    """

    minutes: list[int]
    most: int = 5
    cap: int = 1000
    in_windows: bool = False
    now_ms: int = START_MS + 1000 * MINUTE_MS
    bend: Callable[[int, Rows], Rows] = lambda number, rows: rows
    asked: list[int | None] = field(default_factory=list)

    def market(self, symbol: str) -> Mapping[str, Any]:
        return {"symbol": symbol}

    def steps(self, market: Mapping[str, Any]) -> MarketSteps:
        return MarketSteps()

    def limit(self, market: Mapping[str, Any]) -> int:
        return self.most

    def candles(self, market: Mapping[str, Any], since_ms: int | None, limit: int) -> Answer:
        self.asked.append(since_ms)
        times = [at for at in (START_MS + minute * MINUTE_MS for minute in sorted(self.minutes)) if at <= self.now_ms]
        if since_ms is None:
            found = times[-limit:]
        elif self.in_windows:
            found = [at for at in times if since_ms <= at < since_ms + limit * MINUTE_MS]
        else:
            found = [at for at in times if at >= since_ms][:limit]
        found = found[-self.cap :] if since_ms is None else found[: self.cap]
        return Answer(rows=self.bend(len(self.asked), [row_at(at) for at in found]), now_ms=self.now_ms)


def row_at(time_ms: int) -> list[Any]:
    return [time_ms, 10.0, 12.0, 9.0, 11.0, 1.5]


def source_of(client: ScriptedClient, retries: int = 0) -> CcxtExchange:
    source = CcxtExchange("scripted", retries=retries, clock=FakeClock(START_MS))
    source._client = cast("ExchangeClient", client)
    return source


def minutes_of(source: CcxtExchange, first: int, last: int) -> list[int]:
    frame = source.candles("BTC/USDT", START_MS + first * MINUTE_MS, START_MS + last * MINUTE_MS)
    assert frame.columns == list(CANDLE_COLUMNS)
    return [(at - START_MS) // MINUTE_MS for at in frame["time"].to_list()]


@settings(max_examples=400)
@given(
    minutes=st.sets(st.integers(0, 60), min_size=1),
    first=st.integers(-12, 62),
    length=st.integers(0, 70),
    most=st.integers(4, 12),
    cap=st.integers(3, 12),
    in_windows=st.booleans(),
    now=st.integers(0, 70),
)
@example(minutes={0, 9}, first=0, length=20, most=4, cap=4, in_windows=True, now=70)
@example(minutes={30}, first=0, length=60, most=5, cap=5, in_windows=False, now=70)
def test_exactly_the_closed_candles_of_the_window_come_back(
    minutes: set[int], first: int, length: int, most: int, cap: int, in_windows: bool, now: int
) -> None:
    now_ms = START_MS + now * MINUTE_MS + 30_000
    client = ScriptedClient(sorted(minutes), most=most, cap=cap, in_windows=in_windows, now_ms=now_ms)
    if min(minutes) > now:  # nothing at all yet
        client.minutes = [0]
    closed = [minute for minute in sorted(client.minutes) if first <= minute < first + length and minute < now]
    assert minutes_of(source_of(client), first, first + length) == closed
    assert len(client.asked) <= 12 + 4 * max(0, length)


def test_a_page_without_holes_costs_one_question() -> None:
    client = ScriptedClient(list(range(40)), most=10)
    assert minutes_of(source_of(client), 0, 30) == list(range(30))
    assert len(client.asked) == 3


def test_a_start_between_two_minutes_begins_with_the_next_one() -> None:
    client = ScriptedClient(list(range(10)), most=10)
    frame = source_of(client).candles("BTC/USDT", START_MS + 1, START_MS + 3 * MINUTE_MS)
    assert frame["time"].to_list() == [START_MS + MINUTE_MS, START_MS + 2 * MINUTE_MS]


def test_the_unfinished_candle_is_dropped_and_counted() -> None:
    client = ScriptedClient(list(range(10)), now_ms=START_MS + 3 * MINUTE_MS + 59_999)
    source = source_of(client)
    assert minutes_of(source, 0, 10) == [0, 1, 2]
    assert source.tally.dropped == 1


def test_a_candle_that_closes_this_very_moment_is_closed() -> None:
    client = ScriptedClient(list(range(3)), now_ms=START_MS + 3 * MINUTE_MS)
    assert minutes_of(source_of(client), 0, 3) == [0, 1, 2]


@pytest.mark.parametrize("number", [1, 2], ids=["first answer", "second answer"])
@pytest.mark.parametrize("left_out", ["one", "all"])
def test_a_candle_left_out_of_one_answer_is_asked_for_again(number: int, left_out: str) -> None:
    def bend(asked: int, rows: Rows) -> Rows:
        if asked != number:
            return rows
        return [] if left_out == "all" else rows[:3] + rows[4:]

    client = ScriptedClient([minute for minute in range(20) if minute != 8], most=6, bend=bend)
    source = source_of(client, retries=1)
    assert minutes_of(source, 0, 20) == [minute for minute in range(20) if minute != 8]
    assert source.tally.retries == 1


def test_two_answers_that_differ_in_a_closed_candle_are_not_believed() -> None:
    def bend(asked: int, rows: Rows) -> Rows:
        return [[*row[:4], row[4] + (0.5 if asked == 2 else 0), row[5]] for row in rows]

    client = ScriptedClient([0, 1, 3, 4], bend=bend)
    with pytest.raises(TransientError, match=r"^scripted gave two answers about the same candle of BTC/USDT$"):
        minutes_of(source_of(client), 0, 4)


def test_an_exchange_that_sends_nothing_at_all_is_not_believed() -> None:
    client = ScriptedClient(list(range(20)), bend=lambda asked, rows: [])
    with pytest.raises(TransientError) as caught:
        minutes_of(source_of(client), 0, 5)
    (problem,) = caught.value.problems
    assert (problem.code, problem.what) == ("no-candles", "scripted sends no candles at all of BTC/USDT")
    assert client.asked == [START_MS, START_MS - MINUTE_MS, None]


def test_an_exchange_that_falls_silent_after_a_page_is_not_believed() -> None:
    client = ScriptedClient(list(range(20)), bend=lambda asked, rows: rows if asked == 1 else [])
    with pytest.raises(TransientError, match=r"^scripted sends no candles at all of BTC/USDT$"):
        minutes_of(source_of(client), 0, 20)


def test_nothing_after_the_last_candle_is_proven_by_that_candle() -> None:
    client = ScriptedClient(list(range(5)), most=5)
    assert minutes_of(source_of(client), 0, 7) == [0, 1, 2, 3, 4]
    assert client.asked[:3] == [START_MS, START_MS + 5 * MINUTE_MS, START_MS + 4 * MINUTE_MS]


def test_long_after_the_last_candle_three_questions_are_enough() -> None:
    client = ScriptedClient(list(range(5)), most=5)
    assert minutes_of(source_of(client), 50, 500) == []
    assert len(client.asked) == 3


@pytest.mark.parametrize("lies", [{1, 2}, {2, 3}, {1, 2, 5}], ids=str)
def test_two_empty_lies_in_a_row_are_seen_through(lies: set[int]) -> None:
    client = ScriptedClient(list(range(20)), most=6, bend=lambda asked, rows: [] if asked in lies else rows)
    assert minutes_of(source_of(client, retries=2), 0, 20) == list(range(20))


def test_a_twin_is_counted_and_taken_once() -> None:
    client = ScriptedClient(list(range(5)), bend=lambda asked, rows: [*rows, rows[1]])
    source = source_of(client)
    assert minutes_of(source, 0, 5) == [0, 1, 2, 3, 4]
    assert source.tally.duplicates == 1


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (None, "a candle with fields missing"),
        ([START_MS], "a candle with fields missing"),
        ([START_MS, 10.0, 12.0, None, 11.0, 1.5], "a candle with fields missing"),
        ([START_MS // 1000, 10.0, 12.0, 9.0, 11.0, 1.5], "a candle whose time is no whole minute in milliseconds"),
        ([START_MS + 1, 10.0, 12.0, 9.0, 11.0, 1.5], "a candle whose time is no whole minute in milliseconds"),
        ([START_MS, 10.0, float("inf"), 9.0, 11.0, 1.5], "a candle with a value that is no number"),
        ([START_MS, 10.0, 12.0, 9.0, 11.0, float("nan")], "a candle with a value that is no number"),
        ([START_MS, 10.0, 12.0, 0.0, 11.0, 1.5], "a candle with a price or volume that cannot be"),
        ([START_MS, 10.0, 12.0, 9.0, 11.0, -0.1], "a candle with a price or volume that cannot be"),
        ([START_MS, 10.5, 12.0, 9.0, 11.0, 1.5], "a candle twice, with different values"),
    ],
)
def test_a_broken_candle_spoils_its_answer(row: Any, what: str) -> None:
    client = ScriptedClient(list(range(5)), bend=lambda asked, rows: [*rows, row])
    with pytest.raises(DataError) as caught:
        minutes_of(source_of(client), 0, 5)
    (problem,) = caught.value.problems
    assert (problem.code, problem.what) == ("broken-candle", f"scripted sent {what}")


def test_a_broken_candle_that_comes_once_is_asked_for_again() -> None:
    client = ScriptedClient(list(range(5)), bend=lambda asked, rows: rows if asked > 1 else [None, *rows])  # type: ignore[list-item]  # the fault
    source = source_of(client, retries=1)
    assert minutes_of(source, 0, 5) == [0, 1, 2, 3, 4]
    assert source.tally.retries == 1
