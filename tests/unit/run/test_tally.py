"""What a session has come to, line by line: nothing counts twice, what is dropped stays in the totals."""

from random import Random
from typing import Any

import numpy as np
import pytest
from make import Deal, closed

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.model.event import DecisionFailed, Event, Opened, Scheduled
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, TimeRange, parse_time
from backtestkit_cli.run.candle_use import candle_use
from backtestkit_cli.run.live import tally as tallies
from backtestkit_cli.run.live.market_tally import MarketTally
from backtestkit_cli.run.live.tally import StreamTally, Tally
from backtestkit_cli.state.session import event_body

START_MS = parse_time("2023-03-01")
KEY = ("ema-cross", "BTCUSDT")
WINDOW = 5


def begin(known_ms: int = START_MS) -> dict[str, Any]:
    return {
        "what": "start",
        "time_ms": known_ms,
        "started_ms": START_MS,
        "streams": [list(KEY)],
        "known_ms": {KEY[1]: known_ms},
        "price_candles": WINDOW,
        "config": {},
    }


def told(*lines: dict[str, Any] | Event) -> Tally:
    tally = Tally()
    for line in (begin(), *lines):
        if isinstance(line, dict):
            tally.take(line)
        else:
            tally.take({"what": "event", "time_ms": line.time_ms, "event": event_body(line)})
    return tally


def tick(minute: int, gate: str, **more: Any) -> dict[str, Any]:
    key = {"strategy": KEY[0], "symbol": KEY[1]}
    return {"what": "tick", "time_ms": START_MS + minute * MINUTE_MS, "gate": gate, **key, **more}


def stream_of(tally: Tally) -> StreamTally:
    return tally.streams[KEY]


def test_of_two_tellings_of_a_decision_time_the_later_counts() -> None:
    tally = told(tick(0, "no_draft"), tick(1, "no_draft", short=True), tick(1, "opened_at_decision"), tick(0, "busy"))
    funnel = stream_of(tally).funnel
    assert (funnel.ticks, funnel.no_draft, funnel.drafts, funnel.busy, funnel.short_history) == (2, 1, 1, 0, 1)


def test_events_that_a_crash_repeats_count_once() -> None:
    deal = closed(Deal(pnl=1.5))
    opened = Opened(time_ms=deal.opened_at, signal=deal.signal)
    tally = told(tick(0, "opened_at_decision"), opened, deal, begin(), opened, deal)
    stream = stream_of(tally)
    assert (stream.totals.trades, tally.whole.trades, len(stream.newest)) == (1, 1, 1)
    assert stream.funnel.broken_sums() == []
    assert (tally.starts, stream.held) == (2, None)


def test_a_position_that_could_not_be_kept_is_a_failed_decision() -> None:
    failed = DecisionFailed(time_ms=START_MS, strategy=KEY[0], symbol=KEY[1], what="it could not be written")
    stream = stream_of(told(tick(0, "opened_at_decision"), failed))
    assert (stream.funnel.drafts, stream.funnel.errors) == (0, 1)
    assert stream.funnel.broken_sums() == []
    assert stream.failures == {"it could not be written": [START_MS, 1]}


def test_a_waiting_entry_is_held_until_somebody_says_that_it_is_flat() -> None:
    waits = Scheduled(time_ms=START_MS, signal=closed(Deal()).signal, price=100.0)
    assert stream_of(told(waits)).held == waits.signal
    said = {"what": "reconciled", "time_ms": START_MS, "said": "ema-cross on BTCUSDT is flat", "kept": []}
    tally = told(waits, said)
    assert (stream_of(tally).held, tally.reconciled) == (None, 1)


def test_trades_beyond_those_that_are_held_stay_in_the_totals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "HELD_TRADES", 3)
    made = [
        closed(Deal(pnl=pnl, opened_hours=place), row=place) for place, pnl in enumerate((1.0, -2.0, 3.0, 4.0, 5.0))
    ]
    stream = stream_of(told(*made))
    assert [one.pnl_percent for one in stream.newest] == [3.0, 4.0, 5.0]
    assert (stream.before.trades, stream.before.pnl, stream.dropped_ms) == (2, -1.0, made[1].time_ms)
    assert (stream.totals.trades, stream.totals.pnl) == (5, 11.0)


def rows(random: Random, days: int, share: float) -> list[tuple[float, ...]]:
    found: list[tuple[float, ...]] = []
    first_ms = START_MS - (WINDOW - 1) * MINUTE_MS
    for time_ms in range(first_ms, START_MS + days * DAY_MS + 90 * MINUTE_MS, MINUTE_MS):
        if time_ms in (first_ms, START_MS) or random.random() < share:
            low, high = sorted((random.uniform(90, 110), random.uniform(90, 110)))
            found.append((time_ms, low, high, low, random.uniform(low, high), random.choice((0.0, random.random()))))
    return found


@pytest.mark.parametrize("bridges", [False, True])
@pytest.mark.parametrize("share", [1.0, 0.9, 0.2])
def test_a_market_candle_by_candle_is_the_market_of_a_backtest(share: float, bridges: bool) -> None:
    made = rows(Random(5), 2, share)
    tally = MarketTally(START_MS, WINDOW, bridges=bridges)
    tally.begin(START_MS)
    for row in made:
        tally.take(int(row[0]), row[1:])
        tally.take(int(row[0]), row[1:])  # after a crash it comes again
    columns = [np.array(column) for column in zip(*made, strict=True)]
    candles = Candles.from_rows(columns[0].astype(np.int64), *columns[1:], bridge=bridges)
    within = TimeRange(START_MS, candles.end_ms)
    found, expected = tally.use(within), candle_use(candles, within, WINDOW)
    for name in ("history_start_ms", "data_end_ms", "candles", "missing_minutes", "bridged_minutes", "price_first"):
        assert getattr(found, name) == getattr(expected, name), name
    assert (found.price_last, found.daily_prices) == (expected.price_last, expected.daily_prices)


def test_minutes_in_which_nobody_looked_are_not_missing() -> None:
    tally = MarketTally(START_MS, WINDOW, bridges=False)
    tally.begin(START_MS)
    values = (100.0, 100.0, 100.0, 100.0, 1.0)
    tally.take(START_MS, values)
    tally.begin(START_MS + 61 * MINUTE_MS)
    tally.take(START_MS + 60 * MINUTE_MS, values)
    tally.take(START_MS + 62 * MINUTE_MS, values)
    used = tally.use(TimeRange(START_MS, START_MS + 63 * MINUTE_MS))
    assert (tally.away_minutes, used.missing_minutes, used.candles) == (60, 1, 3)
